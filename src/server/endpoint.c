/*
 * endpoint.c
 *		The address of a service, parsed from a URL.
 *
 * URLs are parsed here and nowhere else, with libcurl's parser, which also sends
 * the requests: what has been checked is what is used.  The parts are copied into
 * a struct of fixed size, so that nothing can raise an error while libcurl's
 * handle is open.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include "server/endpoint.h"

/* The longest name in the DNS (RFC 1035), and the longest port number */
#define MAX_HOST_NAME 253
#define MAX_PORT 5

#define PORT_PROBLEM "The port must be a number from 1 to 65535."

typedef struct UrlParts
{
	char scheme[8]; /* in lower case; a longer one is truncated */
	char host[MAX_HOST_NAME + 1];
	char port[MAX_PORT + 1]; /* empty for the scheme's default */
} UrlParts;

/* Convert a host of a URL to an IPv6 address; return false if it is none. */
static bool
parse_ipv6(const char *host, struct in6_addr *address)
{
	char text[INET6_ADDRSTRLEN + 2];

	strlcpy(text, host[0] == '[' ? host + 1 : host, sizeof(text));
	text[strcspn(text, "]")] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

/* Return true if a host, as libcurl normalizes it, is a loopback address. */
static bool
is_loopback(const char *host)
{
	struct in_addr  v4;
	struct in6_addr v6;

	if (pg_strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return parse_ipv6(host, &v6) && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Return true if a host, as libcurl normalizes it, is one of a list of addresses. */
static bool
is_one_of(const char *host, const char *const *addresses)
{
	struct in6_addr v6;
	struct in6_addr other;

	for (; *addresses != NULL; addresses++)
		if (strcmp(host, *addresses) == 0 ||
			(parse_ipv6(host, &v6) && parse_ipv6(*addresses, &other) &&
			 memcmp(&v6, &other, sizeof(v6)) == 0))
			return true;
	return false;
}

/* Copy a part of a URL, truncated to the size.  Return its length, or -1 if there is none. */
static int
copy_part(CURLU *url, CURLUPart part, char *text, size_t size)
{
	char *value = NULL;
	int   length = -1;

	if (curl_url_get(url, part, &value, CURLU_NO_DEFAULT_PORT) == CURLUE_OK)
		length = (int) strlcpy(text, value, size);
	curl_free(value);
	return length;
}

/* Return true if a URL has a part. */
static bool
has_part(CURLU *url, CURLUPart part)
{
	char ignored[1];

	return copy_part(url, part, ignored, sizeof(ignored)) >= 0;
}

/* Return true if a URL without a path ends with a colon, which libcurl accepts without a port. */
static bool
lacks_port(const char *text)
{
	size_t length = strlen(text);

	if (text[length - 1] == '/')
		length--;
	return text[length - 1] == ':';
}

/* Take a URL apart.  Return NULL, or what is wrong with it, as endpoint_parse does. */
static const char *
split_url(CURLU *url, const char *text, UrlParts *parts)
{
	CURLUcode result = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	int       host_length;

	memset(parts, 0, sizeof(UrlParts));
	if (result == CURLUE_BAD_PORT_NUMBER)
		return PORT_PROBLEM;
	if (result != CURLUE_OK ||
		copy_part(url, CURLUPART_SCHEME, parts->scheme, sizeof(parts->scheme)) < 0 ||
		(host_length = copy_part(url, CURLUPART_HOST, parts->host, sizeof(parts->host))) < 0)
		return "It must be a URL such as https://host or https://host:port.";

	if (has_part(url, CURLUPART_ZONEID))
		return "It must not contain a zone of an IPv6 address.";
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return "It must not contain a user name or a password.";
	if (host_length > MAX_HOST_NAME)
		return "The host name must not be longer than 253 characters.";

	copy_part(url, CURLUPART_PORT, parts->port, sizeof(parts->port));
	if (lacks_port(text) || strcmp(parts->port, "0") == 0)
		return PORT_PROBLEM;
	return NULL;
}

/* Return NULL, or what is wrong with a URL that has more than a host and a port. */
static const char *
check_end(CURLU *url)
{
	char path[2];

	if (copy_part(url, CURLUPART_PATH, path, sizeof(path)) != 1 || has_part(url, CURLUPART_QUERY) ||
		has_part(url, CURLUPART_FRAGMENT))
		return "It must not contain a path, a query or a fragment.";
	return NULL;
}

/* Return NULL, or what is wrong with the scheme or the host of a URL. */
static const char *
check_scheme(const UrlParts *parts, const char *const *addresses)
{
	if (strcmp(parts->scheme, "https") == 0)
		return NULL;
	if (strcmp(parts->scheme, "http") != 0 ||
		(!is_loopback(parts->host) && !is_one_of(parts->host, addresses)))
		return "It must begin with https://, or with http:// for a loopback address.";
	return NULL;
}

/* Return an endpoint, palloc'd with its strings; its URL is made of the parts if it is NULL. */
static const Endpoint *
make_endpoint(const char *scheme, const char *host, const char *port, const char *url)
{
	Endpoint *endpoint = palloc(sizeof(Endpoint));

	endpoint->host = psprintf("%s%s%s", host, port[0] != '\0' ? ":" : "", port);
	endpoint->url = url != NULL ? url : psprintf("%s://%s/", scheme, endpoint->host);
	endpoint->is_plain_http = strcmp(scheme, "http") == 0;
	return endpoint;
}

const char *
endpoint_parse_local(const char *text, bool has_path, const char *const *addresses,
					 const Endpoint **endpoint)
{
	CURLU      *url = curl_url();
	UrlParts    parts;
	const char *problem;

	if (url == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	problem = split_url(url, text, &parts);
	if (problem == NULL && !has_path)
		problem = check_end(url);
	curl_url_cleanup(url);

	if (problem == NULL)
		problem = check_scheme(&parts, addresses);
	if (problem == NULL)
		*endpoint =
			make_endpoint(parts.scheme, parts.host, parts.port, has_path ? pstrdup(text) : NULL);
	return problem;
}

const char *
endpoint_parse(const char *text, const Endpoint **endpoint)
{
	static const char *const none[] = {NULL};

	return endpoint_parse_local(text, false, none, endpoint);
}

const Endpoint *
endpoint_of_service(const char *prefix, const char *region)
{
	bool china = strncmp(region, "cn-", strlen("cn-")) == 0;

	return make_endpoint(
		"https", psprintf("%s.%s.amazonaws.com%s", prefix, region, china ? ".cn" : ""), "", NULL);
}
