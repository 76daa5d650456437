/*
 * session.c
 *		The state of the session for each server.
 */
#include "postgres.h"

#include "utils/hsearch.h"

#include "server/session.h"

/* A user pool, as a server reads it */
typedef struct PoolKey
{
	Oid  serverid;
	char id[NAMEDATALEN]; /* padded with zeros; ids are shorter */
} PoolKey;

typedef struct Pool
{
	PoolKey       key;
	SessionExtent extents[SESSION_LISTINGS];
} Pool;

static HTAB *sessions;
static HTAB *pools;

Session *
session_get(Oid serverid)
{
	Session *session;
	bool     found;

	if (sessions == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Session)};

		sessions = hash_create("cognito sessions", 8, &control, HASH_ELEM | HASH_BLOBS);
	}

	session = hash_search(sessions, &serverid, HASH_ENTER, &found);
	if (!found)
		*session = (Session){.serverid = serverid};
	return session;
}

/* Find the state for a user pool, or create it; NULL if it is neither. */
static Pool *
find_pool(Oid serverid, const char *id, HASHACTION action)
{
	PoolKey key = {.serverid = serverid};
	Pool   *pool;
	bool    found;

	if (pools == NULL)
	{
		HASHCTL control = {.keysize = sizeof(PoolKey), .entrysize = sizeof(Pool)};

		pools = hash_create("cognito user pools", 8, &control, HASH_ELEM | HASH_BLOBS);
	}
	strlcpy(key.id, id, sizeof(key.id));
	pool = hash_search(pools, &key, action, &found);
	if (pool != NULL && !found)
		memset(pool->extents, 0, sizeof(pool->extents));
	return pool;
}

void
session_set_extent(Oid serverid, const char *user_pool_id, SessionListing listing,
				   SessionExtent extent)
{
	find_pool(serverid, user_pool_id, HASH_ENTER)->extents[listing] = extent;
}

SessionExtent
session_extent(Oid serverid, const char *user_pool_id, SessionListing listing)
{
	const Pool *pool = find_pool(serverid, user_pool_id, HASH_FIND);

	return pool != NULL ? pool->extents[listing] : (SessionExtent){0};
}

List *
session_list(void)
{
	List           *list = NIL;
	HASH_SEQ_STATUS scan;
	Session        *session;

	if (sessions == NULL)
		return NIL;
	hash_seq_init(&scan, sessions);
	while ((session = hash_seq_search(&scan)) != NULL)
		list = lappend(list, session);
	return list;
}

void
session_reset_counters(void)
{
	ListCell *cell;

	foreach (cell, session_list())
	{
		Session *session = lfirst(cell);

		session->calls = 0;
		session->requests = 0;
		session->pages = 0;
		session->rows = 0;
		session->retries = 0;
		session->throttled = 0;
		session->errors = 0;
		session->bytes = 0;
		session->connections = 0;
		session->waited = 0;
		session->last_call = 0;
	}
}
