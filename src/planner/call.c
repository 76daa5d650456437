/*
 * call.c
 *		Calls of an entity's SQL functions in a query.
 *
 * Overloads take the same arguments in different places, so parameters are found by
 * their names, which cannot be changed while the function exists.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "funcapi.h"
#include "nodes/pg_list.h"
#include "utils/syscache.h"

#include "planner/call.h"

/* Return the names of a function's parameters; NULL if it has none, or has been dropped. */
static char **
parameter_names(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid      *types;
	char    **names = NULL;
	char     *modes;

	if (HeapTupleIsValid(tuple))
	{
		(void) get_func_arg_info(tuple, &types, &names, &modes);
		ReleaseSysCache(tuple);
	}
	return names;
}

Node *
call_argument(const FuncExpr *call, const char *name)
{
	char    **names = parameter_names(call->funcid);
	ListCell *cell;

	foreach (cell, call->args)
		if (names != NULL && strcmp(names[foreach_current_index(cell)], name) == 0)
			return lfirst(cell);
	return NULL;
}

bool
call_is_full_listing(const FuncExpr *call)
{
	char    **names = parameter_names(call->funcid);
	ListCell *cell;

	foreach (cell, call->args)
	{
		const char  *name = names != NULL ? names[foreach_current_index(cell)] : "";
		const Const *constant = lfirst(cell);

		if (strcmp(name, "server_name") == 0 || strcmp(name, "user_pool_id") == 0)
			continue;
		if ((strcmp(name, "filter") != 0 && strcmp(name, "max_users") != 0) ||
			!IsA(constant, Const) || !constant->constisnull)
			return false;
	}
	return true;
}
