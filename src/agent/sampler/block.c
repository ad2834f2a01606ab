/* The block sampler: where threads wait for each other, by the waiter's stack. */
#include "agent/sampler/wait.h"

PD_WAIT_SAMPLER(pd_block)

static int set_rate(uint64_t value)
{
	return pd_waits_set(&pd_block, value);
}

static void forked(void)
{
	pd_waits_forked(&pd_block);
	pd_wait_hooks_forked();
}

const struct pd_sampler pd_sampler_block = {
	.name = "block", .rate_name = "block_rate", .rate_unit = "nanoseconds", .rate_min = 0, .rate_max = (uint64_t)1 << 60,
	.rate_help = "waits for locks of at least this are all sampled, shorter ones in proportion; 0 = off",
	.standing = true, .start = start, .stop = stop, .snapshot = snapshot, .counters = wait_counters, .stack = stack,
	.rate = rate, .set_rate = set_rate, .maintain = pd_waits_maintain,
	.facts = pd_block_facts, .notes = pd_block_notes,
	.on = pd_waits_on, .off = off, .forked = forked,
};
