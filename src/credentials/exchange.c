/*
 * exchange.c
 *		Single requests to sources of credentials, and why they fail.
 */
#include "postgres.h"

#include "common/pg_prng.h"

#include <math.h>

#include "aws/error.h"
#include "aws/headers.h"
#include "clock.h"
#include "credentials/exchange.h"

/* The longest time before the first retry, in milliseconds */
#define FIRST_BACKOFF 100

void
exchange(HttpRequest *request, HttpMessage *message)
{
	http_send(request, message);
	headers_free(message->headers);
	message->headers = NIL;
	while (http_outcome(request) == HTTP_PENDING)
		http_wait(-1);
}

bool
exchange_is_retryable(const HttpRequest *request)
{
	AwsErrorKind kind;

	if (http_outcome(request) != HTTP_RESPONSE)
		return http_outcome(request) == HTTP_CONNECTION_LOST;
	kind = aws_error_kind(http_status(request), NULL, NULL);
	return kind == AWS_ERROR_THROTTLED || kind == AWS_ERROR_TRANSIENT;
}

void
exchange_back_off(int retries)
{
	double longest = ldexp(FIRST_BACKOFF, retries);
	double until = clock_now() + longest * pg_prng_double(&pg_global_prng_state);

	while (clock_now() < until)
		http_wait(until);
}

char *
exchange_problem(const HttpRequest *request, const HttpMessage *message, const char *host,
				 const char *secret)
{
	switch (http_outcome(request))
	{
		case HTTP_RESPONSE:
			return psprintf("%s answered with status %ld", host, http_status(request));
		case HTTP_CONNECT_TIMEOUT:
		case HTTP_RESPONSE_TIMEOUT:
			return psprintf("no answer from %s within %g s", host,
							http_outcome(request) == HTTP_CONNECT_TIMEOUT
								? Min(message->connect_timeout, message->request_timeout) / 1000.0
								: message->request_timeout / 1000.0);
		default:
			if (http_error(request)[0] == '\0')
				return psprintf("%s failed while %s", host, http_phase(request));
			return psprintf("%s: %s, while %s", host,
							aws_error_quote(http_error(request), &secret, 1), http_phase(request));
	}
}
