/*
 * listing.c
 *		A whole listing, page after page, into a tuplestore.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "clock.h"
#include "aws/json.h"
#include "fetch/listing.h"
#include "server/session.h"

/* What a page of users usually takes in memory, in bytes; kept from page to page. */
#define PAGE_BLOCK (1024 * 1024)

/* A part that is being listed; its request is kept for the next part. */
typedef struct ActivePart
{
	const ListingPart *part;
	char              *token; /* what the last page was asked for with; NULL for the first */
	int64              asked; /* its number among the pages asked for */
} ActivePart;

typedef struct ListingState
{
	const Listing       *listing;
	const CognitoServer *server;
	List                *parts;     /* that are still to be begun */
	int64                wanted;    /* rows that are still to come */
	int                  page_size; /* the same for all pages, as tokens demand it */
	int64                asked;     /* how many pages so far */
	int64                doubt;     /* as many had been when a part was missing; 0 if none is */
	ActivePart          *active;
	AwsRequest         **requests; /* of the active parts; the first nactive are under way */
	int                  nactive;
	MemoryContext        page; /* holds what one page needs */
	Tuplestorestate     *rows;
	TupleDesc            columns;
	Session              before; /* the server's counters when the call began */
	double               began;  /* in clock_now's milliseconds */
	double               notice; /* when to tell next how far it is; negative for never */
} ListingState;

int listing_progress_interval;

/*
 * The page size that asks for as few items beyond max_rows as the least number
 * of pages allows: 10 for 10, 31 for 61.  It must not change on the way.
 */
static int
choose_page_size(int64 max_rows)
{
	int64 pages;

	if (max_rows == LISTING_ALL)
		return LISTING_PAGE_SIZE;
	pages = (max_rows - 1) / LISTING_PAGE_SIZE + 1;
	return (int) ((max_rows - 1) / pages + 1);
}

/* Asks for the page to which a slot's token leads, without waiting for it. */
static void
request_page(ListingState *state, int index)
{
	const char    *token = state->active[index].token;
	StringInfoData members;

	initStringInfo(&members);
	json_append_integer(&members, state->listing->page_size, state->page_size);
	if (token != NULL)
		json_append_utf8(&members, state->listing->token, token);
	state->active[index].asked = ++state->asked;
	aws_send(state->requests[index], state->active[index].part->arguments, members.data);
}

/* Begins parts as long as there are any and requests may be added. */
static void
start_parts(ListingState *state)
{
	while (state->parts != NIL && state->nactive < state->server->max_concurrent_requests)
	{
		int index = state->nactive++;

		if (state->requests[index] == NULL)
			state->requests[index] = aws_create_request(state->server, &state->listing->operation,
														state->listing->missing);
		state->active[index] = (ActivePart){.part = linitial(state->parts)};
		state->parts = list_delete_first(state->parts);
		request_page(state, index);
	}
}

/* Ends a slot's part: the last active slot takes its place. */
static void
finish_part(ListingState *state, int index)
{
	int         last = --state->nactive;
	AwsRequest *request = state->requests[index];

	if (state->active[index].token != NULL)
		pfree(state->active[index].token);
	state->active[index] = state->active[last];
	state->requests[index] = state->requests[last];
	state->requests[last] = request;
}

/* The reply's list of items; every page has one, if an empty one. */
static const cJSON *
find_items(const Listing *listing, const AwsRequest *request, const cJSON *reply)
{
	const cJSON *items = json_member(reply, listing->items);

	if (items == NULL)
		aws_reject_reply(request, "The reply has no member \"%s\".", listing->items);
	if (!cJSON_IsArray(items))
		aws_reject_reply(request, "Member \"%s\" is not a list.", listing->items);
	return items;
}

/* Takes the reply's token for the next page; false if this page is the last. */
static bool
read_token(ListingState *state, const AwsRequest *request, const cJSON *reply, ActivePart *active)
{
	const Listing *listing = state->listing;
	const cJSON   *token = json_member(reply, listing->token);

	if (token == NULL || cJSON_IsNull(token))
		return false;
	if (!cJSON_IsString(token))
		aws_reject_reply(request, "Member \"%s\" is not a string.", listing->token);
	if (token->valuestring[0] == '\0')
		return false;
	if (active->token != NULL && strcmp(active->token, token->valuestring) == 0)
		aws_reject_reply(request,
						 "Member \"%s\" is the one just sent: the listing would never end.",
						 listing->token);

	if (active->token != NULL)
		pfree(active->token);
	active->token = MemoryContextStrdup(state->server->context, token->valuestring);
	return true;
}

/* Is an item one of a part's?  What is no object is, so that append_rows finds it. */
static bool
belongs(const ListingPart *part, const cJSON *item)
{
	return part->belongs == NULL || !cJSON_IsObject(item) || part->belongs(item, part->arg);
}

