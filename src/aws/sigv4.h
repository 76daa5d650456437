/*
 * sigv4.h
 *		AWS Signature Version 4 for a POST to the root path without a query.
 *
 * The rules are those of "Create a signed AWS API request" in the AWS Identity and
 * Access Management user guide.  These functions use neither catalogs nor the network.
 */
#ifndef COGNITO_AWS_SIGV4_H
#define COGNITO_AWS_SIGV4_H

#include "postgres.h"

#include <time.h>

/* The size of a date such as 20260131T235959Z with its final NUL */
#define SIGV4_DATE_SIZE 17

typedef struct SigV4Header
{
	const char *name;  /* in lower case */
	const char *value; /* without white space around it */
} SigV4Header;

/* The key of a day that is derived from the secret; an empty day for none. */
typedef struct SigV4Key
{
	char          day[sizeof("YYYYMMDD")];
	unsigned char key[32];
} SigV4Key;

typedef struct SigV4Request
{
	const char        *access_key_id;
	const char        *secret_access_key;
	const char        *region;
	const char        *service; /* endpoint prefix, such as cognito-idp */
	const char        *date;    /* from sigv4_date */
	const SigV4Header *headers; /* to be signed, sorted by name */
	int                nheaders;
	const char        *body;
	size_t             length; /* of the body, in bytes */
	SigV4Key          *key;    /* of earlier requests with the same secret, region and service */
} SigV4Request;

/*
 * Write a time in the form of the header x-amz-date and of the signature.  Raise
 * XX000 (internal_error) for a year that does not have four digits.
 */
extern void sigv4_date(char date[SIGV4_DATE_SIZE], time_t now);

/*
 * Return the value of the header Authorization, palloc'd; it reveals no secret.  All
 * buffers with the secret, with keys derived from it, or with header values are
 * wiped, whatever their length; OpenSSL wipes its own.  The key remains, for the
 * caller to use again and to wipe.  Raise XX000 if a digest
 * cannot be computed.
 */
extern char *sigv4_authorization(const SigV4Request *request);

#endif
