/*
 * estimate.h
 *		Estimates for the planner: how many rows a call of an entity's SQL functions
 *		returns, and how many requests it sends.
 */
#ifndef COGNITO_PLANNER_ESTIMATE_H
#define COGNITO_PLANNER_ESTIMATE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pathnodes.h"

#include "planner/quals.h"

/*
 * Estimate rows and cost of an entity's SQL functions, as their planner support
 * function.  The first call in a session loads the library, which installs the hook of
 * pushdown.h before paths are made.
 */
extern Datum estimate_support(FunctionCallInfo fcinfo, const SearchEntity *entity);

/*
 * Return the cost of searching for a number of values of an attribute, which is at most
 * that of listing all rows.
 */
extern Cost estimate_search_cost(PlannerInfo *root, const SearchRel *rel,
								 const SearchAttribute *attribute, double nvalues);

/* Return a text argument, palloc'd; NULL if it is NULL, missing, or planning cannot tell it. */
extern char *estimate_text(PlannerInfo *root, const FuncExpr *call, const char *argument);

#endif
