/*
 * server.c
 *		The server of a call, with the credentials of the calling role.
 */
#include "postgres.h"

#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include <openssl/crypto.h>

#include "compat.h"
#include "server/options.h"
#include "server/server.h"
#include "server/vault.h"

/* The state of the reset callback of a server's memory context. */
typedef struct ServerCleanup
{
	CognitoServer        *server;
	List                 *server_options;
	List                 *mapping_options;
	char                 *vault_secret; /* or NULL */
	MemoryContextCallback release;
} ServerCleanup;

/* Wipe every copy of a secret, and count a failed call; callback of a server's memory context. */
static void
release(void *arg)
{
	ServerCleanup *cleanup = arg;
	CognitoServer *server = cleanup->server;

	if (cleanup->vault_secret != NULL)
		OPENSSL_cleanse(cleanup->vault_secret, strlen(cleanup->vault_secret));
	options_wipe(cleanup->server_options);
	options_wipe(cleanup->mapping_options);
	if (server->session != NULL)
		server->session->errors++;
}

/* Make a server in the current memory context, which cleans up after it. */
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

/* Return the calling role's name, quoted. */
static const char *
caller_name(void)
{
	return quote_identifier(GetUserNameFromId(GetUserId(), false));
}

Oid
server_find(const char *name)
{
	Oid server = get_foreign_server_oid(name, true);

	if (!OidIsValid(server))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("server \"%s\" does not exist", name),
				 errhint("Use CREATE SERVER to create it, or \\des in psql to list the existing "
						 "servers.  A query that names no server reads that of "
						 "\"cognito_srf.default_server\".")));

	if (server_aclcheck(server, GetUserId()) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for server \"%s\"", name),
						errhint("To allow this, execute: GRANT USAGE ON FOREIGN SERVER %s TO %s;",
								quote_identifier(name), caller_name())));
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

/* Append the name of a missing option to a list, and its place in ALTER SERVER to another. */
static void
append_missing(StringInfo names, StringInfo additions, const char *name)
{
	const char *separator = names->len > 0 ? ", " : "";

	appendStringInfo(names, "%s\"%s\"", separator, name);
	appendStringInfo(additions, "%sADD %s '...'", separator, name);
}

/* Set the pool that a call names; raise the errors of server_open for one that it must not. */
static void
choose_pool(CognitoServer *server, PoolKind pool, const char *id)
{
	if (pool == POOL_IDENTITY)
	{
		server->identity_pool_id = id;
		return;
	}
	option_check_argument("user_pool_id", id);
	if (server->user_pool_id != NULL && strcmp(server->user_pool_id, id) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for user pool \"%s\" of server \"%s\"", id, server->name),
			 errdetail("Option \"user_pool_id\" restricts the server to another user pool."),
			 errhint("Use a server without option \"user_pool_id\".")));
	server->user_pool_id = id;
}

/* Raise the error for required options that a server does not have, all of them in one. */
static void
check_options(const CognitoServer *server, PoolKind pool)
{
	const char    *pool_option = NULL;
	StringInfoData names;
	StringInfoData additions;

	initStringInfo(&names);
	initStringInfo(&additions);
	if (server->region == NULL)
		append_missing(&names, &additions, "region");
	if (pool != POOL_NONE && server_pool_id(server, pool) == NULL)
	{
		pool_option = pool == POOL_USER ? "user_pool_id" : "identity_pool_id";
		append_missing(&names, &additions, pool_option);
	}
	if (names.len == 0)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg_plural("missing required option %s for server \"%s\"",
						   "missing required options %s for server \"%s\"",
						   strchr(names.data, ',') != NULL ? 2 : 1, names.data, server->name),
			 pool_option == NULL
				 ? errhint("To add what is missing, execute: ALTER SERVER %s OPTIONS (%s);",
						   quote_identifier(server->name), additions.data)
				 : errhint("To add what is missing, execute: ALTER SERVER %s OPTIONS (%s);  "
						   "Functions that read a pool also take its id: %s => '...'.",
						   quote_identifier(server->name), additions.data, pool_option)));
}

