/*
 * search_exec.h
 *		Execution of searches, with as few requests as possible.
 */
#ifndef COGNITO_PLANNER_SEARCH_EXEC_H
#define COGNITO_PLANNER_SEARCH_EXEC_H

#include "postgres.h"

#include "fmgr.h"

#include "planner/search.h"

/*
 * Execute a call of an SQL function with the arguments server_name, attribute,
 * operator and "values"; an overload without an operator searches for equal values.
 */
extern Datum search_execute(FunctionCallInfo fcinfo, const SearchEntity *entity);

#endif
