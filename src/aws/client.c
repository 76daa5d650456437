/*
 * client.c
 *		One operation of an AWS JSON 1.1 service: signed, sent, and sent again
 *		where that helps.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include <curl/curl.h>
#include <math.h>
#include <openssl/crypto.h>
#include <time.h>

#include "aws/client.h"
#include "aws/http.h"
#include "aws/json.h"
#include "aws/quota.h"
#include "clock.h"
#include "aws/error.h"
#include "server/session.h"
#include "aws/sigv4.h"

#define CONTENT_TYPE "application/x-amz-json-1.1"

const AwsService aws_user_pools = {"cognito-idp", "AWSCognitoIdentityProviderService"};
const AwsService aws_identity_pools = {"cognito-identity", "AWSCognitoIdentityService"};

/* Back-off, in milliseconds: the first, and the longest that is not asked for by the service. */
#define FIRST_BACKOFF 100
#define LONGEST_BACKOFF 5000

/* A service that asks to be left alone for longer than this, in seconds, is taken for down. */
#define LONGEST_RETRY_AFTER 300

/* Room for a header host: a DNS name has 253 characters at most, a port 5. */
#define MAX_HOST 264

/* Room for the name of a scheme, of which there are http and https. */
#define MAX_SCHEME 8

/* How much this machine's clock may differ from the service's, in seconds. */
#define MAX_CLOCK_OFFSET SECS_PER_DAY

/* Room for a time such as 2026-01-31 23:59:59, with a year of up to ten digits. */
#define MAX_TIME 32

typedef enum RequestState
{
	REQUEST_SCHEDULED, /* to be sent, not before it is due */
	REQUEST_IN_FLIGHT,
	REQUEST_DONE
} RequestState;

struct AwsRequest
{
	AwsCall        call;
	const char    *missing; /* the type of error that is none, or NULL */
	HttpRequest   *http;
	Limiter       *limiter;
	char          *url;    /* scheme://host/, in the normal form of libcurl */
	char          *host;   /* as the header host has it */
	bool           direct; /* to this machine, without TLS: never through a proxy */
	char          *target; /* as the header x-amz-target has it */
	StringInfoData body;
	RequestState   state;
	double         due;             /* in clock_now's milliseconds */
	double         posted;          /* likewise, when it was sent last */
	bool           nothing;         /* there, as the answer says */
	int            retries;         /* of this body */
	bool           clock_corrected; /* for this body */
	time_t         clock_offset;    /* what the service's clock is ahead, in seconds */
};

/* The service's own endpoint, or the one that the server names. */
static const char *
endpoint_url(const CognitoServer *server, const AwsService *service)
{
	bool        china = strncmp(server->region, "cn-", strlen("cn-")) == 0;
	const char *named =
		service == &aws_identity_pools ? server->identity_endpoint_url : server->endpoint_url;

	if (named != NULL)
		return named;
	return psprintf("https://%s.%s.amazonaws.com%s", service->prefix, server->region,
					china ? ".cn" : "");
}

/*
 * Splits a URL into scheme, host and port, with scheme in lower case and no
 * port that is the scheme's own.  False if it is none, or longer than a host
 * name can be.
 */
static bool
split_url(const char *text, char scheme[MAX_SCHEME], char host[MAX_HOST])
{
	CURLU *url = curl_url();
	char  *url_scheme = NULL;
	char  *url_host = NULL;
	char  *port = NULL;
	bool   done = false;

	if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &url_scheme, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &url_host, 0) == CURLUE_OK)
	{
		(void) curl_url_get(url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
		done = strlcpy(scheme, url_scheme, MAX_SCHEME) < MAX_SCHEME &&
			   snprintf(host, MAX_HOST, "%s%s%s", url_host, port != NULL ? ":" : "",
						port != NULL ? port : "") < MAX_HOST;
	}
	curl_free(url_scheme);
	curl_free(url_host);
	curl_free(port);
	curl_url_cleanup(url);
	return done;
}

