/* Walks of a test program's own stacks. */
#ifndef PD_TEST_WALK_KIT_H
#define PD_TEST_WALK_KIT_H

#include <pthread.h>

#include "agent/unwind/unwind.h"
#include "../test.h"

static inline struct pd_view view_at(uint64_t lo, uint64_t hi)
{
	return (struct pd_view){ .lo = lo, .hi = hi, .at = (const unsigned char *)lo };
}

static inline struct pd_view stack_of(pthread_t t)
{
	pthread_attr_t attr;
	void *lo;
	size_t len;
	pthread_getattr_np(t, &attr);
	pthread_attr_getstack(&attr, &lo, &len);
	pthread_attr_destroy(&attr);
	return view_at((uint64_t)lo, (uint64_t)lo + len);
}

__attribute__((no_sanitize("address"))) static inline void copy_stack(unsigned char *to, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = *(volatile unsigned char *)(from + i);
}

#endif
