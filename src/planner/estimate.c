/*
 * estimate.c
 *		Estimates for the planner: the rows and requests of a call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include <math.h>

#include "compat.h"
#include "fetch/listing.h"
#include "planner/estimate.h"
#include "server/session.h"

/* Number of rows of an entity that this session has not listed yet. */
#define UNKNOWN_ROWS 1000.0

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

/* Return an argument as a constant; NULL if it is NULL or planning cannot tell it. */
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

char *
estimate_text(PlannerInfo *root, const FuncExpr *call, int argument)
{
	const Const *constant = expected_value(root, call, argument);

	return constant != NULL ? TextDatumGetCString(constant->constvalue) : NULL;
}

/*
 * Return the number of all rows: as many as the session found when it last listed them.
 * A role without USAGE on the server must not learn that from a plan.
 */
static double
expected_of_all(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	char                *name = estimate_text(root, call, 0);
	Oid                  serverid = name != NULL ? get_foreign_server_oid(name, true) : InvalidOid;
	const SessionExtent *extent;

	if (!OidIsValid(serverid) || server_aclcheck(serverid, GetUserId()) != ACLCHECK_OK)
		return UNKNOWN_ROWS;
	extent = &session_get(serverid)->extents[entity->listing];
	return extent->pages > 0 ? (double) extent->rows : UNKNOWN_ROWS;
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

/* Return the estimate of a call with a filter and a limit. */
static Estimate
estimate_filter(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	const Const *limit = expected_value(root, call, 2);
	const Node  *filter = lsecond(call->args);
	double       rows = expected_of_all(root, call, entity);

	if (!IsA(filter, Const) || !((const Const *) filter)->constisnull)
		rows = expected_of_filter(rows, entity, estimate_text(root, call, 1));
	if (limit != NULL)
		rows = Min(rows, (double) DatumGetInt64(limit->constvalue));
	return (Estimate){.rows = rows, .requests = 1};
}

/* Return the estimate of a call with an attribute and values. */
static Estimate
estimate_values(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	char    *name = estimate_text(root, call, 1);
	char    *op = list_length(call->args) == 4 ? estimate_text(root, call, 2) : SEARCH_EQUALS;
	double   nvalues = expected_values(llast(call->args));
	Estimate estimate = {.rows = expected_of_all(root, call, entity), .requests = nvalues};

	if (name != NULL && op != NULL)
		estimate.rows = expected_of_values(estimate.rows, search_attribute(entity, name),
										   strcmp(op, SEARCH_STARTS_WITH) == 0, nvalues);
	return estimate;
}

/* Return the estimate of a call of any overload. */
static Estimate
estimate_call(PlannerInfo *root, const FuncExpr *call, const SearchEntity *entity)
{
	Estimate estimate;

	if (list_length(call->args) == 1)
		estimate = (Estimate){.rows = expected_of_all(root, call, entity)};
	else if (exprType(llast(call->args)) == INT8OID)
		estimate = estimate_filter(root, call, entity);
	else
		estimate = estimate_values(root, call, entity);
	estimate.requests = Max(estimate.requests, ceil(estimate.rows / LISTING_PAGE_SIZE));
	return estimate;
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
