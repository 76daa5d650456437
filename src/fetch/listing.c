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

#include "aws/http.h"
#include "aws/json.h"
#include "fetch/listing.h"
#include "server/session.h"

/* What a page of users usually takes in memory, in bytes; kept from page to page. */
#define PAGE_BLOCK (1024 * 1024)

/* A part that is being listed; its request is kept for the next part. */
typedef struct Slot
{
	const ListingPart *part;
	char              *token; /* what the last page was asked for with; NULL for the first */
	int64              asked; /* its number among the pages asked for */
} Slot;

typedef struct Fetch
{
	const Listing       *listing;
	const CognitoServer *server;
	List                *parts;     /* that are still to be begun */
	int64                wanted;    /* rows that are still to come */
	int                  page_size; /* the same for all pages, as tokens demand it */
	int64                asked;     /* how many pages so far */
	int64                doubt;     /* as many had been when a part was missing; 0 if none is */
	Slot                *slots;
	ApiRequest         **requests; /* of the slots; the first nactive are under way */
	int                  nactive;
	MemoryContext        page; /* holds what one page needs */
	Tuplestorestate     *rows;
	TupleDesc            columns;
	Session              before; /* the server's counters when the call began */
	double               began;  /* in http_now's milliseconds */
	double               notice; /* when to tell next how far it is; negative for never */
} Fetch;

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
ask(Fetch *fetch, int slot)
{
	const char    *token = fetch->slots[slot].token;
	StringInfoData members;

	initStringInfo(&members);
	appendStringInfoString(&members, fetch->slots[slot].part->parameters);
	json_append_integer(&members, fetch->listing->page_size, fetch->page_size);
	if (token != NULL)
		json_append_string(&members, fetch->listing->token, token);
	fetch->slots[slot].asked = ++fetch->asked;
	api_send(fetch->requests[slot], members.data);
}

/* Begins parts as long as there are any and requests may be added. */
static void
begin_parts(Fetch *fetch)
{
	while (fetch->parts != NIL && fetch->nactive < fetch->server->max_concurrent_requests)
	{
		int slot = fetch->nactive++;

		if (fetch->requests[slot] == NULL)
			fetch->requests[slot] =
				api_create(fetch->server, &fetch->listing->operation, fetch->listing->missing);
		fetch->slots[slot] = (Slot){.part = linitial(fetch->parts)};
		fetch->parts = list_delete_first(fetch->parts);
		ask(fetch, slot);
	}
}

/* Ends a slot's part: the last active slot takes its place. */
static void
end_part(Fetch *fetch, int slot)
{
	int         last = --fetch->nactive;
	ApiRequest *request = fetch->requests[slot];

	if (fetch->slots[slot].token != NULL)
		pfree(fetch->slots[slot].token);
	fetch->slots[slot] = fetch->slots[last];
	fetch->requests[slot] = fetch->requests[last];
	fetch->requests[last] = request;
}

/* The reply's list of items; every page has one, if an empty one. */
static const cJSON *
find_items(const Listing *listing, const ApiRequest *request, const cJSON *reply)
{
	const cJSON *items = json_member(reply, listing->items);

	if (items == NULL)
		api_reject_reply(request, "The reply has no member \"%s\".", listing->items);
	if (!cJSON_IsArray(items))
		api_reject_reply(request, "Member \"%s\" is not a list.", listing->items);
	return items;
}

/* Takes the reply's token for the next page; false if this page is the last. */
static bool
take_token(Fetch *fetch, const ApiRequest *request, const cJSON *reply, Slot *slot)
{
	const Listing *listing = fetch->listing;
	const cJSON   *token = json_member(reply, listing->token);

	if (token == NULL || cJSON_IsNull(token))
		return false;
	if (!cJSON_IsString(token))
		api_reject_reply(request, "Member \"%s\" is not a string.", listing->token);
	if (token->valuestring[0] == '\0')
		return false;
	if (slot->token != NULL && strcmp(slot->token, token->valuestring) == 0)
		api_reject_reply(request,
						 "Member \"%s\" is the one just sent: the listing would never end.",
						 listing->token);

	if (slot->token != NULL)
		pfree(slot->token);
	slot->token = MemoryContextStrdup(fetch->server->context, token->valuestring);
	return true;
}

/* Is an item one of a part's?  What is no object is, so that put_rows finds it. */
static bool
belongs(const ListingPart *part, const cJSON *item)
{
	return part->belongs == NULL || !cJSON_IsObject(item) || part->belongs(item, part->arg);
}

/* Does a page have all the rows that are still wanted? */
static bool
suffices(const Fetch *fetch, const ListingPart *part, const cJSON *items)
{
	const cJSON *item;
	int64        n = 0;

	if (fetch->wanted == LISTING_ALL)
		return false;
	json_for_each (item, items)
	{
		if (belongs(part, item))
			n++;
	}
	return n >= fetch->wanted;
}

