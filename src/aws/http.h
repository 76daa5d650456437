/*
 * http.h
 *		Requests on libcurl's multi interface.  They are waited for on the
 *		backend's latch, so that a cancel takes effect at once.
 *
 * Connections belong to the session, are kept between requests, and count among the
 * file descriptors that the backend may have open.  A request is released with the
 * memory context in which it was created.
 *
 * Header lines and responses are wiped before they are freed.  Copies in buffers of
 * libcurl and OpenSSL are not.
 *
 * Which responses are errors or are worth a retry is the caller's decision.
 */
#ifndef COGNITO_AWS_HTTP_H
#define COGNITO_AWS_HTTP_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include <time.h>

/* The largest response that is read, and the largest size of its header lines, in bytes */
#define HTTP_MAX_RESPONSE (32 * 1024 * 1024)
#define HTTP_MAX_HEADERS (256 * 1024)

/* The largest size of the buffers for the responses of all requests of a session, in bytes */
#define HTTP_MAX_BUFFERED (4 * HTTP_MAX_RESPONSE)

typedef enum HttpOutcome
{
	HTTP_PENDING,              /* in flight */
	HTTP_RESPONSE,             /* a complete response, of any status */
	HTTP_UNREACHABLE,          /* no address, or no connection */
	HTTP_REFUSED,              /* a certificate that is refused, or a proxy that refuses (4xx) */
	HTTP_TLS_HANDSHAKE_FAILED, /* a port without TLS, or without a common version */
	HTTP_BAD_CA_FILE,          /* the file of trusted certificates cannot be read */
	HTTP_CONNECT_TIMEOUT,      /* no connection in time */
	HTTP_RESPONSE_TIMEOUT,     /* connected, but no complete response in time */
	HTTP_CONNECTION_LOST,      /* the connection broke after it was established */
	HTTP_BODY_TOO_LARGE,       /* a response of more than HTTP_MAX_RESPONSE */
	HTTP_HEADERS_TOO_LARGE,    /* header lines of more than HTTP_MAX_HEADERS */
	HTTP_ENCODED,              /* a transfer encoding other than "chunked" */
	HTTP_BUFFERS_FULL,         /* responses of together more than HTTP_MAX_BUFFERED */
	HTTP_TOO_MANY_FILES,       /* no file descriptor for a connection */
	HTTP_OUT_OF_MEMORY,        /* no memory to send the request, or to keep the response */
	HTTP_FAILED                /* anything else, such as a response that is not HTTP */
} HttpOutcome;

typedef struct HttpMessage
{
	const char *url;
	const char *method;  /* GET or PUT, without a body; NULL for POST */
	bool        direct;  /* never through a proxy */
	List       *headers; /* of char *, each "name: value" */
	const char *body;
	size_t      length;          /* of the body, in bytes */
	int         connect_timeout; /* in milliseconds */
	int         request_timeout; /* in milliseconds, connecting included */
} HttpMessage;

typedef struct HttpRequest HttpRequest;

/* Setting cognito_srf.ca_file: certificates to trust instead of the system's; empty if unset. */
extern char *http_ca_file;

/* Return a request that lives in the current memory context.  Raise 53200. */
extern HttpRequest *http_create(void);

/*
 * Send a message, copying what is needed, and return without waiting.  A request
 * that is no longer pending may be sent again, which frees its last response.
 * Failures of the transfer are not raised but become the outcome.
 */
extern void http_send(HttpRequest *request, const HttpMessage *message);

/* Return the state or the outcome of a request. */
extern HttpOutcome http_outcome(const HttpRequest *request);

/*
 * Let transfers continue until one has ended or the time has come (negative for
 * never); may return earlier.  Return at once if one has ended since the last call.
 * Raise what CHECK_FOR_INTERRUPTS does.
 */
extern void http_wait(double until);

/*
 * Return properties of a request that is no longer pending.  All strings belong to
 * the request and last until it is sent again or released.
 */
extern long        http_status(const HttpRequest *request);
extern const char *http_body(const HttpRequest *request, size_t *length);     /* NUL-terminated */
extern const char *http_header(const HttpRequest *request, const char *name); /* or NULL */
extern long        http_retry_after(const HttpRequest *request);              /* in seconds, or 0 */
extern time_t      http_date(const HttpRequest *request);        /* the header, or -1 */
extern const char *http_error(const HttpRequest *request);       /* libcurl's message, or "" */
extern const char *http_phase(const HttpRequest *request);       /* the phase that it reached */
extern int         http_connections(const HttpRequest *request); /* opened for it */
extern double      http_seconds(const HttpRequest *request);     /* duration */

#endif
