/*
 * limiter.c
 *		The number and the rate of requests under a quota.
 */
#include "postgres.h"

#include <math.h>

#include "server/limiter.h"

/* The initial window, and its growth for each response before the first throttling */
#define FIRST_WINDOW 4
#define WINDOW_GROWTH 0.16

/* How many responses since the last pause make the next throttling a single one */
#define ENOUGH_RESPONSES 16

/*
 * The part by which the rate falls at the first throttling of all, at a single one (at
 * the quota; at a lower rate it is more), at another one, and at those that follow it
 */
#define FIRST_DROP 0.04
#define SINGLE_DROP 0.03
#define REPEATED_DROP 0.12
#define FURTHER_DROP 0.55

/* The pause after a single throttling and after others */
#define SINGLE_PAUSE 180
#define REPEATED_PAUSE 400

/* What a session that has a share of the quota learns: the part of a rise, and of a drop */
#define SHARE_OF_RISE 0.2
#define SHARE_OF_DROP 0.45

/* The time in which the rate returns to what it was: that of some requests, within limits */
#define RETURN_REQUESTS 264
#define MIN_RETURN (7 * 1000)
#define MAX_RETURN (38 * 1000)

/* By how much that time becomes longer with each single throttling */
#define RETURN_GROWTH 1.25

/* The part of the quota, or of a higher rate, by which the rate grows in that time at the quota */
#define GROWTH 0.11

/* How many refused probes show that somebody else has used up the quota */
#define OUTAGE_PROBES 3

/* The lowest rate */
#define MIN_RATE 0.1

/* How long a limiter must be idle to return to the quota */
#define LONG_IDLE (60 * 1000)

/* Return the time of some requests at a rate, within limits. */
static double
time_at(double rate)
{
	return Min(Max(RETURN_REQUESTS * 1000.0 / rate, MIN_RETURN), MAX_RETURN);
}

void
limiter_init(Limiter *limiter, double quota, bool limited, double now)
{
	*limiter = (Limiter){.window = FIRST_WINDOW,
						 .quota = quota,
						 .rate = limited ? quota : INFINITY,
						 .period = time_at(quota),
						 .is_single = true,
						 .throttled = -INFINITY,
						 .resumed = now,
						 .next = now,
						 .accepted = -INFINITY};
}

/* Return the time from the end of a pause until the rate is what it was before it. */
static double
return_time(const Limiter *limiter)
{
	return Min(limiter->period, time_at(limiter->rate));
}

/* Return the rate at a time: a cubic function until it is what it was, and a square one then. */
static double
current_rate(const Limiter *limiter, double now)
{
	double left = limiter->resumed + return_time(limiter) - now;
	double part = left / return_time(limiter);
	double more = left / time_at(limiter->quota);
	double high = Max(limiter->rate, limiter->quota * limiter->quota / limiter->rate);

	if (left > 0)
		return Max(limiter->rate * (1 - limiter->drop * part * part * part), MIN_RATE);
	return limiter->rate + GROWTH * high * more * more;
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

/* Lower the rate because a request was throttled that had been sent at a time. */
static void
lower_rate(Limiter *limiter, double sent)
{
	double before = limiter->rate;
	bool   was_single = limiter->is_single;

	limiter->is_single = isinf(before) || limiter->responses >= ENOUGH_RESPONSES;
	limiter->rate = isinf(before) ? limiter->quota : current_rate(limiter, sent);
	if (isinf(before))
		limiter->drop = FIRST_DROP;
	else if (!limiter->is_single)
		limiter->drop = was_single ? REPEATED_DROP : FURTHER_DROP;
	else
	{
		if (limiter->rate > before && limiter->rate < limiter->quota)
			limiter->rate = before + SHARE_OF_RISE * (limiter->rate - before);
		limiter->period = RETURN_GROWTH * return_time(limiter);
		limiter->drop = Min(SINGLE_DROP * Max(limiter->quota / limiter->rate, 1), REPEATED_DROP);
		limiter->rate *= 1 - SHARE_OF_DROP * (limiter->drop - SINGLE_DROP);
	}
}

void
limiter_throttled(Limiter *limiter, double sent, double now)
{
	double pause = REPEATED_PAUSE;

	limiter->in_flight--;
	if (sent < limiter->throttled)
		return;

	if (!limiter->paused)
	{
		lower_rate(limiter, sent);
		limiter->refused = 0;
		if (limiter->is_single)
			pause = SINGLE_PAUSE;
	}
	else if (++limiter->refused >= OUTAGE_PROBES)
		limiter->drop = 0;
	limiter->paused = true;
	limiter->probing = false;
	limiter->throttled = now;
	limiter->next = now + Max(pause, 1000.0 / limiter->rate);
	limiter->responses = 0;
}
