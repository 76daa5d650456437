/*
 * vault.c
 *		A secret of Supabase Vault, read through SPI as the role that named it.
 *
 * Anybody who may create a schema may call it vault.  Its view would be run
 * with the rights of the role that named the secret, so it is only read if it
 * comes from the extension, from a superuser, or from that role.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include <openssl/crypto.h>

#include "compat.h"
#include "server/vault.h"

#define VAULT_SCHEMA "vault"
#define VAULT_VIEW "decrypted_secrets"
#define SELECT_SECRET "SELECT decrypted_secret::text FROM vault.decrypted_secrets WHERE "

/* Raises the error for a Vault that is not there. */
static void
reject_absent_vault(const char *server_name)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_TABLE),
		 errmsg("server \"%s\" names a Vault secret, but this database has no Vault", server_name),
		 errdetail("There is no view " VAULT_SCHEMA "." VAULT_VIEW "."),
		 errhint("CREATE EXTENSION supabase_vault, or give \"aws_secret_access_key\" instead "
				 "of \"api_key_id\".")));
}

/* Raises the error for a role that may not read the Vault. */
static void
reject_role(Oid role, const char *server_name)
{
	const char *role_name = quote_identifier(GetUserNameFromId(role, false));

	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("role %s may not read the Vault secret of server \"%s\"", role_name, server_name),
		 errdetail("Vault is read as the server's owner, or as the caller for the caller's own "
				   "user mapping."),
		 errhint("GRANT USAGE ON SCHEMA " VAULT_SCHEMA " TO %s; GRANT SELECT ON " VAULT_SCHEMA
				 "." VAULT_VIEW " TO %s; and EXECUTE on the function that this view "
				 "decrypts with.",
				 role_name, role_name)));
}

/* Is the view the extension's, a superuser's, or the reading role's own? */
static bool
is_trusted(Oid view, Oid role)
{
	Oid       extension = get_extension_oid("supabase_vault", true);
	HeapTuple tuple;
	Oid       owner;

	if (OidIsValid(extension) && getExtensionOfObject(RelationRelationId, view) == extension)
		return true;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", view);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	return owner == role || superuser_arg(owner);
}

/* Finds the view, locks it so that it stays what was checked, and checks it. */
static void
check_vault(Oid role, const char *server_name)
{
	Oid schema = get_namespace_oid(VAULT_SCHEMA, true);
	Oid view;

	if (!OidIsValid(schema))
		reject_absent_vault(server_name);
	if (schema_aclcheck(schema, role) != ACLCHECK_OK)
		reject_role(role, server_name);

	view = RangeVarGetRelid(makeRangeVar(VAULT_SCHEMA, VAULT_VIEW, -1), AccessShareLock, true);
	if (!OidIsValid(view))
		reject_absent_vault(server_name);
	if (pg_class_aclcheck(view, role, ACL_SELECT) != ACLCHECK_OK)
		reject_role(role, server_name);

	if (!is_trusted(view, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("server \"%s\" names a Vault secret, but nobody vouches for this Vault",
						server_name),
				 errdetail("View " VAULT_SCHEMA "." VAULT_VIEW " belongs neither to the extension "
						   "supabase_vault, nor to a superuser, nor to the role that reads it.")));
}

/* Takes a copy of the only row's secret, and wipes the row itself. */
static char *
copy_secret(MemoryContext owner)
{
	bool  isnull;
	Datum datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	text *stored;
	char *secret;

	if (isnull)
		return NULL;

	stored = DatumGetTextPP(datum);
	secret = MemoryContextAllocZero(owner, VARSIZE_ANY_EXHDR(stored) + 1);
	memcpy(secret, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	OPENSSL_cleanse(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	return secret;
}

/*
 * Runs one look-up; the number of rows is 2 if there are more.  A generic plan
 * does not show the key, where the log shows plans.
 */
static uint64
query_secret(const char *condition, Oid type, Datum key)
{
	char      *query = psprintf(SELECT_SECRET "%s", condition);
	SPIPlanPtr plan = SPI_prepare_cursor(query, 1, &type, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || SPI_execute_plan(plan, &key, NULL, true, 2) != SPI_OK_SELECT)
		elog(ERROR, "could not read the Vault");
	return SPI_processed;
}

/* Is a name a UUID in its usual form? */
static bool
is_uuid(const char *name)
{
	if (strlen(name) != 36)
		return false;
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? name[i] != '-'
													: !isxdigit((unsigned char) name[i]))
			return false;
	return true;
}

/*
 * Looks a secret up in a Vault that has been checked; see vault.h.  No error
 * quotes the name: the secret itself may have been given in its place.
 */
static char *
find_secret(const char *name, const char *server_name, MemoryContext owner)
{
	uint64 found;
	char  *secret;

	if (is_uuid(name))
	{
		Datum uuid = DirectFunctionCall1(uuid_in, CStringGetDatum(name));

		found = query_secret("id = $1", UUIDOID, uuid);
		if (found == 0)
			found = query_secret("key_id = $1", UUIDOID, uuid);
	}
	else
		found = query_secret("name = $1", TEXTOID, CStringGetTextDatum(name));

	if (found == 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("Vault has no secret for option \"api_key_id\" of server \"%s\"", server_name),
			 errdetail("The option is compared with a secret's id and key_id if it is a UUID, "
					   "and with its name if not."),
			 errhint("SELECT id, name, key_id FROM vault.secrets shows what there is.")));
	if (found > 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("Vault has several secrets for option \"api_key_id\" of server \"%s\"",
						server_name),
				 errdetail("A key_id may be shared by several secrets."),
				 errhint("Set option \"api_key_id\" to the id or the name of one of them.")));

	secret = copy_secret(owner);
	if (secret == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the Vault secret of server \"%s\" is NULL", server_name)));
	return secret;
}

/* Callback of the error context, for what the Vault's own functions raise. */
static void
vault_error_context(void *server_name)
{
	errcontext("reading the Vault secret of server \"%s\"", (char *) server_name);
}

/* An abort restores user, settings and SPI if this raises. */
char *
vault_secret(const char *name, Oid role, const char *server_name)
{
	MemoryContext        owner = CurrentMemoryContext;
	ErrorContextCallback context = {.callback = vault_error_context,
									.arg = unconstify(char *, server_name)};
	Oid                  saved_user;
	int                  saved_security;
	int                  saved_settings;
	char                *secret;

	context.previous = error_context_stack;
	error_context_stack = &context;
	GetUserIdAndSecContext(&saved_user, &saved_security);
	SetUserIdAndSecContext(role, saved_security | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION);
	saved_settings = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);

	check_vault(role, server_name);
	SPI_connect();
	secret = find_secret(name, server_name, owner);
	SPI_finish();

	AtEOXact_GUC(false, saved_settings);
	SetUserIdAndSecContext(saved_user, saved_security);
	error_context_stack = context.previous;
	return secret;
}
