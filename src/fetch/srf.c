/*
 * srf.c
 *		Calls of SQL functions, from their arguments to their rows.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "credentials/credentials.h"
#include "fetch/srf.h"

bool srf_offline;

/* Return the name of a function's argument. */
static char *
argument_name(Oid function, int number)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid      *types;
	char    **names = NULL;
	char     *modes;

	if (HeapTupleIsValid(tuple))
	{
		get_func_arg_info(tuple, &types, &names, &modes);
		ReleaseSysCache(tuple);
	}
	return names != NULL ? names[number] : psprintf("$%d", number + 1);
}

void
srf_require_arg(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" of %s must not be null",
							   argument_name(fcinfo->flinfo->fn_oid, number),
							   get_func_name(fcinfo->flinfo->fn_oid))));
}

char *
srf_text_arg(FunctionCallInfo fcinfo, int number)
{
	srf_require_arg(fcinfo, number);
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

char *
srf_pool_arg(FunctionCallInfo fcinfo, int number)
{
	return number > 0 ? srf_text_arg(fcinfo, number) : NULL;
}

int64
srf_max_rows_arg(FunctionCallInfo fcinfo, int number)
{
	int64 max_rows;

	if (number == 0 || PG_ARGISNULL(number))
		return LISTING_ALL;
	max_rows = PG_GETARG_INT64(number);
	if (max_rows < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"max_users\" must not be negative")));
	return max_rows;
}

CognitoServer *
srf_open(const char *server_name, PoolKind pool, const char *pool_id, bool writes)
{
	CognitoServer *server;

	if (!srf_offline)
	{
		server = server_open(server_name, pool, pool_id);
		credentials_attach(server);
		return server;
	}
	if (writes)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot write to Cognito while cognito_srf.offline is on")));
	ereport(WARNING,
			(errmsg("no rows from server \"%s\" while cognito_srf.offline is on", server_name),
			 errhint("To fill materialized views, turn the setting off and use REFRESH "
					 "MATERIALIZED VIEW.")));
	return NULL;
}

/* Return how many parameters an operation has. */
static int
count_parameters(const AwsOperation *operation)
{
	int n = 0;

	while (n < AWS_MAX_PARAMETERS && operation->parameters[n] != NULL)
		n++;
	return n;
}

/*
 * Open the server of a call, or return NULL as srf_open does.  The arguments after
 * the server's name become the last of the operation's; if there are too few, the
 * first, the pool's id, is that of the server.
 */
static CognitoServer *
open_with_arguments(FunctionCallInfo fcinfo, const AwsOperation *operation, bool writes,
					const char *arguments[AWS_MAX_PARAMETERS])
{
	char          *name = srf_text_arg(fcinfo, 0);
	int            first = count_parameters(operation) - (PG_NARGS() - 1);
	CognitoServer *server;

	memset(arguments, 0, AWS_MAX_PARAMETERS * sizeof(char *));
	for (int i = 1; i < PG_NARGS(); i++)
		arguments[first + i - 1] = srf_text_arg(fcinfo, i);
	server = srf_open(name, operation->pool, arguments[0], writes);
	if (server != NULL)
		arguments[0] = server_pool_id(server, operation->pool);
	return server;
}

/* Append the rows of an operation, which a Listing or a Description describes. */
typedef void (*RowFetcher)(const void *description, const CognitoServer *server,
						   const char *const *arguments, Tuplestorestate *rows, TupleDesc columns);

/* Append the rows of a listing, a RowFetcher. */
static void
fetch_listing(const void *listing, const CognitoServer *server, const char *const *arguments,
			  Tuplestorestate *rows, TupleDesc columns)
{
	ListingPart all = {0};

	memcpy(all.arguments, arguments, sizeof(all.arguments));
	listing_fetch(listing, server, list_make1(&all), LISTING_ALL, 0, rows, columns);
}

/* Append the row of a single object, a RowFetcher. */
static void
fetch_description(const void *arg, const CognitoServer *server, const char *const *arguments,
				  Tuplestorestate *rows, TupleDesc columns)
{
	const Description *description = arg;
	MemoryContext      caller = MemoryContextSwitchTo(server->context);
	AwsRequest        *request = aws_perform(server, &description->operation, arguments);
	Row row = {.item = aws_reply(request), .request = request, .server_name = server->name};
	ErrorContextCallback context = {
		.previous = error_context_stack, .callback = row_error_context, .arg = &row};

	if (description->object != NULL)
		row.item =
			aws_reply_member(request, row.item, description->object, cJSON_IsObject, "an object");
	error_context_stack = &context;
	row_append(&row, description->make_row, rows, columns);
	error_context_stack = context.previous;
	server->session->rows++;
	MemoryContextSwitchTo(caller);
}

/* Execute a call that returns rows. */
static Datum
execute(FunctionCallInfo fcinfo, const AwsOperation *operation, RowFetcher fetch,
		const void *description)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char    *arguments[AWS_MAX_PARAMETERS];
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server = open_with_arguments(fcinfo, operation, false, arguments);
	if (server != NULL)
	{
		fetch(description, server, arguments, result->setResult, result->setDesc);
		server_close(server);
	}
	return (Datum) 0;
}

Datum
srf_list(FunctionCallInfo fcinfo, const Listing *listing)
{
	return execute(fcinfo, &listing->operation, fetch_listing, listing);
}

Datum
srf_describe(FunctionCallInfo fcinfo, const Description *description)
{
	return execute(fcinfo, &description->operation, fetch_description, description);
}

Datum
srf_write(FunctionCallInfo fcinfo, const AwsOperation *operation)
{
	const char    *arguments[AWS_MAX_PARAMETERS];
	CognitoServer *server;

	PreventCommandIfReadOnly(get_func_name(fcinfo->flinfo->fn_oid));
	server = open_with_arguments(fcinfo, operation, true, arguments);
	aws_check_reply(aws_perform(server, operation, arguments));
	server_close(server);
	PG_RETURN_VOID();
}
