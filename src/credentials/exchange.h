/*
 * exchange.h
 *		Single requests to sources of credentials, and why they fail.
 */
#ifndef COGNITO_CREDENTIALS_EXCHANGE_H
#define COGNITO_CREDENTIALS_EXCHANGE_H

#include "postgres.h"

#include "aws/http.h"

/* How often a request is sent again at most, whatever the server's max_retries */
#define EXCHANGE_MAX_RETRIES 3

/*
 * Send a message, and wait until it is no longer pending.  Raise what http_wait does.  The
 * message's header lines are wiped and freed before that.
 */
extern void exchange(HttpRequest *request, HttpMessage *message);

/* Return true if a request may succeed if it is sent again, by its outcome and status. */
extern bool exchange_is_retryable(const HttpRequest *request);

/*
 * Wait before a request is sent again: a random part of 100 ms, doubled with each retry
 * before.  Raise what http_wait does.
 */
extern void exchange_back_off(int retries);

/*
 * Return why a message to a host has no response of status 200, for an error; the
 * response itself is not quoted.  A secret that was sent, NULL for none, is masked.
 */
extern char *exchange_problem(const HttpRequest *request, const HttpMessage *message,
							  const char *host, const char *secret);

#endif
