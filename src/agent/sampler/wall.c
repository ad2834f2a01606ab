/* The wall sampler's control: its thread, when its ticks are due, and the table they fill. */
#include "agent/sampler/wall.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/sampler/cpu.h"
#include "agent/sampler/sampler.h"
#include "base/atomic.h"
#include "base/thread.h"
#include "base/time.h"

#define ANSWERS_WAIT 20000000 /* ns that a snapshot waits for threads asked just before */

static struct pd_budget *budget;
static uint64_t hz = 20;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held while threads are looked at; guards all below */
static pthread_cond_t wake;
static pthread_t thread;
static bool stopping;

/* Until then; false: sooner, for it is to stop or the period is another one. */
static bool sleep_until(int64_t ns, uint64_t period)
{
	struct timespec until = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	while (!stopping && period == pd_wall.period_ns)
		if (pthread_cond_timedwait(&wake, &lock, &until) == ETIMEDOUT)
			return true;
	return false;
}

/*
 * Time is cut into periods, and each has one tick at a random place in it: as many ticks as periods, and none in step
 * with what threads do. One that comes late stands for those that were left out, too, as any
 * moment does for the time around it.
 */
static void *run(void *arg)
{
	pd_thread_own("pprofd-wall");
	pd_thread_own_descriptors(-1);
	pthread_mutex_lock(&lock);
	uint64_t period = pd_wall.period_ns;
	for (int64_t begin = pd_mono_ns(); !stopping;) {
		if (!sleep_until(begin + (int64_t)pd_phase(period), period)) {
			period = pd_wall.period_ns;
			begin = pd_mono_ns();
			continue;
		}
		uint64_t late = (uint64_t)(pd_mono_ns() - begin) / period;
		pd_wall_scan(1 + late);
		begin += (int64_t)(period * (1 + late));
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int start_thread(void)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	stopping = false;
	return pd_thread_start(&thread, 256 << 10, run, NULL);
}

static void close_table(void)
{
	pd_store_seqcst(&pd_wall.open, 0);
	pd_wall_end_all();
	pd_signal_release();
	/* A handler that saw `open` just before is still in the table; if it does not end, the memory is left to it. */
	if (pd_signal_drain())
		pd_table_close(&pd_wall.table);
	else
		memset(&pd_wall.table, 0, sizeof pd_wall.table);
	pd_wall_forget();
}

static int start(void)
{
	int err = pd_table_open(&pd_wall.table, budget);
	if (err)
		return err;
	pd_wall.period_ns = 1000000000 / hz;
	err = pd_table_reserve(&pd_wall.table, pd_wall.period_ns);
	int signo = err ? err : pd_signal_take();
	if (signo < 0) {
		pd_table_close(&pd_wall.table);
		return signo;
	}
	pd_threads_scan(NULL, NULL);
	pd_threads_find_stacks();
	pd_store_seqcst(&pd_wall.open, 1);
	err = start_thread();
	if (err)
		close_table();
	return err;
}

static void stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	close_table();
}

void pd_wall_disarm(void)
{
	if (!pd_load_relaxed(&pd_wall.open))
		return;
	pthread_mutex_lock(&lock);
	pd_wall_end_all();
	pthread_mutex_unlock(&lock);
}

static void maintain(void)
{
	/* The CPU sampler does this for both while it is open. */
	if (!pd_load_relaxed(&pd_cpu.open)) {
		if (pd_signal_unwanted() && pd_signal_move() == 0) {
			pd_wall_disarm();
			pd_signal_moved();
		}
		pd_sampler_find_threads();
	}
}

static uint64_t rate(void)
{
	return pd_load_relaxed(&hz);
}

static int set_rate(uint64_t value)
{
	pd_store_relaxed(&hz, value);
	if (!pd_load_relaxed(&pd_wall.open))
		return 0;
	pthread_mutex_lock(&lock);
	pd_table_reserve(&pd_wall.table, 1000000000 / value);
	pd_wall_end_all(); /* what is owed is owed in periods of the old rate */
	pd_store_relaxed(&pd_wall.period_ns, 1000000000 / value);
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Between two answers, so that ticks = recorded + dropped: those still owed are not due yet. The lock is held. */
static void read_counters(struct pd_counters *c)
{
	struct timespec us = { 0, 200000 };
	for (int64_t until = pd_mono_ns() + ANSWERS_WAIT; pd_wall_owed_by_all() && pd_mono_ns() < until;)
		nanosleep(&us, NULL);
	for (int i = 0; i < 100; i++) {
		uint64_t left = pd_load_seqcst(&pd_wall.left);
		pd_counters_copy(c, &pd_wall.count);
		c->ticks -= pd_wall_owed_by_all();
		/* A read that nothing before it can pass. */
		if (left == pd_add_acq_rel(&pd_wall.entered, 0))
			break;
		nanosleep(&us, NULL);
	}
	pd_counters_clocks(c);
}

static void counters_now(struct pd_counters *out)
{
	pthread_mutex_lock(&lock);
	read_counters(out);
	pthread_mutex_unlock(&lock);
}

static int snapshot(struct pd_snapshot *out)
{
	struct pd_counters counters;
	pthread_mutex_lock(&lock);
	read_counters(&counters);
	int err = pd_snapshot_rows(&pd_wall.table, out);
	pthread_mutex_unlock(&lock);
	if (err)
		return err;
	out->counters = counters;
	out->rate = rate();
	for (size_t i = 0; i < out->n; i++)
		out->row[i].value[1] = out->row[i].value[0] * (int64_t)out->row[i].key.rate;
	return 0;
}

static bool stack(uint32_t id, struct pd_stack *out)
{
	return pd_table_stack_get(&pd_wall.table, id, out);
}

static size_t facts(struct pd_fact *out, size_t max)
{
	if (max)
		*out = (struct pd_fact){ "samples_without_trace", pd_load_relaxed(&pd_wall.traceless) };
	return max ? 1 : 0;
}

static size_t notes(char (*out)[PD_NOTE], size_t max)
{
	uint64_t n = pd_load_relaxed(&pd_wall.traceless);
	size_t told = 0;
	if (n && told < max)
		snprintf(out[told++], PD_NOTE, "Traces lack: %llu times since the service was started a thread was seen"
		         " without its trace_id, because the room for traces was used up.", (unsigned long long)n);
	if (pd_load_relaxed(&pd_wall.hidden) && told < max)
		snprintf(out[told++], PD_NOTE, "Waiting threads have no stacks: the process has changed its user, or made"
		         " itself undumpable; then the kernel does not tell where its threads wait.");
	return told;
}

static int on(struct pd_budget *b)
{
	budget = b;
	return 0;
}

static void forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	pd_wall = (struct pd_wall){ 0 };
	pd_wall_ask_forked();
	pd_wall_forget();
}

const struct pd_sampler pd_sampler_wall = {
	.name = "wall", .rate_name = "wall_hz", .rate_unit = "hertz", .rate_min = 1, .rate_max = 1000,
	.rate_help = "samples per second of each thread, while a wall profile is taken",
	.start = start, .stop = stop, .snapshot = snapshot, .counters = counters_now, .stack = stack,
	.rate = rate, .set_rate = set_rate, .maintain = maintain, .facts = facts, .notes = notes,
	.on = on, .forked = forked,
};
