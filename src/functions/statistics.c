/*
 * statistics.c
 *		Statistics of this session's requests to each server.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/session.h"

#define STATISTICS_COLUMNS 12

PG_FUNCTION_INFO_V1(cognito_statistics);
PG_FUNCTION_INFO_V1(cognito_statistics_reset);

/* Convert milliseconds to an interval. */
static Datum
milliseconds_to_interval(double milliseconds)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = (TimeOffset) (milliseconds * 1000.0);
	return IntervalPGetDatum(interval);
}

/* Append the row of a server. */
static void
append_statistics(const Session *session, const char *name, ReturnSetInfo *result)
{
	bool  nulls[STATISTICS_COLUMNS] = {0};
	Datum values[STATISTICS_COLUMNS] = {CStringGetTextDatum(name),
										Int64GetDatum(session->calls),
										Int64GetDatum(session->requests),
										Int64GetDatum(session->pages),
										Int64GetDatum(session->rows),
										Int64GetDatum(session->retries),
										Int64GetDatum(session->throttled),
										Int64GetDatum(session->errors),
										Int64GetDatum(session->bytes),
										Int64GetDatum(session->connections),
										milliseconds_to_interval(session->waited),
										TimestampTzGetDatum(session->last_call)};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * cognito_statistics(): return a row for each server on which the calling role has
 * USAGE.  SECURITY DEFINER functions may have used others, and the caller must not
 * learn from the statistics what they received.
 */
Datum
cognito_statistics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell      *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach (cell, session_list())
	{
		const Session *session = lfirst(cell);
		ForeignServer *server = GetForeignServerExtended(session->serverid, FSV_MISSING_OK);

		if (server != NULL && session->calls > 0 &&
			server_aclcheck(session->serverid, GetUserId()) == ACLCHECK_OK)
			append_statistics(session, server->servername, result);
	}
	return (Datum) 0;
}

/* cognito_statistics_reset(): start counting anew, for all servers. */
Datum
cognito_statistics_reset(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	session_reset_counters();
	PG_RETURN_VOID();
}
