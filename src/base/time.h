/* Clocks in nanoseconds. Signal-safe. */
#ifndef PD_BASE_TIME_H
#define PD_BASE_TIME_H

#include <stdint.h>
#include <time.h>

#define PD_SECOND ((int64_t)1000000000)

static inline int64_t pd_clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ts.tv_sec * PD_SECOND + ts.tv_nsec;
}

/* For durations and deadlines. */
static inline int64_t pd_mono_ns(void)
{
	return pd_clock_ns(CLOCK_MONOTONIC);
}

static inline struct timespec pd_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / PD_SECOND, .tv_nsec = ns % PD_SECOND };
}

#endif