/* Sets where a request goes. */
static void
set_endpoint(AwsRequest *request)
{
	char scheme[MAX_SCHEME];
	char host[MAX_HOST];

	/* The URL has been checked, so what fails here is memory, or the length of the host name. */
	if (!split_url(endpoint_url(request->call.server, request->call.operation->service), scheme,
				   host))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid endpoint of server \"%s\"", request->call.server->name)));
	request->host = pstrdup(host);
	request->url = psprintf("%s://%s/", scheme, host);
	request->direct = strcmp(scheme, "http") == 0;
}

AwsRequest *
aws_create_request(const CognitoServer *server, const AwsOperation *operation, const char *missing)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	AwsRequest   *request = palloc0(sizeof(AwsRequest));

	request->call = (AwsCall){.server = server, .operation = operation};
	request->missing = missing;
	request->http = http_create();
	request->limiter = quota_get(server->session->serverid);
	set_endpoint(request);
	request->target = psprintf("%s.%s", operation->service->target, operation->name);
	initStringInfo(&request->body);

	MemoryContextSwitchTo(caller);
	return request;
}

/*
 * Append a header line that will be sent.  It may hold a session token, so it is
 * allocated at its final size: a buffer that had to grow would leave a copy.
 */
static List *
add_line(List *lines, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(": ") + strlen(value) + 1;
	char  *line = palloc(size);

	snprintf(line, size, "%s: %s", name, value);
	return lappend(lines, line);
}

/* Signs the body and hands it to be sent. */
static void
sign_and_send(AwsRequest *request)
{
	const CognitoServer *server = request->call.server;
	char                 date[SIGV4_DATE_SIZE];
	SigV4Header          headers[5];
	SigV4Request         signing = {.access_key_id = server->access_key_id,
									.secret_access_key = server->secret_access_key,
									.region = server->region,
									.service = request->call.operation->service->prefix,
									.date = date,
									.headers = headers,
									.body = request->body.data,
									.length = request->body.len};
	HttpMessage          message = {.url = request->url,
									.direct = request->direct,
									.body = request->body.data,
									.length = request->body.len,
									.connect_timeout = server->connect_timeout,
									.request_timeout = server->request_timeout};
	ListCell            *line;
	int                  n = 0;

	sigv4_date(date, time(NULL) + request->clock_offset);
	headers[n++] = (SigV4Header){"content-type", CONTENT_TYPE};
	headers[n++] = (SigV4Header){"host", request->host};
	headers[n++] = (SigV4Header){"x-amz-date", date};
	if (server->session_token != NULL)
		headers[n++] = (SigV4Header){"x-amz-security-token", server->session_token};
	headers[n++] = (SigV4Header){"x-amz-target", request->target};
	signing.nheaders = n;

	for (int i = 0; i < n; i++)
		message.headers = add_line(message.headers, headers[i].name, headers[i].value);
	message.headers = add_line(message.headers, "authorization", sigv4_authorization(&signing));
	http_send(request->http, &message);

	foreach (line, message.headers)
		OPENSSL_cleanse(lfirst(line), strlen(lfirst(line)));
	list_free_deep(message.headers);
}

/* Lets a request be sent from some time on. */
static void
schedule(AwsRequest *request, double due)
{
	request->state = REQUEST_SCHEDULED;
	request->due = due;
}

/* Sends a request and returns 0, or tells when to try again if it is not due or has no leave yet. */
static double
send_if_due(AwsRequest *request)
{
	const CognitoServer *server = request->call.server;
	double               now = clock_now();
	double               again;

	if (request->due > now)
		return request->due;
	again = limiter_acquire(request->limiter, server->max_requests_per_second, now);
	if (again > 0)
		return again;

	sign_and_send(request);
	request->state = REQUEST_IN_FLIGHT;
	request->posted = now;
	server->session->requests++;
	return 0;
}

