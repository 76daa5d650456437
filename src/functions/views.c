/*
 * views.c
 *		Views over one server in a schema: cognito_create_views.
 *
 * They have the columns and comments of the extension's default views, and replace
 * only views that were created in the same way.  Their definitions hold the server's
 * name as text; that they depend on the server is recorded beside it, for DROP SERVER.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteSupport.h"
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

/*
 * Record that a view depends on its server.  As with all dependencies of a view, it is
 * the rule's, so it ends when anybody replaces the definition.
 */
static void
record_dependency(const ViewDefinition *view)
{
	Oid           relid = get_relname_relid(view->name, view->schema);
	ObjectAddress rule;
	ObjectAddress server;

	ObjectAddressSet(rule, RewriteRelationId, get_rewrite_oid(relid, ViewSelectRuleName, false));
	ObjectAddressSet(server, ForeignServerRelationId, get_foreign_server_oid(view->server, false));
	recordDependencyOn(&rule, &server, DEPENDENCY_NORMAL);
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
	record_dependency(view);
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

/* Append a view to a list of names, if it exists and cognito_create_views has created it. */
static void
append_leftover(StringInfo names, const ViewDefinition *view)
{
	Oid      relid = get_relname_relid(view->name, view->schema);
	Relation relation;

	if (!OidIsValid(relid))
		return;
	relation = relation_open(relid, AccessShareLock);
	if (is_created_here(relation, view->function))
		appendStringInfo(names, "%s%s", names->len > 0 ? ", " : "",
						 quote_qualified_identifier(get_namespace_name(view->schema), view->name));
	relation_close(relation, NoLock);
}

/*
 * Raise the error for views in a schema, a list of their names, that would go on to read
 * the server that they were created for.
 */
static void
pg_attribute_noreturn() reject_leftovers(const char *schema, const char *server, const char *names)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("schema \"%s\" has views of a pool that server \"%s\" does not have", schema,
					server),
			 errdetail("These views would not be replaced, and continue to read another pool."),
			 errhint("To drop them, execute: DROP VIEW %s;", names)));
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
	StringInfoData leftovers; /* views of pools that the server does not have */

	srf_require_arg(fcinfo, 1);
	srf_require_arg(fcinfo, 2);
	schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(1)), false);
	replace = PG_GETARG_BOOL(2);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);

	SPI_connect();
	initStringInfo(&leftovers);
	for (size_t i = 0; i < lengthof(views); i++)
	{
		ViewDefinition view = {.name = views[i].name, .schema = schema, .server = server};
		Datum          values[1] = {NameGetDatum(&name)};
		bool           nulls[1] = {false};

		view.function =
			find_function(get_func_namespace(fcinfo->flinfo->fn_oid), views[i].function);
		if (!server_has_pool(server, views[i].pool))
		{
			append_leftover(&leftovers, &view);
			continue;
		}
		create(&view, replace);
		comment(&view);
		namestrcpy(&name, view.name);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	if (leftovers.len > 0)
		reject_leftovers(get_namespace_name(schema), server, leftovers.data);
	SPI_finish();
	return (Datum) 0;
}
