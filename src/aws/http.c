/*
 * http.c
 *		Requests on libcurl's multi interface, waited for with the latch.
 *
 * libcurl passes to two callbacks which sockets to watch and when to call it next.
 * The callbacks only store that, because no error may be raised inside them;
 * http_wait waits, and then calls libcurl.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include <curl/curl.h>
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/stat.h>

#include "aws/http.h"
#include "clock.h"
#include "compat.h"

/*
 * The largest number of idle connections that a session keeps open; where backends
 * may open few files, it is half of what PostgreSQL leaves to modules.
 */
#define MAX_CONNECTIONS 64

/* Ciphers and groups: key exchange over a large finite field can block OpenSSL for a second */
#define CIPHERS "DEFAULT:!kDHE"
#define GROUPS "X25519:P-256:P-384:P-521"

/* The number of events taken from the kernel at a time; more are taken the next time */
#define MAX_EVENTS 16

/* The initial size of a response's buffer, in bytes: a page of users takes some 40 kB */
#define INITIAL_BUFFER (64 * 1024)

/*
 * The phases of a transfer, in their order; a kept connection skips the first ones.
 * Only the calls of our callbacks tell them in all versions of libcurl: what its
 * times and ports mean has changed.
 */
typedef enum HttpPhase
{
	PHASE_RESOLVING,
	PHASE_CONNECTING,
	PHASE_NEGOTIATING_TLS,
	PHASE_WAITING,
	PHASE_RECEIVING
} HttpPhase;

struct HttpRequest
{
	CURL                 *easy;
	dlist_node            node;          /* in pool.running, while it is */
	bool                  running;       /* added to the multi handle */
	bool                  options_valid; /* libcurl has taken all options so far */
	HttpOutcome           outcome;
	HttpPhase             phase;
	struct curl_slist    *headers;
	char                 *body; /* malloc'd, because it grows inside a callback */
	size_t                length;
	size_t                capacity;
	size_t                header_length; /* of the response's header lines */
	bool                  has_headers;   /* all of them, which an empty line tells */
	char                  error[CURL_ERROR_SIZE];
	MemoryContextCallback release;
};

typedef struct HttpSocket
{
	curl_socket_t fd;
	uint32        events; /* WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE; 0 if libcurl has removed it */
	uint32        watched; /* those for which it is in the wait set */
} HttpSocket;

/* A socket that libcurl opened; the inode distinguishes it from later users of its descriptor. */
typedef struct OpenSocket
{
	curl_socket_t fd;
	dev_t         device;
	ino_t         inode;
} OpenSocket;

/* The session's connections, and what libcurl asked last to watch. */
static struct
{
	CURLM        *multi;
	OpenSocket   *open; /* malloc'd, because it grows inside a callback */
	int           nopen;
	int           max_open;
	dlist_head    running;  /* requests that have been added to the multi handle */
	size_t        buffered; /* bytes allocated for the responses of all requests */
	WaitEventSet *wait_set;
	bool          wait_set_stale; /* a descriptor in it may be another socket's now */
	HttpSocket   *sockets;        /* malloc'd, because it grows inside a callback */
	int           nsockets;
	int           max_sockets;
	bool          ended; /* a transfer has ended since http_wait last looked */
	double        timer; /* when libcurl wants to be called, negative if not at all */
	uint32        wait_event;
} pool;

char *http_ca_file;

