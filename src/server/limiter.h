/*
 * limiter.h
 *		The number and the rate of requests under a quota, adapted to what the service
 *		accepts.
 *
 * Until a request is throttled, only the requests in flight are limited, by a window: 4
 * at first, and one more for about every six responses.  From then on requests follow each
 * other evenly, at a rate that begins with the quota that AWS documents.
 *
 * When a request is throttled, nothing is sent for a while, and then one request, the
 * probe, again and again until one is accepted.  That ends the pause.
 * - Refusals of what was in flight already tell nothing new: a burst of them counts once.
 * - After 16 responses or more since the last pause, a refusal is what it costs to probe for
 *   a higher rate: the rate falls by 3 % of the quota, and the first probe follows after
 *   180 ms.
 * - An earlier refusal shows that the rate is too high: it falls by 12 %, or by 55 % if
 *   this happens again and again, and the probe follows after 400 ms.  So do all further
 *   probes of a pause.
 * - When the third probe is refused, somebody else has used up the quota.  That says nothing
 *   about the rate, so it does not fall at all.
 *
 * The rate grows with time, as the window of TCP CUBIC does.  In the time of 264 requests,
 * but 7 s at least and 38 s at most, it returns to what it was, quickly at first; it stays
 * near there, and then exceeds it, ever faster.  While it holds nothing back, it does not
 * exceed what it was.  After a minute without requests, it is the documented quota at least.
 *
 * Sessions that share a quota do not know of each other.  They come to similar shares, and
 * notice soon that others have ended, because
 * - a session at a low rate loses a larger part of it by a refusal, and returns to somewhat
 *   less, while beyond what it was, the rate grows the faster the lower it is;
 * - a session that was lucky, and grew while others were refused, keeps 20 % of the rise;
 * - the time to return is that of requests at the quota at first, and becomes longer by 25 %
 *   with each refusal that is a probe's cost: a rate that was found is probed more seldom.
 *
 * Considered, and not chosen: AIMD, and the adaptive mode of the AWS SDKs, lower the rate for
 * each refusal by a large part, so that it falls to nothing while another client uses up the
 * quota.  TCP BBR, and the gradient limiters of Netflix and Envoy, look for the rise of the
 * latency that comes before a loss; a service that throttles does not become slower.  And a
 * rate measured from responses is too high after a bucket was full, and too low after a
 * second's count was used up.
 *
 * test/limiter/simulator.c shows what part of a quota this uses in many situations.
 *
 * All times are in milliseconds of a monotonic clock, rates in requests per second.
 * These functions neither allocate, nor wait, nor raise errors.
 */
#ifndef COGNITO_SERVER_LIMITER_H
#define COGNITO_SERVER_LIMITER_H

#include "postgres.h"

typedef struct Limiter
{
	int    in_flight; /* requests in flight; callers may correct it */
	double window;    /* requests that may be in flight, before the first throttling */
	double quota;     /* the rate that AWS documents */
	double rate;      /* before it fell last, to which it returns; infinite if it never fell */
	double drop;      /* the part by which it fell */
	double period;    /* in which it returns, at most */
	bool   paused;    /* the service has accepted nothing since then */
	bool   is_single; /* the last throttling was a single one */
	bool   probing;   /* a probe is in flight */
	int    refused;   /* probes of this pause */
	double throttled; /* the time of the last throttling */
	double resumed;   /* when the last pause ended: from then on the rate grows */
	double next;      /* when the next request may be sent */
	int    responses; /* since the last pause */
	double accepted;  /* the time of the last response that was not throttled */
} Limiter;

/* Initialize a limiter for a quota: without a rate, or one that is limited to the quota at once. */
extern void limiter_init(Limiter *limiter, double quota, bool limited, double now);

/*
 * Try to acquire permission to send a request.  Return 0 if it may be sent now, or else
 * when to try again: infinite if not before a request in flight has ended.
 */
extern double limiter_acquire(Limiter *limiter, double now);

/* Record that a request was not throttled, or was, and when it had been sent. */
extern void limiter_accepted(Limiter *limiter, double sent, double now);
extern void limiter_throttled(Limiter *limiter, double sent, double now);

#endif
