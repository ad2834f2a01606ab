/* The heap sampler's control: on and off, rates, snapshots. */
#include <errno.h>
#include <string.h>

#include "agent/os/os.h"
#include "agent/sampler/heap.h"
#include "agent/sampler/sampler.h"

/* Of the budget for what lasts, a quarter each at most: the others shall not starve. */
#define SHARE 4
static struct pd_budget table_budget, live_budget;
static uint64_t rate;

static int on(struct pd_budget *budget)
{
	/* What an earlier table still has stays charged. */
	table_budget.cap = budget->cap / SHARE;
	table_budget.outer = budget;
	live_budget = (struct pd_budget){ .cap = budget->cap / SHARE, .outer = budget };
	return 0;
}

static int open_table(void)
{
	if (pd_load_relaxed(&pd_heap.open))
		return 0;
	int err = pd_heap.table.arena.base ? 0 : pd_table_open(&pd_heap.table, &table_budget);
	if (err)
		return err;
	pd_heap.overflow_row = pd_table_row(&pd_heap.table, &(struct pd_key){ .stack = PD_STACK_OVERFLOW, .rate = 1 });
	err = pd_heap.overflow_row ? pd_live_open(&live_budget) : -ENOMEM;
	if (err) {
		if (pd_heap_quiet())
			pd_table_close(&pd_heap.table);
		return err;
	}
	pd_store_seqcst(&pd_heap.open, 1);
	return 0;
}

/* Nobody tells us any more when they are freed: they count as freed now. */
static void forget_live(void)
{
	pd_heap_quiet();
	pd_live_take_all(pd_heap_gone);
}

static int set_rate(uint64_t value)
{
	bool was = rate != 0;
	int err = value && !was ? open_table() : 0;
	if (err)
		return err;
	pd_heap_set_interval(value);
	if (value && !was)
		err = pd_heap_hooks_on();
	if (err) {
		pd_heap_set_interval(0);
		return err;
	}
	pd_store_relaxed(&rate, value);
	if (!value && was) {
		pd_heap_hooks_off();
		forget_live();
	}
	return 0;
}

static uint64_t get_rate(void)
{
	return pd_load_relaxed(&rate);
}

static void off(void)
{
	if (!pd_load_relaxed(&pd_heap.open))
		return;
	forget_live();
	pd_store_seqcst(&pd_heap.open, 0);
	/* A hook that saw it open and does not end goes on in the table, which the next session then shares. */
	if (!pd_heap_quiet())
		return;
	pd_table_close(&pd_heap.table);
	memset(&pd_heap, 0, sizeof pd_heap);
}

static void forked(void)
{
	pd_heap_set_interval(0);
	rate = 0;
	table_budget.taken = 0;
	pd_live_forked();
	pd_heap_record_forked();
}

static int start(void)
{
	return 0;
}

static void stop(void)
{
}

static void maintain(void)
{
	pd_heap_look_round();
	if (!pd_xchg_acq_rel(&pd_heap.strangers, 0))
		return;
	int n = pd_threads_count();
	if (n > 0 && (size_t)n != pd_threads_known())
		pd_threads_scan(NULL, NULL);
	pd_threads_find_stacks();
}

static void tell_counters(struct pd_counters *c)
{
	pd_counters_copy(c, &pd_heap.count);
	/* Those being taken are left to the next time. */
	pd_counters_sum(c);
}

static int snapshot(struct pd_snapshot *out)
{
	/* A sample that was being taken when the rate became 0 */
	if (!get_rate() && pd_load_relaxed(&pd_heap.open))
		pd_live_take_all(pd_heap_gone);
	int err = pd_snapshot_rows(&pd_heap.table, out);
	if (err)
		return err;
	for (size_t i = 0; i < out->n; i++) {
		/* Frees are read a moment after the allocations. */
		int64_t *v = out->row[i].value;
		for (int k = 0; k < 2; k++)
			v[2 + k] = v[2 + k] < v[k] ? v[2 + k] : v[k];
	}
	out->rate = get_rate();
	tell_counters(&out->counters);
	return 0;
}

static bool stack(uint32_t id, struct pd_stack *out)
{
	return pd_table_stack_get(&pd_heap.table, id, out);
}

const struct pd_sampler pd_sampler_heap = {
	.name = "heap", .rate_name = "heap_rate", .rate_unit = "bytes", .rate_min = 0, .rate_max = 1ull << 40,
	.rate_help = "mean bytes allocated between two samples; 1 = every allocation, 0 = off", .standing = true,
	.start = start, .stop = stop, .snapshot = snapshot, .counters = tell_counters, .stack = stack, .rate = get_rate,
	.set_rate = set_rate, .maintain = maintain, .facts = pd_heap_facts, .notes = pd_heap_notes,
	.on = on, .off = off, .forked = forked,
};
