/*
 * endpoint.h
 *		The address of a service, parsed from a URL.
 */
#ifndef COGNITO_SERVER_ENDPOINT_H
#define COGNITO_SERVER_ENDPOINT_H

#include "postgres.h"

typedef struct Endpoint
{
	const char *url;           /* scheme://host[:port]/, without a default port */
	const char *host;          /* host[:port], the value of the header host */
	bool        is_plain_http; /* without TLS, on a loopback address */
} Endpoint;

/*
 * Parse the URL of an endpoint: https://, or http:// for a loopback address, with
 * a host and optionally a port, and nothing else.  Set the endpoint, palloc'd in
 * the current memory context, and return NULL, or return what is wrong with the
 * URL, as a constant sentence.  The sentence quotes nothing.
 */
extern const char *endpoint_parse(const char *text, const Endpoint **endpoint);

/*
 * Do the same for a service beside this machine: http:// is also allowed for a list of
 * addresses, which ends with NULL.  The URL may have a path and a query, which the
 * endpoint keeps, if has_path is true.
 */
extern const char *endpoint_parse_local(const char *text, bool has_path,
										const char *const *addresses, const Endpoint **endpoint);

/* Return AWS's endpoint of a service in a region, palloc'd in the current memory context. */
extern const Endpoint *endpoint_of_service(const char *prefix, const char *region);

#endif
