/*
 * server.c
 *		Who is asked, and with which credentials.
 */
#include "postgres.h"

#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include <openssl/crypto.h>

#include "compat.h"
#include "server/options.h"
#include "server/server.h"
#include "server/vault.h"

#define CONNECT_TIMEOUT (10 * 1000)
#define REQUEST_TIMEOUT (30 * 1000)
#define MAX_RETRIES 8
#define MAX_CONCURRENT_REQUESTS 1

/* What is to be done when a server's context goes: above all, every copy of a secret is wiped. */
typedef struct ServerCleanup
{
	CognitoServer        *server;
	List                 *server_options;
	List                 *mapping_options;
	char                 *from_vault;
	MemoryContextCallback release;
} ServerCleanup;

/* Callback of a server's context. */
static void
release(void *arg)
{
	ServerCleanup *cleanup = arg;

	options_wipe(cleanup->server_options);
	options_wipe(cleanup->mapping_options);
	if (cleanup->from_vault != NULL)
		OPENSSL_cleanse(cleanup->from_vault, strlen(cleanup->from_vault));
	if (cleanup->server->session != NULL && !cleanup->server->done)
		cleanup->server->session->errors++;
}

/* Makes a server whose context, the current one, cleans up after it. */
static ServerCleanup *
create_server(void)
{
	ServerCleanup *cleanup = palloc0(sizeof(ServerCleanup));

	cleanup->server = palloc0(sizeof(CognitoServer));
	cleanup->server->context = CurrentMemoryContext;
	cleanup->release.func = release;
	cleanup->release.arg = cleanup;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &cleanup->release);
	return cleanup;
}

/* Finds a server that the calling role may use. */
static ForeignServer *
find_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);
	const char    *role;

	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("server \"%s\" does not exist", name),
				 errhint("CREATE SERVER makes one, \\des lists those there are; the views "
						 "read the one that \"cognito_srf.default_server\" names.")));

	if (server_aclcheck(server->serverid, GetUserId()) != ACLCHECK_OK)
	{
		role = quote_identifier(GetUserNameFromId(GetUserId(), false));
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for server \"%s\"", server->servername),
						errhint("GRANT USAGE ON FOREIGN SERVER %s TO %s.",
								quote_identifier(server->servername), role)));
	}
	return server;
}

/*
 * Return the user mapping of the calling role, or else PUBLIC's, whose userid
 * is then InvalidOid, or else NULL.
 */
static UserMapping *
find_user_mapping(const ForeignServer *server)
{
	const Oid users[] = {GetUserId(), InvalidOid};

	for (size_t i = 0; i < lengthof(users); i++)
		if (SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(users[i]),
								  ObjectIdGetDatum(server->serverid)))
			return GetUserMapping(users[i], server->serverid);
	return NULL;
}

/* Adds a name to a list in words. */
static void
append_name(StringInfo names, const char *name)
{
	appendStringInfo(names, "%s\"%s\"", names->len > 0 ? ", " : "", name);
}

/* Raises the error for options that a server lacks, all of them in one. */
static void
check_complete(const CognitoServer *server, PoolKind pool, bool has_credentials)
{
	StringInfoData missing;

	initStringInfo(&missing);
	if (server->region == NULL)
		append_name(&missing, "region");
	if (pool == POOL_USER && server->user_pool_id == NULL)
		append_name(&missing, "user_pool_id");
	if (pool == POOL_IDENTITY && server->identity_pool_id == NULL)
		append_name(&missing, "identity_pool_id");
	if (!has_credentials)
	{
		append_name(&missing, "aws_access_key_id");
		append_name(&missing, "api_key_id");
	}
	if (missing.len == 0)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("server \"%s\" lacks options: %s", server->name, missing.data),
			 has_credentials ? 0
							 : errdetail("Credentials are neither in a user mapping of role %s or "
										 "PUBLIC, nor in the server.",
										 quote_identifier(GetUserNameFromId(GetUserId(), false))),
			 errhint("ALTER SERVER %s OPTIONS (ADD ...) sets options; CREATE USER MAPPING "
					 "can hold the credentials.",
					 quote_identifier(server->name))));
}

/*
 * Return the role as which Vault is read for credentials in a user mapping, or
 * in the server itself if that is NULL.
 *
 * The server's owner chooses the endpoint, and may make user mappings for any
 * role, without knowing what the secrets hold that these name.  So Vault is read
 * as the owner, except for a role's own mapping: that may also be the role's own
 * doing, who must not use the owner's secrets.  It is read as the role, but only
 * if the owner has the role's privileges, and could read the same secrets anyway.
 */
static Oid
find_vault_reader(const ForeignServer *catalog, const UserMapping *mapping)
{
	const char *reader;

	if (mapping == NULL || !OidIsValid(mapping->userid))
		return catalog->owner;
	if (has_privs_of_role(catalog->owner, mapping->userid))
		return mapping->userid;

	reader = quote_identifier(GetUserNameFromId(mapping->userid, false));
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("Vault is not read as role %s for server \"%s\"", reader, catalog->servername),
		 errdetail("The server belongs to role %s, which chooses the endpoint and does not have "
				   "the privileges of role %s.",
				   quote_identifier(GetUserNameFromId(catalog->owner, false)), reader),
		 errhint("Use a server that belongs to role %s or to a superuser; or DROP USER MAPPING "
				 "FOR %s SERVER %s, to use the credentials of PUBLIC or of the server.",
				 reader, reader, quote_identifier(catalog->servername))));
}

