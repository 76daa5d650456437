/*
 * pushdown.c
 *		The planner's part: conditions and limits of a query become arguments of
 *		the functions that it calls.
 *
 * When views are expanded, joins are simplified, and every restriction is where
 * it will be checked, the hook looks at those of each relation that shows all
 * rows of an entity, and lets it call an overload that asks for less.
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
#include "planner/quals.h"
#include "planner/estimate.h"
#include "planner/pushdown.h"
#include "server/server.h"

bool pushdown_enabled = true;

static const SearchEntity *const *entities;

static set_rel_pathlist_hook_type previous_hook;

/* The entity whose rows a function returns, known by its support function; or NULL. */
static const SearchEntity *
entity_of(Oid function)
{
	Oid      support = get_func_support(function);
	FmgrInfo info;

	if (!OidIsValid(support))
		return NULL;
	fmgr_info(support, &info);
	for (const SearchEntity *const *entity = entities; *entity != NULL; entity++)
		if (info.fn_addr == (*entity)->support)
			return *entity;
	return NULL;
}

/* The entity's function of the same name and schema with these arguments, or InvalidOid. */
static Oid
find_overload(const SearchEntity *entity, Oid function, const Oid *types, int ntypes)
{
	char *name = get_func_name(function);
	Oid   overload;

	/* Nobody keeps a function from being dropped while a query is planned. */
	if (name == NULL)
		return InvalidOid;
	overload = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
							   PointerGetDatum(buildoidvector(types, ntypes)),
							   ObjectIdGetDatum(get_func_namespace(function)));
	return OidIsValid(overload) && entity_of(overload) == entity ? overload : InvalidOid;
}

/* May the role call a function, and does the function run as that role, with its settings? */
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
 * A call of another overload in place of one, or NULL if that would make a
 * difference.  The executor checks the right to call the new one only, so the
 * plan is good for this role only, and only until one of the functions changes.
 */
static FuncExpr *
replace_call(const SearchRel *search_rel, const FuncExpr *call, List *arguments)
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
	search_rel->root->glob->dependsOnRole = true;
	record_plan_function_dependency(search_rel->root, call->funcid);
	record_plan_function_dependency(search_rel->root, overload);
	if (!is_callable(call->funcid) || !is_callable(overload))
		return NULL;

	changed = makeNode(FuncExpr);
	*changed = *call;
	changed->funcid = overload;
	changed->args = arguments;
	return changed;
}

/* Is a node NULL, come what may? */
static bool
is_null_constant(Node *node)
{
	return IsA(node, Const) && ((Const *) node)->constisnull;
}

/* Does a call return all rows: is it given the server only, or no filter and no limit? */
static bool
is_full_listing(const FuncExpr *call, const SearchEntity *entity)
{
	if (list_length(call->args) == 1)
		return true;
	return entity->has_limit && list_length(call->args) == 3 &&
		   is_null_constant(lsecond(call->args)) && is_null_constant(lthird(call->args));
}

/* The call of which a relation consists, if it shows all rows of an entity; or NULL. */
static FuncExpr *
find_call(const RelOptInfo *rel, const RangeTblEntry *rte, const SearchEntity **entity)
{
	FuncExpr *call;

	/* With ordinality, the numbers of the rows would change. */
	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1 || rte->funcordinality)
		return NULL;
	/* The relation may be known to be empty. */
	if (list_length(rel->pathlist) != 1 ||
		((Path *) linitial(rel->pathlist))->pathtype != T_FunctionScan)
		return NULL;

	call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr))
		return NULL;
	*entity = entity_of(call->funcid);
	return *entity != NULL && is_full_listing(call, *entity) ? call : NULL;
}

/* Replaces the call of a relation, whose estimates and path are made anew. */
static void
set_call(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, FuncExpr *call)
{
	RangeTblFunction *function = copyObject(linitial_node(RangeTblFunction, rte->functions));

	function->funcexpr = (Node *) call;
	rte->functions = list_make1(function);
	set_function_size_estimates(root, rel);
}

