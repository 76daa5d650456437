/*
 * vault.c
 *		Secrets of Supabase Vault, read through SPI as the role that named them.
 *
 * Every role that may create a schema may create one named vault.  Its view would
 * be executed with the privileges of the role that named the secret, so the view
 * is only read if it belongs to the extension, to a superuser, or to that role.
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

/* The role that reads a secret, and the server that names it, for error messages. */
typedef struct VaultReader
{
	Oid         role;
	const char *role_name;
	const char *server_name;
	const char *alternative; /* see vault.h */
} VaultReader;

/* Raise the error for a database without Vault. */
static void
pg_attribute_noreturn() reject_absent_vault(const VaultReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("server \"%s\" names a Vault secret, but this database has no Vault",
					reader->server_name),
			 errdetail("View \"" VAULT_SCHEMA "." VAULT_VIEW "\" does not exist."),
			 errhint("Use CREATE EXTENSION supabase_vault to install Vault, or replace option "
					 "\"api_key_id\" with \"aws_secret_access_key\".")));
}

/* Set message and hint of the error for a role that may not read Vault; return a dummy. */
static int
errdenied(const VaultReader *reader)
{
	const char *role = quote_identifier(reader->role_name);

	errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	errmsg("permission denied for the Vault secret of server \"%s\"", reader->server_name);
	return errhint("To allow role \"%s\" to read all secrets in Vault, grant it EXECUTE on the "
				   "function with which the view decrypts, and execute: GRANT USAGE ON SCHEMA "
				   "vault TO %s; GRANT SELECT ON vault.decrypted_secrets TO %s;  %s",
				   reader->role_name, role, role, reader->alternative);
}

/* Raise the error for a role without a privilege on the schema or the view. */
static void
pg_attribute_noreturn() reject_role(const VaultReader *reader, const char *privilege)
{
	ereport(ERROR,
			(errdenied(reader), errdetail("Vault is read as role \"%s\", which does not have %s.",
										  reader->role_name, privilege)));
}

/* Raise the error for a view that belongs to somebody who could steal the reader's privileges. */
static void
pg_attribute_noreturn() reject_view(Oid owner, const VaultReader *reader)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("view \"" VAULT_SCHEMA "." VAULT_VIEW "\" is not trusted"),
		 errdetail("It is owned by role \"%s\".  It must belong to extension \"supabase_vault\", "
				   "or be owned by a superuser or by role \"%s\", as which it is read.",
				   GetUserNameFromId(owner, false), reader->role_name),
		 errhint("Check the view and the functions that it calls, then make a superuser its "
				 "owner: ALTER VIEW " VAULT_SCHEMA "." VAULT_VIEW " OWNER TO ...;")));
}

/* Return the owner of a relation. */
static Oid
relation_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid       owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Raise an error unless the view is the extension's, a superuser's, or the reading role's own. */
static void
check_trust(Oid view, const VaultReader *reader)
{
	Oid extension = get_extension_oid("supabase_vault", true);
	Oid owner = relation_owner(view);

	if (OidIsValid(extension) && getExtensionOfObject(RelationRelationId, view) == extension)
		return;
	if (owner != reader->role && !superuser_arg(owner))
		reject_view(owner, reader);
}

/* Find the view, lock it so that it stays what was checked, and check it. */
static void
check_vault(const VaultReader *reader)
{
	Oid schema = get_namespace_oid(VAULT_SCHEMA, true);
	Oid view;

	if (!OidIsValid(schema))
		reject_absent_vault(reader);
	if (schema_aclcheck(schema, reader->role) != ACLCHECK_OK)
		reject_role(reader, "USAGE on schema \"" VAULT_SCHEMA "\"");

	view = RangeVarGetRelid(makeRangeVar(VAULT_SCHEMA, VAULT_VIEW, -1), AccessShareLock, true);
	if (!OidIsValid(view))
		reject_absent_vault(reader);
	if (pg_class_aclcheck(view, reader->role, ACL_SELECT) != ACLCHECK_OK)
		reject_role(reader, "SELECT on view \"" VAULT_SCHEMA "." VAULT_VIEW "\"");
	check_trust(view, reader);
}

/* Return a copy of the only row's secret, NULL if it is NULL, and wipe the row itself. */
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
 * Execute a query for secrets, and return the number of rows, 2 if there are more.
 * The plan is generic, because that does not show the key where plans are logged;
 * the caller's setting plan_cache_mode must not change that.
 */
