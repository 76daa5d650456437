/*
 * limiter.c
 *		How many requests may be under way, and how fast they may follow each
 *		other.
 */
#include "postgres.h"

#include <math.h>

#include "aws/limiter.h"

/* The window at first, and what an answer adds to it before anything was throttled. */
#define FIRST_WINDOW 8
#define FIRST_WINDOW_GROWTH 0.25

/* The rate at first, and what a request that it holds back adds to it. */
#define FIRST_RATE 30
#define FIRST_RATE_GROWTH 1.5

/* The least and the most that is left of the rate when something is throttled. */
#define LEAST_LEFT 0.5
#define MOST_LEFT 0.96

/* The rate doubles in as many requests that it holds back, once it is back at its top. */
#define SPAN 500.0

/* The least rate to which it falls. */
#define LEAST_RATE 2

void
limiter_init(Limiter *limiter, double now)
{
	*limiter = (Limiter){.window = FIRST_WINDOW,
						 .top = INFINITY,
						 .bottom = INFINITY,
						 .fell = -INFINITY,
						 .rate = INFINITY,
						 .allowance = 1,
						 .refilled = now};
}

/* What the service is thought to bear. */
static double
current_rate(const Limiter *limiter)
{
	double x;

	if (isinf(limiter->bottom) || limiter->answers == 0)
		return limiter->bottom;
	if (isinf(limiter->top))
		return limiter->bottom + limiter->held_back * FIRST_RATE_GROWTH;
	x = limiter->held_back / SPAN - cbrt(1 - limiter->bottom / limiter->top);
	return limiter->top * (1 + x * x * x);
}

double
limiter_acquire(Limiter *limiter, double configured, double now)
{
	double rate = Min(current_rate(limiter), configured);

	limiter->is_full = limiter->in_flight >= (int) limiter->window;
	if (limiter->is_full)
		return INFINITY;

	if (!isinf(rate))
	{
		limiter->allowance += rate * (now - limiter->refilled) / 1000.0;
		limiter->refilled = now;
		if (limiter->allowance < 1)
			return now + (1 - limiter->allowance) / rate * 1000.0;
		if (limiter->allowance < 2)
			limiter->held_back++; /* it went as soon as it could */
		limiter->allowance = 0;
	}
	limiter->rate = rate;
	limiter->in_flight++;
	limiter->is_full = limiter->in_flight >= (int) limiter->window;
	return 0;
}

void
limiter_answered(Limiter *limiter, double sent)
{
	if (limiter->is_full)
		limiter->window += isinf(limiter->bottom) ? FIRST_WINDOW_GROWTH : 1 / limiter->window;
	limiter->in_flight--;

	if (sent >= limiter->fell)
		limiter->answers++;
}

void
limiter_throttled(Limiter *limiter, double sent, double now)
{
	limiter->in_flight--;
	if (sent < limiter->fell)
		return;

	limiter->top = limiter->rate;
	if (isinf(limiter->top))
		limiter->bottom = FIRST_RATE;
	else
	{
		/* Half an answer more, for there may have been a part of an allowance left. */
		double answered = (limiter->answers + 0.5) * 1000.0 / (sent - limiter->fell);

		limiter->bottom = Min(answered, MOST_LEFT * limiter->top);
		limiter->bottom = Max(limiter->bottom, LEAST_LEFT * limiter->top);
		limiter->bottom = Max(limiter->bottom, LEAST_RATE);
	}
	limiter->window = Max(limiter->window / 2, 1);
	limiter->fell = limiter->refilled = now;
	limiter->answers = limiter->held_back = 0;
	limiter->allowance = 0;
}
