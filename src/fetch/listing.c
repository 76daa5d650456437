/*
 * listing.c
 *		Listings: pages of items become rows.
 *
 * Each active part has one request.  The pages of a part follow one another, because
 * each has the token of the next; parts are independent.
 *
 * A large part is replaced by its partitions, which return the items of its first pages
 * again: these are remembered by their keys.  How many pages there are is not known
 * before the last one, so the first page of a partition is the sample that decides.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "aws/json.h"
#include "clock.h"
#include "fetch/listing.h"
#include "server/session.h"

/* The pages of a part that are requested before it is partitioned. */
#define UNPARTITIONED_PAGES 2

/* Memory that a page of users usually needs, in bytes; it is kept from page to page. */
#define PAGE_BLOCK (1024 * 1024)

/* A part that has a request in flight. */
typedef struct ActivePart
{
	ListingPart *part;
	char        *token;          /* with which the current page was requested; NULL for the first */
	int64        request_number; /* of the current page, in the order of all pages' requests */
	int          npages;         /* received so far */
} ActivePart;

typedef struct ListingState
{
	const Listing       *listing;
	const CognitoServer *server;
	List                *parts;         /* parts that are not started yet */
	const ListingSample *sample;        /* of the first part; NULL if it has none */
	int64                rows_left;     /* rows that may still be appended, or LISTING_ALL */
	int64                max_pages;     /* that may be requested, or LISTING_ALL */
	int64                expected_rows; /* rows of all parts; 0 if unknown */
	int                  page_size;     /* constant, as a token is valid for one page size only */
	int64                nrequested;    /* pages requested so far */

	/*
	 * The value of nrequested when a part was last found missing; 0 if none was, or if
	 * a page that was requested afterwards has arrived.
	 */
	int64 missing_at;

	/*
	 * The keys of the items that were listed before the part was partitioned, or may be;
	 * NULL if no part is.
	 */
	HTAB      *listed;
	ActivePart whole;      /* the part that waits for the sample; without a part if none does */
	List      *partitions; /* the other partitions, which the sample may start */

	List            *left;         /* parts that have pages beyond max_pages */
	MemoryContext    left_context; /* of their tokens */
	ActivePart      *active;       /* the first nactive are used */
	AwsRequest     **requests;     /* of the active parts; others are kept for reuse, or NULL */
	int              nactive;
	MemoryContext    page; /* reset after each page */
	Tuplestorestate *rows;
	TupleDesc        columns;
	Session          before;      /* the session's counters at the start */
	double           start_time;  /* of clock_now, in milliseconds */
	double           notice_time; /* of the next progress message; negative for none */
} ListingState;

int listing_progress_interval;

/*
 * Return the page size with which the least number of pages has max_rows items, and
 * the fewest beyond them: 10 for 10, 31 for 61.  If not all items belong, it is unknown
 * how many of them have max_rows that do.
 */
static int
choose_page_size(List *parts, int64 max_rows)
{
	int64     pages;
	ListCell *part;

	foreach (part, parts)
		if (((const ListingPart *) lfirst(part))->belongs != NULL)
			return LISTING_PAGE_SIZE;
	if (max_rows == LISTING_ALL)
		return LISTING_PAGE_SIZE;
	pages = (max_rows - 1) / LISTING_PAGE_SIZE + 1;
	return (int) ((max_rows - 1) / pages + 1);
}

/* Send the request for an active part's next page, without waiting for the response. */
static void
request_page(ListingState *state, int index)
{
	const char    *token = state->active[index].token;
	StringInfoData members;

	initStringInfo(&members);
	json_append_integer(&members, state->listing->page_size, state->page_size);
	if (token != NULL)
		json_append_utf8(&members, state->listing->token, token);
	state->active[index].request_number = ++state->nrequested;
	aws_send(state->requests[index], state->active[index].part->arguments, members.data);
}

/* Return true if another part may be started. */
static bool
is_allowed(const ListingState *state)
{
	return state->nrequested <
		   (state->sample != NULL ? state->sample->max_pages : state->max_pages);
}

