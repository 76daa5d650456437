/*
 * estimate.c
 *		Estimates for the planner: the rows and requests of a call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include <math.h>

#include "compat.h"
#include "fetch/listing.h"
#include "planner/call.h"
#include "planner/estimate.h"
#include "server/server.h"

/*
 * Number of rows of an entity that this session has not listed yet, and of its pages.  Many more
 * than these rows need, because joins adapt to the pool and listings do not: what is unknown is no
 * reason to list it.
 */
#define UNKNOWN_ROWS 1000.0
#define UNKNOWN_PAGES 1000.0

/* Number of rows that match a prefix, and of values in a list of unknown length. */
#define FEW 10.0

/* Cost of a request, in units of cpu_operator_cost; COST of the SQL functions. */
#define REQUEST_COST 10000.0

/* Expected rows and requests of a call. */
typedef struct Estimate
{
	double rows;
	double requests;
} Estimate;

/* Return an argument as a constant; NULL if it is NULL, missing, or planning cannot tell it. */
static const Const *
expected_value(PlannerInfo *root, const FuncExpr *call, const char *argument)
{
	Node        *node = call_argument(call, argument);
	const Const *constant;

	if (node != NULL && root != NULL)
		node = estimate_expression_value(root, node);
	constant = (const Const *) node;
	return node != NULL && IsA(node, Const) && !constant->constisnull ? constant : NULL;
}

char *
estimate_text(PlannerInfo *root, const FuncExpr *call, const char *argument)
{
	const Const *constant = expected_value(root, call, argument);

	return constant != NULL ? TextDatumGetCString(constant->constvalue) : NULL;
}

/* Return the size of a complete listing of the pool of a call, with zero pages if it is unknown. */
static SessionExtent
expected_extent(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	char *server_name = estimate_text(root, call, "server_name");
	char *user_pool_id = estimate_text(root, call, "user_pool_id");

	if (server_name == NULL ||
		(user_pool_id == NULL && call_argument(call, "user_pool_id") != NULL))
		return (SessionExtent){0};
	return server_extent(server_name, user_pool_id, entity->listing);
}

/* Return the estimate of all rows: as many as the session found when it last listed them. */
static Estimate
expected_of_all(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	SessionExtent extent = expected_extent(root, call, entity);

	if (extent.pages == 0)
		return (Estimate){UNKNOWN_ROWS, UNKNOWN_PAGES};
	return (Estimate){(double) extent.rows, (double) extent.pages};
}

/* Return how many of all rows match one of some values; the attribute may be NULL. */
static double
expected_of_values(double all, const SearchAttribute *attribute, bool starts_with, double nvalues)
{
	if (attribute != NULL && attribute->fraction > 0)
		return all * attribute->fraction;
	if (starts_with)
		return Min(all, FEW * nvalues);
	return Min(all, (attribute != NULL ? attribute->rows_per_value : 1) * nvalues);
}

/* Return how many of all rows match a filter that a user has written, NULL if it is unknown. */
static double
expected_of_filter(double all, const SearchEntity *entity, const char *filter)
{
	char *name;

	if (filter == NULL)
		return Min(all, FEW);
	if (filter[0] == '\0')
		return all;
	name = pnstrdup(filter, strcspn(filter, " ^="));
	return expected_of_values(all, search_attribute(entity, name),
							  filter[strcspn(filter, "^=")] == '^', 1);
}

/* Return the length of a list of values. */
static double
expected_values(Node *values)
{
	if (IsA(values, Const) && !((Const *) values)->constisnull)
	{
		ArrayType *array = DatumGetArrayTypeP(((Const *) values)->constvalue);

		return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	}
	if (IsA(values, ArrayExpr))
		return list_length(((ArrayExpr *) values)->elements);
	return FEW;
}

/* Return the estimate of a call with a filter, which may be NULL, or with none. */
static Estimate
estimate_filter(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	const Node *filter = call_argument(call, "filter");
	Estimate    all = expected_of_all(root, call, entity);
	char       *text;

	if (filter == NULL || (IsA(filter, Const) && ((const Const *) filter)->constisnull))
		return all;
	text = estimate_text(root, call, "filter");
	return (Estimate){.rows = expected_of_filter(all.rows, entity, text), .requests = 1};
}

/* Return the requests of a search for some values that have so many rows, but at most of all. */
static double
expected_requests(Estimate all, const SearchAttribute *attribute, double nvalues, double rows)
{
	double requests = nvalues * (1 + attribute->extra_requests) + floor(rows / LISTING_PAGE_SIZE);

	return Min(Max(requests, attribute->fraction * all.requests), all.requests);
}

/* Return the estimate of a call with an attribute and so many values. */
static Estimate
estimate_values(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity, double nvalues)
{
	char                  *name = estimate_text(root, call, "attribute");
	char                  *op = estimate_text(root, call, "operator");
	Estimate               all = expected_of_all(root, call, entity);
	Estimate               estimate = {.rows = all.rows, .requests = nvalues};
	const SearchAttribute *attribute = name != NULL ? search_attribute(entity, name) : NULL;

	if (name != NULL)
		estimate.rows = expected_of_values(
			all.rows, attribute, op != NULL && strcmp(op, SEARCH_STARTS_WITH) == 0, nvalues);
	if (attribute != NULL)
		estimate.requests = expected_requests(all, attribute, nvalues, estimate.rows);
	return estimate;
}

/* Return the estimate of a call of any overload. */
static Estimate
estimate_call(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	const Const *limit = expected_value(root, call, "max_users");
	Node        *values = call_argument(call, "values");
	double       nvalues = values != NULL ? expected_values(values) : 0;
	Estimate     estimate;

	if (values != NULL)
		estimate = estimate_values(root, call, entity, nvalues);
	else
		estimate = estimate_filter(root, call, entity);
	if (limit != NULL && estimate.rows > (double) DatumGetInt64(limit->constvalue))
	{
		estimate.rows = (double) DatumGetInt64(limit->constvalue);
		estimate.requests =
			Min(estimate.requests, nvalues + floor(estimate.rows / LISTING_PAGE_SIZE));
	}
	estimate.requests = Max(estimate.requests, ceil(estimate.rows / LISTING_PAGE_SIZE));
	return estimate;
}

Cost
estimate_search_cost(PlannerInfo *root, const SearchRel *rel, const SearchAttribute *attribute,
					 double nvalues)
{
	Estimate all = expected_of_all(root, rel->call, rel->entity);
	double   rows = expected_of_values(all.rows, attribute, false, nvalues);
	double   requests = expected_requests(all, attribute, nvalues, rows);

	return requests * REQUEST_COST * cpu_operator_cost + rows * cpu_tuple_cost;
}

Datum
estimate_support(FunctionCallInfo fcinfo, const SearchEntity *entity)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;

		if (!is_funcclause(rows->node))
			PG_RETURN_POINTER(NULL);
		rows->rows = estimate_call(rows->root, (FuncExpr *) rows->node, entity).rows;
		PG_RETURN_POINTER(rows);
	}

	if (IsA(request, SupportRequestCost))
	{
		SupportRequestCost *cost = (SupportRequestCost *) request;

		if (cost->node == NULL || !is_funcclause(cost->node))
			PG_RETURN_POINTER(NULL);
		cost->startup = 0;
		cost->per_tuple = estimate_call(cost->root, (FuncExpr *) cost->node, entity).requests *
						  REQUEST_COST * cpu_operator_cost;
		PG_RETURN_POINTER(cost);
	}

	PG_RETURN_POINTER(NULL);
}
