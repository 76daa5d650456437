/*
 * search_join.c
 *		Joins that request only the rows they need: paths and plans.
 *
 * A function scan cannot be parameterized while the same relation can also be listed
 * completely, since both would be the same range table entry, and the inner side of a
 * nested loop learns of one value at a time.  So set_join_pathlist_hook adds a path for
 * the join itself.
 *
 * Its cost is that of one request for each value, but no more than listing everything:
 * search_exec.c sees to that at execution, whatever the estimates were.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/selfuncs.h"

#include "compat.h"
#include "planner/estimate.h"
#include "planner/search_join.h"
#include "planner/pushdown.h"

/* The path of a join. */
typedef struct SearchJoinPath
{
	CustomPath       path;
	JoinType         jointype;
	const SearchRel *search_rel; /* the inner relation */
	RelOptInfo      *inner;
	PushedQual       qual;
	FuncExpr        *call;    /* of the overload that searches; its values are not used */
	List            *clauses; /* of the join; RestrictInfos */
	Relids           relids;  /* of the join */
	bool             reads_all;
} SearchJoinPath;

static set_join_pathlist_hook_type previous_hook;

/* Return the value that a join clause compares an attribute with, or NULL. */
static Node *
value_of(const PushedQual *qual)
{
	const ArrayExpr *values = (const ArrayExpr *) qual->values;

	if (strcmp(qual->op, SEARCH_EQUALS) != 0 || qual->attribute->form == SEARCH_BOOLEAN ||
		qual->attribute->common_value != NULL || !IsA(values, ArrayExpr) ||
		list_length(values->elements) != 1)
		return NULL;
	return linitial(values->elements);
}

/* Return true if an expression contains a parameter that is set during execution. */
static bool
contains_exec_param(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind != PARAM_EXTERN)
		return true;
	return expression_tree_walker(node, contains_exec_param, context);
}

/*
 * Return true if an expression can be kept where the planner does not process it any
 * further: it has neither subplans nor parameters that are set during execution.
 */
static bool
is_self_contained(Node *node)
{
	return !contain_subplans(node) && !contains_exec_param(node, NULL);
}

/* Return true if all clauses of a list of RestrictInfos can be evaluated by the custom scan. */
static bool
are_supported(List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);

		if (restriction->pseudoconstant || !is_self_contained((Node *) restriction->clause))
			return false;
	}
	return true;
}

/* Return true if nothing but columns of a relation is needed of it. */
static bool
needs_only_columns(const RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->reltarget->exprs)
		if (!IsA(lfirst(cell), Var) || ((Var *) lfirst(cell))->varattno <= 0)
			return false;
	return true;
}

/*
 * Find the most selective clause of a join that can be searched, and set the qual.
 * A clause above an outer join cannot be used: it does not decide which rows match.
 */
static bool
find_best_qual(const SearchRel *rel, const JoinPathExtraData *extra, JoinType jointype,
			   Relids relids, PushedQual *best)
{
	bool      found = false;
	ListCell *cell;

	foreach (cell, extra->restrictlist)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		PushedQual    qual;

		if ((IS_OUTER_JOIN(jointype) && RINFO_IS_PUSHED_DOWN(restriction, relids)) ||
			!bms_is_member((int) rel->relid, restriction->clause_relids) ||
			!qual_match(rel, (Node *) restriction->clause, &qual) || value_of(&qual) == NULL)
			continue;
		if (!found || qual_is_better(&qual, best))
			*best = qual;
		found = true;
	}
	return found;
}

/* Return the path of the outer side; NULL if there is none that suits. */
static Path *
find_outer_path(PlannerInfo *root, RelOptInfo *outer, JoinType *jointype, SpecialJoinInfo *sjinfo)
{
	Path *path = outer->cheapest_total_path;

	if (path == NULL || PATH_REQ_OUTER(path) != NULL)
		return NULL;
	if (*jointype == JOIN_UNIQUE_OUTER)
	{
		path = (Path *) create_unique_path(root, outer, path, sjinfo);
		*jointype = JOIN_INNER;
	}
	return path;
}

/* Set the costs and the number of rows of a path. */
static void
set_costs(PlannerInfo *root, SearchJoinPath *join, const RelOptInfo *joinrel, const Path *outer)
{
	Path  *path = &join->path.path;
	Node  *value = value_of(&join->qual);
	double nvalues = estimate_num_groups(root, list_make1(value), outer->rows, NULL, NULL);

	path->rows = joinrel->rows;
	path->startup_cost = outer->startup_cost;
	path->total_cost = outer->total_cost +
					   estimate_search_cost(root, join->search_rel, join->qual.attribute, nvalues) +
					   outer->rows * cpu_operator_cost + path->rows * cpu_tuple_cost;
}