/* Start parts, up to the number of concurrent requests, while rows are wanted. */
static void
start_parts(ListingState *state)
{
	while (state->rows_left > 0 && state->parts != NIL && is_allowed(state) &&
		   state->nactive < state->server->max_concurrent_requests)
	{
		ListingPart *part = linitial(state->parts);
		int          index = state->nactive++;

		if (state->requests[index] == NULL)
			state->requests[index] = aws_create_request(state->server, &state->listing->operation,
														state->listing->missing);
		state->active[index] = (ActivePart){.part = part, .token = part->token};
		part->token = NULL;
		state->parts = list_delete_first(state->parts);
		request_page(state, index);
	}
}

/* Remove an active part, whose place the last one takes; keep its request for reuse. */
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

/* Store a reply's token for the next page; return false if this page is the last one. */
static bool
read_token(ListingState *state, const AwsRequest *request, const cJSON *reply, ActivePart *active)
{
	const Listing *listing = state->listing;
	const cJSON   *token = json_member(reply, listing->token);

	if (token == NULL || cJSON_IsNull(token))
		return false;
	if (!cJSON_IsString(token))
		aws_reject_reply(request, psprintf("Member \"%s\" is not a string.", listing->token));
	if (token->valuestring[0] == '\0')
		return false;
	if (active->token != NULL && strcmp(active->token, token->valuestring) == 0)
		aws_reject_reply(request,
						 psprintf("Member \"%s\" is the token that was sent: the listing would "
								  "never end.",
								  listing->token));

	if (active->token != NULL)
		pfree(active->token);
	active->token = MemoryContextStrdup(state->server->context, token->valuestring);
	return true;
}

/* Return true if an item belongs to a part, or is no object, an error for append_rows. */
static bool
belongs(const ListingPart *part, const cJSON *item)
{
	return part->belongs == NULL || !cJSON_IsObject(item) || part->belongs(item, part->arg);
}

/* Return true if a page has as many rows as may still be appended. */
static bool
has_enough(const ListingState *state, const ListingPart *part, const cJSON *items, Row *row)
{
	const cJSON *item;
	int64        n = 0;

	if (state->rows_left == LISTING_ALL)
		return false;
	json_for_each (item, items)
	{
		row->item = item;
		if (belongs(part, item) && ++n == state->rows_left)
			return true;
	}
	return false;
}

/* Return true if an item of a partition was listed before it was partitioned. */
static bool
was_listed(const ListingState *state, const ListingPart *part, const cJSON *item)
{
	return state->listed != NULL && part->make_partitions == NULL && cJSON_IsObject(item) &&
		   hash_search(state->listed, part->key(item), HASH_FIND, NULL) != NULL;
}

/* Append rows for the items of a page, up to the limit. */
static void
append_rows(ListingState *state, const ListingPart *part, const AwsRequest *request,
			const cJSON *items, Row *row)
{
	const cJSON *item;

	json_for_each (item, items)
	{
		row->number++;
		row->item = item;
		row->member = NULL;
		if (!belongs(part, item) || was_listed(state, part, item))
			continue;
		if (state->rows_left == 0)
			break;
		if (state->rows_left != LISTING_ALL)
			state->rows_left--;

		if (!cJSON_IsObject(item))
			aws_reject_reply(request, psprintf("Item %d is not an object.", row->number));
		row_append(row, state->listing->make_row, state->rows, state->columns);
		state->server->session->rows++;
	}
}

/* Leave the pages of a part that follow the current one to another listing. */
static void
leave_part(ListingState *state, const ActivePart *active)
{
	MemoryContext caller = MemoryContextSwitchTo(state->server->context);

	state->left = lappend(state->left, active->part);
	active->part->token = MemoryContextStrdup(state->left_context, active->token);
	MemoryContextSwitchTo(caller);
}

/*
 * Append the rows of a page, after the request for the next page, if there is one and its
 * rows are wanted; return true if so.
 */
static bool
process_items(ListingState *state, int index, const ListingPart *part, const cJSON *items,
			  bool more)
{
	const AwsRequest    *request = state->requests[index];
	const void          *row_arg = state->listing->row_arg;
	Row                  row = {.arg = row_arg != NULL ? row_arg : part->arg,
								.request = request,
								.server_name = state->server->name,
								.key = state->listing->key};
	ErrorContextCallback context = {
		.previous = error_context_stack, .callback = row_error_context, .arg = &row};

	error_context_stack = &context;
	more = more && !has_enough(state, part, items, &row);
	if (more && state->nrequested == state->max_pages)
	{
		leave_part(state, &state->active[index]);
		more = false;
	}
	if (more)
		request_page(state, index);
	append_rows(state, part, request, items, &row);
	error_context_stack = context.previous;
	return more;
}

