/*
 * slow_resolver.c
 *		For LD_PRELOAD: a resolver with other results for some host names.
 *
 * .stall.test   no host, after five seconds
 * .flaky.test   this machine, which has an IPv4 address only; but no host, once, if
 *               the file RESOLVER_FAULT exists, which is then removed
 *
 * From 8.20 on, libcurl asks for each family of addresses on its own: a fault is one
 * of IPv4, since there is nothing else to be found.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Return true if a host name ends in a suffix. */
static bool
ends_in(const char *host, const char *suffix)
{
	size_t length = host != NULL ? strlen(host) : 0;

	return length > strlen(suffix) && strcmp(host + length - strlen(suffix), suffix) == 0;
}

/* Take the place of the C library's. */
int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
			struct addrinfo **found)
{
	Resolver    usual = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");
	const char *fault = getenv("RESOLVER_FAULT");

	if (ends_in(host, ".stall.test"))
	{
		sleep(5);
		return EAI_NONAME;
	}
	if (!ends_in(host, ".flaky.test"))
		return usual(host, service, hints, found);
	if (fault != NULL && hints->ai_family != AF_INET6 && unlink(fault) == 0)
		return EAI_AGAIN;
	return usual("127.0.0.1", service, hints, found);
}
