/*
 * clock.c
 *		The clock for deadlines and durations.
 *
 * It is monotonic, so that setting the machine's clock moves no deadline.
 */
#include "postgres.h"

#include "portability/instr_time.h"

#include "clock.h"

double
clock_now(void)
{
	instr_time time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_MILLISEC(time);
}