/* Turns the items of a page into rows, as many as are wanted. */
static void
put_rows(Fetch *fetch, const ListingPart *part, const ApiRequest *request, const cJSON *items)
{
	Row          row = {.request = request, .arg = part->arg};
	const cJSON *item;

	json_for_each (item, items)
	{
		row.number++;
		if (!belongs(part, item))
			continue;
		if (fetch->wanted == 0)
			break;
		if (fetch->wanted != LISTING_ALL)
			fetch->wanted--;

		row.item = item;
		if (!cJSON_IsObject(item))
			api_reject_reply(request, "Item %d is not an object.", row.number);
		row_append(&row, fetch->listing->make_row, fetch->rows, fetch->columns);
		fetch->server->session->rows++;
	}
}

/* Replaces a part of which there is more by smaller ones, where that helps and can be done. */
static bool
divide(Fetch *fetch, const ListingPart *part, const cJSON *items)
{
	int           nrequests = fetch->server->max_concurrent_requests;
	MemoryContext caller;
	bool          done;

	if (part->split == NULL || nrequests == 1 || fetch->wanted != LISTING_ALL)
		return false;

	caller = MemoryContextSwitchTo(fetch->server->context);
	done = part->split(items, nrequests, part->arg, &fetch->parts);
	MemoryContextSwitchTo(caller);
	return done;
}

/* Works on a slot's page that has come; false if its part is finished. */
static bool
take_page(Fetch *fetch, int index)
{
	ApiRequest        *request = fetch->requests[index];
	Slot              *slot = &fetch->slots[index];
	const ListingPart *part = slot->part;
	bool               first = slot->token == NULL;
	const cJSON       *reply = api_reply(request);
	const cJSON       *items;
	bool               more;

	if (reply == NULL)
	{
		if (!first)
			api_reject_reply(request, "What is listed has disappeared between two pages.");
		fetch->doubt = fetch->asked;
		return false;
	}
	/* What holds the parts was still there after the last one was missing. */
	if (slot->asked > fetch->doubt)
		fetch->doubt = 0;
	fetch->server->session->pages++;
	items = find_items(fetch->listing, request, reply);
	more = take_token(fetch, request, reply, slot);
	if (first && more && divide(fetch, part, items))
		return false;

	more = more && !suffices(fetch, part, items);
	if (more)
		ask(fetch, index);
	put_rows(fetch, part, request, items);
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
tell_progress(Fetch *fetch)
{
	const Session *session = fetch->server->session;
	const Session *before = &fetch->before;
	double         now = http_now();

	if (fetch->notice < 0 || now < fetch->notice)
		return;
	ereport(NOTICE, (errmsg("%s: %s %s, %s pages, %s throttled, %.0f s", fetch->listing->function,
							with_commas(session->rows - before->rows), fetch->listing->noun,
							with_commas(session->pages - before->pages),
							with_commas(session->throttled - before->throttled),
							(now - fetch->began) / 1000.0)));
	fetch->notice = now + listing_progress_interval;
}

/* Fetches until every part is finished or there are rows enough. */
static void
fetch_parts(Fetch *fetch)
{
	begin_parts(fetch);
	while (fetch->nactive > 0 && fetch->wanted > 0)
	{
		int slot = api_wait(fetch->requests, fetch->nactive, fetch->notice);

		if (slot >= 0 && !take_page(fetch, slot))
		{
			end_part(fetch, slot);
			begin_parts(fetch);
		}
		tell_progress(fetch);
		MemoryContextReset(fetch->page);
	}
}

bool
listing_fetch(const Listing *listing, const CognitoServer *server, List *parts, int64 max_rows,
			  Tuplestorestate *rows, TupleDesc columns)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	Fetch        *fetch = palloc0(sizeof(Fetch));
	double        now = http_now();

	if (max_rows > 0)
	{
		*fetch =
			(Fetch){.listing = listing,
					.server = server,
					.parts = list_copy(parts),
					.wanted = max_rows,
					.page_size = choose_page_size(max_rows),
					.slots = palloc0(server->max_concurrent_requests * sizeof(Slot)),
					.requests = palloc0(server->max_concurrent_requests * sizeof(ApiRequest *)),
					.page = AllocSetContextCreate(server->context, "cognito page", 0, PAGE_BLOCK,
												  ALLOCSET_DEFAULT_MAXSIZE),
					.rows = rows,
					.columns = columns,
					.before = *server->session,
					.began = now,
					.notice = listing_progress_interval > 0 ? now + listing_progress_interval : -1};

		MemoryContextSwitchTo(fetch->page);
		fetch_parts(fetch);
	}
	MemoryContextSwitchTo(caller);
	return fetch->doubt == 0;
}
