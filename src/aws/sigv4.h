/*
 * sigv4.h
 *		AWS Signature Version 4 for a POST to the root path without a query.
 *
 * The rules are those of "Create a signed AWS API request" in the AWS Identity
 * and Access Management user guide.  Nothing here knows of a catalog or a
 * network: strings in, one string out.
 */
#ifndef COGNITO_AWS_SIGV4_H
#define COGNITO_AWS_SIGV4_H

#include "postgres.h"

#include <time.h>

/* Room for a date such as 20260131T235959Z and its final NUL. */
#define SIGV4_DATE_SIZE 17

typedef struct SigV4Header
{
	const char *name;  /* in lower case */
	const char *value; /* without white space around it */
} SigV4Header;

typedef struct SigV4Request
{
	const char        *access_key_id;
	const char        *secret_access_key;
	const char        *region;
	const char        *service; /* endpoint prefix, such as cognito-idp */
	const char        *date;    /* from sigv4_date */
	const SigV4Header *headers; /* all that are signed, in the order of their names */
	int                nheaders;
	const char        *body;
	size_t             length; /* of the body, in bytes */
} SigV4Request;

/*
 * Writes the time in the form that the header x-amz-date and the signature take.
 * Raises XX000 for a year that does not have four digits.
 */
extern void sigv4_date(char date[SIGV4_DATE_SIZE], time_t now);

/*
 * The value of the header Authorization, palloc'd; no secret can be told from
 * it.  Buffers that held the secret, or what was derived from it, or header
 * values, are wiped, however long these are; OpenSSL wipes its own.  Raises XX000
 * (internal_error) if it cannot compute a digest.
 */
extern char *sigv4_authorization(const SigV4Request *request);

#endif