/* Fills in the credentials from the user mapping if there is one, and else from the server. */
static void
resolve_credentials(ServerCleanup *cleanup, ForeignServer *catalog, PoolKind pool)
{
	CognitoServer *server = cleanup->server;
	UserMapping   *mapping = find_user_mapping(catalog);
	List          *options = mapping != NULL ? mapping->options : catalog->options;
	const char    *vault_name;

	cleanup->mapping_options = mapping != NULL ? mapping->options : NIL;
	check_complete(server, pool, options_check_credentials(options));

	server->access_key_id = option_string(options, "aws_access_key_id");
	server->secret_access_key = option_string(options, "aws_secret_access_key");
	server->session_token = option_string(options, "aws_session_token");
	vault_name = option_string(options, "api_key_id");

	if (vault_name != NULL)
	{
		Oid reader = find_vault_reader(catalog, mapping);

		cleanup->from_vault = vault_secret(vault_name, reader, server->name);
		option_check_secret(cleanup->from_vault, server->name);
		server->secret_access_key = cleanup->from_vault;
	}
}

/*
 * Raise the error for an endpoint without TLS, unless a superuser owns the server.
 * It is on this machine, where errors and delays would tell who listens on which
 * port, and what is answered there.
 */
static void
check_endpoints(const CognitoServer *server, Oid owner)
{
	if (superuser_arg(owner) || !(option_is_plain_http(server->endpoint_url) ||
								  option_is_plain_http(server->identity_endpoint_url)))
		return;

	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("permission denied for the plain HTTP endpoint of server \"%s\"", server->name),
		 errdetail("The server belongs to role %s, which is not a superuser.",
				   quote_identifier(GetUserNameFromId(owner, false))),
		 errhint("Use https://, or have a superuser own the server: ALTER SERVER %s OWNER TO ...",
				 quote_identifier(server->name))));
}

/* Notes the begin of a call in what the session remembers of a server. */
static Session *
start_call(Oid serverid)
{
	Session *session = session_get(serverid);

	session->calls++;
	session->last_call = GetCurrentTimestamp();
	return session;
}

CognitoServer *
server_open(const char *name, PoolKind pool)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito server", ALLOCSET_DEFAULT_SIZES);
	MemoryContext  caller = MemoryContextSwitchTo(context);
	ServerCleanup *cleanup = create_server();
	CognitoServer *server = cleanup->server;
	ForeignServer *catalog = find_server(name);
	List          *options = catalog->options;
	int            rate;

	cleanup->server_options = options;
	server->session = start_call(catalog->serverid);
	server->name = catalog->servername;
	server->region = option_string(options, "region");
	server->user_pool_id = option_string(options, "user_pool_id");
	server->identity_pool_id = option_string(options, "identity_pool_id");
	server->endpoint_url = option_string(options, "endpoint_url");
	server->identity_endpoint_url = option_string(options, "identity_endpoint_url");
	server->connect_timeout = option_number(options, "connect_timeout", CONNECT_TIMEOUT);
	server->request_timeout = option_number(options, "request_timeout", REQUEST_TIMEOUT);
	server->max_retries = option_number(options, "max_retries", MAX_RETRIES);
	server->max_concurrent_requests =
		option_number(options, "max_concurrent_requests", MAX_CONCURRENT_REQUESTS);
	rate = option_number(options, "max_requests_per_second", 0);
	server->max_requests_per_second = rate > 0 ? rate : get_float8_infinity();
	server->pushdown = option_boolean(options, "pushdown", true);
	check_endpoints(server, catalog->owner);
	resolve_credentials(cleanup, catalog, pool);

	MemoryContextSwitchTo(caller);
	return server;
}

const char *
server_pool_id(const CognitoServer *server, PoolKind pool)
{
	switch (pool)
	{
		case POOL_USER:
			return server->user_pool_id;
		case POOL_IDENTITY:
			return server->identity_pool_id;
		default:
			return NULL;
	}
}

void
server_close(CognitoServer *server)
{
	server->done = true;
	MemoryContextDelete(server->context);
}

bool
server_has_pool(const char *name, PoolKind pool)
{
	ForeignServer *catalog = find_server(name);
	CognitoServer  server = {
		 .user_pool_id = option_string(catalog->options, "user_pool_id"),
		 .identity_pool_id = option_string(catalog->options, "identity_pool_id"),
    };
	bool has_pool = pool == POOL_NONE || server_pool_id(&server, pool) != NULL;

	options_wipe(catalog->options);
	return has_pool;
}

bool
server_allows_pushdown(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);
	bool           allowed;

	if (server == NULL)
		return true;
	allowed = option_boolean(server->options, "pushdown", true);
	options_wipe(server->options);
	return allowed;
}
