/*
 * limiter.h
 *		The number and the rate of requests to a service: limited by what is
 *		configured, and adaptively by what the service accepts.
 *
 * The window is the number of requests that may be in flight.  It starts with 8
 * and grows by one for every four responses, until a request is throttled.  Then
 * it is halved, to no less than one, and from then on it grows by one for each
 * window of responses.  It grows only while it is the limit.
 *
 * The rate is unlimited until a request is throttled.  Then it is 30 a second,
 * AWS's default quota, and grows by 1.5 for each request that it holds back,
 * until one is throttled again.  From then on, whenever one is throttled,
 * - the rate falls to the rate of the responses since its last fall, but to no more
 *   than 96 % and no less than 50 % of itself, and not below 2 a second, and
 * - it grows back to what it was, quickly at first, stays near there, and then
 *   exceeds it, ever faster: after n requests that it held back it is
 *   top * (1 + (n / 500 - k)^3), where top is what it was and k is such that n = 0
 *   gives the rate to which it fell (as in TCP CUBIC).
 * Requests pass a token bucket of size one, so that they follow evenly.
 *
 * Requests that were in flight when window and rate fell do not make them fall
 * again, and the rate grows only after a response to a request sent since.
 *
 * All times are in milliseconds of a monotonic clock, rates in requests per second.
 * These functions neither allocate, nor wait, nor raise errors.
 */
#ifndef COGNITO_SERVER_LIMITER_H
#define COGNITO_SERVER_LIMITER_H

#include "postgres.h"

typedef struct Limiter
{
	double window;    /* requests that may be in flight */
	int    in_flight; /* requests in flight; callers may correct it */
	bool   is_full;   /* the window is what holds requests back */
	double top;       /* the rate before its last fall; infinite if unknown */
	double bottom;    /* the rate after its last fall; infinite if it never fell */
	double fell;      /* when window and rate fell last */
	int    responses; /* to requests sent since */
	int    held_back; /* requests that the rate has held back since */
	double rate;      /* when the last request was sent */
	double tokens;    /* in the bucket */
	double refilled;  /* when tokens were added last */
} Limiter;

/* Initialize a limiter, without limits. */
extern void limiter_init(Limiter *limiter, double now);

/*
 * Try to acquire permission to send a request, at a configured rate (infinite for
 * none).  Return 0 if it may be sent now, or else when to try again: infinite if
 * not before a request in flight has ended.
 */
extern double limiter_acquire(Limiter *limiter, double configured, double now);

/* Record that a request was not throttled, or was, and when it had been sent. */
extern void limiter_accepted(Limiter *limiter, double sent);
extern void limiter_throttled(Limiter *limiter, double sent, double now);

#endif
