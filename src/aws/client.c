/*
 * client.c
 *		Requests to AWS JSON 1.1 services: signing, sending, and retrying.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include <math.h>
#include <openssl/crypto.h>
#include <time.h>

#include "aws/client.h"
#include "aws/error.h"
#include "aws/headers.h"
#include "aws/http.h"
#include "aws/json.h"
#include "clock.h"
#include "server/quota.h"
#include "server/session.h"

#define CONTENT_TYPE "application/x-amz-json-1.1"

const AwsService aws_user_pools = {"cognito-idp", "AWSCognitoIdentityProviderService",
								   offsetof(CognitoServer, endpoint)};
const AwsService aws_identity_pools = {"cognito-identity", "AWSCognitoIdentityService",
									   offsetof(CognitoServer, identity_endpoint)};

/* The quotas that AWS documents, in requests per second */
static const struct
{
	const char *category; /* NULL for a quota of the operation's own */
	double      rate;
	bool        is_of_pool; /* of each operation in each pool */
} quotas[] = {
	[AWS_OPERATION] = {NULL, 5, false},
	[AWS_USER_LIST] = {"UserList", 30, false},
	[AWS_USER_RESOURCE_READ] = {"UserResourceRead", 50, false},
	[AWS_USER_UPDATE] = {"UserUpdate", 25, false},
	[AWS_USER_POOL_READ] = {"UserPoolRead", 15, false},
	[AWS_USER_POOL_RESOURCE_READ] = {NULL, 5, true},
	[AWS_USER_POOL_CLIENT_READ] = {NULL, 5, true},
};

/* Back-off in milliseconds: the first, and the longest unless the service asks for more. */
#define FIRST_BACKOFF 100
#define LONGEST_BACKOFF 5000

/* The longest Retry-After to comply with, in seconds; after a longer one, the request fails. */
#define LONGEST_RETRY_AFTER 300

/* How long to send throttled requests again while none is accepted, in milliseconds. */
#define LONGEST_THROTTLING (60 * 1000)

/* The maximum difference between this machine's clock and the service's, in seconds. */
#define MAX_CLOCK_OFFSET SECS_PER_DAY

/* Room for a time such as 2026-01-31 23:59:59, with a year of up to ten digits. */
#define MAX_TIME 32

typedef enum RequestState
{
	REQUEST_SCHEDULED, /* waits to be sent */
	REQUEST_IN_FLIGHT,
	REQUEST_DONE
} RequestState;

struct AwsRequest
{
	AwsCall         call;
	const char     *not_found_type; /* the type of error that means not_found, or NULL */
	HttpRequest    *http;
	Limiter        *limiter;
	const Endpoint *endpoint;
	char           *target; /* the value of the header x-amz-target */
	StringInfoData  body;
	size_t          reply_length; /* of the last response */
	SigV4Key        key;
	RequestState    state;
	double          scheduled;       /* when it was to be sent first, in clock_now's milliseconds */
	double          due;             /* when it may be sent, likewise */
	double          sent;            /* when it was sent last, likewise */
	bool            not_found;       /* the response was an error of not_found_type */
	int             retries;         /* of this body, after failures */
	int             throttlings;     /* of this body, each of which was retried, too */
	bool            clock_corrected; /* for this body */
	int             credentials_version; /* of the provider, with which it was signed */
	bool            credentials_renewed; /* for this body, because they had expired */

	MemoryContextCallback release;
};

const Endpoint *
aws_endpoint(const CognitoServer *server, const AwsService *service)
{
	const Endpoint *named = *(const Endpoint *const *) ((const char *) server + service->endpoint);

	return named != NULL ? named : endpoint_of_service(service->prefix, server->region);
}

/* Wipe the signing key of a request; callback of its memory context. */
static void
release(void *arg)
{
	OPENSSL_cleanse(&((AwsRequest *) arg)->key, sizeof(SigV4Key));
}

/*
 * Return what stands for the account of a server, which is not known: two access keys of
 * an account are limited as two sessions are.  Keys of a role are replaced every hour.
 */
static const char *
account_of(const CognitoServer *server)
{
	if (server->provider == NULL)
		return server->access_key_id;
	return server->role_arn != NULL ? server->role_arn : server->credential_source;
}

