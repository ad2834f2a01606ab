/* The io sampler: where threads wait for the world outside. Apart from block, which so keeps its meaning. */
#include "agent/sampler/wait.h"

PD_WAIT_SAMPLER(pd_io)

static int set_rate(uint64_t value)
{
	return pd_waits_set(&pd_io, value);
}

static void forked(void)
{
	pd_waits_forked(&pd_io);
}

const struct pd_sampler pd_sampler_io = {
	.name = "io", .rate_name = "io_rate", .rate_unit = "nanoseconds", .rate_min = 0, .rate_max = (uint64_t)1 << 60,
	.rate_help = "as block_rate, for waits for input and output; 0 = off",
	.standing = true, .start = start, .stop = stop, .snapshot = snapshot, .counters = wait_counters, .stack = stack,
	.rate = rate, .set_rate = set_rate, .maintain = pd_waits_maintain,
	.facts = pd_io_facts, .notes = pd_io_notes,
	.on = pd_waits_on, .off = off, .forked = forked,
};
