/*
 * credentials.c
 *		Credentials that change: of the environment's sources and of roles, kept for
 *		the session and replaced before they expire.
 *
 * The session keeps the last credentials of each server.  A call has a copy of its own,
 * because they may be replaced, or dropped with the server, while it waits.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "credentials/credentials.h"
#include "credentials/keys.h"
#include "credentials/sources.h"
#include "credentials/sts.h"

/* How long to use credentials that could not be replaced until trying again, in ms */
#define RETRY_TIME 30000

/* The credentials of a server that the session keeps */
typedef struct CachedKeys
{
	Oid         serverid; /* the key */
	uint32      hash;     /* of the server in the catalog's cache */
	const char *options;  /* on which the keys depend, in their context */
	SourceKeys *keys;
} CachedKeys;

/* The provider of a call */
typedef struct CallProvider
{
	CredentialProvider provider;
	CognitoServer     *server;
	SourceKeys         own;      /* of the server's options, with which the role is assumed */
	const char        *options;  /* as in CachedKeys */
	SourceKeys        *keys;     /* in use, or NULL */
	SourceKeys        *replaced; /* before these, or NULL */
} CallProvider;

static HTAB *cache;

/* Remove the keys of a server from the cache. */
static void
forget(CachedKeys *cached)
{
	MemoryContextDelete(cached->keys->context);
	(void) hash_search(cache, &cached->serverid, HASH_REMOVE, NULL);
}

/* Callback of the catalog's cache: a server, or all if the hash is 0, may have changed. */
static void
forget_changed(Datum arg pg_attribute_unused(), int cache_id pg_attribute_unused(), uint32 hash)
{
	HASH_SEQ_STATUS scan;
	CachedKeys     *cached;

	hash_seq_init(&scan, cache);
	while ((cached = hash_seq_search(&scan)) != NULL)
		if (hash == 0 || cached->hash == hash)
			forget(cached);
}

/* Create the cache, if there is none. */
static void
create_cache(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(CachedKeys)};

	if (cache != NULL)
		return;
	cache = hash_create("cognito credentials", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_changed, (Datum) 0);
}

/*
 * Return the keys that the session has for a call, or NULL.  The options are compared,
 * too, because another call may have started before they were changed.
 */
static CachedKeys *
find_cached(const CallProvider *call)
{
	CachedKeys *cached = hash_search(cache, &call->server->session->serverid, HASH_FIND, NULL);

	return cached != NULL && strcmp(cached->options, call->options) == 0 ? cached : NULL;
}

/* Keep a copy of keys for the session. */
static void
store(const CallProvider *call, const SourceKeys *keys)
{
	Oid         serverid = call->server->session->serverid;
	SourceKeys *copy = keys_copy(keys, CurrentMemoryContext);
	CachedKeys  kept = {.serverid = serverid,
						.hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid)),
						.options = MemoryContextStrdup(copy->context, call->options),
						.keys = copy};
	CachedKeys *cached;
	bool        found;

	cached = hash_search(cache, &serverid, HASH_ENTER, &found);
	if (found)
		MemoryContextDelete(cached->keys->context);
	*cached = kept;
	MemoryContextSetParent(copy->context, TopMemoryContext);
}

/* Have a call sign with a copy of keys; wipe those before the last ones. */
static void
use(CallProvider *call, const SourceKeys *keys)
{
	CognitoServer *server = call->server;
	SourceKeys    *copy = keys_copy(keys, server->context);

	if (call->replaced != NULL)
		MemoryContextDelete(call->replaced->context);
	call->replaced = call->keys;
	call->keys = copy;
	call->provider.version = copy->version;
	call->provider.expired = false;
	server->access_key_id = copy->access_key_id;
	server->secret_access_key = copy->secret_access_key;
	server->session_token = copy->session_token;
	server->replaced_secret = call->replaced != NULL ? call->replaced->secret_access_key : NULL;
	server->replaced_token = call->replaced != NULL ? call->replaced->session_token : NULL;
}

/* Return true if a call can go on with its keys. */
static bool
is_current(const CallProvider *call)
{
	return call->keys != NULL && !call->provider.expired && clock_now() < call->keys->renewal_time;
}

/* Raise the error for sources that have no credentials. */
static void
pg_attribute_noreturn() reject_sources(const CognitoServer *server, const char *reasons)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					errmsg("no credential source of server \"%s\" has credentials", server->name),
					errdetail_internal("%s", reasons)));
}