/* Return the limiter of the quota of an operation. */
static Limiter *
find_limiter(const CognitoServer *server, const AwsOperation *operation, const Endpoint *endpoint)
{
	const char *category = quotas[operation->quota].category;
	bool        is_of_pool = quotas[operation->quota].is_of_pool;
	const char *pool = is_of_pool ? server_pool_id(server, operation->pool) : "";
	char *name = psprintf("%s %s %s %s %s", account_of(server), server->region, endpoint->host,
						  category != NULL ? category : operation->name, pool);

	return quota_limiter(name, quotas[operation->quota].rate, is_of_pool);
}

AwsRequest *
aws_create_request(const CognitoServer *server, const AwsOperation *operation,
				   const char *not_found_type)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	AwsRequest   *request = palloc0(sizeof(AwsRequest));

	request->call = (AwsCall){.server = server, .operation = operation};
	request->not_found_type = not_found_type;
	request->release = (MemoryContextCallback){.func = release, .arg = request};
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &request->release);
	request->http = http_create();
	request->endpoint = aws_endpoint(server, operation->service);
	request->limiter = find_limiter(server, operation, request->endpoint);
	request->target = psprintf("%s.%s", operation->service->target, operation->name);
	initStringInfo(&request->body);

	MemoryContextSwitchTo(caller);
	return request;
}

/* Forget the signing key of a request if the credentials have been replaced since. */
static void
check_signing_key(AwsRequest *request)
{
	const CredentialProvider *provider = request->call.server->provider;

	if (provider == NULL || request->credentials_version == provider->version)
		return;
	OPENSSL_cleanse(&request->key, sizeof(SigV4Key));
	request->credentials_version = provider->version;
}

/* Sign the body and start its transfer. */
static void
sign_and_send(AwsRequest *request)
{
	const CognitoServer *server = request->call.server;
	SignedMessage        signing = {.access_key_id = server->access_key_id,
									.secret_access_key = server->secret_access_key,
									.session_token = server->session_token,
									.region = server->region,
									.service = request->call.operation->service->prefix,
									.host = request->endpoint->host,
									.content_type = CONTENT_TYPE,
									.target = request->target,
									.body = request->body.data,
									.length = request->body.len,
									.time = time(NULL) + server->session->clock_offset,
									.key = &request->key};
	HttpMessage          message = {.url = request->endpoint->url,
									.direct = request->endpoint->is_plain_http,
									.headers = headers_sign(&signing),
									.body = request->body.data,
									.length = request->body.len,
									.connect_timeout = server->connect_timeout,
									.request_timeout = server->request_timeout};

	http_send(request->http, &message);
	headers_free(message.headers);
}

/*
 * Send a request and return 0, or return when to try again if it is not due or held
 * back.  That is at once if credentials were fetched, because requests in flight may
 * have had their responses since they were last looked at.
 */
static double
send_if_due(AwsRequest *request)
{
	const CognitoServer *server = request->call.server;
	Session             *session = server->session;
	double               now = clock_now();
	double               again = Max(request->due, session->next_request);

	if (again > now)
		return again;
	if (server->provider != NULL && server->provider->renew(server->provider))
		return now;
	again = limiter_acquire(request->limiter, now);
	if (again > 0)
		return again;

	if (server->max_requests_per_second > 0)
		session->next_request = now + 1000.0 / server->max_requests_per_second;
	check_signing_key(request);
	sign_and_send(request);
	request->state = REQUEST_IN_FLIGHT;
	request->sent = now;
	session->requests++;
	return 0;
}

/* Write the JSON object that is the body of a request. */
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
	request->retries = request->throttlings = 0;
	request->clock_corrected = false;
	request->credentials_renewed = false;
	request->state = REQUEST_SCHEDULED;
	request->scheduled = request->due = clock_now();
	if (request->call.server->session->clock_verified)
		send_if_due(request);
}

/* Write a time in UTC, for a message. */
static void
write_time(char text[MAX_TIME], time_t time)
{
	struct tm utc;

	if (gmtime_r(&time, &utc) == NULL || strftime(text, MAX_TIME, "%Y-%m-%d %H:%M:%S", &utc) == 0)
		strlcpy(text, "out of range", MAX_TIME);
}

