/*
 * default_server.c
 *		The server that the views read.
 *
 * The planner must not replace the function by its result: a plan outlives a change of
 * the setting, for example in a function in SQL that is called in a loop.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "functions/default_server.h"

char *default_server_name;

PG_FUNCTION_INFO_V1(cognito_default_server);

/* cognito_default_server() */
Datum
cognito_default_server(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(
		cstring_to_text(default_server_name[0] != '\0' ? default_server_name : DEFAULT_SERVER));
}