/* Raise the error for a role that has credentials neither of its own nor of the server. */
static void
pg_attribute_noreturn() reject_no_credentials(const ForeignServer *catalog)
{
	const char *server = quote_identifier(catalog->servername);
	const char *caller = GetUserNameFromId(GetUserId(), false);
	const char *owner = GetUserNameFromId(catalog->owner, false);
	const char *other =
		has_privs_of_role(GetUserId(), catalog->owner)
			? " for the role or for PUBLIC"
			: psprintf(", or ask role \"%s\", the owner of the server, to create one for PUBLIC",
					   owner);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("no credentials for role \"%s\" on server \"%s\"", caller, catalog->servername),
			 errdetail("Neither the server nor a user mapping of role \"%s\" or PUBLIC has any.",
					   caller),
			 errhint("Create a user mapping%s: CREATE USER MAPPING FOR %s SERVER %s OPTIONS "
					 "(aws_access_key_id '...', aws_secret_access_key '...');",
					 other, caller_name(), server)));
}

/*
 * Return the role as which Vault is read for credentials in a user mapping, or
 * in the server itself if that is NULL.
 *
 * The server's owner chooses the endpoint, and can create user mappings for any
 * role that name secrets which the owner may not read.  So Vault is read as the
 * owner, except for a role's own mapping: the role may have created it itself, and
 * must not use the owner's secrets.  For that, it is read as the role, but only if
 * the owner has the role's privileges, and could read the same secrets anyway.
 */
static Oid
find_vault_reader(const ForeignServer *catalog, const UserMapping *mapping)
{
	const char *reader;

	if (mapping == NULL || !OidIsValid(mapping->userid))
		return catalog->owner;
	if (has_privs_of_role(catalog->owner, mapping->userid))
		return mapping->userid;

	reader = GetUserNameFromId(mapping->userid, false);
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("permission denied to read Vault as role \"%s\" for server \"%s\"", reader,
				catalog->servername),
		 errdetail("Role \"%s\" owns the server and chooses its endpoint, but does not have the "
				   "privileges of role \"%s\".",
				   GetUserNameFromId(catalog->owner, false), reader),
		 errhint("Use a server that is owned by role \"%s\" or by a superuser.  To use the "
				 "credentials of PUBLIC or of the server instead, execute: DROP USER MAPPING "
				 "FOR %s SERVER %s;",
				 reader, quote_identifier(reader), quote_identifier(catalog->servername))));
}

/* Set the secret from Vault, which the server or a user mapping names. */
static void
read_vault(ServerCleanup *cleanup, const ForeignServer *catalog, const UserMapping *mapping)
{
	CognitoServer *server = cleanup->server;
	Oid            reader = find_vault_reader(catalog, mapping);
	const char    *server_name = quote_identifier(server->name);
	const char    *alternative;

	if (mapping != NULL && OidIsValid(mapping->userid))
		alternative = psprintf("To use the credentials of PUBLIC or of the server instead, "
							   "execute: DROP USER MAPPING FOR %s SERVER %s;",
							   caller_name(), server_name);
	else
		alternative =
			psprintf("To read Vault as a superuser instead, make a superuser the owner of "
					 "the server: ALTER SERVER %s OWNER TO ...;",
					 server_name);

	cleanup->vault_secret =
		vault_secret(server->vault_secret_name, reader, server->name, alternative);
	option_check_secret(cleanup->vault_secret, server->name);
	server->secret_access_key = cleanup->vault_secret;
}

/*
 * Raise an error unless a superuser owns a server with a credential source.  Its owner
 * chooses the endpoints, and could have the machine's identity sign any request to them.
 */
static void
check_source_owner(const CognitoServer *server, Oid owner)
{
	if (superuser_arg(owner))
		return;

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for the credential source of server \"%s\"", server->name),
			 errdetail("The server is owned by role \"%s\", which is not a superuser.",
					   GetUserNameFromId(owner, false)),
			 errhint("Use a user mapping, or make a superuser the owner of the server: "
					 "ALTER SERVER %s OWNER TO ...;",
					 quote_identifier(server->name))));
}

/*
 * Set the credentials from the user mapping if there is one, and else from the server.
 * A mapping replaces all credentials of the server, their source and role included.
 */