static Plan *plan_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);

static const CustomPathMethods path_methods = {
	.CustomName = "cognito_join",
	.PlanCustomPath = plan_join,
};

/* Add a path for a join whose inner side is an entity. */
static void
add_join_path(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer, RelOptInfo *inner,
			  JoinType jointype, const JoinPathExtraData *extra)
{
	SearchRel      *search_rel = palloc(sizeof(SearchRel));
	SearchJoinPath *join = palloc0(sizeof(SearchJoinPath));
	Path           *outer_path;
	List           *arguments;

	*search_rel = *(const SearchRel *) inner->fdw_private;
	search_rel->outer = outer->relids;
	if (!find_best_qual(search_rel, extra, jointype, joinrel->relids, &join->qual))
		return;
	outer_path = find_outer_path(root, outer, &jointype, extra->sjinfo);
	arguments = list_concat(pushdown_pool_arguments(search_rel->call), qual_arguments(&join->qual));
	join->call = pushdown_replace_call(search_rel, search_rel->call, arguments);
	if (outer_path == NULL || join->call == NULL)
		return;

	join->jointype = jointype;
	join->search_rel = search_rel;
	join->inner = inner;
	join->clauses = extra->restrictlist;
	join->relids = joinrel->relids;
	join->reads_all = root->tuple_fraction <= 0 && root->limit_tuples < 0;
	join->path = (CustomPath){.path = {.type = T_CustomPath,
									   .pathtype = T_CustomScan,
									   .parent = joinrel,
									   .pathtarget = joinrel->reltarget},
							  .flags = CUSTOMPATH_SUPPORT_PROJECTION,
							  .custom_paths = list_make1(outer_path),
							  .methods = &path_methods};
	set_costs(root, join, joinrel, outer_path);
	add_path(joinrel, &join->path.path);
}

/* Return true if a join can be replaced, as far as its type and its relations tell. */
static bool
is_supported(const PlannerInfo *root, const RelOptInfo *joinrel, const RelOptInfo *inner,
			 JoinType jointype, const JoinPathExtraData *extra)
{
	return pushdown_enabled && inner->reloptkind == RELOPT_BASEREL &&
		   inner->rtekind == RTE_FUNCTION && inner->fdw_private != NULL &&
		   inner->lateral_relids == NULL && joinrel->lateral_relids == NULL &&
		   root->rowMarks == NIL &&
		   (jointype == JOIN_INNER || jointype == JOIN_LEFT || jointype == JOIN_SEMI ||
			jointype == JOIN_ANTI || jointype == JOIN_UNIQUE_OUTER) &&
		   needs_only_columns(inner) && are_supported(extra->restrictlist) &&
		   are_supported(inner->baserestrictinfo);
}

/* Consider a join, as PostgreSQL does for each pair of relations; the hook. */
static void
consider_join(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer, RelOptInfo *inner,
			  JoinType jointype, JoinPathExtraData *extra)
{
	if (is_supported(root, joinrel, inner, jointype, extra))
		add_join_path(root, joinrel, outer, inner, jointype, extra);
	if (previous_hook != NULL)
		previous_hook(root, joinrel, outer, inner, jointype, extra);
}

/* What maps expressions to columns of the scan's row */
typedef struct ColumnMap
{
	List *outer; /* the target list of the outer plan */
	Index inner; /* the inner relation */
} ColumnMap;

/* Return the number of the outer plan's column that an expression is, 0 if it is none. */
static AttrNumber
find_outer_column(const ColumnMap *map, Node *node)
{
	ListCell *cell;

	foreach (cell, map->outer)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var         *var = (Var *) node;
		Var         *column = (Var *) entry->expr;

		if (IsA(node, Var) && IsA(column, Var)
				? var->varno == column->varno && var->varattno == column->varattno
				: equal(node, column))
			return entry->resno;
	}
	return 0;
}

/* Replace the columns of both sides by those of the scan's row; an expression_tree_mutator. */
static Node *
map_columns(Node *node, void *context)
{
	const ColumnMap *map = context;
	AttrNumber       column;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && (Index) ((Var *) node)->varno == map->inner)
		column = (AttrNumber) (list_length(map->outer) + ((Var *) node)->varattno);
	else if (IsA(node, Var) || IsA(node, PlaceHolderVar))
		column = find_outer_column(map, node);
	else
		return expression_tree_mutator(node, map_columns, context);

	if (column == 0 && IsA(node, PlaceHolderVar))
		return map_columns((Node *) ((PlaceHolderVar *) node)->phexpr, context);
	if (column == 0)
		elog(ERROR, "variable not found in the outer plan of a join");
	return (Node *) makeVar(INDEX_VAR, column, exprType(node), exprTypmod(node),
							exprCollation(node), 0);
}

