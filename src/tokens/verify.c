/*
 * verify.c
 *		Verification of tokens, with what this session remembers of each server.
 *
 * Verifying a signature takes some 20 microseconds, and a policy is evaluated for each
 * row: so the last valid token of a server is remembered, with its claims.  Whatever
 * ALTER SERVER changes makes everything about the server be read anew.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include <openssl/crypto.h>

#include "aws/client.h"
#include "clock.h"
#include "server/server.h"
#include "tokens/jwt.h"
#include "tokens/keys.h"
#include "tokens/verify.h"

/*
 * How long a session does not request keys again, in milliseconds: while it has some, and
 * a token's is unknown; and while it has none, because the last request failed.  Whoever
 * presents invalid tokens must not cause a request with each.
 */
#define REFETCH_INTERVAL 10000
#define RETRY_INTERVAL 1000

/* A valid token, which is wiped before it is freed, and so are its claims */
typedef struct ValidToken
{
	JwtClaims claims;
	size_t    length;
	char      text[FLEXIBLE_ARRAY_MEMBER];
} ValidToken;

/* What the session remembers of a server */
typedef struct Verifier
{
	Oid           serverid; /* the key */
	uint32        hash;     /* of the server's entry in the catalog cache */
	bool          current;  /* the server has not changed since the options were read */
	MemoryContext context;  /* holds rules and keys; NULL if they have not been read */
	JwtRules      rules;
	bool          fetches_keys; /* there is no option "jwks" */
	MemoryContext keys_context;
	const KeySet *keys;   /* NULL if they have not been fetched */
	const Key    *key;    /* of the last valid token, or NULL */
	char         *header; /* of that token; in the keys' context */
	size_t        header_length;
	double        requested_at; /* end of the last request for keys, in clock_now's milliseconds */
	bool          fetch_failed; /* that request did */
	ValidToken   *valid;        /* the last valid token, or NULL */
} Verifier;

static HTAB *verifiers;

/* Callback for changes of servers, one or all: what is remembered of them is no longer current. */
static void
note_change(Datum arg pg_attribute_unused(), int cache pg_attribute_unused(), uint32 hash)
{
	HASH_SEQ_STATUS scan;
	Verifier       *verifier;

	hash_seq_init(&scan, verifiers);
	while ((verifier = hash_seq_search(&scan)) != NULL)
		if (hash == 0 || verifier->hash == hash)
			verifier->current = false;
}

void
verify_init(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Verifier)};

	verifiers = hash_create("cognito verifiers", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_change, (Datum) 0);
}

/* Return what is remembered of a server, at first nothing. */
static Verifier *
get_verifier(Oid serverid)
{
	bool      found;
	Verifier *verifier = hash_search(verifiers, &serverid, HASH_ENTER, &found);

	if (!found)
		*verifier = (Verifier){.serverid = serverid};
	return verifier;
}

/* Forget the last valid token. */
static void
forget_token(Verifier *verifier)
{
	ValidToken *valid = verifier->valid;

	verifier->valid = NULL;
	if (valid == NULL)
		return;
	OPENSSL_cleanse(valid->text, valid->length);
	OPENSSL_cleanse(valid->claims.all, VARSIZE(valid->claims.all));
	pfree(valid->claims.all);
	pfree(valid);
}

/* Return a copy of claims in the current memory context. */
static Jsonb *
copy_claims(const Jsonb *claims)
{
	return memcpy(palloc(VARSIZE(claims)), claims, VARSIZE(claims));
}

/* Remember a valid token, in place of the last one. */
static void
remember_token(Verifier *verifier, const char *token, size_t length, const JwtClaims *claims)
{
	MemoryContext caller = MemoryContextSwitchTo(verifier->context);
	ValidToken   *valid;

	forget_token(verifier);
	valid = palloc(offsetof(ValidToken, text) + length);
	valid->claims = *claims;
	valid->length = length;
	memcpy(valid->text, token, length);
	valid->claims.all = copy_claims(claims->all);
	verifier->valid = valid;
	MemoryContextSwitchTo(caller);
}

