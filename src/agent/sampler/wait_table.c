/* The table of each kind of waits: opened, added to, read, given back. Knows no hook and no rule. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"

struct pd_waits pd_block, pd_mutex, pd_io;
static struct pd_budget *budget;

int pd_waits_on(struct pd_budget *b)
{
	budget = b;
	return 0;
}

/* The first thread's stack is found by its name; those of others by where a sample has found them. */
static void find_first_stack(void)
{
	struct pd_thread *t = pd_thread_find(getpid());
	if (!t || pd_load_relaxed(&t->stack_hi))
		return;
	pd_store_relaxed(&t->sp_seen, 1);
	pd_threads_find_stacks();
}

/* Is nobody in it any more, or soon? */
static bool quiet(const struct pd_waits *k)
{
	for (int i = 0; i < 100 && pd_load_seqcst(&k->inside); i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	return !pd_load_seqcst(&k->inside);
}

int pd_waits_open(struct pd_waits *k)
{
	if (pd_load_relaxed(&k->open))
		return 0;
	/* A thread had been left in it. */
	if (k->table.arena.base && !quiet(k))
		return -EBUSY;
	pd_table_close(&k->table);
	int err = pd_table_open(&k->table, budget);
	if (err)
		return err;
	err = pd_table_reserve(&k->table, 0);
	if (err) {
		pd_table_close(&k->table);
		return err;
	}
	pd_clock_open();
	pd_threads_scan(NULL, NULL);
	find_first_stack();
	pd_store_seqcst(&k->open, 1);
	return 0;
}

void pd_waits_off(struct pd_waits *k)
{
	if (!pd_load_relaxed(&k->open))
		return;
	pd_store_seqcst(&k->open, 0);
	/* A thread that does not get on, as one stopped by a handler of the host, is left all as it is. */
	if (quiet(k))
		pd_table_close(&k->table);
	memset(&k->count, 0, sizeof k->count);
}

void pd_waits_forked(struct pd_waits *k)
{
	*k = (struct pd_waits){ 0 };
}

void pd_waits_drop(struct pd_waits *k, enum pd_drop why)
{
	pd_add_relaxed(&k->count.dropped[why], 1);
}

static void add(struct pd_waits *k, const struct pd_thread *t, const struct pd_wait_stack *s, uint64_t waits,
                uint64_t ns)
{
	uint32_t id = pd_table_stack(&k->table, s->pc, s->n, s->epoch, s->flags);
	struct pd_key key = { .stack = id, .labels = id == PD_STACK_OVERFLOW ? 0 : pd_load_relaxed(&t->labels) };
	int64_t value[2] = { (int64_t)waits, (int64_t)ns };
	int room = pd_table_add(&k->table, &key, value, 2);
	if (room < 0) {
		pd_waits_drop(k, PD_DROP_MEMORY);
		return;
	}
	pd_add_relaxed(&k->count.recorded, 1);
	if (!room || id == PD_STACK_OVERFLOW)
		pd_add_relaxed(&k->count.overflow, 1);
	else if (s->flags & PD_TRUNCATED)
		pd_add_relaxed(&k->count.truncated, 1);
}

void pd_waits_add(struct pd_waits *k, const struct pd_thread *t, const struct pd_wait_stack *s, uint64_t waits,
                  uint64_t ns)
{
	pd_add_seqcst(&k->inside, 1);
	if (pd_load_seqcst(&k->open))
		add(k, t, s, waits, ns);
	pd_sub_release(&k->inside, 1);
}

void pd_waits_counters(const struct pd_waits *k, struct pd_counters *c)
{
	pd_counters_copy(c, &k->count);
	pd_counters_sum(c);
}

int pd_waits_snapshot(const struct pd_waits *k, struct pd_snapshot *out)
{
	static const struct pd_table none;
	int err = pd_snapshot_rows(pd_load_relaxed(&k->open) ? &k->table : &none, out);
	if (err)
		return err;
	pd_waits_counters(k, &out->counters);
	out->rate = pd_load_relaxed(&k->rate);
	return 0;
}

void pd_waits_maintain(void)
{
	int n = pd_threads_count();
	if (n > 0 && (size_t)n != pd_threads_known())
		pd_threads_scan(NULL, NULL);
	pd_threads_find_stacks();
}
