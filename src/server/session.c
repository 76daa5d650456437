/*
 * session.c
 *		The state of the session for each server.
 */
#include "postgres.h"

#include "utils/hsearch.h"

#include "server/session.h"

static HTAB *sessions;

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
