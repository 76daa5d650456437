/*
 * http.c
 *		POST requests on libcurl's multi interface, waited for with the latch.
 *
 * libcurl tells through two callbacks which sockets it wants to be watched and
 * when it wants to be called next.  Both only take notes, for no error may be
 * raised inside them; http_pump does the waiting and calls libcurl back.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include <curl/curl.h>
#include <math.h>
#include <openssl/crypto.h>
#include <signal.h>

#include "compat.h"
#include "http.h"

/* Connections that a session keeps open at the most. */
#define MAX_CONNECTIONS 64L

/* Events taken from the kernel at a time; what is left over is there the next time. */
#define MAX_EVENTS 16

/* The first size of an answer's buffer, in bytes: a page of users takes some 40 kB. */
#define FIRST_BUFFER (64 * 1024)

struct HttpRequest
{
	CURL                 *easy;
	bool                  running; /* added to the multi handle */
	HttpOutcome           outcome;
	struct curl_slist    *headers;
	char                 *body; /* malloc'd, for it grows inside a callback */
	size_t                length;
	size_t                capacity;
	char                  error[CURL_ERROR_SIZE];
	MemoryContextCallback release;
};

typedef struct HttpSocket
{
	curl_socket_t fd;
	uint32        events; /* WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE */
} HttpSocket;

/* The session's connections, and what libcurl last asked to be watched. */
static struct
{
	CURLM        *multi;
	WaitEventSet *wait_set;
	bool          wait_set_stale; /* it no longer matches the sockets */
	HttpSocket   *sockets;        /* malloc'd, for it grows inside a callback */
	int           nsockets;
	int           max_sockets;
	bool          ended; /* a transfer has ended since http_work last looked */
	double        timer; /* when libcurl wants to be called, negative if not at all */
	uint32        wait_event;
} pool;

char *http_ca_file;

/* libcurl's callback: note which events of a socket are to be watched. */
static int
note_socket(CURL *easy pg_attribute_unused(), curl_socket_t fd, int what,
			void *user pg_attribute_unused(), void *per_socket pg_attribute_unused())
{
	int i = 0;

	pool.wait_set_stale = true;
	while (i < pool.nsockets && pool.sockets[i].fd != fd)
		i++;

	if (what == CURL_POLL_REMOVE)
	{
		if (i < pool.nsockets)
			pool.sockets[i] = pool.sockets[--pool.nsockets];
		return 0;
	}

	if (i == pool.max_sockets)
	{
		int         max = Max(2 * pool.max_sockets, 8);
		HttpSocket *sockets = realloc(pool.sockets, max * sizeof(HttpSocket));

		if (sockets == NULL)
			return -1;
		pool.sockets = sockets;
		pool.max_sockets = max;
	}
	if (i == pool.nsockets)
		pool.nsockets++;
	pool.sockets[i].fd = fd;
	pool.sockets[i].events = ((what & CURL_POLL_IN) ? WL_SOCKET_READABLE : 0) |
							 ((what & CURL_POLL_OUT) ? WL_SOCKET_WRITEABLE : 0);
	return 0;
}

/* libcurl's callback: note when it wants to be called without an event. */
static int
note_timer(CURLM *multi pg_attribute_unused(), long milliseconds, void *user pg_attribute_unused())
{
	pool.timer = milliseconds < 0 ? -1 : http_now() + (double) milliseconds;
	return 0;
}

/* libcurl's callback: append to the answer; any return but the size ends the transfer. */
static size_t
receive_body(char *data, size_t size, size_t count, void *user)
{
	HttpRequest *request = user;
	size_t       length = size * count;

	if (length > HTTP_MAX_ANSWER - request->length)
	{
		request->outcome = HTTP_TOO_LARGE;
		return 0;
	}

	if (request->length + length + 1 > request->capacity)
	{
		size_t capacity = Max(request->capacity, FIRST_BUFFER);
		char  *body;

		while (capacity < request->length + length + 1)
			capacity *= 2;
		body = realloc(request->body, capacity);
		if (body == NULL)
		{
			request->outcome = HTTP_OUT_OF_MEMORY;
			return 0;
		}
		request->body = body;
		request->capacity = capacity;
	}

	memcpy(request->body + request->length, data, length);
	request->length += length;
	request->body[request->length] = '\0';
	return length;
}