/*
 * Set the session's clock offset from a response; return false if it has no date.
 * Raise an error for an offset of more than MAX_CLOCK_OFFSET: no endpoint may have requests
 * signed for a time of its choice.
 */
static bool
correct_clock(AwsRequest *request)
{
	time_t service_time = http_date(request->http);
	time_t now = time(NULL);
	char   service_text[MAX_TIME];
	char   text[MAX_TIME];

	if (service_time == -1)
		return false;
	if (service_time < now - MAX_CLOCK_OFFSET || service_time > now + MAX_CLOCK_OFFSET)
	{
		write_time(service_text, service_time);
		write_time(text, now);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("system clock differs from Cognito's by more than a day for server \"%s\"",
						request->call.server->name),
				 errdetail("%s: Cognito's clock shows %s UTC, the system clock shows %s UTC.",
						   request->call.operation->name, service_text, text),
				 errhint("Correct the system clock.")));
	}
	request->call.server->session->clock_offset = service_time - now;
	return true;
}

/*
 * Return how long to back off before the next try, in milliseconds.  After throttling, the
 * limiter says when to send again.
 */
static double
backoff_delay(const AwsRequest *request, const AwsError *error)
{
	double longest = Min(ldexp(FIRST_BACKOFF, Min(request->retries, 30)), LONGEST_BACKOFF);
	double jittered = longest * pg_prng_double(&pg_global_prng_state);

	if (error->kind == AWS_ERROR_THROTTLED)
		jittered = 0;
	return Max(jittered, 1000.0 * (double) http_retry_after(request->http));
}

/* Return true if the same request is to be sent again, because it may succeed. */
static bool
is_retryable(const AwsRequest *request, const AwsError *error)
{
	int    max_retries = request->call.server->max_retries;
	double succeeded = Max(request->scheduled, request->limiter->accepted);

	if (http_retry_after(request->http) > LONGEST_RETRY_AFTER)
		return false;
	if (error->kind == AWS_ERROR_THROTTLED)
		return max_retries > 0 && clock_now() < succeeded + LONGEST_THROTTLING;
	return error->kind == AWS_ERROR_TRANSIENT && request->retries < max_retries;
}

/*
 * Count the response of a request, or its failure, and adapt the limiter.  A request
 * without a response tells nothing of the quota.
 */
static void
record_response(AwsRequest *request, const AwsError *error)
{
	Session *session = request->call.server->session;
	double   now = clock_now();

	(void) http_body(request->http, &request->reply_length);
	session->waited += now - request->sent;
	session->bytes += (int64) request->reply_length;
	session->connections += http_connections(request->http);
	if (error != NULL && error->kind == AWS_ERROR_THROTTLED)
	{
		session->throttled++;
		limiter_throttled(request->limiter, request->sent, now);
	}
	else if (http_outcome(request->http) == HTTP_RESPONSE)
		limiter_accepted(request->limiter, request->sent, now);
	else
		request->limiter->in_flight--;
}

/*
 * Note that the credentials have expired with which a request was signed, unless they
 * have been replaced since; return false if the request cannot get others.
 */
static bool
expire_credentials(AwsRequest *request)
{
	CredentialProvider *provider = request->call.server->provider;

	if (provider == NULL)
		return false;
	if (request->credentials_version == provider->version)
		provider->expired = true;
	return true;
}

/* Return true if a request may succeed if it is signed anew at once, which is tried once. */
static bool
can_sign_anew(AwsRequest *request, const AwsError *error)
{
	if (error->kind == AWS_ERROR_WRONG_CLOCK && !request->clock_corrected)
	{
		request->clock_corrected = correct_clock(request);
		if (request->clock_corrected)
			request->call.server->session->clock_verified = false;
		return request->clock_corrected;
	}
	if (error->kind == AWS_ERROR_EXPIRED && !request->credentials_renewed)
		return request->credentials_renewed = expire_credentials(request);
	return false;
}

/* Schedule a failed request to be sent again, or raise its error. */
static void
retry(AwsRequest *request, const AwsError *error)
{
	bool   at_once = can_sign_anew(request, error);
	double delay = 0;

	if (!at_once && is_retryable(request, error))
	{
		delay = backoff_delay(request, error);
		if (error->kind == AWS_ERROR_THROTTLED)
			request->throttlings++;
		else
			request->retries++;
		request->call.server->session->retries++;
	}
	else if (!at_once)
		aws_error_raise(error, &request->call, request->http,
						request->retries + request->throttlings);
	request->state = REQUEST_SCHEDULED;
	request->due = clock_now() + delay;
}