/* Set an option of a request's handle, and note if libcurl refuses it. */
#define set_option(request, option, value) \
	((request)->options_valid &=           \
	 curl_easy_setopt((request)->easy, CURLOPT_##option, (value)) == CURLE_OK)

/* Note which events of a socket are to be watched; a callback of libcurl. */
static int
watch_socket(CURL *easy pg_attribute_unused(), curl_socket_t fd, int what,
			 void *user pg_attribute_unused(), void *per_socket pg_attribute_unused())
{
	int i = 0;

	while (i < pool.nsockets && pool.sockets[i].fd != fd)
		i++;

	/* Between two requests a kept connection is removed and added again. */
	if (what == CURL_POLL_REMOVE)
	{
		if (i < pool.nsockets)
			pool.sockets[i].events = 0;
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
		pool.sockets[pool.nsockets++] = (HttpSocket){.fd = fd};
	pool.sockets[i].events = ((what & CURL_POLL_IN) ? WL_SOCKET_READABLE : 0) |
							 ((what & CURL_POLL_OUT) ? WL_SOCKET_WRITEABLE : 0);
	return 0;
}

/* Note when libcurl wants to be called without an event; a callback of libcurl. */
static int
set_timer(CURLM *multi pg_attribute_unused(), long milliseconds, void *user pg_attribute_unused())
{
	pool.timer = milliseconds < 0 ? -1 : clock_now() + (double) milliseconds;
	return 0;
}

/*
 * Release the descriptors of sockets that libcurl has closed.  Its callback for that
 * is not called for sockets that were still connecting.
 */
static void
release_closed_sockets(void)
{
	int kept = 0;

	for (int i = 0; i < pool.nopen; i++)
	{
		const OpenSocket *socket = &pool.open[i];
		struct stat       status;

		if (fstat(socket->fd, &status) == 0 && status.st_dev == socket->device &&
			status.st_ino == socket->inode)
			pool.open[kept++] = *socket;
		else
			ReleaseExternalFD();
	}
	pool.nopen = kept;
}

/* Record a socket whose descriptor was acquired; return false if out of memory. */
static bool
remember_socket(curl_socket_t fd)
{
	struct stat status;

	if (pool.nopen == pool.max_open)
	{
		int         max = Max(2 * pool.max_open, 8);
		OpenSocket *open = realloc(pool.open, max * sizeof(OpenSocket));

		if (open == NULL)
			return false;
		pool.open = open;
		pool.max_open = max;
	}
	if (fstat(fd, &status) != 0)
		return false;
	pool.open[pool.nopen++] = (OpenSocket){fd, status.st_dev, status.st_ino};
	return true;
}

/*
 * Create a socket, counted among the files that this backend has open, so that the
 * server closes others when it must; a callback of libcurl.
 */
static curl_socket_t
open_socket(void *user, curlsocktype purpose pg_attribute_unused(), struct curl_sockaddr *address)
{
	HttpRequest  *request = user;
	curl_socket_t fd;

	request->phase = PHASE_CONNECTING;
	pool.wait_set_stale = true;
	release_closed_sockets();
	if (!AcquireExternalFD())
	{
		request->outcome = HTTP_TOO_MANY_FILES;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype, address->protocol);
	if (fd != CURL_SOCKET_BAD && remember_socket(fd))
		return fd;
	if (fd != CURL_SOCKET_BAD)
		closesocket(fd);
	ReleaseExternalFD();
	return CURL_SOCKET_BAD;
}

/* Note that libcurl opens sockets of its own, to resolve a name; a callback of libcurl. */
static int
start_resolver(void *resolver pg_attribute_unused(), void *reserved pg_attribute_unused(),
			   void *user pg_attribute_unused())
{
	pool.wait_set_stale = true;
	return 0;
}

/*
 * Make OpenSSL return after each record; a callback of libcurl.  By default it reads
 * on while records contain no data, and an endless series of them would block the
 * backend.  It also does so as long as it has read ahead, which newer versions of
 * libcurl make it do.
 */
static CURLcode
set_up_tls(CURL *easy pg_attribute_unused(), void *context, void *user)
{
	HttpRequest *request = user;

	request->phase = PHASE_NEGOTIATING_TLS;
	SSL_CTX_clear_mode((SSL_CTX *) context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead((SSL_CTX *) context, 0);
	return CURLE_OK;
}

/* libcurl's callback: note that there is a connection, on which it now sends the message. */
static int
note_connection(void *user, char *remote_address pg_attribute_unused(),
				char *local_address pg_attribute_unused(), int remote_port pg_attribute_unused(),
				int local_port pg_attribute_unused())
{
	HttpRequest *request = user;

	request->phase = PHASE_WAITING;
	return CURL_PREREQFUNC_OK;
}

/* Wipe and free the response of a request, which may contain the secret of an app client. */
static void
free_body(HttpRequest *request)
{
	if (request->body != NULL)
		OPENSSL_cleanse(request->body, request->length);
	free(request->body);
	pool.buffered -= request->capacity;
	request->body = NULL;
	request->length = 0;
	request->capacity = 0;
}

/*
 * Make room for a response of some length and its final NUL.  Wipe a buffer that
 * becomes too small, which realloc would not do.  Return the outcome of the request:
 * HTTP_PENDING if there is room.
 */
static HttpOutcome
reserve_body(HttpRequest *request, size_t length)
{
	size_t capacity = Max(request->capacity, INITIAL_BUFFER);
	char  *body;

	if (length < request->capacity)
		return HTTP_PENDING;
	if (length > HTTP_MAX_RESPONSE)
		return HTTP_BODY_TOO_LARGE;
	while (capacity <= length)
		capacity *= 2;
	capacity = Min(capacity, HTTP_MAX_RESPONSE + 1);
	if (pool.buffered - request->capacity + capacity > HTTP_MAX_BUFFERED)
		return HTTP_BUFFERS_FULL;

	body = malloc(capacity);
	if (body == NULL)
		return HTTP_OUT_OF_MEMORY;
	length = request->length;
	if (length > 0)
		memcpy(body, request->body, length);
	free_body(request);
	request->body = body;
	request->length = length;
	request->capacity = capacity;
	pool.buffered += capacity;
	return HTTP_PENDING;
}

/* Append to the response, a callback of libcurl; another return value than the size ends the transfer. */
static size_t
receive_body(char *data, size_t size, size_t count, void *user)
{
	HttpRequest *request = user;
	size_t       length = size * count;

	request->outcome = reserve_body(request, request->length + length);
	if (request->outcome != HTTP_PENDING)
		return 0;

	memcpy(request->body + request->length, data, length);
	request->length += length;
	request->body[request->length] = '\0';
	return length;
}

/*
 * Return true if a header line announces a transfer encoding that libcurl would
 * decode although it was not asked for: any but "chunked".  A few bytes may take hours
 * to decode.
 */
static bool
is_encoded(const char *line, size_t length)
{
	static const char name[] = "transfer-encoding:";
	static const char chunked[] = "chunked";
	size_t            i = strlen(name);

	if (length < i || pg_strncasecmp(line, name, i) != 0)
		return false;
	while (i < length && isspace((unsigned char) line[i]))
		i++;
	while (length > i && isspace((unsigned char) line[length - 1]))
		length--;
	return length - i != strlen(chunked) || pg_strncasecmp(line + i, chunked, length - i) != 0;
}

/*
 * Limit the header lines of the response, all of which libcurl keeps, refuse encodings,
 * and note the end of the lines; a callback of libcurl.
 */
static size_t
receive_header(char *data, size_t size, size_t count, void *user)
{
	HttpRequest *request = user;
	size_t       length = size * count;

	/* until there is a connection, they are a proxy's */
	if (request->phase == PHASE_WAITING)
		request->phase = PHASE_RECEIVING;
	if (request->phase == PHASE_RECEIVING && length <= strlen("\r\n"))
		request->has_headers = true;
	request->header_length += length;
	if (request->header_length > HTTP_MAX_HEADERS)
		request->outcome = HTTP_HEADERS_TOO_LARGE;
	else if (is_encoded(data, length))
		request->outcome = HTTP_ENCODED;
	return request->outcome == HTTP_PENDING ? length : 0;
}

/* Wipe and free the header lines of a message, which may contain a session token. */
static void
free_headers(HttpRequest *request)
{
	for (struct curl_slist *line = request->headers; line != NULL; line = line->next)
		OPENSSL_cleanse(line->data, strlen(line->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
}

/* Remove a request from the transfers. */
static void
stop(HttpRequest *request)
{
	if (request->running)
	{
		curl_multi_remove_handle(pool.multi, request->easy);
		dlist_delete(&request->node);
	}
	request->running = false;
	free_headers(request);
}

/* Free what is not palloc'd; callback of the memory context in which a request lives. */
static void
release(void *arg)
{
	HttpRequest *request = arg;

	stop(request);
	curl_easy_cleanup(request->easy);
	free_body(request);
	release_closed_sockets();
}

/*
 * Return the outcome of a transfer that has failed before there was a connection.  A
 * status of 4xx is a proxy's refusal, which libcurl's result does not tell in all versions.
 */
static HttpOutcome
outcome_unconnected(const HttpRequest *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status >= 400 && status < 500 ? HTTP_REFUSED : HTTP_UNREACHABLE;
}

/*
 * Return the outcome of a transfer from libcurl's result.  If a connection ends amid the
 * header lines, libcurl takes those that have come for a response without a body.
 */
static HttpOutcome
outcome_of(const HttpRequest *request, CURLcode result)
{
	bool connected = request->phase >= PHASE_WAITING;

	switch (result)
	{
		case CURLE_OK:
			return request->has_headers ? HTTP_RESPONSE : HTTP_CONNECTION_LOST;

		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
		case CURLE_PROXY:
			return outcome_unconnected(request);

		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_PEER_FAILED_VERIFICATION:
			return HTTP_REFUSED;

		case CURLE_SSL_CONNECT_ERROR:
			return HTTP_TLS_HANDSHAKE_FAILED;

		case CURLE_SSL_CACERT_BADFILE:
			return HTTP_BAD_CA_FILE;

		case CURLE_OPERATION_TIMEDOUT:
			return connected ? HTTP_RESPONSE_TIMEOUT : HTTP_CONNECT_TIMEOUT;

		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
			return connected ? HTTP_CONNECTION_LOST : outcome_unconnected(request);

		case CURLE_BAD_CONTENT_ENCODING: /* newer versions find it before is_encoded does */
			return HTTP_ENCODED;

		case CURLE_OUT_OF_MEMORY:
			return HTTP_OUT_OF_MEMORY;

		default:
			return HTTP_FAILED;
	}
}

/* Set the outcome of every transfer that has ended. */
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
		else
			request->error[0] = '\0'; /* libcurl only knows that a callback failed */
		stop(request);
		pool.ended = true;
	}
}

/* End a request that libcurl cannot run, and make the next http_wait return at once. */
static void
fail_to_run(HttpRequest *request)
{
	if (request->outcome == HTTP_PENDING)
		request->outcome = HTTP_OUT_OF_MEMORY;
	stop(request);
	pool.ended = true;
}

/*
 * Discard the multi handle with all its requests and connections, after an error
 * that makes it unusable.  The next request creates another.
 */
static void
discard_pool(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool.running)
		fail_to_run(dlist_container(HttpRequest, node, iter.cur));
	curl_multi_cleanup(pool.multi);
	pool.multi = NULL;
	pool.nsockets = 0;
	pool.wait_set_stale = true;
	pool.timer = -1;
}

/*
 * Let libcurl process a socket's events, or its timers.  It may start a thread to
 * resolve a name, which must never receive a signal for the backend: the thread
 * inherits a mask that blocks all of them.
 */
static void
transfer(curl_socket_t fd, int events)
{
	sigset_t  all;
	sigset_t  saved;
	int       running;
	CURLMcode result;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved);
	result = curl_multi_socket_action(pool.multi, fd, events, &running);
	sigprocmask(SIG_SETMASK, &saved, NULL);
	collect_ended();
	if (result != CURLM_OK)
		discard_pool();
}

/* Raise an error unless libcurl uses OpenSSL, whose contexts set_up_tls gets. */
static void
check_tls_library(void)
{
	const char *ssl = curl_version_info(CURLVERSION_NOW)->ssl_version;

	if (ssl == NULL || strncmp(ssl, "OpenSSL/", strlen("OpenSSL/")) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("libcurl does not use OpenSSL"),
				 errdetail("It uses %s.", ssl != NULL ? ssl : "no TLS library")));
}

/* Create the multi handle, if there is none. */
static void
open_pool(void)
{
	if (pool.multi != NULL)
		return;
	if (pool.wait_event == 0)
	{
		dlist_init(&pool.running);
		pool.wait_event = new_wait_event("CognitoRequest");
	}

	check_tls_library();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		(pool.multi = curl_multi_init()) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));

	curl_multi_setopt(pool.multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(pool.multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(pool.multi, CURLMOPT_MAXCONNECTS,
					  (long) Min(MAX_CONNECTIONS, max_safe_fds / 6));
	pool.wait_set_stale = true;
	pool.timer = -1;
}

/* Create the set of events to wait for: of the latch, the postmaster and libcurl's sockets. */
static void
build_wait_set(void)
{
	int kept = 0;

	for (int i = 0; i < pool.nsockets; i++)
		if (pool.sockets[i].events != 0)
			pool.sockets[kept++] = pool.sockets[i];
	pool.nsockets = kept;
	pool.wait_set_stale = true;
	if (pool.wait_set != NULL)
		FreeWaitEventSet(pool.wait_set);
	pool.wait_set = NULL;
	pool.wait_set = create_wait_event_set(pool.nsockets + 2);
	AddWaitEventToSet(pool.wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (IsUnderPostmaster) /* not in single-user mode */
		AddWaitEventToSet(pool.wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < pool.nsockets; i++)
	{
		AddWaitEventToSet(pool.wait_set, pool.sockets[i].events, pool.sockets[i].fd, NULL, NULL);
		pool.sockets[i].watched = pool.sockets[i].events;
	}
	pool.wait_set_stale = false;
}

/* Return the time until libcurl's timer or the deadline, in milliseconds, negative for neither. */
static long
wait_time(double deadline)
{
	double until = pool.timer;

	if (deadline >= 0 && (until < 0 || deadline < until))
		until = deadline;
	if (until < 0)
		return -1;
	return (long) ceil(Max(until - clock_now(), 0));
}

void
http_wait(double until)
{
	WaitEvent events[MAX_EVENTS];
	int       nevents;

	if (pool.ended)
	{
		pool.ended = false;
		return;
	}

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < pool.nsockets; i++)
		pool.wait_set_stale |= pool.sockets[i].events != pool.sockets[i].watched;
	if (pool.wait_set_stale)
		build_wait_set();
	nevents =
		WaitEventSetWait(pool.wait_set, wait_time(until), events, MAX_EVENTS, pool.wait_event);

	for (int i = 0; i < nevents && pool.multi != NULL; i++)
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

	if (pool.timer >= 0 && pool.timer <= clock_now())
	{
		pool.timer = -1;
		transfer(CURL_SOCKET_TIMEOUT, 0);
	}
}

/* Set the options that are the same for every message. */
static void
set_constant_options(HttpRequest *request)
{
	set_option(request, PRIVATE, request);
	set_option(request, ERRORBUFFER, request->error);
	set_option(request, OPENSOCKETFUNCTION, open_socket);
	set_option(request, OPENSOCKETDATA, request);
	set_option(request, RESOLVER_START_FUNCTION, start_resolver);
	set_option(request, WRITEFUNCTION, receive_body);
	set_option(request, WRITEDATA, request);
	set_option(request, HEADERFUNCTION, receive_header);
	set_option(request, HEADERDATA, request);
	set_option(request, NOSIGNAL, 1L);
	set_option(request, QUICK_EXIT, 1L); /* never wait for a resolver thread */
	set_option(request, PROTOCOLS_STR, "http,https");
	set_option(request, HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	set_option(request, FOLLOWLOCATION, 0L);
	set_option(request, SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	set_option(request, SSL_VERIFYPEER, 1L);
	set_option(request, SSL_VERIFYHOST, 2L);
	set_option(request, SSL_CIPHER_LIST, CIPHERS);
	set_option(request, SSL_EC_CURVES, GROUPS);
	set_option(request, SSL_CTX_FUNCTION, set_up_tls);
	set_option(request, SSL_CTX_DATA, request);
	set_option(request, PREREQFUNCTION, note_connection);
	set_option(request, PREREQDATA, request);
	set_option(request, USERAGENT, "cognito_srf/1.1");
}

HttpRequest *
http_create(void)
{
	HttpRequest *request = palloc0(sizeof(HttpRequest));

	open_pool();
	request->release.func = release;
	request->release.arg = request;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &request->release);

	request->easy = curl_easy_init();
	request->options_valid = request->easy != NULL;
	if (request->easy != NULL)
		set_constant_options(request);
	if (!request->options_valid)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));
	return request;
}

