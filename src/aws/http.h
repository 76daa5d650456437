/*
 * http.h
 *		POST requests on libcurl's multi interface, waited for as a backend
 *		waits: on its latch, so that a cancel takes effect at once.
 *
 * Connections belong to the session and are kept between requests.  A request
 * belongs to the memory context in which it was made and is released with it,
 * whether that happens at the end of a call or in an abort.  Connections count
 * among the file descriptors that the backend may have open.
 *
 * Header lines and answers are wiped before they are freed.  What libcurl and
 * OpenSSL copy into buffers of their own is theirs, and is not.
 *
 * What the transfer is about (AWS, Cognito, which answers are worth a retry)
 * is the caller's business.
 */
#ifndef COGNITO_AWS_HTTP_H
#define COGNITO_AWS_HTTP_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The largest answer that is read, in bytes, and the most for its header lines. */
#define HTTP_MAX_RESPONSE (32 * 1024 * 1024)
#define HTTP_MAX_HEADERS (256 * 1024)

/* The most that is allocated for the answers of all requests of a session, in bytes. */
#define HTTP_MAX_BUFFERED (4 * HTTP_MAX_RESPONSE)

typedef enum HttpOutcome
{
	HTTP_PENDING,              /* in flight */
	HTTP_RESPONSE,             /* a complete response, of any status */
	HTTP_UNREACHABLE,          /* no address, no connection, or a certificate that is refused */
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
	bool        direct;  /* never through a proxy */
	List       *headers; /* of char *, each "name: value" */
	const char *body;
	size_t      length;          /* of the body, in bytes */
	int         connect_timeout; /* in milliseconds */
	int         request_timeout; /* in milliseconds, connecting included */
} HttpMessage;

typedef struct HttpRequest HttpRequest;

/* The file of certificates to trust instead of the system's; a setting, empty if unset. */
extern char *http_ca_file;

/* Makes a request that lives in the current memory context.  Raises 53200. */
extern HttpRequest *http_create(void);

/*
 * Sends a message, copying what it needs, and returns without waiting.  A
 * request may be sent again once it is no longer pending; its last answer is
 * then gone.  Failures of the transfer are not raised but become the outcome.
 */
extern void http_send(HttpRequest *request, const HttpMessage *message);

/* How a request fares. */
extern HttpOutcome http_outcome(const HttpRequest *request);

/*
 * Lets transfers go on until one has ended, something else has moved, or the
 * clock shows that time (never, if negative); may return early.  Returns at
 * once if one has ended since the last call.  Raises what
 * CHECK_FOR_INTERRUPTS does.
 */
extern void http_wait(double until);

/*
 * What is known of a request that is no longer pending.  All strings belong to
 * the request and last until it is sent again or released.
 */
extern long        http_status(const HttpRequest *request);
extern const char *http_body(const HttpRequest *request, size_t *length);     /* NUL-terminated */
extern const char *http_header(const HttpRequest *request, const char *name); /* or NULL */
extern long        http_retry_after(const HttpRequest *request);              /* s, 0 if unsaid */
extern const char *http_error(const HttpRequest *request);                    /* libcurl's words */
extern const char *http_phase(const HttpRequest *request);                    /* how far it came */
extern int64       http_received(const HttpRequest *request);                 /* the body's bytes */
extern int         http_connections(const HttpRequest *request);              /* opened for it */
extern double      http_seconds(const HttpRequest *request);                  /* how long it took */

#endif