/* Frees the header lines of a message; they may hold a session token. */
static void
free_headers(HttpRequest *request)
{
	for (struct curl_slist *line = request->headers; line != NULL; line = line->next)
		OPENSSL_cleanse(line->data, strlen(line->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
}

/* Takes a request out of the transfers. */
static void
stop(HttpRequest *request)
{
	if (request->running)
		curl_multi_remove_handle(pool.multi, request->easy);
	request->running = false;
	free_headers(request);
}

/* Callback of the memory context in which a request lives: free what is not palloc'd. */
static void
release(void *arg)
{
	HttpRequest *request = arg;

	stop(request);
	curl_easy_cleanup(request->easy);
	/* It may hold a secret, as the description of an app client does. */
	if (request->body != NULL)
		OPENSSL_cleanse(request->body, request->length);
	free(request->body);
}

/* Did a request come to the point of which libcurl notes that time? */
static bool
reached(const HttpRequest *request, CURLINFO time)
{
	curl_off_t when = 0;

	curl_easy_getinfo(request->easy, time, &when);
	return when != 0;
}

/* How a transfer ended, from libcurl's result. */
static HttpOutcome
outcome_of(const HttpRequest *request, CURLcode result)
{
	bool connected = reached(request, CURLINFO_PRETRANSFER_TIME_T);

	switch (result)
	{
		case CURLE_OK:
			return HTTP_ANSWERED;

		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
		case CURLE_PROXY:
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_PEER_FAILED_VERIFICATION:
			return HTTP_UNREACHABLE;

		case CURLE_OPERATION_TIMEDOUT:
			return connected ? HTTP_ANSWER_TIMEOUT : HTTP_CONNECT_TIMEOUT;

		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
			return connected ? HTTP_BROKEN : HTTP_UNREACHABLE;

		case CURLE_OUT_OF_MEMORY:
			return HTTP_OUT_OF_MEMORY;

		default:
			return HTTP_FAILED;
	}
}

/* Notes the outcome of every transfer that has ended. */
static void
collect_ended(void)
{
	CURLMsg *message;
	int      left;

	while ((message = curl_multi_info_read(pool.multi, &left)) != NULL)
	{
		HttpRequest *request = NULL;
		CURLcode     result = message->data.result;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		if (request->outcome == HTTP_PENDING)
			request->outcome = outcome_of(request, result);
		stop(request);
		pool.ended = true;
	}
}

/*
 * Lets libcurl work on a socket's events, or on its timers.  It may start a
 * thread to resolve a name, and that thread must never take a signal that is
 * meant for the backend: it inherits a mask in which all are blocked.
 */
static void
transfer(curl_socket_t fd, int events)
{
	sigset_t all;
	sigset_t saved;
	int      running;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved);
	curl_multi_socket_action(pool.multi, fd, events, &running);
	sigprocmask(SIG_SETMASK, &saved, NULL);
	collect_ended();
}

/* Sets up the session's connections, once. */
static void
open_pool(void)
{
	if (pool.multi != NULL)
		return;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		(pool.multi = curl_multi_init()) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));

	curl_multi_setopt(pool.multi, CURLMOPT_SOCKETFUNCTION, note_socket);
	curl_multi_setopt(pool.multi, CURLMOPT_TIMERFUNCTION, note_timer);
	curl_multi_setopt(pool.multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
	pool.wait_set_stale = true;
	pool.timer = -1;
	pool.wait_event = new_wait_event("CognitoRequest");
}

