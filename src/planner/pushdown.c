/*
 * pushdown.c
 *		Pushdown: quals and limits of a query become arguments of the functions that
 *		it calls.
 *
 * set_rel_pathlist_hook runs when views have been expanded, joins simplified, and
 * quals distributed to the relations that evaluate them.  If a relation is a call
 * that returns all rows of an entity, the hook replaces it by a call of an overload
 * that returns fewer.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "planner/call.h"
#include "planner/estimate.h"
#include "planner/search_join.h"
#include "planner/pushdown.h"
#include "planner/quals.h"
#include "server/server.h"

bool pushdown_enabled = true;

static const SearchEntity *const *entities;

static set_rel_pathlist_hook_type previous_hook;

const SearchEntity *
pushdown_entity(Oid function)
{
	Oid      support = get_func_support(function);
	FmgrInfo info;

	if (!OidIsValid(support))
		return NULL;
	fmgr_info(support, &info);
	for (const SearchEntity *const *entity = entities; *entity != NULL; entity++)
		for (size_t i = 0; i < lengthof((*entity)->support); i++)
			if (info.fn_addr == (*entity)->support[i])
				return *entity;
	return NULL;
}

/* Return the overload of an entity's function with these arguments, or InvalidOid. */
static Oid
find_overload(const SearchEntity *entity, Oid function, const Oid *types, int ntypes)
{
	char *name = get_func_name(function);
	Oid   overload;

	/* No lock prevents the function from being dropped while the query is planned. */
	if (name == NULL)
		return InvalidOid;
	overload = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
							   PointerGetDatum(buildoidvector(types, ntypes)),
							   ObjectIdGetDatum(get_func_namespace(function)));
	return OidIsValid(overload) && pushdown_entity(overload) == entity ? overload : InvalidOid;
}

/*
 * Return true if the current role may execute a function, and the function neither is
 * SECURITY DEFINER nor has settings of its own.
 */
static bool
is_callable(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool      is_plain;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_plain = !((Form_pg_proc) GETSTRUCT(tuple))->prosecdef &&
			   heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL);
	ReleaseSysCache(tuple);
	return is_plain && function_aclcheck(function, GetUserId()) == ACLCHECK_OK;
}

/*
 * Record that a plan depends on the current role, and on two functions.  GEQO considers joins in
 * a memory context that ends before the plan.
 */
static void
record_dependencies(PlannerInfo *root, Oid function, Oid overload)
{
	MemoryContext caller = MemoryContextSwitchTo(root->planner_cxt);

	root->glob->dependsOnRole = true;
	record_plan_function_dependency(root, function);
	record_plan_function_dependency(root, overload);
	MemoryContextSwitchTo(caller);
}

FuncExpr *
pushdown_replace_call(const SearchRel *search_rel, const FuncExpr *call, List *arguments)
{
	Oid       types[FUNC_MAX_ARGS];
	int       ntypes = 0;
	Oid       overload;
	FuncExpr *changed;
	ListCell *cell;

	foreach (cell, arguments)
		types[ntypes++] = exprType(lfirst(cell));
	overload = find_overload(search_rel->entity, call->funcid, types, ntypes);
	if (!OidIsValid(overload))
		return NULL;
	record_dependencies(search_rel->root, call->funcid, overload);
	if (!is_callable(call->funcid) || !is_callable(overload))
		return NULL;

	changed = makeNode(FuncExpr);
	*changed = *call;
	changed->funcid = overload;
	changed->args = arguments;
	return changed;
}

/* Return the call of a relation that consists of all rows of an entity, or NULL. */
static FuncExpr *
find_call(const RelOptInfo *rel, const RangeTblEntry *rte, const SearchEntity **entity)
{
	FuncExpr *call;

	/* WITH ORDINALITY numbers the rows that the function returns. */
	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1 || rte->funcordinality)
		return NULL;
	/* A relation that is known to be empty has another path. */
	if (list_length(rel->pathlist) != 1 ||
		((Path *) linitial(rel->pathlist))->pathtype != T_FunctionScan)
		return NULL;

	call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr))
		return NULL;
	*entity = pushdown_entity(call->funcid);
	return *entity != NULL && call_is_full_listing(call) ? call : NULL;
}

/*
 * Replace the call of a relation by that of the overload that takes these arguments,
 * with the path and the estimates; return false if there is none.  It returns only rows
 * that pass a restriction, which may be NULL.
 */
static bool
set_call(const SearchRel *search_rel, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call,
		 List *arguments, RestrictInfo *passed)
{
	PlannerInfo      *root = search_rel->root;
	FuncExpr         *replacement = pushdown_replace_call(search_rel, call, arguments);
	RangeTblFunction *function = copyObject(linitial_node(RangeTblFunction, rte->functions));
	List             *rest = list_delete_ptr(list_copy(rel->baserestrictinfo), passed);

	if (replacement == NULL)
		return false;
	function->funcexpr = (Node *) replacement;
	rte->functions = list_make1(function);
	set_function_size_estimates(root, rel);
	rel->rows =
		clamp_row_est(rel->tuples * clauselist_selectivity(root, rest, 0, JOIN_INNER, NULL));

	rel->pathlist = NIL;
	rel->ppilist = NIL;
	add_path(rel, create_functionscan_path(root, rel, NIL, rel->lateral_relids));
	return true;
}

