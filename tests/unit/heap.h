/* What the tests of the heap sampler share: the sampler without a service, and sums over its rows by function. */
#ifndef PD_TEST_HEAP_H
#define PD_TEST_HEAP_H

#include <dlfcn.h>
#include <math.h>

#include "agent/hook/hook.h"
#include "agent/os/os.h"
#include "agent/sampler/heap.h"
#include "agent/sampler/sampler.h"
#include "agent/unwind/unwind.h"
#include "../test.h"

/* A function whose rows can be told: it is exported and keeps its frame. */
#define FN(name)                                                    \
	__attribute__((visibility("default"), noinline)) void name(void); \
	void name(void)

static struct pd_budget budget;

static void set_up(uint64_t memory)
{
	budget = (struct pd_budget){ .cap = memory };
	if (pd_threads_on(&budget) != 0 || pd_labels_on(&budget) != 0 || pd_unwind_open(&budget) != 0)
		SKIP("no memory");
	pd_unwind_refresh();
	pd_thread_here();
	pd_threads_scan(NULL, NULL);
	EQ(pd_threadcreate_on(&budget, NULL, NULL, NULL), 0);
	EQ(pd_sampler_heap.on(&budget), 0);
}

static void rate(uint64_t value)
{
	EQ(pd_sampler_heap.set_rate(value), 0);
}

struct sums {
	double objects, bytes, live_objects, live_bytes; /* scaled */
	int64_t samples, rows;
};

/* Scaled as a reader of the profile does it. */
static void add_row(struct sums *s, const struct pd_row *r)
{
	double size = (double)r->key.size, f = r->key.rate > 1 ? 1 / -expm1(-size / (double)r->key.rate) : 1;
	s->objects += f * (double)r->value[0];
	s->bytes += f * (double)r->value[1];
	s->live_objects += f * (double)(r->value[0] - r->value[2]);
	s->live_bytes += f * (double)(r->value[1] - r->value[3]);
	s->samples += r->value[0];
	s->rows++;
}

/* Is any of the innermost `depth` frames in the function? */
static int in_function(uint32_t id, const void *function, size_t depth)
{
	struct pd_stack st;
	Dl_info info;
	if (!pd_sampler_heap.stack(id, &st))
		return 0;
	for (size_t i = 0; i < st.n && i < depth; i++)
		if (dladdr((void *)st.pc[i], &info) && info.dli_saddr == function)
			return 1;
	return 0;
}

/* The sums of all rows of a function; NULL = of all rows but [overflow]'s. */
static struct sums sums_of(const void *function)
{
	struct pd_snapshot snap;
	struct sums s = { 0 };
	EQ(pd_sampler_heap.snapshot(&snap), 0);
	for (size_t i = 0; i < snap.n; i++)
		if (snap.row[i].key.stack != PD_STACK_OVERFLOW && (!function || in_function(snap.row[i].key.stack, function, 8)))
			add_row(&s, &snap.row[i]);
	pd_snapshot_free(&snap);
	return s;
}

static inline struct sums sums_of_overflow(void)
{
	struct pd_snapshot snap;
	struct sums s = { 0 };
	EQ(pd_sampler_heap.snapshot(&snap), 0);
	for (size_t i = 0; i < snap.n; i++)
		if (snap.row[i].key.stack == PD_STACK_OVERFLOW)
			add_row(&s, &snap.row[i]);
	pd_snapshot_free(&snap);
	return s;
}

static inline uint64_t fact(const char *name)
{
	struct pd_fact f[PD_FACTS];
	size_t n = pd_sampler_heap.facts(f, PD_FACTS);
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].name, name) == 0)
			return f[i].value;
	fprintf(stderr, "no fact %s\n", name);
	test_failures++;
	return 0;
}

#endif
