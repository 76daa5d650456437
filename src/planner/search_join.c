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
	RestrictInfo    *searched; /* the clause that is searched */
	PushedQual       qual;     /* of that clause */
	FuncExpr        *call;     /* of the overload that searches, for the value of one outer row */
	List            *clauses;  /* of the join; RestrictInfos */
	Relids           relids;   /* of the join */
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

/* Return true if a list of RestrictInfos has a clause that is evaluated once, before the join. */
static bool
has_pseudoconstant(List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
		if (lfirst_node(RestrictInfo, cell)->pseudoconstant)
			return true;
	return false;
}

/*
 * Return true if nothing but columns of a relation is needed of it: neither its whole row, nor
 * an expression that must be computed below the join.
 */
static bool
needs_only_columns(const RelOptInfo *rel)
{
	Bitmapset *columns = NULL;
	ListCell  *cell;

	foreach (cell, rel->reltarget->exprs)
		if (!IsA(lfirst(cell), Var))
			return false;
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	pull_varattnos((Node *) extract_actual_clauses(rel->baserestrictinfo, false), rel->relid,
				   &columns);
	return !bms_is_member(-FirstLowInvalidHeapAttributeNumber, columns);
}

/*
 * Return the most selective clause of a join that can be searched, and its qual; or NULL.
 * A clause above an outer join cannot be used: it does not decide which rows match.
 */
static RestrictInfo *
find_best_clause(const SearchRel *rel, const JoinPathExtraData *extra, JoinType jointype,
				 Relids relids, PushedQual *best_qual)
{
	RestrictInfo *best = NULL;
	ListCell     *cell;

	foreach (cell, extra->restrictlist)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		PushedQual    qual;

		if ((IS_OUTER_JOIN(jointype) && RINFO_IS_PUSHED_DOWN(restriction, relids)) ||
			!bms_is_member((int) rel->relid, restriction->clause_relids) ||
			!qual_match(rel, (Node *) restriction->clause, &qual) || value_of(&qual) == NULL)
			continue;
		if (best == NULL || qual_is_better(&qual, best_qual))
		{
			best = restriction;
			*best_qual = qual;
		}
	}
	return best;
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

/*
 * Return true if a path will be read to its end: if the query has no limit, or if its rows are
 * sorted or aggregated before the limit applies.
 */
static bool
is_read_completely(const PlannerInfo *root, const Path *path)
{
	int nsorted;

	if (root->tuple_fraction <= 0 && root->limit_tuples < 0)
		return true;
	if (root->query_pathkeys == NIL)
		return root->parse->hasAggs;
	/* An incremental sort only needs the rows of the same group. */
	(void) pathkeys_count_contained_in(root->query_pathkeys, path->pathkeys, &nsorted);
	return nsorted == 0;
}

/* Add a path, a copy of one that has all but its outer path and what follows from it. */
static void
add_path_over(PlannerInfo *root, RelOptInfo *joinrel, const SearchJoinPath *template, Path *outer)
{
	SearchJoinPath *join = palloc(sizeof(SearchJoinPath));

	*join = *template;
	join->path.custom_paths = list_make1(outer);
	join->path.path.pathkeys = build_join_pathkeys(root, joinrel, join->jointype, outer->pathkeys);
	join->reads_all = is_read_completely(root, &join->path.path);
	set_costs(root, join, joinrel, outer);
	add_path(joinrel, &join->path.path);
}

