/*
 * search_exec.h
 *		The rows of an entity that match a search, from as few requests as can be.
 */
#ifndef COGNITO_PLANNER_SEARCH_EXEC_H
#define COGNITO_PLANNER_SEARCH_EXEC_H

#include "postgres.h"

#include "fmgr.h"

#include "planner/search.h"

/*
 * A whole call of the SQL function that takes the server's name, an attribute,
 * an operator if the entity has_operator, and a text[] of values.
 */
extern Datum search_execute(FunctionCallInfo fcinfo, const SearchEntity *entity);

#endif