/* Return the rules of a server, in the current memory context. */
static JwtRules
make_rules(const CognitoServer *server)
{
	if (server->app_client_ids == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("missing required option \"app_client_ids\" for server \"%s\"", server->name),
			 errdetail("A token that was issued to another app client must not be accepted."),
			 errhint("To add what is missing, execute: ALTER SERVER %s OPTIONS (ADD app_client_ids "
					 "'...');  The value is a list of app client ids, or '*' for all app clients "
					 "of the user pool.",
					 quote_identifier(server->name))));
	return (JwtRules){
		.client_ids = pstrdup(server->app_client_ids),
		.issuer =
			server->token_issuer != NULL
				? pstrdup(server->token_issuer)
				: psprintf("%s%s", endpoint_of_service(aws_user_pools.prefix, server->region)->url,
						   server->user_pool_id)};
}

/*
 * Parse keys into a context of their own below another, and use them in place of those
 * there are.  Fetched keys have been checked, but not those of an option.
 */
static void
set_keys(Verifier *verifier, MemoryContext parent, const char *text)
{
	MemoryContext context = AllocSetContextCreate(parent, "cognito keys", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	const char   *problem;
	const KeySet *keys = keys_parse(text, &problem);

	MemoryContextSwitchTo(caller);
	if (keys == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid value for option \"jwks\""), errdetail("%s", problem)));

	if (verifier->keys != NULL)
		MemoryContextDelete(verifier->keys_context);
	verifier->keys_context = context;
	verifier->keys = keys;
	verifier->key = NULL;
}

/* Read the options of a server; until that succeeds, nothing is known of it. */
static void
read_server(Verifier *verifier, const char *name)
{
	CognitoServer *server;
	MemoryContext  context;
	MemoryContext  caller;
	JwtRules       rules;

	forget_token(verifier);
	if (verifier->context != NULL)
		MemoryContextDelete(verifier->context);
	verifier->context = NULL;
	verifier->keys = NULL;
	verifier->key = NULL;
	verifier->fetch_failed = false;

	/* The server may change while it is read. */
	verifier->hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(verifier->serverid));
	verifier->current = true;
	server = server_open_public(name, POOL_USER);
	context = AllocSetContextCreate(CurrentMemoryContext, "cognito verifier", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	rules = make_rules(server);
	MemoryContextSwitchTo(caller);
	if (server->jwks != NULL)
		set_keys(verifier, context, server->jwks);

	MemoryContextSetParent(context, TopMemoryContext);
	verifier->context = context;
	verifier->rules = rules;
	verifier->fetches_keys = server->jwks == NULL;
	server_close(server);
}

/* Request the keys of a server, and remember when and how that ended. */
static void
fetch_keys(Verifier *verifier, const char *name)
{
	CognitoServer *server = server_open_public(name, POOL_USER);

	verifier->fetch_failed = true;
	PG_TRY();
	{
		set_keys(verifier, verifier->context, keys_fetch(server));
		verifier->fetch_failed = false;
	}
	PG_FINALLY();
	{
		verifier->requested_at = clock_now();
	}
	PG_END_TRY();
	server_close(server);
}

/* Return true if a token has the header of the last valid one, and so its key. */
static bool
has_last_header(const Verifier *verifier, const Jwt *jwt)
{
	return verifier->key != NULL && verifier->header_length == jwt->header_length &&
		   memcmp(verifier->header, jwt->text, jwt->header_length) == 0;
}

/* Remember the header of a valid token: those of other users are the same, and need not be read. */
static void
remember_header(Verifier *verifier, const Key *key, const Jwt *jwt)
{
	MemoryContext caller = MemoryContextSwitchTo(verifier->keys_context);
	char         *header = pnstrdup(jwt->text, jwt->header_length);

	if (verifier->key != NULL)
		pfree(verifier->header);
	verifier->header = header;
	verifier->header_length = jwt->header_length;
	verifier->key = key;
	MemoryContextSwitchTo(caller);
}

