/*
 * call.h
 *		Calls of an entity's SQL functions in a query: their arguments by name, whatever
 *		the overload.
 */
#ifndef COGNITO_PLANNER_CALL_H
#define COGNITO_PLANNER_CALL_H

#include "postgres.h"

#include "nodes/primnodes.h"

/* Return an argument of a call; NULL if the function has no parameter of that name. */
extern Node *call_argument(const FuncExpr *call, const char *name);

/*
 * Return true if a call returns all rows of a pool: it has no arguments but the server's
 * and the pool's, and NULL as filter and as limit.
 */
extern bool call_is_full_listing(const FuncExpr *call);

#endif