/* Add paths for a join whose inner side is an entity; they have the order of their outer paths. */
static void
add_join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer, RelOptInfo *inner,
			   JoinType jointype, const JoinPathExtraData *extra)
{
	SearchRel     *search_rel = palloc(sizeof(SearchRel));
	SearchJoinPath join = {.jointype = jointype == JOIN_UNIQUE_OUTER ? JOIN_INNER : jointype,
						   .search_rel = search_rel,
						   .inner = inner,
						   .clauses = extra->restrictlist,
						   .relids = joinrel->relids,
						   .path = {.path = {.type = T_CustomPath,
											 .pathtype = T_CustomScan,
											 .parent = joinrel,
											 .pathtarget = joinrel->reltarget},
									.flags = CUSTOMPATH_SUPPORT_PROJECTION,
									.methods = &path_methods}};
	List          *arguments;
	ListCell      *cell;

	*search_rel = *(const SearchRel *) inner->fdw_private;
	search_rel->outer = outer->relids;
	join.searched = find_best_clause(search_rel, extra, jointype, joinrel->relids, &join.qual);
	if (join.searched == NULL)
		return;
	arguments = list_concat(pushdown_pool_arguments(search_rel->call), qual_arguments(&join.qual));
	join.call = pushdown_replace_call(search_rel, search_rel->call, arguments);
	if (join.call == NULL)
		return;

	foreach (cell, outer->pathlist)
	{
		Path *path = lfirst(cell);

		if (PATH_REQ_OUTER(path) != NULL)
			continue;
		if (jointype != JOIN_UNIQUE_OUTER)
			add_path_over(root, joinrel, &join, path);
		else if (path == outer->cheapest_total_path)
			add_path_over(root, joinrel, &join,
						  (Path *) create_unique_path(root, outer, path, extra->sjinfo));
	}
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
		   needs_only_columns(inner) && !has_pseudoconstant(extra->restrictlist) &&
		   !has_pseudoconstant(inner->baserestrictinfo) &&
		   !contain_volatile_functions((Node *) ((SearchRel *) inner->fdw_private)->call->args);
}

/* Consider a join, as PostgreSQL does for each pair of relations; the hook. */
static void
consider_join(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer, RelOptInfo *inner,
			  JoinType jointype, JoinPathExtraData *extra)
{
	if (is_supported(root, joinrel, inner, jointype, extra))
		add_join_paths(root, joinrel, outer, inner, jointype, extra);
	if (previous_hook != NULL)
		previous_hook(root, joinrel, outer, inner, jointype, extra);
}

/* Return true if two nodes are the same column or placeholder, whatever outer joins null them. */
static bool
is_same_column(Node *a, Node *b)
{
	if (IsA(a, Var) && IsA(b, Var))
		return ((Var *) a)->varno == ((Var *) b)->varno &&
			   ((Var *) a)->varattno == ((Var *) b)->varattno;
	return IsA(a, PlaceHolderVar) && IsA(b, PlaceHolderVar) &&
		   ((PlaceHolderVar *) a)->phid == ((PlaceHolderVar *) b)->phid;
}

/* Return the element of a list that is the same column or placeholder as a node, or NULL. */
static Node *
find_column(List *columns, Node *node)
{
	ListCell *cell;

	foreach (cell, columns)
		if (is_same_column(lfirst(cell), node))
			return lfirst(cell);
	return NULL;
}

/* Replace columns and placeholders by those of a list; an expression_tree_mutator. */
static Node *
replace_columns(Node *node, void *columns)
{
	Node *column;

	if (node == NULL)
		return NULL;
	column = find_column(columns, node);
	return column != NULL ? copyObject(column)
						  : expression_tree_mutator(node, replace_columns, columns);
}

/*
 * Return the expressions of the scan's row: the columns of the outer plan, then of the
 * function.  As setrefs.c demands, they are nulled by the same outer joins as the columns that
 * are used above the join.
 */
static List *
list_scan_columns(const SearchJoinPath *join, const Plan *outer, List *used)
{
	List     *row = NIL;
	TupleDesc columns = get_expr_result_tupdesc((Node *) join->search_rel->call, false);
	ListCell *cell;

	foreach (cell, outer->targetlist)
		row = lappend(row, lfirst_node(TargetEntry, cell)->expr);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		row = lappend(row, makeVar((int) join->search_rel->relid, (AttrNumber) (i + 1),
								   column->atttypid, column->atttypmod, column->attcollation, 0));
	}
	foreach (cell, row)
	{
		Node *column = find_column(used, lfirst(cell));

		lfirst(cell) = copyObject(column != NULL ? column : lfirst(cell));
	}
	return row;
}

