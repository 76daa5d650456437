/*
 * limiter.h
 *		How fast requests may follow each other: the rate that is configured,
 *		and below it what the service turns out to bear.
 *
 * A token bucket that holds a tenth of a second's requests lets them out.  As
 * long as nothing is throttled, only the configured rate counts.  Throttling
 * sets the rate to what the service has answered of late, or lowers it by a
 * few per cent if it was near that; each second without raises it by one
 * ("additive increase, multiplicative decrease").
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
	double increase;  /* what a second without throttling adds to it */
	double allowance; /* requests that may go at once */
	double refilled;  /* when the allowance was reckoned */
	double lowered;   /* when the rate was lowered last */
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

/* Tells of a request that was answered, or throttled. */
extern void limiter_answered(Limiter *limiter, double now);
extern void limiter_throttled(Limiter *limiter, double now);

#endif
