/*
 * search_exec.c
 *		The rows of an entity that match a search, from as few requests as can be.
 *
 * Cognito is asked for each value of the search.  Where it cannot be asked, or
 * when the same query has got so many pages so (a subquery that is executed for
 * each row of something else) that all rows would have cost no more, these are
 * listed once, and kept until the query ends.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "fetch/srf.h"
#include "planner/search_exec.h"

/* How many pages all rows are taken to need if that is unknown: those of 60,000 users. */
#define UNKNOWN_PAGES 1000

/* What the calls of one place in a query share. */
typedef struct Calls
{
	char            *server_name; /* of the last call; NULL before the first */
	int64            pages;       /* that were got by asking for values so far */
	Tuplestorestate *all;         /* all rows, once they have been listed */
} Calls;

/* Forgets all calls; also the callback of the query's end. */
static void
forget_calls(Datum arg)
{
	Calls *calls = (Calls *) DatumGetPointer(arg);

	if (calls->all != NULL)
		tuplestore_end(calls->all);
	if (calls->server_name != NULL)
		pfree(calls->server_name);
	memset(calls, 0, sizeof(Calls));
}

/*
 * The calls so far.  They outlive a rescan, which ends the caller's expression
 * context, so they get one of their own.
 */
static Calls *
find_calls(FunctionCallInfo fcinfo, const char *server_name)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Calls         *calls = fcinfo->flinfo->fn_extra;

	if (calls == NULL)
	{
		calls = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Calls));
		RegisterExprContextCallback(CreateExprContext(result->econtext->ecxt_estate), forget_calls,
									PointerGetDatum(calls));
		fcinfo->flinfo->fn_extra = calls;
	}
	if (calls->server_name == NULL || strcmp(calls->server_name, server_name) != 0)
	{
		forget_calls(PointerGetDatum(calls));
		calls->server_name = MemoryContextStrdup(fcinfo->flinfo->fn_mcxt, server_name);
	}
	return calls;
}

/* Lists everything, to be kept. */
static void
keep_all(Calls *calls, FunctionCallInfo fcinfo, const CognitoServer *server,
		 const Searchable *searchable)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext  caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

	calls->all = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(caller);
	search_list_all(searchable, server, calls->all, result->setDesc);
}

/* Appends the kept rows that match. */
static void
search_kept(const Calls *calls, const Search *search, ReturnSetInfo *result)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple);
	MemoryContext   row =
		AllocSetContextCreate(CurrentMemoryContext, "cognito row", ALLOCSET_SMALL_SIZES);

	tuplestore_rescan(calls->all);
	while (tuplestore_gettupleslot(calls->all, true, false, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(row);

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		if (search_find_row(search, slot->tts_values, slot->tts_isnull) >= 0)
			tuplestore_puttupleslot(result->setResult, slot);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
}

/* Do most rows match?  All of them come many pages at once, those of a value one after another. */
static bool
finds_most(const Search *search)
{
	return search->attribute->usual != NULL && search_find(search, search->attribute->usual) >= 0;
}

/* Is asking for the values the way to find the rows, and worth its requests? */
static bool
asking_pays(const Calls *calls, const CognitoServer *server, const Search *search)
{
	int64 pages = server->session->extents[search->searchable->listing].pages;

	if (!server->pushdown || !search_can_ask(search) ||
		(server->max_concurrent_requests > 1 && finds_most(search)))
		return false;
	return calls->pages + search->nvalues <= (pages > 0 ? pages : UNKNOWN_PAGES);
}

/* Asks for the values, and appends the rows that match. */
static void
ask(Calls *calls, const CognitoServer *server, const Search *search, ReturnSetInfo *result)
{
	int64 before = server->session->pages;

	search->searchable->list_found(server, search, result->setResult, result->setDesc);
	calls->pages += server->session->pages - before;
}

/* Sends what requests it takes: appends the rows that match, or keeps all. */
static void
find_rows(FunctionCallInfo fcinfo, Calls *calls, const Search *search)
{
	CognitoServer *server = call_open(calls->server_name, SERVER_USER_POOL);

	if (server == NULL)
		return;
	if (search->nvalues > 0)
	{
		if (asking_pays(calls, server, search))
			ask(calls, server, search, (ReturnSetInfo *) fcinfo->resultinfo);
		else
			keep_all(calls, fcinfo, server, search->searchable);
	}
	server_close(server);
}

Datum
matching_call(FunctionCallInfo fcinfo, const Searchable *searchable)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int            values = PG_NARGS() - 1;
	char          *op = searchable->has_operator ? call_text(fcinfo, 2) : SEARCH_EQUALS;
	Search        *search;
	Calls         *calls;

	InitMaterializedSRF(fcinfo, 0);
	search = search_make(searchable, call_text(fcinfo, 1), op,
						 PG_ARGISNULL(values) ? NULL : PG_GETARG_ARRAYTYPE_P(values));
	calls = find_calls(fcinfo, call_text(fcinfo, 0));
	if (calls->all == NULL)
		find_rows(fcinfo, calls, search);
	if (calls->all != NULL)
		search_kept(calls, search, result);
	return (Datum) 0;
}