/* Raise the error for a role that cannot be assumed. */
static void
pg_attribute_noreturn() reject_role(const CognitoServer *server, const KeysFailure *failure)
{
	ereport(ERROR, (errcode(failure->sqlstate),
					errmsg("could not assume the role of server \"%s\"", server->name),
					errdetail_internal("%s.", failure->reason),
					failure->hint != NULL ? errhint("%s", failure->hint) : 0));
}

/* Return true if a call can go on with keys that could not be replaced. */
static bool
is_valid(const CallProvider *call)
{
	return call->keys != NULL && !call->provider.expired && clock_now() < call->keys->valid_until;
}

/*
 * Return new keys for a call, in the current memory context.  If there are none, raise
 * the error, or return NULL if the call can go on with what it has.
 */
static SourceKeys *
fetch(const CallProvider *call)
{
	const CognitoServer *server = call->server;
	const SourceKeys    *base = &call->own;
	SourceKeys          *keys;
	StringInfoData       reasons;
	KeysFailure          failure;

	initStringInfo(&reasons);
	if (server->credential_source != NULL)
	{
		keys = sources_get(server, &reasons);
		if (keys == NULL && !is_valid(call))
			reject_sources(server, reasons.data);
		if (keys == NULL || server->role_arn == NULL)
			return keys;
		base = keys;
	}
	keys = sts_assume_role(server, base, &failure);
	if (keys == NULL && !is_valid(call))
		reject_role(server, &failure);
	return keys;
}

/*
 * Have the session go on with a call's keys for a while, but not longer than they are
 * valid, because there are no new ones.
 */
static void
postpone(CallProvider *call)
{
	CachedKeys *cached = find_cached(call);

	call->keys->renewal_time = Min(clock_now() + RETRY_TIME, call->keys->valid_until);
	if (cached != NULL && cached->keys->version == call->keys->version)
		cached->keys->renewal_time = call->keys->renewal_time;
}

/* Replace the keys of a call, or go on with what it has, if that is possible. */
static void
replace(CallProvider *call)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito source", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	SourceKeys   *keys = fetch(call);

	if (keys != NULL)
	{
		store(call, keys);
		use(call, keys);
	}
	else
		postpone(call);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Make sure that a call has keys that are current, a callback of CredentialProvider. */
static bool
renew(CredentialProvider *provider)
{
	CallProvider     *call = (CallProvider *) provider;
	const CachedKeys *cached;

	if (is_current(call))
		return false;
	cached = find_cached(call);
	if (cached != NULL && (call->keys == NULL || cached->keys->version != call->keys->version))
		use(call, cached->keys);
	if (is_current(call))
		return false;
	replace(call);
	return true;
}

/* Return all options on which a server's keys depend, as one text. */
static char *
describe_options(const CognitoServer *server)
{
	const char *const values[] = {server->credential_source,
								  server->role_arn,
								  server->external_id,
								  server->role_session_name,
								  server->region,
								  server->sts_endpoint != NULL ? server->sts_endpoint->url : NULL,
								  server->access_key_id};
	StringInfoData    text;

	initStringInfo(&text);
	appendStringInfo(&text, "%d", server->role_duration);
	for (size_t i = 0; i < lengthof(values); i++)
		appendStringInfo(&text, "\n%s", values[i] != NULL ? values[i] : "");
	return text.data;
}

void
credentials_attach(CognitoServer *server)
{
	MemoryContext caller;
	CallProvider *call;

	if (server->credential_source == NULL && server->role_arn == NULL)
		return;
	create_cache();
	caller = MemoryContextSwitchTo(server->context);
	call = palloc0(sizeof(CallProvider));
	call->provider.renew = renew;
	call->server = server;
	call->own = (SourceKeys){.source = "server",
							 .access_key_id = unconstify(char *, server->access_key_id),
							 .secret_access_key = unconstify(char *, server->secret_access_key),
							 .session_token = unconstify(char *, server->session_token)};
	call->options = describe_options(server);
	server->provider = &call->provider;
	MemoryContextSwitchTo(caller);
}

CredentialsView
credentials_view(const CognitoServer *server)
{
	CredentialsView   view = {.source = server->uses_mapping ? "user mapping" : "server"};
	const SourceKeys *keys;

	if (server->provider != NULL)
	{
		(void) renew(server->provider);
		keys = ((CallProvider *) server->provider)->keys;
		view.source = keys->source;
		view.role = keys->role;
		view.can_expire = keys->expires != 0;
		view.expires_at = time_t_to_timestamptz(keys->expires);
	}
	view.access_key_id = server->access_key_id;
	return view;
}