/* Return a target list of expressions. */
static List *
make_tlist(List *expressions)
{
	List     *tlist = NIL;
	ListCell *cell;

	foreach (cell, expressions)
		tlist = lappend(tlist, makeTargetEntry(lfirst(cell), (AttrNumber) (list_length(tlist) + 1),
											   NULL, false));
	return tlist;
}

/* Return the columns and placeholders of a list of expressions, and those in the placeholders. */
static List *
find_columns(List *expressions)
{
	return list_concat(pull_var_clause((Node *) expressions, PVC_INCLUDE_PLACEHOLDERS),
					   pull_var_clause((Node *) expressions, PVC_RECURSE_PLACEHOLDERS));
}

/* The clauses that are evaluated in different places. */
typedef struct JoinClauses
{
	List *outer; /* of the join, which only use the outer side */
	List *join;  /* the one that is searched, those of the inner relation, the others */
	List *above; /* of the rows of an outer join */
} JoinClauses;

/* Return the clauses of a join. */
static JoinClauses
sort_clauses(const SearchJoinPath *join)
{
	Relids      outer = join->search_rel->outer;
	JoinClauses clauses = {.join =
							   lcons(join->searched->clause,
									 extract_actual_clauses(join->inner->baserestrictinfo, false))};
	ListCell   *cell;

	foreach (cell, join->clauses)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);

		if (restriction == join->searched)
			continue;
		if (IS_OUTER_JOIN(join->jointype) && RINFO_IS_PUSHED_DOWN(restriction, join->relids))
			clauses.above = lappend(clauses.above, restriction->clause);
		else if (bms_is_subset(restriction->clause_relids, outer) &&
				 !contain_volatile_functions((Node *) restriction->clause))
			clauses.outer = lappend(clauses.outer, restriction->clause);
		else
			clauses.join = lappend(clauses.join, restriction->clause);
	}
	return clauses;
}

/* Make the plan of a path; its PlanCustomPath. */
static Plan *
plan_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	SearchJoinPath *join = (SearchJoinPath *) path;
	Plan           *outer = linitial(custom_plans);
	CustomScan     *scan = makeNode(CustomScan);
	JoinClauses     sorted = sort_clauses(join);
	/* The target list is missing if a projection replaces it. */
	List *used = find_columns(list_concat_copy(rel->reltarget->exprs, sorted.above));
	List *row = list_scan_columns(join, outer, used);
	List *expressions = list_make4(value_of(&join->qual), sorted.outer, sorted.join, join->call);
	int   nouter = list_length(outer->targetlist);

	(void) root;
	(void) clauses; /* of a base relation */
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = sorted.above;
	scan->scan.plan.lefttree = outer;
	scan->flags = path->flags;
	scan->custom_scan_tlist = make_tlist(row);
	scan->custom_exprs = (List *) replace_columns((Node *) expressions, row);
	scan->custom_private = list_make2(
		list_make4_int(join->jointype, nouter, list_length(row) - nouter, join->reads_all),
		makeString(pstrdup(join->qual.attribute->name)));
	scan->methods = &join->search_rel->entity->join_methods;
	return &scan->scan.plan;
}

SearchJoinPlan
search_join_plan(const CustomScan *scan)
{
	List *integers = linitial(scan->custom_private);

	return (SearchJoinPlan){.jointype = linitial_int(integers),
							.nouter = lsecond_int(integers),
							.ninner = lthird_int(integers),
							.reads_all = lfourth_int(integers) != 0,
							.attribute = strVal(lsecond(scan->custom_private)),
							.key = linitial(scan->custom_exprs),
							.outer_clauses = lsecond(scan->custom_exprs),
							.clauses = lthird(scan->custom_exprs),
							.call = lfourth(scan->custom_exprs)};
}

void
search_join_init(void)
{
	previous_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = consider_join;
}
