/*
 * error.h
 *		Why a request brought no reply: what happened on the way or what the
 *		service said, in one kind, and the error that it becomes.
 *
 * The types are those of the public service model of cognito-idp and of the
 * common errors of AWS APIs.
 */
#ifndef COGNITO_AWS_ERROR_H
#define COGNITO_AWS_ERROR_H

#include "postgres.h"

#include "compat.h"
#include "aws/http.h"
#include "server/server.h"

typedef enum RefusalKind
{
	REFUSAL_THROTTLED,
	REFUSAL_TRANSIENT,
	REFUSAL_BROKEN,
	REFUSAL_WRONG_CLOCK,
	REFUSAL_CREDENTIALS,
	REFUSAL_EXPIRED,
	REFUSAL_DENIED,
	REFUSAL_NOT_FOUND,
	REFUSAL_USER_NOT_FOUND,
	REFUSAL_ARGUMENT,
	REFUSAL_UNREACHABLE,
	REFUSAL_CONNECT_TIMEOUT,
	REFUSAL_ANSWER_TIMEOUT,
	REFUSAL_TOO_LARGE,
	REFUSAL_TOO_LARGE_TOGETHER,
	REFUSAL_TOO_MANY_FILES,
	REFUSAL_OUT_OF_MEMORY,
	REFUSAL_OTHER
} RefusalKind;

typedef struct Refusal
{
	RefusalKind kind;
	const char *type;    /* AWS's, such as TooManyRequestsException; NULL if it gave none */
	const char *message; /* AWS's; NULL if it gave none */
} Refusal;

/*
 * Tells from a request that is no longer pending why it brought no reply;
 * false if it did.  The strings live in the current memory context, in UTF-8.
 */
extern bool refusal_of(HttpRequest *http, Refusal *refusal);

/*
 * Raises the error.  The names are those of the service and its operation; the
 * body is the request's, which tells what was asked for.
 */
extern void refusal_raise(const Refusal *refusal, HttpRequest *http, const CognitoServer *server,
						  const char *service, const char *operation, const char *body, int retries)
	pg_attribute_noreturn();

#endif