/* Append a copy of a header line; return false without memory. */
static bool
add_header(HttpRequest *request, const char *line)
{
	struct curl_slist *lines = curl_slist_append(request->headers, line);

	if (lines == NULL)
		return false;
	request->headers = lines;
	return true;
}

/* Set the header lines of a message, without "Expect", which not every service supports. */
static bool
set_headers(HttpRequest *request, const List *headers)
{
	ListCell *cell;

	if (!add_header(request, "expect:"))
		return false;
	foreach (cell, headers)
		if (!add_header(request, lfirst(cell)))
			return false;
	return set_option(request, HTTPHEADER, request->headers);
}

/*
 * Trust the certificates of cognito_srf.ca_file instead of those that libcurl was
 * built to trust, which are in a file and a directory.  NULL for the directory would
 * bring back the default in newer versions of libcurl; nothing can be in /dev/null.
 */
static void
set_certificates(HttpRequest *request)
{
	if (http_ca_file == NULL || http_ca_file[0] == '\0')
		return;
	set_option(request, CAINFO, http_ca_file);
	set_option(request, CAPATH, "/dev/null");
	set_option(request, PROXY_CAINFO, http_ca_file);
	set_option(request, PROXY_CAPATH, "/dev/null");
}

/* Set the method and the body of a message; a PUT has an empty body. */
static void
set_method(HttpRequest *request, const HttpMessage *message)
{
	if (message->method != NULL && strcmp(message->method, "GET") == 0)
	{
		set_option(request, CUSTOMREQUEST, NULL);
		set_option(request, HTTPGET, 1L);
		return;
	}
	set_option(request, CUSTOMREQUEST, message->method);
	set_option(request, POSTFIELDSIZE_LARGE, (curl_off_t) message->length);
	set_option(request, COPYPOSTFIELDS, message->body != NULL ? message->body : "");
}

