/*
 * system_certificates.c
 *		For LD_PRELOAD: makes the directory SYSTEM_CERTIFICATES stand in for
 *		/etc/ssl/certs, which libcurl was built to trust.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CERTIFICATES "/etc/ssl/certs"

/* Return a path with the directory replaced, in a buffer that the next call overwrites. */
static const char *
replace(const char *path)
{
	static char replaced[1024];
	const char *directory = getenv("SYSTEM_CERTIFICATES");
	size_t      length = strlen(CERTIFICATES);

	if (directory == NULL || strncmp(path, CERTIFICATES, length) != 0)
		return path;
	(void) snprintf(replaced, sizeof(replaced), "%s%s", directory, path + length);
	return replaced;
}

/* Take the place of the C library's. */
FILE *
fopen(const char *path, const char *mode)
{
	FILE *(*usual)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen");

	return usual(replace(path), mode);
}

/* Take the place of the C library's. */
FILE *
fopen64(const char *path, const char *mode)
{
	FILE *(*usual)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen64");

	return usual(replace(path), mode);
}

/* Take the place of the C library's. */
int
stat(const char *path, struct stat *status)
{
	int (*usual)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");

	return usual(replace(path), status);
}

/* Take the place of the C library's; OpenSSL 3.6 calls it where older versions call stat. */
int
lstat(const char *path, struct stat *status)
{
	int (*usual)(const char *, struct stat *) = dlsym(RTLD_NEXT, "lstat");

	return usual(replace(path), status);
}
