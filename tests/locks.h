/* For tests of the block, mutex and io samplers: a service without a listener whose tables can be looked at. */
#ifndef PD_TEST_LOCKS_H
#define PD_TEST_LOCKS_H

#include <dlfcn.h>
#include <limits.h>
#include <pprofd.h>
#include <pthread.h>
#include <string.h>

#include "../src/agent/agent.h"
#include "test.h"

/* A function in a section of its own, so that stacks can be asked whether they lead through it. */
#define PLACED(name) __attribute__((noinline, used, section("at_" #name)))
#define PLACE(name) extern "C" const char __start_at_##name[], __stop_at_##name[]
#ifndef __cplusplus
#undef PLACE
#define PLACE(name) extern const char __start_at_##name[], __stop_at_##name[]
#endif
#define IN(name) __start_at_##name, __stop_at_##name

static const struct pd_agent *peek;

/* Start with the stand-in server built beside the tests. The program is in one folder below these. */
static inline void peek_start(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
	path[n > 0 ? n : 0] = 0;
	strcpy(strrchr(path, '/'), "/../live/lib/peek.so");
	setenv("PPROFD_SERVER", path, 1);
	struct pprofd_options o;
	memset(&o, 0, sizeof o);
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	int err = pprofd_start(&o);
	void *lib = err == 0 ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : NULL;
	const struct pd_agent **agent = lib ? (const struct pd_agent **)dlsym(lib, "peek_agent") : NULL;
	if (!agent) {
		fprintf(stderr, "no service: %d\n", err);
		exit(1);
	}
	peek = *agent;
}

struct peek_sum {
	double waits, ns;
	size_t rows;
};

static inline int peek_through(const struct pd_stack *s, const char *lo, const char *hi)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->pc[i] >= (uintptr_t)lo && s->pc[i] < (uintptr_t)hi)
			return 1;
	return 0;
}

/* All rows of a kind whose stack leads through [lo, hi) (all when lo is NULL) and whose leaf is the function `leaf`
 * (any when NULL). */
static inline struct peek_sum peek_sum(enum pd_kind kind, const char *lo, const char *hi, const char *leaf)
{
	struct peek_sum sum = { 0, 0, 0 };
	struct pd_snapshot snap;
	void *want = leaf ? dlsym(RTLD_DEFAULT, leaf) : NULL;
	if (peek->open(kind) != 0)
		return sum;
	if (peek->snapshot(kind, &snap) == 0) {
		for (size_t i = 0; i < snap.n; i++) {
			struct pd_stack s;
			memset(&s, 0, sizeof s);
			int known = peek->stack(kind, snap.row[i].key.stack, &s);
			if (lo && !(known && peek_through(&s, lo, hi)))
				continue;
			if (want && !(known && s.pc[0] == (uintptr_t)want))
				continue;
			sum.waits += (double)snap.row[i].value[0];
			sum.ns += (double)snap.row[i].value[1];
			sum.rows++;
		}
		peek->snapshot_free(&snap);
	}
	peek->close(kind);
	return sum;
}

static inline struct peek_sum peek_less(struct peek_sum a, struct peek_sum b)
{
	struct peek_sum d = { a.waits - b.waits, a.ns - b.ns, a.rows - b.rows };
	return d;
}

static inline void peek_rate(const char *name, uint64_t value)
{
	int err = pprofd_rate_set(name, value);
	if (err != 0) {
		test_failures++;
		fprintf(stderr, "%s=%llu: %d\n", name, (unsigned long long)value, err);
	}
}

/* Is `got` within `share` of `want`? Says so when not. */
#define NEAR(got, want, share)                                                                                    \
	do {                                                                                                      \
		double near_got = (got), near_want = (want);                                                      \
		if (!(near_got >= near_want * (1 - (share)) && near_got <= near_want * (1 + (share)))) {          \
			test_failures++;                                                                          \
			fprintf(stderr, "%s:%d: %s is %.0f, not within %g of %s = %.0f\n", __FILE__, __LINE__, #got, \
			        near_got, (double)(share), #want, near_want);                                     \
		}                                                                                                 \
	} while (0)

#endif
