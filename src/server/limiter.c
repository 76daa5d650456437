/*
 * limiter.c
 *		The number and the rate of requests to a service.
 */
#include "postgres.h"

#include <math.h>

#include "server/limiter.h"

/* The initial window, and its growth for each response before the first throttling */
#define FIRST_WINDOW 8
#define FIRST_WINDOW_GROWTH 0.25

/* The first finite rate, and its growth for each request that it holds back */
#define FIRST_RATE 30
#define FIRST_RATE_GROWTH 1.5

/* The bounds of the factor by which the rate falls */
#define MIN_FACTOR 0.5
#define MAX_FACTOR 0.96

/* The number of requests held back in which the rate doubles from its top */
#define SPAN 500.0

/* The lowest rate */
#define MIN_RATE 2

void
limiter_init(Limiter *limiter, double now)
{
	*limiter = (Limiter){.window = FIRST_WINDOW,
						 .top = INFINITY,
						 .bottom = INFINITY,
						 .fell = -INFINITY,
						 .rate = INFINITY,
						 .tokens = 1,
						 .refilled = now};
}

/* Return the current adaptive rate limit. */
static double
current_rate(const Limiter *limiter)
{
	double x;

	if (isinf(limiter->bottom) || limiter->responses == 0)
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
		limiter->tokens += rate * (now - limiter->refilled) / 1000.0;
		limiter->refilled = now;
		if (limiter->tokens < 1)
			return now + (1 - limiter->tokens) / rate * 1000.0;
		if (limiter->tokens < 2)
			limiter->held_back++; /* it was sent as soon as permitted */
		limiter->tokens = 0;
	}
	limiter->rate = rate;
	limiter->in_flight++;
	limiter->is_full = limiter->in_flight >= (int) limiter->window;
	return 0;
}

void
limiter_accepted(Limiter *limiter, double sent)
{
	if (limiter->is_full)
		limiter->window += isinf(limiter->bottom) ? FIRST_WINDOW_GROWTH : 1 / limiter->window;
	limiter->in_flight--;

	if (sent >= limiter->fell)
		limiter->responses++;
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
		/* Half a response more, because a part of a token may have been left. */
		double accepted = (limiter->responses + 0.5) * 1000.0 / (sent - limiter->fell);

		limiter->bottom = Min(accepted, MAX_FACTOR * limiter->top);
		limiter->bottom = Max(limiter->bottom, MIN_FACTOR * limiter->top);
		limiter->bottom = Max(limiter->bottom, MIN_RATE);
	}
	limiter->window = Max(limiter->window / 2, 1);
	limiter->fell = limiter->refilled = now;
	limiter->responses = limiter->held_back = 0;
	limiter->tokens = 0;
}
