/*
 * limiter.c
 *		How fast requests may follow each other.
 */
#include "postgres.h"

#include <math.h>

#include "limiter.h"

/* The bucket's size, in seconds of requests; it never holds less than one. */
#define BUCKET 0.1

/* What is left of the rate when throttling shows that it was a little too high. */
#define DECREASE 0.96

/* What a second adds to the rate, as a part of what it was when it was lowered. */
#define INCREASE 0.01

/* A rate of answers below this part of the allowed rate shows that it was far too high. */
#define FAR_TOO_HIGH 0.8

/* Throttling within this time of a decrease speaks of requests sent before it. */
#define ECHO 200.0

/* Answers are counted over this time, but never told over less than ECHO. */
#define PERIOD 1000.0

/* The least rate that throttling leads to. */
#define LEAST_RATE 0.5

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
	limiter->rate += limiter->increase * seconds;
	rate = Min(limiter->rate, configured);
	if (isinf(rate))
		return 0;

	limiter->allowance = Min(limiter->allowance + rate * seconds, Max(rate * BUCKET, 1.0));
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

	if (counted >= ECHO && limiter->measured >= 0)
		return limiter->answers * 1000.0 / counted;
	if (limiter->measured >= 0)
		return limiter->measured;
	/* The first period holds what the service had saved up for a burst: reckon with a whole one. */
	return limiter->answers * 1000.0 / Max(counted, PERIOD);
}

/* See limiter.h. */
void
limiter_answered(Limiter *limiter, double now)
{
	double counted = now - limiter->counting;

	limiter->answers++;
	if (counted >= PERIOD)
		count_anew(limiter, limiter->answers * 1000.0 / counted, now);
}

/* See limiter.h. */
void
limiter_throttled(Limiter *limiter, double now)
{
	double answered = rate_of_answers(limiter, now);

	if (now - limiter->lowered < ECHO)
		return;

	limiter->rate = answered < FAR_TOO_HIGH * limiter->rate ? answered : DECREASE * limiter->rate;
	limiter->rate = Max(limiter->rate, LEAST_RATE);
	limiter->increase = INCREASE * limiter->rate;
	limiter->allowance = 0;
	limiter->lowered = now;
	count_anew(limiter, limiter->rate, now);
}
