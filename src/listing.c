/*
 * listing.c
 *		A whole listing, page after page and part after part, into a tuplestore.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "json.h"
#include "listing.h"

/* What a page of users usually takes in memory, in bytes; kept from page to page. */
#define PAGE_BLOCK (1024 * 1024)

typedef struct Fetch
{
	const Listing     *listing;
	ApiRequest        *request;
	const ListingPart *part;
	int64              wanted;    /* rows that are still to come */
	int                page_size; /* the same for all pages, as tokens demand it */
	char              *token;     /* what the last page was asked for with; NULL for the first */
	MemoryContext      page;      /* holds what one page needs */
	Tuplestorestate   *rows;
	TupleDesc          columns;
} Fetch;

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

/* Asks for the page to which the token leads, without waiting for it. */
static void
ask(Fetch *fetch)
{
	StringInfoData members;

	initStringInfo(&members);
	appendStringInfoString(&members, fetch->part->parameters);
	json_append_integer(&members, fetch->listing->page_size, fetch->page_size);
	if (fetch->token != NULL)
		json_append_string(&members, fetch->listing->token, fetch->token);
	api_send(fetch->request, members.data);
}

/* The reply's list of items; every page has one, if an empty one. */
static const cJSON *
find_items(const Fetch *fetch, const cJSON *reply)
{
	const char  *name = fetch->listing->items;
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(reply, name);

	if (items == NULL)
		api_reject_reply(fetch->request, "The reply has no member \"%s\".", name);
	if (!cJSON_IsArray(items))
		api_reject_reply(fetch->request, "Member \"%s\" is not a list.", name);
	return items;
}

/* Takes the reply's token for the next page; false if this page is the last. */
static bool
take_token(Fetch *fetch, const cJSON *reply)
{
	const char  *name = fetch->listing->token;
	const cJSON *token = cJSON_GetObjectItemCaseSensitive(reply, name);

	if (token == NULL || cJSON_IsNull(token))
		return false;
	if (!cJSON_IsString(token))
		api_reject_reply(fetch->request, "Member \"%s\" is not a string.", name);
	if (token->valuestring[0] == '\0')
		return false;
	if (fetch->token != NULL && strcmp(fetch->token, token->valuestring) == 0)
		api_reject_reply(fetch->request,
						 "Member \"%s\" is the one just sent: the listing would "
						 "never end.",
						 name);

	if (fetch->token != NULL)
		pfree(fetch->token);
	fetch->token = MemoryContextStrdup(GetMemoryChunkContext(fetch), token->valuestring);
	return true;
}

/* Is an item one of the part's?  What is no object is, so that put_rows finds it. */
static bool
belongs(const ListingPart *part, const cJSON *item)
{
	return part->belongs == NULL || !cJSON_IsObject(item) || part->belongs(item, part->arg);
}

/* Does a page have all the rows that are still wanted? */
static bool
suffices(const Fetch *fetch, const cJSON *items)
{
	const cJSON *item;
	int64        n = 0;

	if (fetch->wanted == LISTING_ALL)
		return false;
	cJSON_ArrayForEach (item, items)
	{
		if (belongs(fetch->part, item))
			n++;
	}
	return n >= fetch->wanted;
}

/* Turns the items of a page into rows, as many as are wanted. */
static void
put_rows(Fetch *fetch, const cJSON *items)
{
	Datum       *values = palloc(fetch->columns->natts * sizeof(Datum));
	bool        *nulls = palloc(fetch->columns->natts * sizeof(bool));
	Row          row = {.request = fetch->request, .values = values, .nulls = nulls};
	const cJSON *item;

	cJSON_ArrayForEach (item, items)
	{
		row.number++;
		if (!belongs(fetch->part, item))
			continue;
		if (fetch->wanted == 0)
			break;
		if (fetch->wanted != LISTING_ALL)
			fetch->wanted--;
		CHECK_FOR_INTERRUPTS();

		row.item = item;
		memset(nulls, true, fetch->columns->natts * sizeof(bool));
		if (!cJSON_IsObject(item))
			api_reject_reply(fetch->request, "Item %d is not an object.", row.number);
		fetch->listing->make_row(&row);
		tuplestore_putvalues(fetch->rows, fetch->columns, values, nulls);
	}
}

/* Works on the page that was asked for; false if it was the last that is needed. */
static bool
fetch_page(Fetch *fetch)
{
	const cJSON *reply = api_receive(fetch->request);
	const cJSON *items = find_items(fetch, reply);
	bool         more = take_token(fetch, reply) && !suffices(fetch, items);

	if (more)
		ask(fetch);
	put_rows(fetch, items);
	return more;
}

/* Fetches all pages of a part, or as many as are needed. */
static void
fetch_part(Fetch *fetch, const ListingPart *part)
{
	bool more = true;

	fetch->part = part;
	if (fetch->token != NULL)
		pfree(fetch->token);
	fetch->token = NULL;

	ask(fetch);
	while (more)
	{
		more = fetch_page(fetch);
		MemoryContextReset(fetch->page);
	}
}

/* See listing.h. */
void
listing_fetch(const Listing *listing, const CognitoServer *server, List *parts, int64 max_rows,
			  Tuplestorestate *rows, TupleDesc columns)
{
	MemoryContext caller = CurrentMemoryContext;
	Fetch        *fetch;
	ListCell     *cell;

	if (max_rows == 0 || parts == NIL)
		return;

	fetch = MemoryContextAllocZero(server->context, sizeof(Fetch));
	*fetch = (Fetch){.listing = listing,
					 .request = api_create(server, &listing->operation),
					 .wanted = max_rows,
					 .page_size = choose_page_size(max_rows),
					 .page = AllocSetContextCreate(server->context, "cognito page", 0, PAGE_BLOCK,
												   ALLOCSET_DEFAULT_MAXSIZE),
					 .rows = rows,
					 .columns = columns};

	MemoryContextSwitchTo(fetch->page);
	foreach (cell, parts)
	{
		if (fetch->wanted == 0)
			break;
		fetch_part(fetch, lfirst(cell));
	}
	MemoryContextSwitchTo(caller);
}
