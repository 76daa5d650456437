/*
 * estimate.h
 *		What the planner is told of the calls that return an entity's rows.
 */
#ifndef COGNITO_PLANNER_ESTIMATE_H
#define COGNITO_PLANNER_ESTIMATE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pathnodes.h"

#include "planner/search.h"

/*
 * The planner support function of an entity's SQL functions: rows and costs.
 * That the planner asks it at all loads the library, and with it the hook of
 * pushdown.h, before paths are made.
 */
extern Datum estimate_support(FunctionCallInfo fcinfo, const SearchEntity *entity);

/* The server of a call, as far as it can be told now, or NULL. */
extern char *estimate_server_name(PlannerInfo *root, const FuncExpr *call);

#endif
