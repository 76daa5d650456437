/*
 * client.h
 *		Requests to AWS JSON 1.1 services: signed, sent, and retried where that
 *		helps; the reply as JSON, or an error that says what to do.
 */
#ifndef COGNITO_AWS_CLIENT_H
#define COGNITO_AWS_CLIENT_H

#include "postgres.h"

#include <cjson/cJSON.h>

#include "aws/operation.h"
#include "compat.h"

typedef struct AwsRequest AwsRequest;

/* Return the endpoint that a server names for a service, or else the service's own. */
extern const Endpoint *aws_endpoint(const CognitoServer *server, const AwsService *service);

/*
 * Return a request that lives, with its transfer's handle, in the server's context.
 * An error of the type not_found_type, which may be NULL, makes the reply NULL instead
 * of being raised.
 */
extern AwsRequest *aws_create_request(const CognitoServer *server, const AwsOperation *operation,
									  const char *not_found_type);

/*
 * Send a request with the arguments of its operation, as AwsCall has them, and
 * further members of the JSON object, without its braces, as soon as the limiter of
 * its quota and the server's max_requests_per_second allow; return without waiting.  If
 * the service has accepted no request of the session yet, aws_wait sends it.
 */
extern void aws_send(AwsRequest *request, const char *const *arguments, const char *members);

/* Send a request and wait until it has its reply. */
extern AwsRequest *aws_perform(const CognitoServer *server, const AwsOperation *operation,
							   const char *const *arguments);

/*
 * Wait until one of several requests has its reply, and return its index; or until
 * a time of clock_now (negative for never), and return -1.
 *
 * Transient failures are retried, up to the server's max_retries: those of the service,
 * of resolving, connecting and the TLS handshake, lost connections and timeouts, but
 * never a certificate that is refused.  So an operation may be performed twice.  The
 * back-off is a random part ("full jitter") of 100 ms, doubled each time up to 5 s, but
 * at least what the service asks for.  Throttled requests are retried as the limiter
 * permits, until no request of the same quota was accepted for a minute; not at all if
 * max_retries is 0.
 *
 * If the service says that this machine's clock is wrong, the request is signed once
 * more, with the service's time, as are all later ones of the session.  Until the service
 * has accepted a request of the session, there is one in flight, so that a wrong clock
 * makes no others fail.  Requests that are held back are sent in the order in which they
 * were due.
 *
 * Raise the error of the first request that fails, of the classes in
 * docs/errors.md; the other requests end with the server's context.
 */
extern int aws_wait(AwsRequest **requests, int nrequests, double until);

/*
 * Return the reply of a request whose index aws_wait returned: a JSON object that
 * lives in the current memory context, or NULL after an error of not_found_type.
 * Raise HV000, 22021 or 22P05 if it is not a JSON object.
 */
extern const cJSON *aws_reply(AwsRequest *request);

/* Return the length of the last response's reply, in bytes, also after the request was sent again. */
extern size_t aws_reply_length(const AwsRequest *request);

/*
 * Return a member of a reply.  Raise HV000 if it is missing, or not of a type, which
 * is_type tests and noun names, with its article.
 */
extern const cJSON *
aws_reply_member(const AwsRequest *request, const cJSON *reply, const char *name,
				 cJSON_bool (*is_type)(const cJSON *value), const char *noun);

/* Check the reply of an operation that returns nothing, which may be empty, as aws_reply does. */
extern void aws_check_reply(AwsRequest *request);

/*
 * Raise HV000 for a reply that is a JSON object, but not what the operation promises:
 * the detail is a sentence.
 */
extern void aws_reject_reply(const AwsRequest *request, const char *detail) pg_attribute_noreturn();

#endif