/* Return a Var for a column of the inner relation, as it is seen above the join. */
static Var *
make_inner_var(const SearchJoinPath *join, const RelOptInfo *joinrel, AttrNumber number,
			   const FormData_pg_attribute *attribute)
{
	ListCell *cell;

	foreach (cell, joinrel->reltarget->exprs)
	{
		Var *var = lfirst(cell);

		if (IsA(var, Var) && (Index) var->varno == join->search_rel->relid &&
			var->varattno == number)
			return copyObject(var);
	}
	return makeVar((int) join->search_rel->relid, number, attribute->atttypid, attribute->atttypmod,
				   attribute->attcollation, 0);
}

/* Return the target list of the scan's row: the columns of the outer plan, then of the function. */
static List *
make_scan_tlist(const SearchJoinPath *join, const RelOptInfo *joinrel, const Plan *outer)
{
	List     *tlist = NIL;
	TupleDesc columns = get_expr_result_tupdesc((Node *) join->search_rel->call, false);
	ListCell *cell;

	foreach (cell, outer->targetlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);

		tlist = lappend(tlist, makeTargetEntry(copyObject(entry->expr), entry->resno, NULL, false));
	}
	for (int i = 0; i < columns->natts; i++)
	{
		Var *var = make_inner_var(join, joinrel, (AttrNumber) (i + 1), TupleDescAttr(columns, i));

		tlist = lappend(tlist, makeTargetEntry((Expr *) var, (AttrNumber) (list_length(tlist) + 1),
											   NULL, false));
	}
	return tlist;
}

/* Record that the plan depends on a function; a check_function_callback. */
static bool
record_function(Oid function, void *root)
{
	record_plan_function_dependency(root, function);
	return false;
}

/* Record that the plan depends on the functions of expressions that the planner does not see. */
static bool
record_functions(Node *node, void *root)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, record_function, root);
	return expression_tree_walker(node, record_functions, root);
}

/* Make the plan of a path; its PlanCustomPath. */
static Plan *
plan_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	SearchJoinPath *join = (SearchJoinPath *) path;
	Plan           *outer = linitial(custom_plans);
	CustomScan     *scan = makeNode(CustomScan);
	ColumnMap       map = {.outer = outer->targetlist, .inner = join->search_rel->relid};
	List           *join_clauses;
	List           *other_clauses = NIL;
	Node           *expressions;
	int             narguments = list_length(join->call->args) - 3;

	if (IS_OUTER_JOIN(join->jointype))
		extract_actual_join_clauses(join->clauses, join->relids, &join_clauses, &other_clauses);
	else
		join_clauses = extract_actual_clauses(join->clauses, false);
	join_clauses =
		list_concat(join_clauses, extract_actual_clauses(join->inner->baserestrictinfo, false));
	expressions = map_columns((Node *) lcons(value_of(&join->qual), join_clauses), &map);
	fix_opfuncids(expressions);
	(void) record_functions(expressions, root);

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = list_concat(clauses, other_clauses);
	scan->scan.plan.lefttree = outer;
	scan->flags = path->flags;
	scan->custom_scan_tlist = make_scan_tlist(join, rel, outer);
	scan->custom_exprs = list_copy_head(join->call->args, narguments);
	scan->custom_private = list_make4(
		list_make4_int(join->jointype, list_length(outer->targetlist),
					   list_length(scan->custom_scan_tlist) - list_length(outer->targetlist),
					   join->reads_all),
		list_make1_oid(join->call->funcid), makeString(pstrdup(join->qual.attribute->name)),
		expressions);
	scan->methods = &join->search_rel->entity->join_methods;
	return &scan->scan.plan;
}

SearchJoinPlan
search_join_plan(const CustomScan *scan)
{
	List *integers = linitial(scan->custom_private);
	List *expressions = lfourth(scan->custom_private);

	return (SearchJoinPlan){.jointype = linitial_int(integers),
							.nouter = lsecond_int(integers),
							.ninner = lthird_int(integers),
							.reads_all = lfourth_int(integers) != 0,
							.function = linitial_oid(lsecond(scan->custom_private)),
							.attribute = strVal(lthird(scan->custom_private)),
							.arguments = scan->custom_exprs,
							.key = linitial(expressions),
							.clauses = list_copy_tail(expressions, 1)};
}

void
search_join_init(void)
{
	previous_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = consider_join;
}
