/*
 * session.h
 *		What a session remembers of a server: how fast it may be asked, and what
 *		came of it so far (cognito_statistics).
 */
#ifndef COGNITO_SERVER_SESSION_H
#define COGNITO_SERVER_SESSION_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "aws/limiter.h"

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
	Limiter       limiter;  /* of all requests to this server */
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

#endif