/* Create the table of listed items, if the listing may be partitioned. */
static HTAB *
create_listed(const CognitoServer *server, const List *parts, int64 max_rows)
{
	HASHCTL control = {
		.keysize = LISTING_KEY_SIZE, .entrysize = LISTING_KEY_SIZE, .hcxt = server->context};

	if (parts == NIL || ((ListingPart *) linitial(parts))->make_partitions == NULL ||
		server->max_concurrent_requests == 1 || max_rows != LISTING_ALL)
		return NULL;
	return hash_create("cognito listed items", UNPARTITIONED_PAGES * LISTING_PAGE_SIZE, &control,
					   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* Remember the items of a page; return false if one belongs to no partition. */
static bool
remember_items(const ListingState *state, const ListingPart *part, const cJSON *items)
{
	const cJSON *item;

	json_for_each (item, items)
	{
		const char *key = part->key(item);

		if (key == NULL)
			return false;
		(void) hash_search(state->listed, key, HASH_ENTER, NULL);
	}
	return true;
}

/*
 * Prepare to partition a part that has more pages after the current one.  After its
 * last unpartitioned page, replace it by the sample.
 */
static void
prepare_partitions(ListingState *state, ActivePart *active, const cJSON *items)
{
	MemoryContext caller;

	if (state->listed == NULL || active->part->make_partitions == NULL)
		return;
	if (!remember_items(state, active->part, items))
		state->listed = NULL;
	else if (active->npages == UNPARTITIONED_PAGES)
	{
		caller = MemoryContextSwitchTo(state->server->context);
		state->whole = *active;
		state->partitions = active->part->make_partitions(active->part->arg);
		*active = (ActivePart){.part = linitial(state->partitions)};
		state->partitions = list_delete_first(state->partitions);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Process the sample: start the other partitions if the part is large and the service
 * heeds filters.  Otherwise return false and go on with the part.
 */
static bool
process_sample(ListingState *state, ActivePart *active, const cJSON *items, bool more)
{
	const cJSON *item;
	bool         is_large = more;

	json_for_each (item, items)
		is_large = is_large && belongs(active->part, item);
	if (is_large)
	{
		state->parts = state->partitions;
		start_parts(state);
	}
	else
	{
		*active = state->whole;
		state->listed = NULL;
	}
	state->whole.part = NULL;
	return is_large;
}

/* Process a page of a sample; return false if the sample is finished. */
static bool
observe_page(ListingState *state, ListingSample *sample, const cJSON *items, bool more)
{
	sample->observe(sample, items, more);
	if (sample->max_pages == LISTING_ALL)
		return false;
	if (!more)
		state->rows_left = 0;
	return more;
}

/* Process the response to an active part's request; return false if the part is finished. */
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
			aws_reject_reply(request, "The listed object was deleted between two pages.");
		state->missing_at = state->nrequested;
		return false;
	}
	if (active->request_number > state->missing_at)
		state->missing_at = 0;
	state->server->session->pages++;
	active->npages++;
	items = aws_reply_member(request, reply, state->listing->items, cJSON_IsArray, "a list");
	more = read_token(state, request, reply, active);
	if (state->whole.part != NULL && !process_sample(state, active, items, more))
	{
		request_page(state, index);
		return true;
	}
	if (part->sample != NULL)
		more = observe_page(state, part->sample, items, more);
	if (more)
		prepare_partitions(state, active, items);
	return process_items(state, index, part, items, more);
}

/* Return a number with commas between groups of digits. */
static char *
format_number(int64 n)
{
	text *format = cstring_to_text("FM999,999,999,999,999,990");

	return TextDatumGetCString(
		DirectFunctionCall2(int8_to_char, Int64GetDatum(n), PointerGetDatum(format)));
}

/* Return a number and the noun that agrees with it. */
static char *
format_count(int64 n, const char *singular, const char *plural)
{
	return psprintf("%s %s", format_number(n), n == 1 ? singular : plural);
}

/* Return the number of rows so far, and of all as long as the estimate is not exceeded. */
static char *
format_rows(int64 n, int64 expected)
{
	if (expected == 0 || n > expected)
		return format_count(n, "row", "rows");
	return psprintf("%s of about %s", format_number(n), format_count(expected, "row", "rows"));
}

/* Send a progress message if it is time for one. */
static void
report_progress(ListingState *state)
{
	const Session *session = state->server->session;
	const Session *before = &state->before;
	double         now = clock_now();

	if (state->notice_time < 0 || now < state->notice_time)
		return;
	ereport(NOTICE, (errmsg("%s for server \"%s\": %s of %s, %s, %s, %.0f s",
							state->listing->function, state->server->name,
							format_count(session->pages - before->pages, "page", "pages"),
							state->listing->noun,
							format_rows(session->rows - before->rows, state->expected_rows),
							format_count(session->throttled - before->throttled,
										 "throttled request", "throttled requests"),
							(now - state->start_time) / 1000.0)));
	state->notice_time = now + listing_progress_interval;
}

/* Fetch pages until all parts are finished or the limit is reached. */
static void
fetch_parts(ListingState *state)
{
	start_parts(state);
	while (state->nactive > 0 && state->rows_left > 0)
	{
		int index = aws_wait(state->requests, state->nactive, state->notice_time);

		if (index >= 0 && !process_page(state, index))
			finish_part(state, index);
		start_parts(state);
		report_progress(state);
		MemoryContextReset(state->page);
	}
}

/*
 * Request an item of a listing of the pool, for its error if the pool is missing; the
 * listing itself only found that its last parts are.
 */
static void
check_pool(const CognitoServer *server, const Listing *of_pool)
{
	const char *arguments[AWS_MAX_PARAMETERS] = {server_pool_id(server, of_pool->operation.pool)};
	AwsRequest *request = aws_create_request(server, &of_pool->operation, NULL);
	StringInfoData members;

	initStringInfo(&members);
	json_append_integer(&members, of_pool->page_size, 1);
	aws_send(request, arguments, members.data);
	(void) aws_wait(&request, 1, -1);
	(void) aws_reply(request);
	server->session->pages++;
}

List *
listing_fetch_pages(const Listing *listing, const CognitoServer *server, List *parts,
					int64 max_pages, int64 max_rows, int64 expected_rows, Tuplestorestate *rows,
					TupleDesc columns)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	ListingState *state = palloc0(sizeof(ListingState));
	double        now = clock_now();

	*state = (ListingState){
		.listing = listing,
		.server = server,
		.parts = list_copy(parts),
		.sample = parts != NIL ? ((ListingPart *) linitial(parts))->sample : NULL,
		.rows_left = max_rows,
		.max_pages = max_pages,
		.expected_rows = expected_rows,
		.page_size = choose_page_size(parts, max_rows),
		.listed = create_listed(server, parts, max_rows),
		.left_context = caller,
		.active = palloc0(server->max_concurrent_requests * sizeof(ActivePart)),
		.requests = palloc0(server->max_concurrent_requests * sizeof(AwsRequest *)),
		.page = AllocSetContextCreate(server->context, "cognito page", 0, PAGE_BLOCK,
									  ALLOCSET_DEFAULT_MAXSIZE),
		.rows = rows,
		.columns = columns,
		.before = *server->session,
		.start_time = now,
		.notice_time = listing_progress_interval > 0 ? now + listing_progress_interval : -1};

	MemoryContextSwitchTo(state->page);
	fetch_parts(state);
	if (state->missing_at > 0 && listing->of_pool != NULL)
		check_pool(server, listing->of_pool);
	MemoryContextSwitchTo(caller);
	return list_concat_copy(state->left, state->parts);
}

void
listing_fetch(const Listing *listing, const CognitoServer *server, List *parts, int64 max_rows,
			  int64 expected_rows, Tuplestorestate *rows, TupleDesc columns)
{
	if (max_rows > 0)
		(void) listing_fetch_pages(listing, server, parts, LISTING_ALL, max_rows, expected_rows,
								   rows, columns);
}