/* Process the response of a request, if it has come: finish the request, retry it, or raise its error. */
static void
process_response(AwsRequest *request)
{
	AwsError error;
	bool     failed;

	if (request->state != REQUEST_IN_FLIGHT || http_outcome(request->http) == HTTP_PENDING)
		return;

	failed = aws_error_of(request->http, &error);
	record_response(request, failed ? &error : NULL);
	request->not_found = failed && request->not_found_type != NULL && error.type != NULL &&
						 strcmp(error.type, request->not_found_type) == 0;
	if (failed && !request->not_found)
		retry(request, &error);
	else
	{
		request->state = REQUEST_DONE;
		request->call.server->session->clock_verified = true;
	}
}

/*
 * Process the responses that have come.  Requests in flight are counted anew:
 * those of earlier calls that were not finished must not hold this call back.
 */
static void
process_responses(AwsRequest **requests, int nrequests)
{
	Limiter *limiter = requests[0]->limiter;

	limiter->in_flight = 0;
	for (int i = 0; i < nrequests; i++)
		if (requests[i]->state == REQUEST_IN_FLIGHT)
			limiter->in_flight++;
	for (int i = 0; i < nrequests; i++)
		process_response(requests[i]);
}

/*
 * Return true if requests must wait for the response of another one: a session sends
 * one at a time until the service has accepted the time of a signature, because it would
 * refuse all of them for the same wrong clock.
 */
static bool
must_verify_clock(AwsRequest **requests, int nrequests)
{
	if (requests[0]->call.server->session->clock_verified)
		return false;
	for (int i = 0; i < nrequests; i++)
		if (requests[i]->state == REQUEST_IN_FLIGHT)
			return true;
	return false;
}

/*
 * Send the requests that are due, in that order.  Return when to go on, infinite if not
 * before a response.
 */
static double
send_scheduled(AwsRequest **requests, int nrequests)
{
	for (;;)
	{
		AwsRequest *next = NULL;
		double      again;

		for (int i = 0; i < nrequests; i++)
			if (requests[i]->state == REQUEST_SCHEDULED &&
				(next == NULL || requests[i]->due < next->due))
				next = requests[i];
		if (next == NULL || must_verify_clock(requests, nrequests))
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
			if (requests[i]->state == REQUEST_DONE)
				return i;

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

/* Raise the error for a response that is not what the operation promises. */
static void
pg_attribute_noreturn() reject_reply(const AwsRequest *request, int sqlstate, const char *detail)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("unusable reply from Cognito for server \"%s\"", request->call.server->name),
			 errdetail_internal("%s: %s", request->call.operation->name, detail)));
}

size_t
aws_reply_length(const AwsRequest *request)
{
	return request->reply_length;
}

const cJSON *
aws_reply(AwsRequest *request)
{
	JsonError    problem;
	const cJSON *reply;
	const char  *body;
	size_t       length;

	if (request->not_found)
		return NULL;
	body = http_body(request->http, &length);
	reply = json_parse(body, length, &problem);
	if (reply == NULL)
		reject_reply(request, problem.sqlstate, problem.detail);
	if (!cJSON_IsObject(reply))
		reject_reply(request, ERRCODE_FDW_ERROR, "The reply is not a JSON object.");
	return reply;
}

const cJSON *
aws_reply_member(const AwsRequest *request, const cJSON *reply, const char *name,
				 cJSON_bool (*is_type)(const cJSON *value), const char *noun)
{
	const cJSON *member = json_member(reply, name);

	if (member == NULL)
		aws_reject_reply(request, psprintf("The reply has no member \"%s\".", name));
	if (!is_type(member))
		aws_reject_reply(request, psprintf("Member \"%s\" is not %s.", name, noun));
	return member;
}

void
aws_check_reply(AwsRequest *request)
{
	if (aws_reply_length(request) > 0)
		(void) aws_reply(request);
}

void
aws_reject_reply(const AwsRequest *request, const char *detail)
{
	reject_reply(request, ERRCODE_FDW_ERROR, detail);
	pg_unreachable();
}
