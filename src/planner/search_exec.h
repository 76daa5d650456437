/*
 * search_exec.h
 *		Execution of searches, with as few requests as possible.
 */
#ifndef COGNITO_PLANNER_SEARCH_EXEC_H
#define COGNITO_PLANNER_SEARCH_EXEC_H

#include "postgres.h"

#include "fmgr.h"

#include "planner/search.h"

/* The numbers of the arguments of an overload, from 0; 0, the server's, for none. */
typedef struct SearchArguments
{
	int user_pool_id;
	int max_rows;
	int attribute;
	int op; /* if there is none, values are compared for equality */
	int values;
} SearchArguments;

/* Execute a call of an SQL function with these arguments. */
extern Datum search_execute(FunctionCallInfo fcinfo, const SearchEntity *entity,
							const SearchArguments *arguments);

/*
 * Return how many values calls of a function can still search for before it lists all rows;
 * PG_INT64_MAX if it has not been called, or has listed them, or will for any value.
 */
extern int64 search_values_left(const FmgrInfo *function);

/* Return true if a function's last call listed all rows, or found them in an earlier listing. */
extern bool search_has_listed(const FmgrInfo *function);

#endif
