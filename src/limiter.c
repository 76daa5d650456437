/*
 * limiter.c
 *		How fast requests may follow each other.
 */
#include "postgres.h"

#include <math.h>

#include "limiter.h"

/* What is left of the rate when throttling shows that it was a little too high. */
#define DECREASE 0.96

/* What a second adds to the rate, as a part of it: near the limit, and below a guess at it. */
#define SLOW_GROWTH 0.005
#define FAST_GROWTH 0.3

/* A rate of answers below this part of the allowed rate shows that it was far too high. */
#define FAR_TOO_HIGH 0.8

/* Requests that a new rate must have let out before throttling speaks of it. */
#define TRIAL 5

/* Answers are counted over this time. */
#define PERIOD 1000.0

/* The least rate that throttling leads to. */
#define LEAST_RATE 5

/* See limiter.h. */
void
limiter_init(Limiter *limiter, double now)
{
	*limiter = (Limiter){.rate = INFINITY,
						 .allowance = 1,
						 .refilled = now,
						 .lowered = -INFINITY,
						 .counting = now,
						 .measured = -1};
}

/* See limiter.h. */
double
limiter_take(Limiter *limiter, double configured, double now)
{
	double seconds = (now - limiter->refilled) / 1000.0;
	double rate;

	limiter->refilled = now;
	limiter->rate *= 1 + limiter->growth * Min(seconds, 1.0);
	rate = Min(limiter->rate, configured);
	if (isinf(rate))
		return 0;

	limiter->allowance = Min(limiter->allowance + rate * seconds, 1.0);
	if (limiter->allowance < 1)
		return now + (1 - limiter->allowance) / rate * 1000.0;
	limiter->allowance -= 1;
	return 0;
}

/* Begins to count answers anew. */
static void
count_anew(Limiter *limiter, double measured, double now)
{
	limiter->measured = measured;
	limiter->counting = now;
	limiter->answers = 0;
}

/* The rate at which the service has answered of late. */
static double
rate_of_answers(const Limiter *limiter, double now)
{
	double counted = now - limiter->counting;

	if (limiter->measured < 0)
		counted = Max(counted, PERIOD); /* a burst that was saved up says little of the rate */
	else if (counted * limiter->rate < TRIAL * 1000.0)
		return limiter->measured; /* counting has just begun */
	return limiter->answers * 1000.0 / counted;
}

/* See limiter.h. */
void
limiter_answered(Limiter *limiter, double sent, double now)
{
	double counted = now - limiter->counting;

	/* The first rate is a guess from what was answered till then; this was on its way. */
	if (sent < limiter->lowered && limiter->is_guess)
		limiter->rate += 1000.0 / PERIOD;

	limiter->answers++;
	if (counted >= PERIOD)
		count_anew(limiter, limiter->answers * 1000.0 / counted, now);
}

/* See limiter.h. */
void
limiter_throttled(Limiter *limiter, double sent, double now)
{
	double answered = rate_of_answers(limiter, now);

	if (sent < limiter->lowered || (now - limiter->lowered) * limiter->rate < TRIAL * 1000.0)
		return;

	if (answered < FAR_TOO_HIGH * limiter->rate)
	{
		limiter->rate = Max(answered, LEAST_RATE);
		limiter->growth = FAST_GROWTH;
	}
	else
	{
		limiter->rate *= DECREASE;
		limiter->growth = SLOW_GROWTH;
	}
	limiter->is_guess = limiter->lowered < 0;
	limiter->allowance = 0;
	limiter->lowered = now;
	count_anew(limiter, limiter->rate, now);
}
