/*
 * slow_resolver.c
 *		For LD_PRELOAD: a resolver that takes five seconds to find no host whose
 *		name ends in .stall.test, and is the usual one for all others.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#define STALLING ".stall.test"

typedef int (*Resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Does a host name end in STALLING? */
static int
stalls(const char *host)
{
	size_t length = host != NULL ? strlen(host) : 0;

	return length > strlen(STALLING) && strcmp(host + length - strlen(STALLING), STALLING) == 0;
}

/* Takes the place of the C library's. */
int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
			struct addrinfo **found)
{
	Resolver usual = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");

	if (!stalls(host))
		return usual(host, service, hints, found);
	sleep(5);
	return EAI_NONAME;
}
