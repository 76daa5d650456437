/*
 * search_exec.c
 *		Execution of searches, with as few requests as possible.
 *
 * A filtered listing is requested for each value of the search.  Where Cognito
 * cannot filter, or where a query has already received as many pages by filters as
 * a full listing has (a correlated subquery is executed for each outer row), all
 * rows are listed once and kept until the query ends.
 *
 * How many pages that are is known if the session has listed all rows before.  Otherwise
 * it is found out as soon as there are enough requests for it to matter.  A sample estimates it,
 * beside the first of them, if several are sent at a time.  An entity without a sample is listed
 * in steps between filtered listings, with no more pages than these have: so the requests are
 * at most twice those of the better choice, which is what a wrong guess costs.  A sample costs
 * a query that needs only a few users of a large pool much less.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "clock.h"
#include "fetch/srf.h"
#include "planner/kept_rows.h"
#include "planner/search_exec.h"

/*
 * Pages of filtered listings before the number of all pages is found out, if it is unknown; also
 * the least pages of a step of a listing, so that they can be requested concurrently.
 */
#define FIRST_PAGES 16

/* Milliseconds between two steps of a listing, at most; the token of a page is valid for an hour. */
#define MAX_PAUSE (30 * 60 * 1000)

/* All rows, listed in steps while filtered listings go on. */
typedef struct PartialListing
{
	MemoryContext    context; /* of this, and of all that it keeps */
	SearchListing    listing;
	Tuplestorestate *rows; /* so far */
	double           time; /* of the last step, as of clock_now */
} PartialListing;

/* State of one function call node of a query, kept in fn_extra across executions. */
typedef struct SearchState
{
	char           *server_name;  /* of the last execution; NULL before the first */
	char           *user_pool_id; /* likewise; NULL for the server's own */
	int64           requests;     /* of filtered listings so far, without retries */
	int64           values_left;  /* that can be requested before all rows are listed */
	PartialListing *partial;      /* NULL if no listing has begun, or if it has ended */
	KeptRows       *all;          /* all rows, once they have been listed; else NULL */
} SearchState;

/* Free a partial listing. */
static void
free_partial(SearchState *state)
{
	if (state->partial == NULL)
		return;
	tuplestore_end(state->partial->rows);
	MemoryContextDelete(state->partial->context);
	state->partial = NULL;
}

/* Free and reset the state; also the callback for the end of the query. */
static void
reset_search_state(Datum arg)
{
	SearchState *state = (SearchState *) DatumGetPointer(arg);

	free_partial(state);
	if (state->all != NULL)
		kept_rows_free(state->all);
	if (state->server_name != NULL)
		pfree(state->server_name);
	if (state->user_pool_id != NULL)
		pfree(state->user_pool_id);
	memset(state, 0, sizeof(SearchState));
}

/* Return true if two strings are equal, or both NULL. */
static bool
is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/*
 * Return the state, reset if the pool is another one than before.  A rescan ends
 * the caller's expression context, so the callback is registered with a new one,
 * which lives until the query ends.
 */
static SearchState *
get_search_state(FunctionCallInfo fcinfo, const char *server_name, const char *user_pool_id)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SearchState   *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SearchState));
		RegisterExprContextCallback(CreateExprContext(result->econtext->ecxt_estate),
									reset_search_state, PointerGetDatum(state));
		fcinfo->flinfo->fn_extra = state;
	}
	if (!is_same(state->server_name, server_name) || !is_same(state->user_pool_id, user_pool_id))
	{
		reset_search_state(PointerGetDatum(state));
		state->server_name = MemoryContextStrdup(fcinfo->flinfo->fn_mcxt, server_name);
		if (user_pool_id != NULL)
			state->user_pool_id = MemoryContextStrdup(fcinfo->flinfo->fn_mcxt, user_pool_id);
	}
	return state;
}