/* Does a page have all the rows that are still wanted? */
static bool
has_enough(const ListingState *state, const ListingPart *part, const cJSON *items)
{
	const cJSON *item;
	int64        n = 0;

	if (state->wanted == LISTING_ALL)
		return false;
	json_for_each (item, items)
	{
		if (belongs(part, item))
			n++;
	}
	return n >= state->wanted;
}

/* Turns the items of a page into rows, as many as are wanted. */
static void
append_rows(ListingState *state, const ListingPart *part, const AwsRequest *request,
			const cJSON *items)
{
	Row          row = {.request = request, .arg = part->arg};
	const cJSON *item;

	json_for_each (item, items)
	{
		row.number++;
		if (!belongs(part, item))
			continue;
		if (state->wanted == 0)
			break;
		if (state->wanted != LISTING_ALL)
			state->wanted--;

		row.item = item;
		if (!cJSON_IsObject(item))
			aws_reject_reply(request, "Item %d is not an object.", row.number);
		row_append(&row, state->listing->make_row, state->rows, state->columns);
		state->server->session->rows++;
	}
}

/* Replaces a part of which there is more by smaller ones, where that helps and can be done. */
static bool
divide_part(ListingState *state, const ListingPart *part, const cJSON *items)
{
	int           nrequests = state->server->max_concurrent_requests;
	MemoryContext caller;
	bool          done;

	if (part->split == NULL || nrequests == 1 || state->wanted != LISTING_ALL)
		return false;

	caller = MemoryContextSwitchTo(state->server->context);
	done = part->split(items, nrequests, part->arg, &state->parts);
	MemoryContextSwitchTo(caller);
	return done;
}

/* Works on a slot's page that has come; false if its part is finished. */
static bool
process_page(ListingState *state, int index)
{
	AwsRequest        *request = state->requests[index];
	ActivePart        *active = &state->active[index];
	const ListingPart *part = active->part;
	bool               first = active->token == NULL;
	const cJSON       *reply = aws_reply(request);
	const cJSON       *items;
	bool               more;

	if (reply == NULL)
	{
		if (!first)
			aws_reject_reply(request, "What is listed has disappeared between two pages.");
		state->doubt = state->asked;
		return false;
	}
	/* What holds the parts was still there after the last one was missing. */
	if (active->asked > state->doubt)
		state->doubt = 0;
	state->server->session->pages++;
	items = find_items(state->listing, request, reply);
	more = read_token(state, request, reply, active);
	if (first && more && divide_part(state, part, items))
		return false;

	more = more && !has_enough(state, part, items);
	if (more)
		request_page(state, index);
	append_rows(state, part, request, items);
	return more;
}

/* A count with commas, for people. */
static char *
with_commas(int64 n)
{
	return text_to_cstring(DatumGetTextPP(
		DirectFunctionCall2(int8_to_char, Int64GetDatum(n),
							PointerGetDatum(cstring_to_text("FM999,999,999,999,999,990")))));
}

/* Tells how far the call is, if it is time to. */
static void
report_progress(ListingState *state)
{
	const Session *session = state->server->session;
	const Session *before = &state->before;
	double         now = clock_now();

	if (state->notice < 0 || now < state->notice)
		return;
	ereport(NOTICE, (errmsg("%s: %s %s, %s pages, %s throttled, %.0f s", state->listing->function,
							with_commas(session->rows - before->rows), state->listing->noun,
							with_commas(session->pages - before->pages),
							with_commas(session->throttled - before->throttled),
							(now - state->began) / 1000.0)));
	state->notice = now + listing_progress_interval;
}

/* Fetches until every part is finished or there are rows enough. */
static void
fetch_parts(ListingState *state)
{
	start_parts(state);
	while (state->nactive > 0 && state->wanted > 0)
	{
		int index = aws_wait(state->requests, state->nactive, state->notice);

		if (index >= 0 && !process_page(state, index))
		{
			finish_part(state, index);
			start_parts(state);
		}
		report_progress(state);
		MemoryContextReset(state->page);
	}
}

bool
listing_fetch(const Listing *listing, const CognitoServer *server, List *parts, int64 max_rows,
			  Tuplestorestate *rows, TupleDesc columns)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	ListingState *state = palloc0(sizeof(ListingState));
	double        now = clock_now();

	if (max_rows > 0)
	{
		*state = (ListingState){
			.listing = listing,
			.server = server,
			.parts = list_copy(parts),
			.wanted = max_rows,
			.page_size = choose_page_size(max_rows),
			.active = palloc0(server->max_concurrent_requests * sizeof(ActivePart)),
			.requests = palloc0(server->max_concurrent_requests * sizeof(AwsRequest *)),
			.page = AllocSetContextCreate(server->context, "cognito page", 0, PAGE_BLOCK,
										  ALLOCSET_DEFAULT_MAXSIZE),
			.rows = rows,
			.columns = columns,
			.before = *server->session,
			.began = now,
			.notice = listing_progress_interval > 0 ? now + listing_progress_interval : -1};

		MemoryContextSwitchTo(state->page);
		fetch_parts(state);
	}
	MemoryContextSwitchTo(caller);
	return state->doubt == 0;
}
