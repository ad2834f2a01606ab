/* The processor's time stamp counter. */
#ifndef PD_AGENT_OS_TSC_H
#define PD_AGENT_OS_TSC_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

static inline uint64_t pd_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* Does it run at one speed, whatever the processor does, and never stop? */
static inline bool pd_tsc_invariant(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && d >> 8 & 1;
}

#endif
