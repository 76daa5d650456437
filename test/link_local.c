/*
 * link_local.c
 *		Preloaded: connections to the addresses of AWS's metadata services go to a
 *		port of this machine, LINK_LOCAL_PORT, instead.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Connect as libc does. */
static int
connect_to(int fd, const void *address, socklen_t length)
{
	int (*next)(int, const struct sockaddr *, socklen_t);

	*(void **) &next = dlsym(RTLD_NEXT, "connect");
	return next(fd, address, length);
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	const char         *port = getenv("LINK_LOCAL_PORT");
	struct sockaddr_in  v4;
	struct sockaddr_in6 v6;

	if (port != NULL && address->sa_family == AF_INET)
	{
		memcpy(&v4, address, sizeof(v4));
		if (ntohl(v4.sin_addr.s_addr) >> 16 == 0xa9fe) /* 169.254 */
		{
			v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			v4.sin_port = htons(atoi(port));
			return connect_to(fd, &v4, sizeof(v4));
		}
	}
	if (port != NULL && address->sa_family == AF_INET6)
	{
		memcpy(&v6, address, sizeof(v6));
		if (memcmp(&v6.sin6_addr, "\xfd\x00\x0e\xc2", 4) == 0)
		{
			inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
			v6.sin6_port = htons(atoi(port));
			return connect_to(fd, &v6, sizeof(v6));
		}
	}
	return connect_to(fd, address, length);
}
