/*
 * views.c
 *		Views over one server, in a schema that is its own.
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
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fetch/srf.h"
#include "server/server.h"

/* The views, each of the rows of a function; there are those whose pool the server has. */
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

/* A view that is to be created. */
typedef struct ViewDefinition
{
	const char *name;
	Oid         schema;
	Oid         function;
	const char *server;
} ViewDefinition;

PG_FUNCTION_INFO_V1(cognito_create_views);

/* Is a query's range table entry a call of a function for some server that is written out? */
static bool
is_call(const RangeTblEntry *rte, Oid function)
{
	const FuncExpr *call;

	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1 || rte->funcordinality)
		return false;
	call = (const FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	return IsA(call, FuncExpr) && call->funcid == function && list_length(call->args) == 1 &&
		   IsA(linitial(call->args), Const);
}

/* Are a query's columns those of one relation, all of them in order? */
static bool
selects_all_columns(const Query *query, int relid, int ncolumns)
{
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		const Var *column = (const Var *) lfirst_node(TargetEntry, cell)->expr;

		if (!IsA(column, Var) || (int) column->varno != relid ||
			column->varattno != foreach_current_index(cell) + 1)
			return false;
	}
	return list_length(query->targetList) == ncolumns;
}

/* Is a query nothing but SELECT * FROM function('server')? */
static bool
is_plain(const Query *query, Oid function)
{
	const FromExpr      *from = query->jointree;
	const RangeTblEntry *rte;
	int                  relid;

	/* Whatever else a query can have would show in its columns. */
	if (list_length(from->fromlist) != 1 || !IsA(linitial(from->fromlist), RangeTblRef) ||
		from->quals != NULL || query->cteList != NIL || query->groupClause != NIL ||
		query->distinctClause != NIL || query->sortClause != NIL || query->limitCount != NULL ||
		query->limitOffset != NULL)
		return false;

	relid = linitial_node(RangeTblRef, from->fromlist)->rtindex;
	rte = rt_fetch(relid, query->rtable);
	return is_call(rte, function) &&
		   selects_all_columns(query, relid, list_length(rte->eref->colnames));
}

/*
 * Is a relation a view as this file makes them?  It is told by its definition:
 * nothing is lost with a view that shows the same as the one that replaces it,
 * and has no options, which that one would drop.  The lock keeps it so until the
 * transaction ends.
 */
static bool
is_made_here(Oid relid, Oid function)
{
	Relation relation = relation_open(relid, AccessShareLock);
	bool made_here = relation->rd_rel->relkind == RELKIND_VIEW && relation->rd_options == NULL &&
					 is_plain(get_view_query(relation), function);

	relation_close(relation, NoLock);
	return made_here;
}

/* Is a view there already?  Raises an error for a relation that is not to be replaced. */
static bool
find_replaced(const ViewDefinition *view, bool replace)
{
	Oid relid = get_relname_relid(view->name, view->schema);

	if (!OidIsValid(relid))
		return false;
	if (!replace || !is_made_here(relid, view->function))
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
						errmsg("relation \"%s\" already exists in schema \"%s\"", view->name,
							   get_namespace_name(view->schema)),
						replace ? errdetail("It is not a view as this function makes them.") : 0,
						errhint("Choose another schema, drop the relation, or have the views "
								"replaced that this function has made: replace => true.")));
	return true;
}

/* Creates a view, or replaces one. */
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

/* Comments a view and its columns as its function, and the default view of that name, are. */
static void
comment(const ViewDefinition *view)
{
	Oid relid = get_relname_relid(view->name, view->schema);
	Oid pattern =
		get_relname_relid(get_func_name(view->function), get_func_namespace(view->function));
	char *what = GetComment(view->function, ProcedureRelationId, 0);

	CreateComments(relid, RelationRelationId, 0, psprintf("%s: %s", what, view->server));
	for (AttrNumber column = 1; get_attname(relid, column, true) != NULL; column++)
		CreateComments(relid, RelationRelationId, column,
					   GetComment(pattern, RelationRelationId, column));
}

/* The function with that name, and a server as its argument, in a schema. */
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
