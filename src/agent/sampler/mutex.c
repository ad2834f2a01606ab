/* The mutex sampler: who kept others waiting, by the stack of the unlock. */
#include "agent/sampler/wait.h"

PD_WAIT_SAMPLER(pd_mutex)

static int set_rate(uint64_t value)
{
	int err = pd_waits_set(&pd_mutex, value);
	if (err)
		return err;
	pd_sums_rate(value);
	if (value)
		pd_absl_watch();
	return 0;
}

static void maintain(void)
{
	pd_waits_maintain();
	pd_sums_maintain();
}

static void forked(void)
{
	pd_waits_forked(&pd_mutex);
	pd_sums_forked();
}

const struct pd_sampler pd_sampler_mutex = {
	.name = "mutex", .rate_name = "mutex_fraction", .rate_unit = "fraction", .rate_min = 0, .rate_max = 1000000000,
	.rate_help = "one in so many waits for locks is charged to the unlocks that it waits for; 0 = off",
	.standing = true, .start = start, .stop = stop, .snapshot = snapshot, .counters = wait_counters, .stack = stack,
	.rate = rate, .set_rate = set_rate, .maintain = maintain,
	.facts = pd_mutex_facts, .notes = pd_mutex_notes,
	.on = pd_waits_on, .off = off, .forked = forked,
};