/*
 * Return the key of an id, or NULL.  Keys are requested if there are none, or if none has
 * the id: there may be new ones.  That an id is unknown is only said after a response: if
 * it is too early for another request, and the last one failed, raise HV00N.
 */
static const Key *
find_key(Verifier *verifier, const char *name, const char *id)
{
	const Key *key = verifier->keys != NULL ? keys_find(verifier->keys, id) : NULL;
	int        interval = verifier->keys != NULL ? REFETCH_INTERVAL : RETRY_INTERVAL;
	bool       has_requested = verifier->keys != NULL || verifier->fetch_failed;

	if (key != NULL || !verifier->fetches_keys)
		return key;
	if (!has_requested || clock_now() - verifier->requested_at >= interval)
		fetch_keys(verifier, name);
	else if (verifier->fetch_failed)
		keys_reject_fetch(name, psprintf("The last request failed less than %d s ago, and is not "
										 "repeated yet.",
										 interval / 1000));
	return keys_find(verifier->keys, id);
}

/* Return the time in seconds since the Unix epoch. */
static double
unix_time(void)
{
	const double offset = (double) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	return (double) GetCurrentTimestamp() / USECS_PER_SEC + offset;
}

/* Raise the error for a token that is not valid, unless the problem is NULL. */
static void
reject_token(const char *name, const char *problem)
{
	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						errmsg("invalid token for server \"%s\"", name),
						errdetail_internal("%s", problem)));
}

/* Return the key with which a token says that it was signed. */
static const Key *
get_key(Verifier *verifier, const char *name, const Jwt *jwt)
{
	const Key  *key;
	const char *id;

	if (has_last_header(verifier, jwt))
		return verifier->key;
	reject_token(name, jwt_read_header(jwt, &id));
	key = find_key(verifier, name, id);
	if (key == NULL)
		reject_token(name, "The key (\"kid\") is not one of the user pool's.");
	return key;
}

/* Verify a token and remember it, or raise an error. */
static void
verify(Verifier *verifier, const char *name, const char *token, size_t length)
{
	Jwt        jwt;
	JwtClaims  claims;
	const Key *key;

	reject_token(name, jwt_split(token, length, &jwt));
	key = get_key(verifier, name, &jwt);
	if (!keys_verify(verifier->keys, key, token, jwt.signed_length, jwt.signature,
					 jwt.signature_length))
		reject_token(name, "The signature is not valid.");
	reject_token(name, jwt_check(&jwt, &verifier->rules, unix_time(), &claims));
	if (!has_last_header(verifier, &jwt))
		remember_header(verifier, key, &jwt);
	remember_token(verifier, token, length, &claims);
}

/* Return true if a token is the last valid one. */
static bool
is_remembered(const Verifier *verifier, const char *token, size_t length)
{
	const ValidToken *valid = verifier->valid;

	return valid != NULL && valid->length == length && memcmp(valid->text, token, length) == 0;
}

/* Return a copy of the claims of the last valid token if it may be used now, and so. */
static Jsonb *
use_token(const ValidToken *valid, const char *name, const char *token_use)
{
	reject_token(name, jwt_check_use(&valid->claims, unix_time(), token_use));
	return copy_claims(valid->claims.all);
}

Jsonb *
verify_token(const char *server_name, const char *token, const char *token_use)
{
	Verifier *verifier = get_verifier(server_find(server_name));
	size_t    length = strlen(token);

	if (!verifier->current || verifier->context == NULL)
		read_server(verifier, server_name);
	if (!is_remembered(verifier, token, length))
		verify(verifier, server_name, token, length);
	return use_token(verifier->valid, server_name, token_use);
}
