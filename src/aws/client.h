/*
 * client.h
 *		One operation of an AWS JSON 1.1 service: signed, sent, and sent again
 *		where that helps; its reply as JSON, or an error that says what to do.
 */
#ifndef COGNITO_AWS_CLIENT_H
#define COGNITO_AWS_CLIENT_H

#include "postgres.h"

#include <cjson/cJSON.h>

#include "aws/operation.h"
#include "compat.h"

typedef struct AwsRequest AwsRequest;

/*
 * Makes a request that lives, with its connection's handle, in the server's
 * context.  An error of the type "missing", which may be NULL, is none, but says
 * that there is nothing.
 */
extern AwsRequest *
aws_create_request(const CognitoServer *server, const AwsOperation *operation, const char *missing);

/*
 * Send a request with the arguments of its operation, as AwsCall has them, and
 * further members of the JSON object, without its braces, as soon as the session's
 * limiter allows; return without waiting.
 */
extern void aws_send(AwsRequest *request, const char *const *arguments, const char *members);

/* Send a request and wait until it has its reply. */
extern AwsRequest *aws_perform(const CognitoServer *server, const AwsOperation *operation,
							   const char *const *arguments);

/*
 * Waits until one of several requests has its reply, and tells which; or until
 * a time of clock_now's clock (negative for never), and returns -1.
 *
 * Throttled and transient answers and broken connections are tried again, up
 * to the server's max_retries, after 100 ms, doubled each time up to 5 s, of
 * which a random part is waited ("full jitter"), or after what the service
 * asks for.  A wrong local clock is corrected once from the service's.
 *
 * What the session's limiter holds back is sent in the order in which it was
 * due, so that no request of several starves.
 *
 * Raises the errors of the README's table, HV00N to 53400, for the first
 * request that fails; the others end with the server's context.
 */
extern int aws_wait(AwsRequest **requests, int nrequests, double until);

/*
 * The reply of a request that aws_wait told of, a JSON object that lives in
 * the current memory context; NULL if it says that there is nothing.
 */
extern const cJSON *aws_reply(AwsRequest *request);

/* The same of an operation that has nothing to tell: its reply may be empty. */
extern void aws_check_reply(AwsRequest *request);

/* Raises HV000 for a reply that is JSON but not what the operation promises. */
extern void aws_reject_reply(const AwsRequest *request, const char *detail, ...)
	pg_attribute_printf(2, 3) pg_attribute_noreturn();

#endif
