/*
 * matching.c
 *		The users of a pool that match a search, from as few requests as can be.
 *
 * Each value of the search has a listing of its own, with a filter.  Where
 * filters cannot find the users, or when the same query has sent so many of
 * them (a subquery that is executed for each row of something else) that the
 * whole pool would have cost no more, the pool is listed once, and kept until
 * the query ends.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "call.h"
#include "search.h"
#include "users.h"

/* How many requests a pool of unknown size is taken to need: those of 60,000 users. */
#define UNKNOWN_PAGES 1000

/* What the calls of one place in a query share. */
typedef struct Calls
{
	char            *server_name; /* of the last call; NULL before the first */
	int64            requests;    /* with filters so far, at least */
	Tuplestorestate *pool;        /* the whole pool, once it has been listed */
} Calls;

/* A value of a search, as the argument of a part of the listing. */
typedef struct SearchedValue
{
	const Search *search;
	int           number;
} SearchedValue;

PG_FUNCTION_INFO_V1(cognito_users_matching);

/* Forgets all calls; also the callback of the query's end. */
static void
forget_calls(Datum arg)
{
	Calls *calls = (Calls *) DatumGetPointer(arg);

	if (calls->pool != NULL)
		tuplestore_end(calls->pool);
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

/* Does a user belong to the part of one value? */
static bool
belongs(const cJSON *user, const void *arg)
{
	const SearchedValue *searched = arg;
	const char          *value = users_searched(user, searched->search->attribute);

	return value != NULL && search_find(searched->search, value) == searched->number;
}

/* Lists the users part by part, a filter each. */
static void
list_parts(const CognitoServer *server, const Search *search, ReturnSetInfo *result)
{
	List *parts = NIL;

	for (int i = 0; i < search->nvalues; i++)
	{
		SearchedValue *value = palloc(sizeof(SearchedValue));
		ListingPart   *part = users_part(server, search_filter(search, i));

		*value = (SearchedValue){.search = search, .number = i};
		part->belongs = belongs;
		part->arg = value;
		parts = lappend(parts, part);
	}
	listing_fetch(&users_listing, server, parts, LISTING_ALL, result->setResult, result->setDesc);
}

/* Lists the whole pool, to be kept. */
static void
keep_pool(Calls *calls, FunctionCallInfo fcinfo, const CognitoServer *server)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext  caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

	calls->pool = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(caller);
	users_list_pool(server, calls->pool, result->setDesc);
}

/* Appends the users of the kept pool that match. */
static void
search_pool(const Calls *calls, const Search *search, ReturnSetInfo *result)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple);
	MemoryContext   user =
		AllocSetContextCreate(CurrentMemoryContext, "cognito user", ALLOCSET_SMALL_SIZES);

	tuplestore_rescan(calls->pool);
	while (tuplestore_gettupleslot(calls->pool, true, false, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(user);
		const char   *value;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		value = users_searched_in_row(slot->tts_values, slot->tts_isnull, search->attribute);
		if (value != NULL && search_find(search, value) >= 0)
			tuplestore_puttupleslot(result->setResult, slot);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(user);
	}
	MemoryContextDelete(user);
	ExecDropSingleTupleTableSlot(slot);
}

/* Are filters the way to find the users, and worth their requests? */
static bool
filters_pay(const Calls *calls, const CognitoServer *server, const Search *search)
{
	int64 users = server->session->pool_users;
	int64 pages = users >= 0 ? Max(users - 1, 0) / LISTING_PAGE_SIZE + 1 : UNKNOWN_PAGES;

	if (search->nvalues == 0)
		return true;
	return server->pushdown && search_has_filters(search) &&
		   calls->requests + search->nvalues <= pages;
}

/* Sends what requests it takes, and appends the users that match. */
static void
find_users(FunctionCallInfo fcinfo, Calls *calls, const Search *search)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CognitoServer *server = call_open(calls->server_name, SERVER_USER_POOL);

	if (server == NULL)
		return;
	if (filters_pay(calls, server, search))
	{
		list_parts(server, search, result);
		calls->requests +=
			search->nvalues + tuplestore_tuple_count(result->setResult) / LISTING_PAGE_SIZE;
	}
	else
		keep_pool(calls, fcinfo, server);
	server_close(server);
}

/* cognito_users(server_name, attribute, operator, values) */
Datum
cognito_users_matching(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Calls         *calls;
	Search        *search;

	InitMaterializedSRF(fcinfo, 0);
	search = search_make(call_text(fcinfo, 1), call_text(fcinfo, 2),
						 PG_ARGISNULL(3) ? NULL : PG_GETARG_ARRAYTYPE_P(3));
	calls = find_calls(fcinfo, call_text(fcinfo, 0));
	if (calls->pool == NULL)
		find_users(fcinfo, calls, search);
	if (calls->pool != NULL)
		search_pool(calls, search, result);
	return (Datum) 0;
}