/* Replaces the path of a relation after its call. */
static void
set_path(PlannerInfo *root, RelOptInfo *rel)
{
	rel->pathlist = NIL;
	rel->ppilist = NIL;
	add_path(rel, create_functionscan_path(root, rel, NIL, rel->lateral_relids));
}

/* Lets Cognito select by the restriction that leaves the fewest rows, if there is one. */
static void
push_qual(const SearchRel *search_rel, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	RestrictInfo *best = NULL;
	PushedQual    condition;
	FuncExpr     *replacement;
	List         *rest;
	ListCell     *cell;

	foreach (cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		PushedQual    other;

		if (!restriction->pseudoconstant &&
			qual_match(search_rel, (Node *) restriction->clause, &other) &&
			(best == NULL || qual_is_better(&other, &condition)))
		{
			best = restriction;
			condition = other;
		}
	}
	if (best == NULL)
		return;

	replacement =
		replace_call(search_rel, call,
					 lcons(linitial(call->args), qual_arguments(search_rel->entity, &condition)));
	if (replacement == NULL)
		return;
	set_call(search_rel->root, rel, rte, replacement);

	/* What is left has passed this restriction already. */
	rest = list_delete_ptr(list_copy(rel->baserestrictinfo), best);
	rel->rows = clamp_row_est(rel->tuples *
							  clauselist_selectivity(search_rel->root, rest, 0, JOIN_INNER, NULL));
	set_path(search_rel->root, rel);
}

/* The number in LIMIT or OFFSET; false if it is not known, or negative, which is an error. */
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
 * Does a query return a row for each row of a relation, in any order, until its
 * limit ends it?  WITH TIES comes with ORDER BY only; a set operation is not of
 * relations; and grouping by nothing, without aggregates, looks at no row.
 */
static bool
returns_every_row(const PlannerInfo *root, const RelOptInfo *rel)
{
	const Query *query = root->parse;

	return bms_equal(rel->relids, root->all_baserels) && rel->baserestrictinfo == NIL &&
		   query->rowMarks == NIL && query->sortClause == NIL && query->groupClause == NIL &&
		   query->distinctClause == NIL && !query->hasAggs && !query->hasWindowFuncs &&
		   !query->hasTargetSRFs;
}

/* Asks for no more rows than LIMIT and OFFSET let through, if nothing else comes between. */
static void
push_limit(const SearchRel *search_rel, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	Query    *query = search_rel->root->parse;
	int64     limit;
	int64     offset = 0;
	List     *arguments;
	FuncExpr *replacement;

	if (!search_rel->entity->has_limit || !returns_every_row(search_rel->root, rel) ||
		!get_limit_constant(query->limitCount, &limit) || is_null_constant(query->limitCount) ||
		(query->limitOffset != NULL && !get_limit_constant(query->limitOffset, &offset)) ||
		pg_add_s64_overflow(limit, offset, &limit))
		return;

	arguments = list_make3(linitial(call->args), makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID),
						   makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(limit),
									 false, FLOAT8PASSBYVAL));
	replacement = replace_call(search_rel, call, arguments);
	if (replacement == NULL)
		return;
	set_call(search_rel->root, rel, rte, replacement);
	set_path(search_rel->root, rel);
}

/* The hook: after the core has made the paths of a relation, and before it chooses among them. */
static void
push_down(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	SearchRel search_rel = {.root = root, .relid = rti};
	FuncExpr *call = pushdown_enabled ? find_call(rel, rte, &search_rel.entity) : NULL;

	if (call != NULL)
	{
		char *name = estimate_server_name(root, call);

		if (name == NULL || server_allows_pushdown(name))
		{
			push_qual(&search_rel, rel, rte, call);
			push_limit(&search_rel, rel, rte, call);
		}
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
}
