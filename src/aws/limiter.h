/*
 * limiter.h
 *		How many requests may be under way to a service, and how fast they may
 *		follow each other: what is configured, and below it what the service
 *		turns out to bear.
 *
 * The window is the number of requests that may be under way.  It begins with
 * 8 and grows by one for every four answers, until a request is throttled:
 * that halves it, to no less than one, and from then on it grows by one for as
 * many answers as it is wide.  It grows only while it is what holds requests
 * back.
 *
 * The rate is unlimited until a request is throttled.  Then it is 30 a second,
 * what AWS allows by default, and 1.5 more for each request that it holds back,
 * until one is throttled again.  From then on, whenever one is throttled,
 * - the rate falls to that of the answers since it fell last, but by 4 % at
 *   least, by half at most, and not below 2 a second, and
 * - it grows back to where it was, quickly at first, stays near there, and then
 *   goes beyond, ever faster: after n requests that it held back it is
 *   top * (1 + (n / 500 - k)^3), where top is what it was and k is such that it
 *   begins with what it fell to (as CUBIC does in TCP).
 * A token bucket of one lets requests out, so that they follow evenly.
 *
 * What was under way when window and rate fell is not held against them, and
 * the rate grows only once something sent since then was answered.
 *
 * All times are in milliseconds of a monotonic clock; rates are requests a
 * second.  Nothing here is allocated, waits or fails.
 */
#ifndef COGNITO_AWS_LIMITER_H
#define COGNITO_AWS_LIMITER_H

#include "postgres.h"

typedef struct Limiter
{
	double window;    /* requests that may be under way */
	int    in_flight; /* requests that are; whoever knows better may set it */
	bool   is_full;   /* the window is what holds requests back */
	double top;       /* the rate from which it fell; infinite if that is not known */
	double bottom;    /* the rate to which it fell; infinite if it never did */
	double fell;      /* when window and rate fell last */
	int    answers;   /* to requests sent since */
	int    held_back; /* requests that the rate held back since */
	double rate;      /* at which the last request went out */
	double allowance; /* requests that may go at once */
	double refilled;  /* when the allowance was reckoned */
} Limiter;

/* Sets a limiter up, unlimited. */
extern void limiter_init(Limiter *limiter, double now);

/*
 * Takes leave for a request, at a configured rate (infinite for none).
 * Returns 0 if it may go now, or else when to ask again: infinite if not
 * before something that is under way has ended.
 */
extern double limiter_acquire(Limiter *limiter, double configured, double now);

/* Tells of a request that was answered, or throttled, and of when it was sent. */
extern void limiter_answered(Limiter *limiter, double sent);
extern void limiter_throttled(Limiter *limiter, double sent, double now);

#endif