/* Begin a listing, in steps, that lives until the query ends. */
static void
begin_partial(SearchState *state, FunctionCallInfo fcinfo, const CognitoServer *server)
{
	MemoryContext context = AllocSetContextCreate(
		fcinfo->flinfo->fn_mcxt, "cognito partial listing", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	state->partial = palloc0(sizeof(PartialListing));
	state->partial->context = context;
	state->partial->listing.user_pool_id = pstrdup(server->user_pool_id);
	state->partial->rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(caller);
}

/*
 * Free a listing that cannot continue: the cursor of the query may have been left alone for so
 * long that tokens have expired, or the server may have got another user pool meanwhile.
 */
static void
check_partial(SearchState *state, const CognitoServer *server)
{
	const PartialListing *partial = state->partial;

	if (partial != NULL && (clock_now() - partial->time > MAX_PAUSE ||
							strcmp(partial->listing.user_pool_id, server->user_pool_id) != 0))
		free_partial(state);
}

/*
 * List rows, until all have been listed, or max_pages pages more have been requested.  Return true
 * if all have, and keep them in the state.
 */
static bool
list_pages(SearchState *state, FunctionCallInfo fcinfo, const CognitoServer *server,
		   const Search *search, int64 max_pages)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext  caller;
	bool           is_complete;

	if (state->partial == NULL)
		begin_partial(state, fcinfo, server);
	caller = MemoryContextSwitchTo(state->partial->context);
	state->partial->listing.max_pages = max_pages;
	is_complete = search_list_pages(search->entity, server, &state->partial->listing,
									state->partial->rows, result->setDesc);
	MemoryContextSwitchTo(caller);
	state->partial->time = clock_now();
	if (!is_complete)
		return false;

	MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	state->all = kept_rows_create(state->partial->rows, result->setDesc, search->attribute);
	MemoryContextSwitchTo(caller);
	state->values_left = 0;
	free_partial(state);
	return true;
}

/*
 * Return true if most rows match and are wanted.  A full listing then is faster, because
 * its parts are requested concurrently, while the pages of one filter follow one another.
 */
static bool
wants_most_rows(const Search *search)
{
	return search->max_rows == LISTING_ALL && search->attribute->common_value != NULL &&
		   search_find(search, search->attribute->common_value) >= 0;
}

/* Return what the session knows of the size of the pool. */
static SessionExtent
get_extent(const CognitoServer *server, const SearchEntity *entity)
{
	return session_extent(server->session->serverid, server->user_pool_id, entity->listing);
}

/*
 * Return how many pages filtered listings may have before all rows are listed, or, if the
 * size of the pool is unknown, before it is estimated.
 */
static int64
max_filtered_pages(SessionExtent extent)
{
	return extent.pages > 0 ? extent.pages : Max(extent.min_pages, FIRST_PAGES);
}

/*
 * Add a sample to a search if the size of the pool is unknown and matters: before the requests
 * that are sent could be more than twice those of the better choice.  For the values of one
 * search, it is enough to know whether all rows have half as many pages.  Samples grow with
 * the requests, so that all of them have few pages.
 */
static void
add_sample(const SearchState *state, Search *search, SessionExtent extent)
{
	int64 half = search_requests(search) / 2;
	int64 want_pages = state->requests + Max(state->requests, half);

	if (search->entity->sample_divisor > 0 && extent.pages == 0 &&
		state->requests + half + want_pages / search->entity->sample_divisor >
			max_filtered_pages(extent))
		search_add_sample(search, state->requests, want_pages, extent);
}

/*
 * Make the filters of a search; return false if it is better to list all rows.  If it is known
 * how many there are, that is decided before the first request, however many values there are.
 */
static bool
should_filter(const SearchState *state, const CognitoServer *server, Search *search)
{
	SessionExtent extent = get_extent(server, search->entity);

	if (!server->pushdown || (server->max_concurrent_requests > 1 && wants_most_rows(search)) ||
		!search_make_filters(search) || !search_is_small(search, state->requests, extent))
		return false;
	add_sample(state, search, extent);
	return true;
}

/* Return how many requests the session has sent; unlike pages, they include those for missing groups. */
static int64
count_requests(const CognitoServer *server)
{
	return server->session->requests - server->session->retries;
}

