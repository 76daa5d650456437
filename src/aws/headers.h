/*
 * headers.h
 *		Header lines of requests, which may hold secrets; those of a signed message.
 */
#ifndef COGNITO_AWS_HEADERS_H
#define COGNITO_AWS_HEADERS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include <time.h>

#include "aws/sigv4.h"

/* A POST to the root path of a service, to be signed */
typedef struct SignedMessage
{
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token; /* or NULL */
	const char *region;
	const char *service; /* endpoint prefix, such as cognito-idp */
	const char *host;    /* the value of the header host */
	const char *content_type;
	const char *target; /* the value of the header x-amz-target, or NULL */
	const char *body;
	size_t      length; /* of the body, in bytes */
	time_t      time;   /* of the signature */
	SigV4Key   *key;    /* as in SigV4Request */
} SignedMessage;

/*
 * Return the header lines of a signed message, for HttpMessage, to be freed with
 * headers_free.  Raise what sigv4_authorization does.
 */
extern List *headers_sign(const SignedMessage *message);

/* Append a header line to a list, and return it. */
extern List *headers_add(List *lines, const char *name, const char *value);

/* Wipe and free header lines. */
extern void headers_free(List *lines);

#endif
