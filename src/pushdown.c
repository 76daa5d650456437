/*
 * pushdown.c
 *		The planner's part: conditions and limits of a query become arguments of
 *		cognito_users.
 *
 * First the support function turns cognito_users(server) into the call with
 * three arguments; that also loads the library, should it not be.  Later, when
 * views are expanded, joins are simplified, and every restriction is where it
 * will be checked, the hook looks at those of each relation that is such a
 * call without filter and limit, and replaces it by one that asks for less.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include <math.h>

#include "compat.h"
#include "condition.h"
#include "filter.h"
#include "pushdown.h"
#include "server.h"
#include "users.h"

/* What a pool has that the session has not yet listed. */
#define UNKNOWN_POOL 1000.0

/* What a prefix finds, and how many values an unknown list has. */
#define FEW 10.0

/* The cost of a request, in units of cpu_operator_cost; the functions' COST in SQL. */
#define REQUEST_COST 10000.0

/* What is expected of a call. */
typedef struct Estimate
{
	double users;
	double requests;
} Estimate;

bool pushdown_enabled = true;

static set_rel_pathlist_hook_type previous_hook;

PG_FUNCTION_INFO_V1(cognito_users_support);

/* Is a function one of ours: one that has cognito_users_support? */
static bool
is_ours(Oid function)
{
	Oid      support = get_func_support(function);
	FmgrInfo info;

	if (!OidIsValid(support))
		return false;
	fmgr_info(support, &info);
	return info.fn_addr == cognito_users_support;
}

/* Our function of the same name and schema with these arguments, or InvalidOid. */
static Oid
find_overload(Oid function, const Oid *types, int ntypes)
{
	Oid overload =
		GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(get_func_name(function)),
						PointerGetDatum(buildoidvector(types, ntypes)),
						ObjectIdGetDatum(get_func_namespace(function)));

	return OidIsValid(overload) && is_ours(overload) ? overload : InvalidOid;
}

/* A call like another one, but for function and arguments. */
static FuncExpr *
change_call(const FuncExpr *call, Oid function, List *arguments)
{
	FuncExpr *changed = makeNode(FuncExpr);

	*changed = *call;
	changed->funcid = function;
	changed->args = arguments;
	return changed;
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
replace_call(PlannerInfo *root, const FuncExpr *call, const Oid *types, List *arguments)
{
	Oid overload = find_overload(call->funcid, types, list_length(arguments));

	if (!OidIsValid(overload))
		return NULL;
	root->glob->dependsOnRole = true;
	record_plan_function_dependency(root, call->funcid);
	record_plan_function_dependency(root, overload);

	if (!is_callable(call->funcid) || !is_callable(overload))
		return NULL;
	return change_call(call, overload, arguments);
}

/* Turns cognito_users(server) into cognito_users(server, NULL, NULL). */
static Node *
simplify_call(const SupportRequestSimplify *request)
{
	static const Oid types[] = {TEXTOID, TEXTOID, INT8OID};
	const FuncExpr  *call = request->fcall;

	if (!pushdown_enabled || request->root == NULL || list_length(call->args) != 1)
		return NULL;
	return (Node *) replace_call(request->root, call, types,
								 list_make3(linitial(call->args),
											makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID),
											makeNullConst(INT8OID, -1, InvalidOid)));
}

/* An argument's value, as far as it can be told now; NULL if it cannot, or is NULL. */
static const Const *
expected_value(PlannerInfo *root, const FuncExpr *call, int argument)
{
	Node  *node = list_nth(call->args, argument);
	Const *constant;

	if (root != NULL)
		node = estimate_expression_value(root, node);
	constant = (Const *) node;
	return IsA(node, Const) && !constant->constisnull ? constant : NULL;
}

/* The same of a text. */
static char *
expected_text(PlannerInfo *root, const FuncExpr *call, int argument)
{
	const Const *constant = expected_value(root, call, argument);

	return constant != NULL ? TextDatumGetCString(constant->constvalue) : NULL;
}

/* Is an argument NULL, come what may? */
static bool
is_null(const FuncExpr *call, int argument)
{
	Node *node = list_nth(call->args, argument);

	return IsA(node, Const) && ((Const *) node)->constisnull;
}

/* How many users the pool of a call has: as many as when the session last saw it. */
static double
expected_pool(PlannerInfo *root, const FuncExpr *call)
{
	char *name = expected_text(root, call, 0);
	int64 users = name != NULL ? users_in_pool(get_foreign_server_oid(name, true)) : -1;

	return users >= 0 ? (double) users : UNKNOWN_POOL;
}

/* How many of a pool's users have an attribute that matches one of some values. */
static double
expected_matches(double pool, const char *attribute, bool starts_with, double nvalues)
{
	if (users_column(attribute) == USER_STATUS || users_column(attribute) == USER_ENABLED)
		return pool / 2;
	return Min(pool, starts_with ? FEW * nvalues : nvalues);
}

/* How many users a filter finds that somebody has written. */
static double
expected_of_filter(double pool, const char *filter)
{
	if (filter == NULL)
		return Min(pool, FEW);
	if (filter[0] == '\0')
		return pool;
	return expected_matches(pool, pnstrdup(filter, strcspn(filter, " ^=")),
							filter[strcspn(filter, "^=")] == '^', 1);
}

/* How many values there are in the list of a call with attribute and operator. */
static double
expected_values(const FuncExpr *call)
{
	Node *values = lfourth(call->args);

	if (IsA(values, Const) && !((Const *) values)->constisnull)
	{
		ArrayType *array = DatumGetArrayTypeP(((Const *) values)->constvalue);

		return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	}
	if (IsA(values, ArrayExpr))
		return list_length(((ArrayExpr *) values)->elements);
	return FEW;
}