/* Write the JSON object that asks for an operation. */
static void
write_body(StringInfo body, const AwsCall *call, const char *members)
{
	resetStringInfo(body);
	appendStringInfoChar(body, '{');
	for (int i = 0; i < AWS_MAX_PARAMETERS; i++)
		if (call->arguments[i] != NULL)
			json_append_string(body, call->operation->parameters[i], call->arguments[i]);
	json_append_members(body, members);
	appendStringInfoChar(body, '}');
}

void
aws_send(AwsRequest *request, const char *const *arguments, const char *members)
{
	memcpy(request->call.arguments, arguments, sizeof(request->call.arguments));
	write_body(&request->body, &request->call, members);
	request->retries = 0;
	request->clock_corrected = false;
	schedule(request, clock_now());
	send_if_due(request);
}

/* Write a time in UTC, for people. */
static void
write_time(char text[MAX_TIME], time_t time)
{
	struct tm utc;

	if (gmtime_r(&time, &utc) == NULL || strftime(text, MAX_TIME, "%Y-%m-%d %H:%M:%S", &utc) == 0)
		strlcpy(text, "out of range", MAX_TIME);
}

/*
 * Learn from an answer how far this machine's clock is off; false if it does
 * not say.  A difference of more than MAX_CLOCK_OFFSET is an error: no endpoint
 * is to have requests signed for any time that it likes.
 */
static bool
correct_clock(AwsRequest *request)
{
	const char *date = http_header(request->http, "date");
	time_t      service_time = date != NULL ? curl_getdate(date, NULL) : -1;
	time_t      now = time(NULL);
	char        service_text[MAX_TIME];
	char        text[MAX_TIME];

	if (service_time == -1)
		return false;
	if (service_time < now - MAX_CLOCK_OFFSET || service_time > now + MAX_CLOCK_OFFSET)
	{
		write_time(service_text, service_time);
		write_time(text, now);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("Cognito's clock differs from this machine's by more than a day for server "
						"\"%s\"",
						request->call.server->name),
				 errdetail("%s: Cognito's clock shows %s UTC, this machine's %s UTC.",
						   request->call.operation->name, service_text, text),
				 errhint("Set this machine's clock.")));
	}
	request->clock_offset = service_time - now;
	return true;
}

/* How long to wait before the next try, in milliseconds. */
static double
backoff_delay(const AwsRequest *request)
{
	double longest = Min(ldexp(FIRST_BACKOFF, Min(request->retries, 30)), LONGEST_BACKOFF);
	double jittered = longest * pg_prng_double(&pg_global_prng_state);

	return Max(jittered, 1000.0 * (double) http_retry_after(request->http));
}

/* Can the same request succeed if it is sent again later? */
static bool
is_retryable(const AwsRequest *request, const AwsError *error)
{
	return (error->kind == AWS_ERROR_THROTTLED || error->kind == AWS_ERROR_TRANSIENT ||
			error->kind == AWS_ERROR_CONNECTION_LOST) &&
		   http_retry_after(request->http) <= LONGEST_RETRY_AFTER;
}

/* Counts what came of a request that was sent. */
static void
record_response(const AwsRequest *request, const AwsError *error)
{
	Session *session = request->call.server->session;
	double   now = clock_now();

	session->waited += now - request->posted;
	session->bytes += http_received(request->http);
	session->connections += http_connections(request->http);
	if (error != NULL && error->kind == AWS_ERROR_THROTTLED)
	{
		session->throttled++;
		limiter_throttled(request->limiter, request->posted, now);
	}
	else
		limiter_answered(request->limiter, request->posted);
}

/* Schedules a request that brought no reply to be sent again, or raises the error. */
static void
retry(AwsRequest *request, const AwsError *error)
{
	double delay = 0;

	if (error->kind == AWS_ERROR_WRONG_CLOCK && !request->clock_corrected && correct_clock(request))
		request->clock_corrected = true;
	else if (is_retryable(request, error) && request->retries < request->call.server->max_retries)
	{
		delay = backoff_delay(request);
		request->retries++;
		request->call.server->session->retries++;
	}
	else
		aws_error_raise(error, &request->call, request->http, request->retries);
	schedule(request, clock_now() + delay);
}

