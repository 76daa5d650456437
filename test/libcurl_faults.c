/*
 * libcurl_faults.c
 *		For LD_PRELOAD: makes libcurl fail once for each file that appears in the
 *		directory LIBCURL_FAULTS.
 *
 * add      curl_multi_add_handle fails for lack of memory
 * option   curl_easy_setopt fails for the body of a request, likewise
 * socket   the callback that is told of sockets fails
 *
 * The file holds how many calls succeed before.  It is removed when the fault
 * has happened.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#undef curl_easy_setopt
#undef curl_multi_setopt

static curl_socket_callback usual_callback;

/* Return true, once, if a fault is ordered for this call. */
static bool
is_ordered(const char *fault)
{
	const char *directory = getenv("LIBCURL_FAULTS");
	char        path[1024];
	FILE       *file;
	int         skip = 0;

	if (directory == NULL)
		return false;
	(void) snprintf(path, sizeof(path), "%s/%s", directory, fault);
	file = fopen(path, "r+");
	if (file == NULL)
		return false;
	(void) fscanf(file, "%d", &skip);
	rewind(file);
	(void) fprintf(file, "%d\n", skip - 1);
	(void) fclose(file);
	return skip <= 0 && unlink(path) == 0;
}

/* Take the place of libcurl's. */
CURLMcode
curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	CURLMcode (*usual)(CURLM *, CURL *) = dlsym(RTLD_NEXT, "curl_multi_add_handle");

	return is_ordered("add") ? CURLM_OUT_OF_MEMORY : usual(multi, easy);
}

/* Take the place of libcurl's. */
CURLcode
curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode (*usual)(CURL *, CURLoption, ...) = dlsym(RTLD_NEXT, "curl_easy_setopt");
	va_list    arguments;
	curl_off_t number;
	void      *pointer;

	va_start(arguments, option);
	if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
	{
		number = va_arg(arguments, curl_off_t);
		va_end(arguments);
		return usual(easy, option, number);
	}
	pointer = va_arg(arguments, void *); /* a long is passed as a pointer is */
	va_end(arguments);
	if (option == CURLOPT_COPYPOSTFIELDS && is_ordered("option"))
		return CURLE_OUT_OF_MEMORY;
	return usual(easy, option, pointer);
}

/* Take the place of the callback that is told of sockets. */
static int
told_of_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *per_socket)
{
	return is_ordered("socket") ? -1 : usual_callback(easy, fd, what, user, per_socket);
}

/* Take the place of libcurl's. */
CURLMcode
curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
	CURLMcode (*usual)(CURLM *, CURLMoption, ...) = dlsym(RTLD_NEXT, "curl_multi_setopt");
	va_list arguments;
	void   *pointer;

	va_start(arguments, option);
	pointer = va_arg(arguments, void *);
	va_end(arguments);
	if (option == CURLMOPT_SOCKETFUNCTION)
	{
		usual_callback = (curl_socket_callback) pointer;
		pointer = (void *) told_of_socket;
	}
	return usual(multi, option, pointer);
}
