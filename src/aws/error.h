/*
 * error.h
 *		The errors of requests: what failed on the way or what the service said,
 *		as one kind, and the error that is raised for it.
 *
 * The types are those of the public service model of cognito-idp and of the
 * common errors of AWS APIs.
 */
#ifndef COGNITO_AWS_ERROR_H
#define COGNITO_AWS_ERROR_H

#include "postgres.h"

#include "aws/http.h"
#include "aws/operation.h"
#include "compat.h"

typedef enum AwsErrorKind
{
	AWS_ERROR_THROTTLED,
	AWS_ERROR_TRANSIENT, /* or a transfer that may succeed the next time */
	AWS_ERROR_WRONG_CLOCK,
	AWS_ERROR_CREDENTIALS,
	AWS_ERROR_EXPIRED,
	AWS_ERROR_DENIED,
	AWS_ERROR_NOT_FOUND,
	AWS_ERROR_USER_NOT_FOUND,
	AWS_ERROR_ARGUMENT,
	AWS_ERROR_OTHER
} AwsErrorKind;

typedef struct AwsError
{
	AwsErrorKind kind;
	const char  *type;    /* AWS's, such as TooManyRequestsException; NULL if it gave none */
	const char  *message; /* AWS's; NULL if it gave none */
} AwsError;

/*
 * Set the error of a request that is no longer pending and return true; return false
 * if it has none.  The strings live in the current memory context, in UTF-8.
 */
extern bool aws_error_of(HttpRequest *http, AwsError *error);

/*
 * Return the kind of a response that is not 200, from its status, type and message,
 * which may be NULL.
 */
extern AwsErrorKind aws_error_kind(long status, const char *type, const char *message);

/*
 * Return a text of the service as it may be shown in an error: with the secrets, which
 * may be NULL, masked, without deceptive characters, clipped, and reduced to ASCII
 * where this database cannot hold the rest.
 */
extern char *aws_error_quote(const char *words, const char *const *secrets, int nsecrets);

/* Raise the error of a request that was retried this many times. */
extern void aws_error_raise(const AwsError *error, const AwsCall *call, HttpRequest *http,
							int retries) pg_attribute_noreturn();

#endif
