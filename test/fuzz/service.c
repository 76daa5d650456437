/*
 * service.c
 *		A service whose answers are the input, in place of http.c; a server
 *		that leads to it, in place of server.c; its limiter, in place of quota.c; and
 *		the calls of SQL functions.
 *
 * The answers are separated by the byte 0x1e.  Each looks as on the wire:
 *
 *		200
 *		date: Sat, 31 Jan 2026 23:59:59 GMT
 *
 *		{"Users": []}
 *
 * A status below 0 is an HttpOutcome instead.  After the last answer the
 * service cannot be reached.  Time passes only while somebody waits.
 */
#include "fuzz.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include <ctype.h>
#include <curl/curl.h>
#include <math.h>

#include "aws/http.h"
#include "clock.h"
#include "planner/kept_rows.h"
#include "planner/search_join.h"
#include "server/quota.h"
#include "server/server.h"

struct HttpRequest
{
	MemoryContext memory; /* of the last answer */
	HttpOutcome   outcome;
	long          status;
	List         *headers;
	char         *body;
	size_t        length;
};

static const char *answers;
static size_t      answers_left;
static double      current_time;
static bool        has_ended; /* a request, since the last http_wait */
static Session     session;
static Limiter     limiter;

char         *http_ca_file = "";
CognitoServer fuzz_server;

void
fuzz_serve(const char *input, size_t length)
{
	answers = input;
	answers_left = length;
	current_time = 1000;
	memset(&session, 0, sizeof(session));
	limiter_init(&limiter, 5, false, current_time);
	fuzz_server =
		(CognitoServer){.name = "fuzzed",
						.region = "eu-west-1",
						.user_pool_id = "eu-west-1_AbCdEf123",
						.identity_pool_id = "eu-west-1:11111111-2222-4333-8444-555555555555",
						.access_key_id = "AKIAIOSFODNN7EXAMPLE",
						.secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
						.connect_timeout = 1000,
						.request_timeout = 1000,
						.max_retries = 3,
						.max_concurrent_requests = 1,
						.session = &session,
						.pushdown = true};
}

CognitoServer *
server_open(const char *name, PoolKind pool, const char *pool_id)
{
	CognitoServer *server = palloc(sizeof(CognitoServer));

	(void) name;
	(void) pool;
	(void) pool_id;
	*server = fuzz_server;
	server->context = CurrentMemoryContext;
	return server;
}

void
server_close(CognitoServer *server)
{
	pfree(server);
}

void
session_set_extent(Oid serverid, const char *user_pool_id, SessionListing listing,
				   SessionExtent extent)
{
	(void) serverid;
	(void) user_pool_id;
	(void) listing;
	(void) extent;
}

SessionExtent
session_extent(Oid serverid, const char *user_pool_id, SessionListing listing)
{
	(void) serverid;
	(void) user_pool_id;
	(void) listing;
	return (SessionExtent){0};
}

SessionExtent
server_extent(const char *name, const char *user_pool_id, SessionListing listing)
{
	(void) name;
	(void) user_pool_id;
	(void) listing;
	return (SessionExtent){0};
}

/* No query is executed. */
Node *
search_join_create_state(CustomScan *scan)
{
	(void) scan;
	return NULL;
}

/* Rows are kept only by queries that call a function more than once. */
KeptRows *
kept_rows_create(Tuplestorestate *rows, TupleDesc columns, const SearchAttribute *attribute)
{
	(void) rows;
	(void) columns;
	(void) attribute;
	return NULL;
}

void
kept_rows_search(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	(void) rows;
	(void) search;
	(void) result;
}

void
kept_rows_free(KeptRows *rows)
{
	(void) rows;
}

const char *
server_pool_id(const CognitoServer *server, PoolKind pool)
{
	if (pool == POOL_NONE)
		return NULL;
	return pool == POOL_IDENTITY ? server->identity_pool_id : server->user_pool_id;
}

Limiter *
quota_limiter(const char *name, double rate, bool limited)
{
	(void) name;
	(void) rate;
	(void) limited;
	return &limiter;
}

HttpRequest *
http_create(void)
{
	HttpRequest *request = palloc0(sizeof(HttpRequest));

	request->memory = AllocSetContextCreate(CurrentMemoryContext, "answer", ALLOCSET_SMALL_SIZES);
	return request;
}

/* Return true if a body is a form, as STS has it. */
static bool
is_form(const HttpMessage *message)
{
	return message->length > 0 && strncmp(message->body, "Action=", strlen("Action=")) == 0 &&
		   strspn(message->body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
								 "0123456789-._~%=&") == message->length;
}

/* Check what is sent: whatever was answered before, a request is well-formed. */
static void
check_message(const HttpMessage *message)
{
	ListCell *cell;

	if (message->body != NULL)
		fuzz_check(is_form(message) || fuzz_is_json(message->body, message->length));
	foreach (cell, message->headers)
	{
		const char *line = lfirst(cell);
		const char *date = strncmp(line, "x-amz-date: ", 12) == 0 ? line + 12 : NULL;

		fuzz_check(fuzz_is_text(line, strlen(line)));
		for (const char *c = line; *c != '\0'; c++)
			fuzz_check((unsigned char) *c >= ' ' && *c != 0x7f);
		for (int i = 0; date != NULL && i < 17; i++)
			fuzz_check(i == 8    ? date[i] == 'T'
					   : i == 15 ? date[i] == 'Z'
					   : i == 16 ? date[i] == '\0'
								 : isdigit((unsigned char) date[i]));
	}
}

