/*
 * limiter.h
 *		How fast requests may follow each other: the rate that is configured,
 *		and below it what the service turns out to bear.
 *
 * A token bucket of one lets them out, so that they follow evenly.  As long as
 * nothing is throttled, only the configured rate counts.  Throttling sets the
 * rate to what the service has answered of late; from there it grows fast
 * until it is throttled again, near the true limit.  From then on it is
 * lowered by a few per cent each time, and grows slowly ("additive increase,
 * multiplicative decrease").
 *
 * All times are in milliseconds of a monotonic clock; rates are requests a
 * second.  Nothing here is allocated, waits or fails.
 */
#ifndef COGNITO_LIMITER_H
#define COGNITO_LIMITER_H

#include "postgres.h"

typedef struct Limiter
{
	double rate;      /* what is allowed now; infinite until something was throttled */
	double growth;    /* what a second without throttling adds to it, as a part of it */
	double allowance; /* requests that may go at once */
	double refilled;  /* when the allowance was reckoned */
	double lowered;   /* when the rate was lowered last, negative if never */
	bool   is_guess;  /* it was lowered once */
	double counting;  /* since when answers are counted */
	double answers;   /* that were not throttled, since then */
	double measured;  /* their rate in the period before; negative if there was none */
} Limiter;

/* Sets a limiter up, unlimited. */
extern void limiter_init(Limiter *limiter, double now);

/*
 * Takes leave for a request, at a configured rate (infinite for none).
 * Returns 0 if it may go now, or else when to ask again.
 */
extern double limiter_take(Limiter *limiter, double configured, double now);

/* Tells of a request that was answered, or throttled, and of when it was sent. */
extern void limiter_answered(Limiter *limiter, double sent, double now);
extern void limiter_throttled(Limiter *limiter, double sent, double now);

#endif