/* What is expected of a call of any overload. */
static Estimate
estimate_call(PlannerInfo *root, const FuncExpr *call)
{
	double   pool = expected_pool(root, call);
	Estimate estimate = {.users = pool, .requests = 1};

	if (list_length(call->args) == 3)
	{
		const Const *limit = expected_value(root, call, 2);

		if (!is_null(call, 1))
			estimate.users = expected_of_filter(pool, expected_text(root, call, 1));
		if (limit != NULL)
			estimate.users = Min(estimate.users, (double) DatumGetInt64(limit->constvalue));
	}
	else if (list_length(call->args) == 4)
	{
		char *attribute = expected_text(root, call, 1);
		char *op = expected_text(root, call, 2);

		estimate.requests = expected_values(call);
		if (attribute != NULL && op != NULL)
			estimate.users = expected_matches(pool, attribute, strcmp(op, FILTER_STARTS_WITH) == 0,
											  estimate.requests);
	}
	estimate.requests = Max(estimate.requests, ceil(estimate.users / LISTING_PAGE_SIZE));
	return estimate;
}

/* The planner support function of all overloads of cognito_users. */
Datum
cognito_users_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(simplify_call((SupportRequestSimplify *) request));

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;

		if (!is_funcclause(rows->node))
			PG_RETURN_POINTER(NULL);
		rows->rows = estimate_call(rows->root, (FuncExpr *) rows->node).users;
		PG_RETURN_POINTER(rows);
	}

	if (IsA(request, SupportRequestCost))
	{
		SupportRequestCost *cost = (SupportRequestCost *) request;

		if (cost->node == NULL || !is_funcclause(cost->node))
			PG_RETURN_POINTER(NULL);
		cost->startup = 0;
		cost->per_tuple = estimate_call(cost->root, (FuncExpr *) cost->node).requests *
						  REQUEST_COST * cpu_operator_cost;
		PG_RETURN_POINTER(cost);
	}

	PG_RETURN_POINTER(NULL);
}

/* The call that a relation consists of, if conditions and limits may be put into it; or NULL. */
static FuncExpr *
find_call(const RelOptInfo *rel, const RangeTblEntry *rte)
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
	if (!IsA(call, FuncExpr) || list_length(call->args) != 3 || !is_ours(call->funcid))
		return NULL;
	return is_null(call, 1) && is_null(call, 2) ? call : NULL;
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

/* Lets Cognito select by the restriction that leaves the fewest users, if there is one. */
static void
push_condition(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID};
	RestrictInfo    *best = NULL;
	Condition        condition;
	FuncExpr        *replacement;
	List            *rest;
	ListCell        *cell;

	foreach (cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		Condition     other;

		if (!restriction->pseudoconstant &&
			condition_of(root, (Node *) restriction->clause, rel->relid, &other) &&
			(best == NULL || condition_is_better(&other, &condition)))
		{
			best = restriction;
			condition = other;
		}
	}
	if (best == NULL)
		return;

	replacement = replace_call(root, call, types,
							   lcons(linitial(call->args), condition_arguments(&condition)));
	if (replacement == NULL)
		return;
	set_call(root, rel, rte, replacement);

	/* What is left has passed this restriction already. */
	rest = list_delete_ptr(list_copy(rel->baserestrictinfo), best);
	rel->rows =
		clamp_row_est(rel->tuples * clauselist_selectivity(root, rest, 0, JOIN_INNER, NULL));
	set_path(root, rel);
}

/* The number in LIMIT or OFFSET; false if it is not known, or negative, which is an error. */
static bool
take_constant(Node *node, int64 *number)
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
is_bare(const PlannerInfo *root, const RelOptInfo *rel)
{
	const Query *query = root->parse;

	return bms_equal(rel->relids, root->all_baserels) && rel->baserestrictinfo == NIL &&
		   query->rowMarks == NIL && query->sortClause == NIL && query->groupClause == NIL &&
		   query->distinctClause == NIL && !query->hasAggs && !query->hasWindowFuncs &&
		   !query->hasTargetSRFs;
}

/* Asks for no more users than LIMIT and OFFSET let through, if nothing else comes between. */
static void
push_limit(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, const FuncExpr *call)
{
	Query *query = root->parse;
	int64  limit;
	int64  offset = 0;
	Node  *max_users;

	if (!is_bare(root, rel) || !take_constant(query->limitCount, &limit) ||
		((Const *) query->limitCount)->constisnull ||
		(query->limitOffset != NULL && !take_constant(query->limitOffset, &offset)) ||
		pg_add_s64_overflow(limit, offset, &limit))
		return;

	max_users = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(limit),
								   false, FLOAT8PASSBYVAL);
	set_call(root, rel, rte,
			 change_call(call, call->funcid,
						 list_make3(linitial(call->args), lsecond(call->args), max_users)));
	set_path(root, rel);
}

/* The hook: after the core has made the paths of a relation, and before it chooses among them. */
static void
push_down(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	FuncExpr *call = pushdown_enabled ? find_call(rel, rte) : NULL;

	if (call != NULL)
	{
		char *name = expected_text(root, call, 0);

		if (name == NULL || server_allows_pushdown(name))
		{
			push_condition(root, rel, rte, call);
			push_limit(root, rel, rte, call);
		}
	}
	if (previous_hook != NULL)
		previous_hook(root, rel, rti, rte);
}

/* See pushdown.h. */
void
pushdown_init(void)
{
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = push_down;
}
