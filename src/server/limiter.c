/*
 * limiter.c
 *		The number and the rate of requests under a quota.
 */
#include "postgres.h"

#include <math.h>

#include "server/limiter.h"

/* The initial window, and its growth for each response before the first throttling */
#define FIRST_WINDOW 4
#define WINDOW_GROWTH 0.125

/* How many responses since the last pause make the next throttling a single one */
#define ENOUGH_RESPONSES 12

/* The part by which the rate falls, and the pause after a single throttling and after others */
#define SINGLE_DROP 0.04
#define SINGLE_PAUSE 200
#define REPEATED_DROP 0.25
#define REPEATED_PAUSE 430

/* The time in which the rate returns to what it was: that of some requests, within limits */
#define RETURN_REQUESTS 300
#define MIN_RETURN (10 * 1000)
#define MAX_RETURN (45 * 1000)

/* The part of the quota, or of a higher rate, by which the rate grows in as much time again */
#define GROWTH 0.1

/* How many refused probes show that somebody else has used up the quota */
#define OUTAGE_PROBES 3

/* The lowest rate */
#define MIN_RATE 0.1

/* How long a limiter must be idle to return to the quota */
#define LONG_IDLE (60 * 1000)

void
limiter_init(Limiter *limiter, double quota, bool limited, double now)
{
	*limiter = (Limiter){.window = FIRST_WINDOW,
						 .quota = quota,
						 .rate = limited ? quota : INFINITY,
						 .throttled = -INFINITY,
						 .resumed = now,
						 .next = now,
						 .accepted = -INFINITY};
}

/* Return the time from the end of a pause until the rate is what it was before it. */
static double
return_time(const Limiter *limiter)
{
	double time = RETURN_REQUESTS * 1000.0 / limiter->rate;

	return Min(Max(time, MIN_RETURN), MAX_RETURN);
}

/* Return the rate at a time: a cubic function, which is flat where the rate is what it was. */
static double
current_rate(const Limiter *limiter, double now)
{
	double x = (now - limiter->resumed) / return_time(limiter) - 1;
	double scale =
		x < 0 ? limiter->drop * limiter->rate : GROWTH * Max(limiter->rate, limiter->quota);

	return Max(limiter->rate + scale * x * x * x, MIN_RATE);
}

/*
 * Adapt to a time in which nothing was held back: the rate has not been tried, so it may
 * return to what it was, but not exceed it.
 */
static void
adapt_to_idling(Limiter *limiter, double now)
{
	if (now - limiter->next > LONG_IDLE)
		limiter->rate = Max(limiter->rate, limiter->quota);
	limiter->resumed = Max(limiter->resumed, now - return_time(limiter));
}

double
limiter_acquire(Limiter *limiter, double now)
{
	if (isinf(limiter->rate))
	{
		if (limiter->in_flight >= (int) limiter->window)
			return INFINITY;
		limiter->in_flight++;
		return 0;
	}

	if (limiter->probing && limiter->in_flight > 0)
		return INFINITY;
	if (now < limiter->next)
		return limiter->next;
	if (now - limiter->next > 1000.0 / current_rate(limiter, now))
		adapt_to_idling(limiter, now);
	limiter->next = now + 1000.0 / current_rate(limiter, now);
	limiter->probing = limiter->paused;
	limiter->in_flight++;
	return 0;
}

void
limiter_accepted(Limiter *limiter, double sent, double now)
{
	limiter->in_flight--;
	limiter->accepted = now;
	if (isinf(limiter->rate))
		limiter->window += WINDOW_GROWTH;
	if (sent < limiter->throttled)
		return;

	if (limiter->paused)
	{
		limiter->paused = limiter->probing = false;
		limiter->resumed = limiter->drop > 0 ? now : now - return_time(limiter);
		limiter->next = Max(sent + 1000.0 / current_rate(limiter, now), now);
	}
	limiter->responses++;
}

void
limiter_throttled(Limiter *limiter, double sent, double now)
{
	bool is_first = isinf(limiter->rate);
	bool is_single = is_first || limiter->responses >= ENOUGH_RESPONSES;

	limiter->in_flight--;
	if (sent < limiter->throttled)
		return;

	if (!limiter->paused)
	{
		limiter->rate = is_first ? limiter->quota : current_rate(limiter, sent);
		limiter->drop = is_single ? SINGLE_DROP : REPEATED_DROP;
		limiter->refused = 0;
	}
	else if (++limiter->refused >= OUTAGE_PROBES && limiter->drop == SINGLE_DROP)
		limiter->drop = 0;
	limiter->paused = true;
	limiter->probing = false;
	limiter->throttled = now;
	limiter->next = now + Max(is_single ? SINGLE_PAUSE : REPEATED_PAUSE, 1000.0 / limiter->rate);
	limiter->responses = 0;
}
