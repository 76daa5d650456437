/*
 * clock.h
 *		The clock for deadlines and durations.
 */
#ifndef COGNITO_CLOCK_H
#define COGNITO_CLOCK_H

/* Return the time of a monotonic clock, in milliseconds. */
extern double clock_now(void);

#endif
