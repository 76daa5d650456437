/*
 * shifted_clock.c
 *		LD_PRELOAD library: the clocks that a test sets.
 *
 * The file SHIFTED_CLOCK holds two numbers: the time to show, in microseconds since the
 * Unix epoch, 0 for the real one; and by how many seconds the monotonic clock is ahead.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t
setting(int number)
{
	const char *name = getenv("SHIFTED_CLOCK");
	int         file = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	int64_t     value = 0;

	if (file < 0)
		return 0;
	if (pread(file, &value, sizeof(value), number * (off_t) sizeof(value)) != sizeof(value))
		value = 0;
	close(file);
	return value;
}

int
gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	int (*real)(struct timeval *restrict, void *restrict) = dlsym(RTLD_NEXT, "gettimeofday");
	int64_t shown = setting(0);

	if (shown == 0)
		return real(time, zone);
	time->tv_sec = shown / 1000000;
	time->tv_usec = shown % 1000000;
	return 0;
}

int
clock_gettime(clockid_t clock, struct timespec *time)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, time);

	if (clock == CLOCK_MONOTONIC)
		time->tv_sec += setting(1);
	return result;
}