List *
pushdown_pool_arguments(const FuncExpr *call)
{
	Node *user_pool_id = call_argument(call, "user_pool_id");
	List *arguments = list_make1(linitial(call->args));

	return user_pool_id != NULL ? lappend(arguments, user_pool_id) : arguments;
}

/* Return the most selective restriction of a relation that can be pushed down, and its qual; or NULL. */
static RestrictInfo *
find_best_qual(const SearchRel *search_rel, const RelOptInfo *rel, PushedQual *best_qual)
{
	RestrictInfo *best = NULL;
	ListCell     *cell;

	foreach (cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		PushedQual    qual;

		if (!restriction->pseudoconstant &&
			qual_match(search_rel, (Node *) restriction->clause, &qual) &&
			(best == NULL || qual_is_better(&qual, best_qual)))
		{
			best = restriction;
			*best_qual = qual;
		}
	}
	return best;
}

/* Get the number in LIMIT or OFFSET, 0 if NULL; return false if it is unknown or negative. */
static bool
get_limit_constant(Node *node, int64 *number)
{
	Const *constant = (Const *) node;

	if (node == NULL || !IsA(node, Const))
		return false;
	*number = constant->constisnull ? 0 : DatumGetInt64(constant->constvalue);
	return *number >= 0;
}

/*
 * Return true if a query returns one row for each row of a relation that passes its
 * restrictions, in any order, up to its limit.  No test is needed for WITH TIES, which
 * requires ORDER BY; for set operations, whose query has no base relations; and for
 * GROUP BY () without aggregates, which reads no rows.
 */
static bool
returns_every_row(const PlannerInfo *root, const RelOptInfo *rel)
{
	const Query *query = root->parse;

	return bms_equal(rel->relids, root->all_baserels) && query->rowMarks == NIL &&
		   query->sortClause == NIL && query->groupClause == NIL && query->distinctClause == NIL &&
		   !query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs;
}

/*
 * Return how many rows of a relation that pass its restrictions are needed at most, as a
 * bigint constant; NULL if that is unknown.
 */
static Node *
find_limit(const PlannerInfo *root, const RelOptInfo *rel)
{
	const Query *query = root->parse;
	int64        limit;
	int64        offset = 0;

	if (!returns_every_row(root, rel) || !get_limit_constant(query->limitCount, &limit) ||
		((Const *) query->limitCount)->constisnull ||
		(query->limitOffset != NULL && !get_limit_constant(query->limitOffset, &offset)) ||
		pg_add_s64_overflow(limit, offset, &limit))
		return NULL;
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(limit), false,
							  FLOAT8PASSBYVAL);
}

/*
 * Push down the most selective qual of a relation.  If it is the only one, and all rows
 * that match it pass, push down the limit with it.
 */
static void
push_qual(const SearchRel *search_rel, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	PushedQual    qual = {0};
	RestrictInfo *best = find_best_qual(search_rel, rel, &qual);
	Node         *limit = NULL;

	if (best == NULL)
		return;
	if (list_length(rel->baserestrictinfo) == 1 && qual.is_exact)
		limit = find_limit(search_rel->root, rel);
	if (limit == NULL ||
		!set_call(search_rel, rel, rte, call,
				  list_concat(lappend(pushdown_pool_arguments(call), limit), qual_arguments(&qual)),
				  best))
		(void) set_call(search_rel, rel, rte, call,
						list_concat(pushdown_pool_arguments(call), qual_arguments(&qual)), best);
}

/* Push down the limit of a query without restrictions, as the limit of a NULL filter or of a pool. */
static void
push_limit(const SearchRel *search_rel, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	Node *limit = find_limit(search_rel->root, rel);
	List *arguments = pushdown_pool_arguments(call);

	if (limit == NULL)
		return;
	if (list_length(arguments) == 1)
		arguments = lappend(arguments, makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID));
	(void) set_call(search_rel, rel, rte, call, lappend(arguments, limit), NULL);
}

/* Push down what is possible; the hook, called when the core has made a relation's paths. */
static void
push_down(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	SearchRel search_rel = {.root = root, .relid = rti};
	FuncExpr *call = pushdown_enabled ? find_call(rel, rte, &search_rel.entity) : NULL;

	if (call != NULL)
	{
		char *name = estimate_text(root, call, "server_name");

		if (name != NULL && !server_allows_pushdown(name))
			call = NULL;
	}
	if (call != NULL)
	{
		/* Joins find it here, where only foreign-data wrappers keep something, of other relations. */
		search_rel.call = call;
		rel->fdw_private = memcpy(palloc(sizeof(SearchRel)), &search_rel, sizeof(SearchRel));
		if (rel->baserestrictinfo != NIL)
			push_qual(&search_rel, rel, rte, call);
		else
			push_limit(&search_rel, rel, rte, call);
	}
	if (previous_hook != NULL)
		previous_hook(root, rel, rti, rte);
}

void
pushdown_init(const SearchEntity *const *all_entities)
{
	entities = all_entities;
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = push_down;
	search_join_init();
}