static uint64
query_secret(const char *query, Oid type, Datum key)
{
	SPIPlanPtr plan = SPI_prepare_cursor(query, 1, &type, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || SPI_execute_plan(plan, &key, NULL, true, 2) != SPI_OK_SELECT)
		elog(ERROR, "could not read Vault");
	return SPI_processed;
}

/* Return true if a name is a UUID in its usual form. */
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
 * Return a secret of a Vault that has been checked, in a memory context.  No error
 * quotes the name, because the secret itself may have been given in its place.
 */
static char *
find_secret(const char *name, const char *server_name, MemoryContext owner)
{
	uint64 found;
	char  *secret;

	if (is_uuid(name))
	{
		Datum uuid = DirectFunctionCall1(uuid_in, CStringGetDatum(name));

		found = query_secret(SELECT_SECRET "id = $1", UUIDOID, uuid);
		if (found == 0)
			found = query_secret(SELECT_SECRET "key_id = $1", UUIDOID, uuid);
	}
	else
		found = query_secret(SELECT_SECRET "name = $1", TEXTOID, CStringGetTextDatum(name));

	if (found == 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("Vault has no secret for option \"api_key_id\" of server \"%s\"", server_name),
			 errdetail("If the option is a UUID, it must be the id or the key_id of a secret, and "
					   "otherwise the name of a secret."),
			 errhint("To list the secrets, execute: SELECT id, name, key_id FROM vault.secrets;")));
	if (found > 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("Vault has several secrets for option \"api_key_id\" of server \"%s\"",
						server_name),
				 errdetail("Several secrets can have the same key_id."),
				 errhint("Set option \"api_key_id\" to the id or the name of one of them.")));

	secret = copy_secret(owner);
	if (secret == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the Vault secret of server \"%s\" is null", server_name)));
	return secret;
}

/*
 * Raise what was raised while the secret was read, but explain it if the role may
 * not execute a function of the view, or if the secret cannot be decrypted: 39000
 * is pgcrypto's error, 22000 that of supabase_vault.  The transaction is about to be
 * aborted, so nothing here looks anything up.
 */
static void
pg_attribute_noreturn() rethrow(MemoryContext owner, const VaultReader *reader)
{
	int        sqlstate = geterrcode();
	ErrorData *error;

	if (sqlstate != ERRCODE_INSUFFICIENT_PRIVILEGE && sqlstate != ERRCODE_DATA_EXCEPTION &&
		sqlstate != ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION)
		PG_RE_THROW();

	MemoryContextSwitchTo(owner);
	error = CopyErrorData();
	FlushErrorState();
	if (sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		ereport(ERROR, (errdenied(reader), errdetail("Vault is read as role \"%s\": %s.",
													 reader->role_name, error->message)));
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION),
			 errmsg("could not decrypt the Vault secret of server \"%s\"", reader->server_name),
			 errdetail("Vault reports: %s.", error->message),
			 errhint("If Vault's encryption key has changed, as after a restore without the key, "
					 "delete the secret from vault.secrets, and store it again with "
					 "vault.create_secret.")));
}

/* Return a secret of a Vault that has been checked, in a memory context, through SPI. */
static char *
read_secret(const char *name, const VaultReader *reader, MemoryContext owner)
{
	char *volatile secret = NULL;

	PG_TRY();
	{
		SPI_connect();
		secret = find_secret(name, reader->server_name, owner);
		SPI_finish();
	}
	PG_CATCH();
	{
		rethrow(owner, reader);
	}
	PG_END_TRY();
	return secret;
}

/* Add the context to all errors on the way; callback of the error context. */
static void
vault_error_context(void *server_name)
{
	errcontext("reading the Vault secret of server \"%s\"", (char *) server_name);
}

/* Restore nothing after an error: the abort restores user, settings and SPI. */
char *
vault_secret(const char *name, Oid role, const char *server_name, const char *alternative)
{
	VaultReader          reader = {.role = role,
								   .role_name = GetUserNameFromId(role, false),
								   .server_name = server_name,
								   .alternative = alternative};
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
	(void) set_config_option("plan_cache_mode", "auto", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);

	check_vault(&reader);
	secret = read_secret(name, &reader, CurrentMemoryContext);

	AtEOXact_GUC(false, saved_settings);
	SetUserIdAndSecContext(saved_user, saved_security);
	error_context_stack = context.previous;
	return secret;
}