/* Take the next answer apart. */
static void
take_next(HttpRequest *request)
{
	size_t      length;
	const char *answer = fuzz_split(&answers, &answers_left, 0x1e, &length);
	size_t      line_length;
	char       *line;

	if (answer == NULL)
		return;
	line = fuzz_split(&answer, &length, '\n', &line_length);
	request->status = line != NULL ? strtol(line, NULL, 10) : 0;
	request->outcome = HTTP_RESPONSE;
	if (request->status < 0)
		request->outcome = (HttpOutcome) -Max(request->status, -HTTP_FAILED);
	while ((line = fuzz_split(&answer, &length, '\n', &line_length)) != NULL && line_length > 0)
		request->headers = lappend(request->headers, line);
	request->body = fuzz_string(answer, length);
	request->length = length;
}

void
http_send(HttpRequest *request, const HttpMessage *message)
{
	MemoryContext caller = MemoryContextSwitchTo(request->memory);

	check_message(message);
	MemoryContextReset(request->memory);
	*request =
		(HttpRequest){.memory = request->memory, .outcome = HTTP_UNREACHABLE, .body = pstrdup("")};
	take_next(request);
	has_ended = true;
	MemoryContextSwitchTo(caller);
}

HttpOutcome
http_outcome(const HttpRequest *request)
{
	return request->outcome;
}

double
clock_now(void)
{
	return current_time;
}

void
http_wait(double until)
{
	/* Every answer comes at once, so who waits for one more waits for ever. */
	fuzz_check(has_ended || until >= 0);
	if (!has_ended)
		current_time = Max(current_time, until);
	current_time += 0.001;
	has_ended = false;
}

long
http_status(const HttpRequest *request)
{
	return request->status;
}

const char *
http_body(const HttpRequest *request, size_t *length)
{
	*length = request->length;
	return request->body;
}

const char *
http_header(const HttpRequest *request, const char *name)
{
	ListCell *cell;

	foreach (cell, request->headers)
	{
		char  *line = lfirst(cell);
		size_t length = strlen(name);

		if (pg_strncasecmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
	}
	return NULL;
}

time_t
http_date(const HttpRequest *request)
{
	const char *value = http_header(request, "date");

	return value != NULL ? curl_getdate(value, NULL) : -1;
}

long
http_retry_after(const HttpRequest *request)
{
	const char *value = http_header(request, "retry-after");

	return value != NULL ? Max(strtol(value, NULL, 10), 0) : 0;
}

const char *
http_error(const HttpRequest *request)
{
	return request->body;
}

const char *
http_phase(const HttpRequest *request)
{
	(void) request;
	return "waiting for the answer";
}

int
http_connections(const HttpRequest *request)
{
	(void) request;
	return 1;
}

double
http_seconds(const HttpRequest *request)
{
	(void) request;
	return 1.5;
}

/* The SQL functions that ask for something, and the types of their arguments: text, integer. */
#define FUNCTIONS(F)                         \
	F(cognito_users, "tti")                  \
	F(cognito_groups, "t")                   \
	F(cognito_group_users, "tt")             \
	F(cognito_user_groups, "tt")             \
	F(cognito_add_user_to_group, "ttt")      \
	F(cognito_remove_user_from_group, "ttt") \
	F(cognito_user_pools, "t")               \
	F(cognito_user_pool, "t")                \
	F(cognito_app_clients, "t")              \
	F(cognito_app_client, "tt")              \
	F(cognito_identity_providers, "t")       \
	F(cognito_identity_provider, "tt")       \
	F(cognito_identity_pools, "t")           \
	F(cognito_identity_pool, "tt")           \
	F(cognito_identities, "tt")

#define DECLARE(name, types) extern Datum name(PG_FUNCTION_ARGS);
FUNCTIONS(DECLARE)

#define ENTRY(name, types) {#name, name, types},
static const struct
{
	const char *name;
	PGFunction  function;
	const char *types;
} functions[] = {FUNCTIONS(ENTRY)};

void
fuzz_call(const char *function, List *arguments)
{
	LOCAL_FCINFO(fcinfo, 4);
	FmgrInfo      info = {.fn_mcxt = CurrentMemoryContext};
	ReturnSetInfo result = {.type = T_ReturnSetInfo};
	size_t        i = 0;
	ListCell     *cell;

	while (i < lengthof(functions) && strcmp(functions[i].name, function) != 0)
		i++;
	if (i == lengthof(functions) || list_length(arguments) > (int) strlen(functions[i].types) - 1)
		return;

	InitFunctionCallInfoData(*fcinfo, &info, 1, InvalidOid, NULL, (Node *) &result);
	fcinfo->args[0] = (NullableDatum){.value = CStringGetTextDatum("fuzzed")};
	foreach (cell, arguments)
	{
		const char *argument = lfirst(cell);

		fcinfo->args[fcinfo->nargs] = (NullableDatum){
			.value = functions[i].types[fcinfo->nargs] == 'i' ? (Datum) strtoll(argument, NULL, 10)
															  : CStringGetTextDatum(argument)};
		fcinfo->nargs++;
	}
	functions[i].function(fcinfo);
}
