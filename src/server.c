/*
 * server.c
 *		Who is asked, and with which credentials.
 */
#include "postgres.h"

#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include <openssl/crypto.h>

#include "compat.h"
#include "options.h"
#include "server.h"
#include "vault.h"

#define CONNECT_TIMEOUT (10 * 1000)
#define REQUEST_TIMEOUT (30 * 1000)
#define MAX_RETRIES 8

/* What must be overwritten when a server's context goes: every copy of a secret that is ours. */
typedef struct Secrets
{
	List                 *server_options;
	List                 *mapping_options;
	char                 *from_vault;
	MemoryContextCallback wipe;
} Secrets;

/* Callback of a server's context. */
static void
wipe_secrets(void *arg)
{
	Secrets *secrets = arg;

	options_wipe(secrets->server_options);
	options_wipe(secrets->mapping_options);
	if (secrets->from_vault != NULL)
		OPENSSL_cleanse(secrets->from_vault, strlen(secrets->from_vault));
}

/* Makes the record of a server's secrets, wiped with the current context. */
static Secrets *
keep_secrets(void)
{
	Secrets *secrets = palloc0(sizeof(Secrets));

	secrets->wipe.func = wipe_secrets;
	secrets->wipe.arg = secrets;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &secrets->wipe);
	return secrets;
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

/* The user mapping of the calling role, or else PUBLIC's, or else NULL. */
static UserMapping *
find_user_mapping(ForeignServer *server)
{
	Datum serverid = ObjectIdGetDatum(server->serverid);

	if (!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(GetUserId()), serverid) &&
		!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), serverid))
		return NULL;
	return GetUserMapping(GetUserId(), server->serverid);
}

/* Adds a name to a list in words. */
static void
append_name(StringInfo names, const char *name)
{
	appendStringInfo(names, "%s\"%s\"", names->len > 0 ? ", " : "", name);
}

/* Raises the error for options that a server lacks, all of them in one. */
static void
check_complete(const CognitoServer *server, bool has_credentials)
{
	StringInfoData missing;

	initStringInfo(&missing);
	if (server->region == NULL)
		append_name(&missing, "region");
	if (server->user_pool_id == NULL)
		append_name(&missing, "user_pool_id");
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

/* Fills in the credentials from the user mapping if there is one, and else from the server. */
static void
resolve_credentials(CognitoServer *server, ForeignServer *catalog, Secrets *secrets)
{
	UserMapping *mapping = find_user_mapping(catalog);
	List        *options = mapping != NULL ? mapping->options : catalog->options;
	const char  *vault_name;

	secrets->mapping_options = mapping != NULL ? mapping->options : NIL;
	check_complete(server, options_check_credentials(options));

	server->access_key_id = option_string(options, "aws_access_key_id");
	server->secret_access_key = option_string(options, "aws_secret_access_key");
	server->session_token = option_string(options, "aws_session_token");
	vault_name = option_string(options, "api_key_id");

	if (vault_name != NULL)
	{
		Oid role = mapping != NULL ? GetUserId() : catalog->owner;

		secrets->from_vault = vault_secret(vault_name, role, server->name);
		option_check_secret(secrets->from_vault, server->name);
		server->secret_access_key = secrets->from_vault;
	}
}

/* See server.h. */
CognitoServer *
server_open(const char *name)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito server", ALLOCSET_DEFAULT_SIZES);
	MemoryContext  caller = MemoryContextSwitchTo(context);
	CognitoServer *server = palloc0(sizeof(CognitoServer));
	Secrets       *secrets = keep_secrets();
	ForeignServer *catalog = find_server(name);
	List          *options = catalog->options;

	secrets->server_options = options;
	server->context = context;
	server->serverid = catalog->serverid;
	server->name = catalog->servername;
	server->region = option_string(options, "region");
	server->user_pool_id = option_string(options, "user_pool_id");
	server->endpoint_url = option_string(options, "endpoint_url");
	server->connect_timeout = option_number(options, "connect_timeout", CONNECT_TIMEOUT);
	server->request_timeout = option_number(options, "request_timeout", REQUEST_TIMEOUT);
	server->max_retries = option_number(options, "max_retries", MAX_RETRIES);
	server->pushdown = option_boolean(options, "pushdown", true);
	resolve_credentials(server, catalog, secrets);

	MemoryContextSwitchTo(caller);
	return server;
}

/* See server.h. */
void
server_close(CognitoServer *server)
{
	MemoryContextDelete(server->context);
}

/* See server.h. */
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
