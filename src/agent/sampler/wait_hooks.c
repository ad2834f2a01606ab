/* Which sets of hooks the rates in force need. Knows no hook by name. */
#include "agent/hook/hook.h"
#include "agent/sampler/wait.h"
#include "base/atomic.h"

enum { BLOCK = 1, MUTEX = 2, IO = 4 };

static struct {
	const struct pd_hook_list *list;
	unsigned needed_by;
	bool on;
} set[] = {
	{ .list = &pd_mutex_lock_hooks, .needed_by = BLOCK | MUTEX },
	{ .list = &pd_mutex_unlock_hooks, .needed_by = MUTEX },
	{ .list = &pd_rwlock_lock_hooks, .needed_by = BLOCK | MUTEX },
	{ .list = &pd_rwlock_unlock_hooks, .needed_by = MUTEX },
	{ .list = &pd_cond_hooks, .needed_by = BLOCK | MUTEX },
	{ .list = &pd_sleep_hooks, .needed_by = BLOCK },
	{ .list = &pd_io_hooks, .needed_by = IO },
};
#define SETS (sizeof set / sizeof *set)

static unsigned wanted(void)
{
	return (pd_load_relaxed(&pd_block.rate) ? BLOCK : 0u) | (pd_load_relaxed(&pd_mutex.rate) ? MUTEX : 0u) |
	       (pd_load_relaxed(&pd_io.rate) ? IO : 0u);
}

static void take_out(unsigned want)
{
	for (size_t i = 0; i < SETS; i++) {
		if (!set[i].on || set[i].needed_by & want)
			continue;
		pd_hooks_off(set[i].list->hook);
		set[i].on = false;
	}
}

static int update(void)
{
	unsigned want = wanted();
	int err = 0;
	for (size_t i = 0; i < SETS && !err; i++) {
		if (set[i].on || !(set[i].needed_by & want))
			continue;
		err = pd_hooks_on(set[i].list->hook, set[i].list->n);
		set[i].on = !err;
	}
	take_out(want);
	return err;
}

static void put(struct pd_waits *k, uint64_t rate)
{
	uint64_t ticks = pd_ns_to_ticks(rate);
	pd_store_relaxed(&k->rate, rate);
	pd_store_relaxed(&k->ticks, rate && !ticks ? 1 : ticks);
}

int pd_waits_set(struct pd_waits *k, uint64_t rate)
{
	uint64_t before = pd_load_relaxed(&k->rate);
	int err = rate ? pd_waits_open(k) : 0;
	if (err)
		return err;
	put(k, rate);
	err = update();
	if (err) {
		put(k, before);
		take_out(wanted());
	}
	return err;
}

void pd_wait_hooks_forked(void)
{
	for (size_t i = 0; i < SETS; i++)
		set[i].on = false;
}