/* Makes the set of what is waited for: latch, postmaster and libcurl's sockets. */
static void
build_wait_set(void)
{
	if (pool.wait_set != NULL)
		FreeWaitEventSet(pool.wait_set);
	pool.wait_set = NULL;
	pool.wait_set = create_wait_event_set(pool.nsockets + 2);
	AddWaitEventToSet(pool.wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (IsUnderPostmaster) /* not in single-user mode */
		AddWaitEventToSet(pool.wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < pool.nsockets; i++)
		AddWaitEventToSet(pool.wait_set, pool.sockets[i].events, pool.sockets[i].fd, NULL, NULL);
	pool.wait_set_stale = false;
}

/* How long to wait, in milliseconds: until libcurl's timer or the deadline; negative is no end. */
static long
wait_time(double deadline)
{
	double until = pool.timer;

	if (deadline >= 0 && (until < 0 || deadline < until))
		until = deadline;
	if (until < 0)
		return -1;
	return (long) ceil(Max(until - http_now(), 0));
}

/* See http.h. */
double
http_now(void)
{
	instr_time time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_MILLISEC(time);
}

/* See http.h. */
void
http_work(double until)
{
	WaitEvent events[MAX_EVENTS];
	int       nevents;

	if (pool.ended)
	{
		pool.ended = false;
		return;
	}

	CHECK_FOR_INTERRUPTS();
	if (pool.wait_set_stale)
		build_wait_set();
	nevents =
		WaitEventSetWait(pool.wait_set, wait_time(until), events, MAX_EVENTS, pool.wait_event);

	for (int i = 0; i < nevents; i++)
	{
		if (events[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
		else
			transfer(events[i].fd,
					 ((events[i].events & WL_SOCKET_READABLE) ? CURL_CSELECT_IN : 0) |
						 ((events[i].events & WL_SOCKET_WRITEABLE) ? CURL_CSELECT_OUT : 0));
	}

	if (pool.timer >= 0 && pool.timer <= http_now())
	{
		pool.timer = -1;
		transfer(CURL_SOCKET_TIMEOUT, 0);
	}
}

/* Sets the options that are the same for every message; see http.h and the README's guarantees. */
static void
set_constant_options(HttpRequest *request)
{
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver thread */
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "cognito_srf/1.0");
}

/* See http.h. */
HttpRequest *
http_create(void)
{
	HttpRequest *request = palloc0(sizeof(HttpRequest));

	open_pool();
	request->release.func = release;
	request->release.arg = request;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &request->release);

	request->easy = curl_easy_init();
	if (request->easy == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	set_constant_options(request);
	return request;
}

/* Adds a copy of a header line. */
static bool
add_header(HttpRequest *request, const char *line)
{
	struct curl_slist *lines = curl_slist_append(request->headers, line);

	if (lines == NULL)
		return false;
	request->headers = lines;
	return true;
}

/* Sets the header lines of a message, and no "Expect: 100-continue", for which not all wait. */
static bool
set_headers(HttpRequest *request, const List *headers)
{
	ListCell *cell;

	if (!add_header(request, "expect:"))
		return false;
	foreach (cell, headers)
	{
		if (!add_header(request, lfirst(cell)))
			return false;
	}
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	return true;
}

/* See http.h. */
void
http_send(HttpRequest *request, const HttpMessage *message)
{
	CURL *easy = request->easy;
	bool  ca_file = http_ca_file != NULL && http_ca_file[0] != '\0';

	stop(request);
	request->length = 0;
	request->error[0] = '\0';
	request->outcome = HTTP_PENDING;

	curl_easy_setopt(easy, CURLOPT_URL, message->url);
	if (ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, http_ca_file);
	/* What goes to a loopback address goes there, whatever the environment says of proxies. */
	curl_easy_setopt(easy, CURLOPT_NOPROXY,
					 strncmp(message->url, "http:", strlen("http:")) == 0 ? "*" : NULL);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) message->connect_timeout);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) message->request_timeout);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) message->length);

	if (!set_headers(request, message->headers) ||
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, message->body) != CURLE_OK ||
		curl_multi_add_handle(pool.multi, easy) != CURLM_OK)
	{
		request->outcome = HTTP_OUT_OF_MEMORY;
		return;
	}
	request->running = true;
	transfer(CURL_SOCKET_TIMEOUT, 0);
}

/* See http.h. */
HttpOutcome
http_outcome(const HttpRequest *request)
{
	return request->outcome;
}

/* See http.h. */
long
http_status(const HttpRequest *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* See http.h. */
const char *
http_body(const HttpRequest *request, size_t *length)
{
	*length = request->length;
	return request->length > 0 ? request->body : "";
}

/* See http.h. */
const char *
http_header(const HttpRequest *request, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* See http.h. */
long
http_retry_after(const HttpRequest *request)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
	return (long) Min(seconds, LONG_MAX);
}

/* See http.h. */
const char *
http_error(const HttpRequest *request)
{
	return request->error;
}

/* See http.h. */
const char *
http_phase(const HttpRequest *request)
{
	long port = 0;

	/* From the last to the first, for on a kept connection the first are left out. */
	if (reached(request, CURLINFO_STARTTRANSFER_TIME_T))
		return "receiving the answer";
	if (reached(request, CURLINFO_PRETRANSFER_TIME_T))
		return "waiting for the answer";

	/* Some versions note the time of the connection only after TLS, but its port at once. */
	curl_easy_getinfo(request->easy, CURLINFO_LOCAL_PORT, &port);
	if (port > 0)
		return "negotiating TLS";
	if (reached(request, CURLINFO_NAMELOOKUP_TIME_T))
		return "connecting";
	return "resolving the host name";
}

/* See http.h. */
double
http_seconds(const HttpRequest *request)
{
	curl_off_t microseconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
	return (double) microseconds / 1e6;
}

/* See http.h. */
int64
http_received(const HttpRequest *request)
{
	return (int64) request->length;
}

/* See http.h. */
int
http_connections(const HttpRequest *request)
{
	long connections = 0;

	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connections);
	return (int) connections;
}
