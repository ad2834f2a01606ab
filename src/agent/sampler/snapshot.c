/* What a sampler gives away: a copy of its table's rows, in memory of its own, and of its counters. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"
#include "base/time.h"

struct copying {
	struct pd_snapshot *out;
	size_t cap;
};

static void copy_row(const struct pd_row *row, void *arg)
{
	struct copying *c = arg;
	bool any = row->value[0] || row->value[1] || row->value[2] || row->value[3];
	if (any && c->out->n < c->cap)
		c->out->row[c->out->n++] = *row;
}

int pd_snapshot_rows(const struct pd_table *t, struct pd_snapshot *out)
{
	*out = (struct pd_snapshot){ .mono_ns = pd_mono_ns(), .real_ns = pd_clock_ns(CLOCK_REALTIME), .rate = 1 };
	/* Rows that come while we read belong to the next snapshot if they do not fit. */
	struct copying c = { .out = out, .cap = pd_load_relaxed(&t->rows) + 64 };
	void *p = mmap(NULL, c.cap * sizeof *out->row, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	out->row = p;
	out->row_cap = c.cap;
	pd_table_rows(t, copy_row, &c);
	return 0;
}

void pd_snapshot_free(struct pd_snapshot *s)
{
	if (s->row)
		munmap(s->row, s->row_cap * sizeof *s->row);
	memset(s, 0, sizeof *s);
}

_Static_assert(sizeof(struct pd_counters) % sizeof(uint64_t) == 0, "counters are words");

void pd_counters_copy(struct pd_counters *to, const struct pd_counters *live)
{
	for (size_t i = 0; i < sizeof *to / sizeof(uint64_t); i++)
		((uint64_t *)to)[i] = pd_load_relaxed((const uint64_t *)live + i);
}

void pd_counters_clocks(struct pd_counters *c)
{
	c->process_cpu_ns = (uint64_t)pd_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	c->own_cpu_ns = pd_threads_own_cpu();
}

void pd_counters_sum(struct pd_counters *c)
{
	c->ticks = c->recorded;
	for (int i = 0; i < PD_DROP_REASONS; i++)
		c->ticks += c->dropped[i];
	pd_counters_clocks(c);
}
