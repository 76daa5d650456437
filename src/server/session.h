/*
 * session.h
 *		What a session remembers of a server: counters, and how much it listed.
 */
#ifndef COGNITO_SERVER_SESSION_H
#define COGNITO_SERVER_SESSION_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* What can be listed whole, and is then remembered. */
typedef enum SessionListing
{
	SESSION_USERS,
	SESSION_MEMBERSHIPS,
	SESSION_LISTINGS /* how many there are */
} SessionListing;

/* How much there was when the session last listed the whole. */
typedef struct SessionExtent
{
	int64 rows;
	int64 pages; /* 0 if it never did */
} SessionExtent;

typedef struct Session
{
	Oid           serverid; /* the key */
	int64         calls;
	int64         requests; /* sent, retries included */
	int64         pages;
	int64         rows;
	int64         retries;
	int64         throttled;
	int64         errors;      /* calls that failed */
	int64         bytes;       /* of answers' bodies */
	int64         connections; /* opened */
	double        waited;      /* for answers, in milliseconds */
	TimestampTz   last_call;
	SessionExtent extents[SESSION_LISTINGS];
} Session;

/* The session's record of a server, made if there is none; it lasts as long as the session. */
extern Session *session_get(Oid serverid);

/* Return a list of all of the session's records, in the current memory context. */
extern List *session_list(void);

#endif
