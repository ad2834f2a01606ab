/* A clock for hooks: ticks of the time stamp counter where that can be trusted, else nanoseconds. */
#ifndef PD_AGENT_OS_CLOCK_H
#define PD_AGENT_OS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/os/tsc_x86_64.h"
#include "base/time.h"

struct pd_clock {
	bool tsc;
	uint64_t ns_per_tick; /* times 2^32 */
	uint64_t ticks_per_ns; /* times 2^32 */
};
extern struct pd_clock pd_clock;

/* Before the first use; again costs nothing. The first time it measures for up to 10 ms. Ordinary threads. */
void pd_clock_open(void);

/* Now. Signal-safe. Two processors may differ by some ns: a difference can be negative. */
static inline uint64_t pd_ticks(void)
{
	return pd_clock.tsc ? pd_tsc() : (uint64_t)pd_mono_ns();
}

static inline uint64_t pd_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * pd_clock.ns_per_tick >> 32);
}

static inline uint64_t pd_ns_to_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * pd_clock.ticks_per_ns >> 32);
}

#endif
