/*
 * srf.c
 *		What the calls of all SQL functions have in common.
 */
#include "postgres.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "fetch/srf.h"
#include "aws/json.h"

bool srf_offline;

/* What a function's definition calls an argument. */
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

CognitoServer *
srf_open(const char *server_name, PoolKind pool)
{
	if (!srf_offline)
		return server_open(server_name, pool);

	ereport(WARNING,
			(errmsg("no rows from server \"%s\" while cognito_srf.offline is on", server_name),
			 errhint("Materialized views are filled by REFRESH MATERIALIZED VIEW, once "
					 "it is off.")));
	return NULL;
}

/*
 * Opens the server of a call, or returns NULL as srf_open does.  The arguments
 * become the last of the operation's parameters; one that they leave out is the
 * id of the server's pool.
 */
static CognitoServer *
open_with_parameters(FunctionCallInfo fcinfo, const AwsOperation *operation, StringInfo parameters)
{
	int            narguments = PG_NARGS() - 1;
	int            nparameters = 0;
	char          *name = srf_text_arg(fcinfo, 0);
	CognitoServer *server;
	bool           own_pool;

	while (nparameters < (int) lengthof(operation->parameters) &&
		   operation->parameters[nparameters] != NULL)
		nparameters++;
	own_pool = nparameters > narguments;

	initStringInfo(parameters);
	for (int i = 1; i <= narguments; i++)
		json_append_string(parameters, operation->parameters[nparameters - narguments + i - 1],
						   srf_text_arg(fcinfo, i));
	server = srf_open(name, own_pool ? operation->pool : POOL_NONE);
	if (server != NULL && own_pool)
		json_append_string(parameters, operation->parameters[0],
						   server_pool_id(server, operation->pool));
	return server;
}

Datum
srf_list(FunctionCallInfo fcinfo, const Listing *listing)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	StringInfoData parameters;
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server = open_with_parameters(fcinfo, &listing->operation, &parameters);
	if (server != NULL)
	{
		ListingPart all = {.parameters = parameters.data};

		listing_fetch(listing, server, list_make1(&all), LISTING_ALL, result->setResult,
					  result->setDesc);
		server_close(server);
	}
	return (Datum) 0;
}

Datum
srf_describe(FunctionCallInfo fcinfo, const Description *description)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	StringInfoData parameters;
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server = open_with_parameters(fcinfo, &description->operation, &parameters);
	if (server != NULL)
	{
		description_fetch(description, server, parameters.data, result->setResult, result->setDesc);
		server_close(server);
	}
	return (Datum) 0;
}

Datum
srf_write(FunctionCallInfo fcinfo, const AwsOperation *operation)
{
	StringInfoData parameters;
	CognitoServer *server;

	PreventCommandIfReadOnly(get_func_name(fcinfo->flinfo->fn_oid));
	if (srf_offline)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot write to Cognito while cognito_srf.offline is on")));

	server = open_with_parameters(fcinfo, operation, &parameters);
	aws_check_reply(aws_perform(server, operation, parameters.data));
	server_close(server);
	PG_RETURN_VOID();
}