/*
 * Append the rows that match, and record what a sample has shown; return false if that is that
 * it is better to list all rows, with no row appended.
 */
static bool
fetch_found(SearchState *state, FunctionCallInfo fcinfo, const CognitoServer *server,
			const Search *search)
{
	const SearchEntity *entity = search->entity;
	ReturnSetInfo      *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64               before = state->requests;
	int64               sent = count_requests(server);
	SessionExtent       extent;

	entity->list_found(server, search, result->setResult, result->setDesc);
	state->requests += count_requests(server) - sent;
	if (search->sample != NULL)
		session_set_extent(server->session->serverid, server->user_pool_id, entity->listing,
						   search->sample->extent);
	extent = get_extent(server, entity);
	state->values_left =
		(max_filtered_pages(extent) - state->requests) / (1 + search->attribute->extra_requests);
	if (search->sample == NULL || search_is_small(search, before, extent))
		return true;
	tuplestore_clear(result->setResult);
	return false;
}

/*
 * List the next pages of an entity without a sample, before a search of a pool whose size is
 * unknown: as many as filtered listings have had, and those of the search will have, but the
 * first ones.  A new listing can have twice the pages of one that another query has given up, so
 * that queries with more and more values seldom begin one.  Return true if all rows have been
 * listed.
 */
static bool
list_beside(SearchState *state, FunctionCallInfo fcinfo, const CognitoServer *server,
			const Search *search)
{
	SessionExtent extent = get_extent(server, search->entity);
	int64         max_pages = state->requests + search_requests(search) - FIRST_PAGES;
	int64         listed = 0;
	int64         least = 2 * extent.min_pages;

	if (state->partial != NULL)
	{
		listed = state->partial->listing.npages;
		least = extent.min_pages;
	}
	if (search->entity->sample_divisor > 0 || extent.pages > 0 ||
		max_pages < Max(least, listed + FIRST_PAGES))
		return false;
	return list_pages(state, fcinfo, server, search, max_pages - listed);
}

/* Fetch from Cognito: append the rows that match, or keep all rows in the state. */
static void
fetch_rows(FunctionCallInfo fcinfo, SearchState *state, Search *search)
{
	CognitoServer *server = srf_open(state->server_name, POOL_USER, state->user_pool_id, false);

	if (server == NULL)
		return;
	check_partial(state, server);
	if (search->nvalues > 0 && search->max_rows > 0 &&
		(!should_filter(state, server, search) || !(list_beside(state, fcinfo, server, search) ||
													fetch_found(state, fcinfo, server, search))))
		(void) list_pages(state, fcinfo, server, search, LISTING_ALL);
	server_close(server);
}

Datum
search_execute(FunctionCallInfo fcinfo, const SearchEntity *entity,
			   const SearchArguments *arguments)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char          *op = arguments->op > 0 ? srf_text_arg(fcinfo, arguments->op) : SEARCH_EQUALS;
	ArrayType     *values = NULL;
	Search        *search;
	SearchState   *state;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(arguments->values))
		values = PG_GETARG_ARRAYTYPE_P(arguments->values);
	search = search_make(entity, srf_text_arg(fcinfo, arguments->attribute), op, values);
	search->max_rows = srf_max_rows_arg(fcinfo, arguments->max_rows);
	state = get_search_state(fcinfo, srf_text_arg(fcinfo, 0),
							 srf_pool_arg(fcinfo, arguments->user_pool_id));
	if (state->all == NULL)
		fetch_rows(fcinfo, state, search);
	if (state->all != NULL)
		kept_rows_search(state->all, search, result->setResult);
	return (Datum) 0;
}

int64
search_values_left(const FmgrInfo *function)
{
	const SearchState *state = function->fn_extra;

	return state != NULL && state->values_left > 0 ? state->values_left : PG_INT64_MAX;
}

bool
search_has_listed(const FmgrInfo *function)
{
	const SearchState *state = function->fn_extra;

	return state != NULL && state->all != NULL;
}