/* Does a refusal say that there is nothing, where that is no error? */
static bool
is_missing(const AwsRequest *request, const AwsError *error)
{
	return request->missing != NULL && error->type != NULL &&
		   strcmp(error->type, request->missing) == 0;
}

/* Takes a request's answer, if it has come: a reply, a reason to try again, or an error. */
static void
process_response(AwsRequest *request)
{
	AwsError error;
	bool     refused;

	if (request->state != REQUEST_IN_FLIGHT || http_outcome(request->http) == HTTP_PENDING)
		return;

	refused = aws_error_of(request->http, &error);
	record_response(request, refused ? &error : NULL);
	request->nothing = refused && is_missing(request, &error);
	if (refused && !request->nothing)
		retry(request, &error);
	else
		request->state = REQUEST_DONE;
}

/*
 * Takes the answers that have come.  What is under way is counted anew: a call
 * is held back by its own requests only, not by those that it has left behind.
 */
static void
process_responses(AwsRequest **requests, int nrequests)
{
	Limiter *limiter = requests[0]->limiter;

	limiter->in_flight = 0;
	for (int i = 0; i < nrequests; i++)
	{
		if (requests[i]->state == REQUEST_IN_FLIGHT)
			limiter->in_flight++;
	}
	for (int i = 0; i < nrequests; i++)
		process_response(requests[i]);
}

/* Sends what is due, what has waited longest first; when to go on, infinite if after an answer. */
static double
send_scheduled(AwsRequest **requests, int nrequests)
{
	for (;;)
	{
		AwsRequest *next = NULL;
		double      again;

		for (int i = 0; i < nrequests; i++)
		{
			if (requests[i]->state == REQUEST_SCHEDULED &&
				(next == NULL || requests[i]->due < next->due))
				next = requests[i];
		}
		if (next == NULL)
			return INFINITY;
		again = send_if_due(next);
		if (again > 0)
			return again;
	}
}

int
aws_wait(AwsRequest **requests, int nrequests, double until)
{
	for (;;)
	{
		double again;

		process_responses(requests, nrequests);
		again = send_scheduled(requests, nrequests);
		for (int i = 0; i < nrequests; i++)
		{
			if (requests[i]->state == REQUEST_DONE)
				return i;
		}

		if (until >= 0 && clock_now() >= until)
			return -1;
		if (until >= 0)
			again = Min(again, until);
		http_wait(isinf(again) ? -1 : again);
	}
}

AwsRequest *
aws_perform(const CognitoServer *server, const AwsOperation *operation,
			const char *const *arguments)
{
	AwsRequest *request = aws_create_request(server, operation, NULL);

	aws_send(request, arguments, "");
	(void) aws_wait(&request, 1, -1);
	return request;
}

const cJSON *
aws_reply(AwsRequest *request)
{
	JsonError    problem;
	const cJSON *reply;
	const char  *body;
	size_t       length;

	if (request->nothing)
		return NULL;
	body = http_body(request->http, &length);
	reply = json_parse(body, length, &problem);
	if (reply == NULL)
		ereport(
			ERROR,
			(errcode(problem.sqlstate),
			 errmsg("unusable reply from Cognito for server \"%s\"", request->call.server->name),
			 errdetail_internal("%s: %s", request->call.operation->name, problem.detail)));
	if (!cJSON_IsObject(reply))
		aws_reject_reply(request, "The reply is not a JSON object.");
	return reply;
}

void
aws_check_reply(AwsRequest *request)
{
	size_t length;

	(void) http_body(request->http, &length);
	if (length > 0)
		(void) aws_reply(request);
}

void
aws_reject_reply(const AwsRequest *request, const char *detail, ...)
{
	StringInfoData text;
	va_list        args;

	initStringInfo(&text);
	for (;;)
	{
		int needed;

		va_start(args, detail);
		needed = appendStringInfoVA(&text, detail, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}

	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("unusable reply from Cognito for server \"%s\"", request->call.server->name),
			 errdetail_internal("%s: %s", request->call.operation->name, text.data)));
	pg_unreachable();
}