static void
resolve_credentials(ServerCleanup *cleanup, const ForeignServer *catalog)
{
	CognitoServer *server = cleanup->server;
	UserMapping   *mapping = find_user_mapping(catalog);
	bool           found;

	server->uses_mapping = mapping != NULL;
	cleanup->mapping_options = mapping != NULL ? mapping->options : NIL;
	found = options_read_credentials(mapping != NULL ? mapping->options : catalog->options,
									 mapping != NULL, server);
	if (mapping != NULL)
	{
		server->credential_source = NULL;
		server->role_arn = NULL;
	}
	options_check_source(server);
	if (server->credential_source != NULL)
		check_source_owner(server, catalog->owner);
	else if (!found)
		reject_no_credentials(catalog);
	if (server->vault_secret_name != NULL)
		read_vault(cleanup, catalog, mapping);
}

/*
 * Raise the error for an endpoint without TLS, unless a superuser owns the server.
 * Such an endpoint is on this machine: errors and delays would tell which ports are
 * open, and what the programs behind them respond.
 */
static void
check_endpoints(const CognitoServer *server, Oid owner)
{
	if (superuser_arg(owner) || !options_have_plain_http(server))
		return;

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for the plain HTTP endpoint of server \"%s\"", server->name),
			 errdetail("The server is owned by role \"%s\", which is not a superuser.",
					   GetUserNameFromId(owner, false)),
			 errhint("Use https://, or make a superuser the owner: ALTER SERVER %s OWNER TO ...;",
					 quote_identifier(server->name))));
}

/* Open a server, with the credentials of the calling role or without any. */
static CognitoServer *
open_server(const char *name, PoolKind pool, const char *pool_id, bool with_credentials)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito server", ALLOCSET_DEFAULT_SIZES);
	MemoryContext  caller = MemoryContextSwitchTo(context);
	ServerCleanup *cleanup = create_server();
	CognitoServer *server = cleanup->server;
	ForeignServer *catalog = GetForeignServer(server_find(name));

	cleanup->server_options = catalog->options;
	server->name = catalog->servername;
	server->session = session_get(catalog->serverid);
	server->session->calls++;
	server->session->last_call = GetCurrentTimestamp();
	options_read(catalog->options, server);
	check_endpoints(server, catalog->owner);
	if (pool_id != NULL)
		choose_pool(server, pool, pool_id);
	check_options(server, pool);
	if (with_credentials)
		resolve_credentials(cleanup, catalog);

	MemoryContextSwitchTo(caller);
	return server;
}

CognitoServer *
server_open(const char *name, PoolKind pool, const char *pool_id)
{
	return open_server(name, pool, pool_id, true);
}

CognitoServer *
server_open_public(const char *name, PoolKind pool)
{
	return open_server(name, pool, NULL, false);
}

const char *
server_pool_id(const CognitoServer *server, PoolKind pool)
{
	if (pool == POOL_NONE)
		return NULL;
	return pool == POOL_USER ? server->user_pool_id : server->identity_pool_id;
}

void
server_close(CognitoServer *server)
{
	server->session = NULL; /* the call has not failed */
	MemoryContextDelete(server->context);
}

bool
server_has_pool(const char *name, PoolKind pool)
{
	ForeignServer *catalog = GetForeignServer(server_find(name));
	CognitoServer  server;
	bool           has_pool;

	option_read(catalog->options, "user_pool_id", &server);
	option_read(catalog->options, "identity_pool_id", &server);
	has_pool = pool == POOL_NONE || server_pool_id(&server, pool) != NULL;
	options_wipe(catalog->options);
	return has_pool;
}

SessionExtent
server_extent(const char *name, const char *user_pool_id, SessionListing listing)
{
	ForeignServer *catalog = GetForeignServerByName(name, true);
	CognitoServer  server = {.user_pool_id = user_pool_id};
	SessionExtent  extent = {0};

	if (catalog == NULL || server_aclcheck(catalog->serverid, GetUserId()) != ACLCHECK_OK)
		return extent;
	if (user_pool_id == NULL)
		option_read(catalog->options, "user_pool_id", &server);
	if (server.user_pool_id != NULL)
		extent = session_extent(catalog->serverid, server.user_pool_id, listing);
	options_wipe(catalog->options);
	return extent;
}

bool
server_allows_pushdown(const char *name)
{
	ForeignServer *catalog = GetForeignServerByName(name, true);
	CognitoServer  server;

	if (catalog == NULL)
		return true;
	option_read(catalog->options, "pushdown", &server);
	options_wipe(catalog->options);
	return server.pushdown;
}
