/* What the tests of the thread dump share. */
#ifndef PD_TEST_DUMP_H
#define PD_TEST_DUMP_H

#include "agent/sampler/dump.h"
#include "agent/sampler/sampler.h"
#include "../test.h"

#define SECOND 1000000000ll

static void set_up(void)
{
	static struct pd_budget budget = { .cap = 256 << 20 };
	if (pd_threads_on(&budget) != 0 || pd_unwind_open(&budget) != 0)
		SKIP("no memory");
	pd_unwind_refresh();
}

static inline const struct pd_thread_rec *find(const struct pd_dump *d, int tid)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->thread[i].tid == tid)
			return &d->thread[i];
	return NULL;
}

#endif
