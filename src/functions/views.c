/*
 * views.c
 *		Views over one server in a schema: cognito_create_views.
 *
 * They have the columns and comments of the extension's default views, and replace
 * only views that were created in the same way.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "fetch/srf.h"
#include "server/server.h"

/* The views and their functions; a server has those of the kinds of pools that it has. */
static const struct
{
	const char *name;
	const char *function;
	PoolKind    pool;
} views[] = {
	{"users", "cognito_users", POOL_USER},
	{"groups", "cognito_groups", POOL_USER},
	{"memberships", "cognito_memberships", POOL_USER},
	{"user_pool", "cognito_user_pool", POOL_USER},
	{"user_pools", "cognito_user_pools", POOL_NONE},
	{"app_clients", "cognito_app_clients", POOL_USER},
	{"identity_providers", "cognito_identity_providers", POOL_USER},
	{"identity_pool", "cognito_identity_pool", POOL_IDENTITY},
	{"identity_pools", "cognito_identity_pools", POOL_IDENTITY},
	{"identities", "cognito_identities", POOL_IDENTITY},
};

/* A view to create. */
typedef struct ViewDefinition
{
	const char *name;
	Oid         schema;
	Oid         function;
	const char *server;
} ViewDefinition;

PG_FUNCTION_INFO_V1(cognito_create_views);

/* Return the default view of a function, which reads the default server. */
static Oid
get_default_view(Oid function)
{
	return get_relname_relid(get_func_name(function), get_func_namespace(function));
}

/*
 * SQL that tells whether the definition of view $1 is that of default view $2 with a
 * literal in place of the call of cognito_default_server.  It has no backslashes, as
 * their meaning depends on standard_conforming_strings.
 */
#define COMPARE_DEFINITIONS                                     \
	"SELECT pg_catalog.texteq("                                 \
	"pg_catalog.regexp_replace(pg_catalog.pg_get_viewdef($1), " \
	"'[(]''([^'']|'''')*''::(pg_catalog[.])?text[)]', '()'), "  \
	"pg_catalog.regexp_replace(pg_catalog.pg_get_viewdef($2), " \
	"'[(][^()]*cognito_default_server[(][)][)]', '()'))"

/*
 * Return true if a relation is a view that cognito_create_views has created, for any
 * server, and that nobody has changed.  Views are recognized by their definition, so
 * that those restored from a dump are recognized too; options would be lost.
 */
static bool
is_created_here(Relation relation, Oid function)
{
	Oid   types[] = {OIDOID, OIDOID};
	Datum relids[] = {ObjectIdGetDatum(RelationGetRelid(relation)),
					  ObjectIdGetDatum(get_default_view(function))};
	Datum is_equal;
	bool  isnull;

	if (relation->rd_rel->relkind != RELKIND_VIEW || relation->rd_options != NULL)
		return false;

	/* The relation is locked, so the latest snapshot has its final definition. */
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_execute_with_args(COMPARE_DEFINITIONS, lengthof(types), types, relids, NULL, true, 1);
	PopActiveSnapshot();
	is_equal = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return !isnull && DatumGetBool(is_equal);
}

/*
 * Return true if a view exists that may be replaced, and lock it until the end of the
 * transaction; false if no relation has its name.  Raise 42P07 for a relation that must
 * not be replaced, and 42501 for a view of another role, which would stay its owner.
 */
static bool
find_replaced(const ViewDefinition *view, bool replace)
{
	Oid      relid = get_relname_relid(view->name, view->schema);
	Relation relation;
	Oid      owner;

	if (!OidIsValid(relid))
		return false;
	/* Two calls that both replace the view would wait for each other with a weaker lock. */
	relation = relation_open(relid, replace && relation_ownercheck(relid, GetUserId())
										? AccessExclusiveLock
										: AccessShareLock);
	owner = relation->rd_rel->relowner;
	if (!replace || !is_created_here(relation, view->function))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists in schema \"%s\"", view->name,
						get_namespace_name(view->schema)),
				 replace ? errdetail("It is not a view created by cognito_create_views, or it "
									 "has been changed.")
						 : errhint("Use replace => true to replace views created by "
								   "cognito_create_views.")));
	if (owner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("view \"%s\" in schema \"%s\" is owned by another role", view->name,
						get_namespace_name(view->schema)),
				 errdetail("Replacing a view does not change its owner, \"%s\".",
						   GetUserNameFromId(owner, false)),
				 errhint("Call cognito_create_views as the owner of the view, or drop the view.")));
	relation_close(relation, NoLock);
	return true;
}

/* Create a view, or replace an existing one. */
static void
create(const ViewDefinition *view, bool replace)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(
		&statement, "CREATE %sVIEW %s AS SELECT * FROM %s(%s::pg_catalog.text)",
		find_replaced(view, replace) ? "OR REPLACE " : "",
		quote_qualified_identifier(get_namespace_name(view->schema), view->name),
		quote_qualified_identifier(get_namespace_name(get_func_namespace(view->function)),
								   get_func_name(view->function)),
		quote_literal_cstr(view->server));
	SPI_execute(statement.data, false, 0);
}

/* Comment on a view as on its function, and on its columns as on those of the default view. */
static void
comment(const ViewDefinition *view)
{
	Oid   relid = get_relname_relid(view->name, view->schema);
	Oid   default_view = get_default_view(view->function);
	char *function_comment = GetComment(view->function, ProcedureRelationId, 0);

	CreateComments(relid, RelationRelationId, 0,
				   psprintf("%s: %s", function_comment, view->server));
	for (AttrNumber column = 1; get_attname(relid, column, true) != NULL; column++)
		CreateComments(relid, RelationRelationId, column,
					   GetComment(default_view, RelationRelationId, column));
}

/* Return the function of a name in a schema whose only argument is the server. */
static Oid
find_function(Oid schema, const char *name)
{
	Oid   argument = TEXTOID;
	List *names =
		list_make2(makeString(get_namespace_name(schema)), makeString(unconstify(char *, name)));

	return LookupFuncName(names, 1, &argument, false);
}

/* cognito_create_views(server_name, schema_name, replace) */
Datum
cognito_create_views(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char          *server = srf_text_arg(fcinfo, 0);
	NameData       name;
	Oid            schema;
	bool           replace;

	srf_require_arg(fcinfo, 1);
	srf_require_arg(fcinfo, 2);
	schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(1)), false);
	replace = PG_GETARG_BOOL(2);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);

	SPI_connect();
	for (size_t i = 0; i < lengthof(views); i++)
	{
		ViewDefinition view = {.name = views[i].name, .schema = schema, .server = server};
		Datum          values[1] = {NameGetDatum(&name)};
		bool           nulls[1] = {false};

		if (!server_has_pool(server, views[i].pool))
			continue;
		view.function =
			find_function(get_func_namespace(fcinfo->flinfo->fn_oid), views[i].function);
		create(&view, replace);
		comment(&view);
		namestrcpy(&name, view.name);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
