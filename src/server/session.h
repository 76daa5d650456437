/*
 * session.h
 *		The state of the session for each server: counters, the sizes of pools, and the
 *		service's clock.
 */
#ifndef COGNITO_SERVER_SESSION_H
#define COGNITO_SERVER_SESSION_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include <time.h>

/* The complete listings whose sizes are kept */
typedef enum SessionListing
{
	SESSION_USERS,
	SESSION_MEMBERSHIPS,
	SESSION_LISTINGS /* their number */
} SessionListing;

/* The size of the last complete listing of a user pool in this session, or an estimate of it */
typedef struct SessionExtent
{
	int64 rows;
	int64 pages;     /* 0 if unknown */
	int64 min_pages; /* if it is unknown: an estimate of the least number */
} SessionExtent;

typedef struct Session
{
	Oid         serverid; /* the key */
	int64       calls;
	int64       requests; /* sent, retries included */
	int64       pages;
	int64       rows;
	int64       retries;
	int64       throttled;
	int64       errors;      /* calls that failed */
	int64       bytes;       /* of responses' bodies */
	int64       connections; /* opened */
	double      waited;      /* for responses, in milliseconds */
	TimestampTz last_call;
	time_t      clock_offset;   /* by which the service's clock is ahead, in seconds */
	bool        clock_verified; /* the service has accepted a request signed with it */
	double      next_request;   /* when max_requests_per_second permits one, in clock_now's time */
} Session;

/* Return the state for a server, which is created at its first use and lasts as long as the session. */
extern Session *session_get(Oid serverid);

/* Set and return the size of a listing of a user pool, which several servers may name. */
extern void session_set_extent(Oid serverid, const char *user_pool_id, SessionListing listing,
							   SessionExtent extent);
extern SessionExtent session_extent(Oid serverid, const char *user_pool_id, SessionListing listing);

/* Return a list of the states for all servers, in the current memory context. */
extern List *session_list(void);

/* Set the counters of all servers to zero; the sizes of pools stay. */
extern void session_reset_counters(void);

#endif