/* Set the options of a message; return false without memory. */
static bool
set_message(HttpRequest *request, const HttpMessage *message)
{
	set_option(request, URL, message->url);
	/* Requests to this machine ignore the proxy of the environment. */
	set_option(request, NOPROXY, message->direct ? "*" : NULL);
	set_option(request, CONNECTTIMEOUT_MS, (long) message->connect_timeout);
	set_option(request, TIMEOUT_MS, (long) message->request_timeout);
	set_method(request, message);
	set_certificates(request);
	return set_headers(request, message->headers) && request->options_valid;
}

void
http_send(HttpRequest *request, const HttpMessage *message)
{
	stop(request);
	free_body(request);
	request->header_length = 0;
	request->has_headers = false;
	request->error[0] = '\0';
	request->outcome = HTTP_PENDING;
	request->phase = PHASE_RESOLVING;

	open_pool();
	if (!set_message(request, message) ||
		curl_multi_add_handle(pool.multi, request->easy) != CURLM_OK)
	{
		fail_to_run(request);
		return;
	}
	request->running = true;
	dlist_push_tail(&pool.running, &request->node);
	transfer(CURL_SOCKET_TIMEOUT, 0);
}

HttpOutcome
http_outcome(const HttpRequest *request)
{
	return request->outcome;
}

long
http_status(const HttpRequest *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

const char *
http_body(const HttpRequest *request, size_t *length)
{
	*length = request->length;
	return request->length > 0 ? request->body : "";
}

const char *
http_header(const HttpRequest *request, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

long
http_retry_after(const HttpRequest *request)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
	return (long) Min(seconds, LONG_MAX);
}

time_t
http_date(const HttpRequest *request)
{
	const char *date = http_header(request, "date");

	return date != NULL ? curl_getdate(date, NULL) : -1;
}

const char *
http_error(const HttpRequest *request)
{
	return request->error;
}

const char *
http_phase(const HttpRequest *request)
{
	static const char *const phases[] = {
		[PHASE_RESOLVING] = "resolving the host name", [PHASE_CONNECTING] = "connecting",
		[PHASE_NEGOTIATING_TLS] = "negotiating TLS",   [PHASE_WAITING] = "waiting for the response",
		[PHASE_RECEIVING] = "receiving the response",
	};

	return phases[request->phase];
}

double
http_seconds(const HttpRequest *request)
{
	curl_off_t microseconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
	return (double) microseconds / 1e6;
}

int
http_connections(const HttpRequest *request)
{
	long connections = 0;

	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connections);
	return (int) connections;
}
