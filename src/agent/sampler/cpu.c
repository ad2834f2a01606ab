/* The CPU sampler's control: timers for threads, the signal they send, the table they fill. */
#include "agent/sampler/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/sampler.h"
#include "agent/sampler/wall.h"
#include "base/atomic.h"

static struct pd_budget *budget;
static uint64_t hz = 100;
static uint64_t seed;
static uint32_t timerless; /* threads that could not get a timer */
static int no_timer;       /* why the last of these did not */
static struct pd_signal_target process_target = { pd_cpu_tick_process };
static int process_timer = -1;

uint64_t pd_phase(uint64_t period)
{
	struct timespec ts;
	if (!pd_load_relaxed(&seed)) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		pd_store_relaxed(&seed, ((uint64_t)ts.tv_nsec << 20 ^ (uint64_t)getpid()) | 1);
	}
	uint64_t x = pd_add_relaxed(&seed, 0x9e3779b97f4a7c15u);
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return 1 + (x ^ x >> 31) % period;
}

static void arm(struct pd_thread *t)
{
	if (t->own || t->timer >= 0 || !pd_load_relaxed(&pd_cpu.open))
		return;
	pd_store_relaxed(&t->on_tick.fn, pd_cpu_tick);
	uint64_t unit = pd_cpu.period_ns / pd_cpu.units;
	pd_cpu_armed(t);
	int timer = pd_timer_cpu(t->tid, pd_signal_number(), &t->on_tick, 1, unit);
	pd_store_relaxed(&t->timer, timer >= 0 ? timer : -1);
	if (timer < 0 && timer != -ESRCH && timer != -EINVAL) {
		pd_add_relaxed(&timerless, 1);
		pd_store_relaxed(&no_timer, timer);
	}
}

static void disarm(struct pd_thread *t)
{
	int timer = t->timer;
	if (timer < 0)
		return;
	pd_store_relaxed(&t->timer, -1);
	pd_timer_delete(timer);
}

static void ends(struct pd_thread *t)
{
	bool had = t->timer >= 0;
	disarm(t);
	if (had)
		pd_cpu_ends(t);
}

static void arm_each(struct pd_thread *t, void *arg)
{
	arm(t);
}

static void disarm_each(struct pd_thread *t, void *arg)
{
	disarm(t);
}

static void process_timer_if_needed(void)
{
	if (process_timer >= 0 || !pd_load_relaxed(&timerless))
		return;
	uint64_t period = pd_cpu.period_ns;
	int timer = pd_timer_cpu(0, pd_signal_number(), &process_target, pd_phase(period), period);
	process_timer = timer >= 0 ? timer : -1;
	if (timer < 0)
		pd_store_relaxed(&no_timer, timer);
}

static void arm_all(void)
{
	pd_store_relaxed(&timerless, 0);
	pd_threads_each(arm_each, NULL);
	process_timer_if_needed();
}

static void disarm_all(void)
{
	pd_threads_each(disarm_each, NULL);
	pd_timer_delete(process_timer);
	process_timer = -1;
}

static void stop(void)
{
	pd_store_seqcst(&pd_cpu.open, 0);
	pd_threads_at_begin(NULL);
	disarm_all();
	pd_threads_at_exit(NULL);
	pd_signal_release();
	/* A handler that saw `open` just before is still in the table; if it does not end, the memory is left to it. */
	if (pd_signal_drain())
		pd_table_close(&pd_cpu.table);
	else
		memset(&pd_cpu.table, 0, sizeof pd_cpu.table);
}

/*
 * Timers fire often enough that each clock interrupt of the kernel which finds a thread running brings a signal (see
 * record), but not more often than every millisecond for low rates.
 */
static void set_period(void)
{
	struct timespec tick;
	uint64_t unit = 1000000, period = 1000000000 / hz;
	pd_cpu.clock_ns = clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 ? (uint64_t)tick.tv_nsec : 0;
	if (pd_cpu.clock_ns / 4 > unit)
		unit = pd_cpu.clock_ns / 4;
	pd_store_relaxed(&pd_cpu.period_ns, period);
	pd_store_relaxed(&pd_cpu.units, (uint32_t)(period > unit ? period / unit : 1));
	pd_store_relaxed(&pd_cpu.owed_ns, 0);
	pd_add_relaxed(&pd_cpu.generation, 1);
}

static int start(void)
{
	int err = pd_table_open(&pd_cpu.table, budget);
	if (err)
		return err;
	set_period();
	err = pd_table_reserve(&pd_cpu.table, pd_cpu.period_ns);
	int signo = err ? err : pd_signal_take();
	if (signo < 0) {
		pd_table_close(&pd_cpu.table);
		return signo;
	}
	pd_store_seqcst(&pd_cpu.open, 1);
	/* New threads arm themselves from here on; then those that are there already. */
	pd_threads_at_begin(arm);
	pd_threads_at_exit(ends);
	pd_threads_scan(NULL, NULL);
	pd_threads_find_stacks();
	arm_all();
	/* Neither a thread's nor the process's: a filter forbids timers, say. An empty profile would be a lie. */
	if (!pd_load_relaxed(&timerless) || process_timer >= 0)
		return 0;
	int why = pd_load_relaxed(&no_timer);
	stop();
	return why;
}

/* Move to another signal when the host wants the one we hold. */
static void move_signal(void)
{
	if (pd_signal_move() != 0)
		return;
	disarm_all();
	pd_wall_disarm();
	arm_all();
	pd_signal_moved();
}

void pd_sampler_find_threads(void)
{
	int n = pd_threads_count();
	if (n > 0 && (size_t)n != pd_threads_known())
		pd_threads_scan(NULL, NULL);
	pd_threads_find_stacks();
}

static void maintain(void)
{
	if (pd_signal_unwanted())
		move_signal();
	pd_sampler_find_threads();
	process_timer_if_needed();
}

static uint64_t rate(void)
{
	return pd_load_relaxed(&hz);
}

static int set_rate(uint64_t value)
{
	pd_store_relaxed(&hz, value);
	if (!pd_load_relaxed(&pd_cpu.open))
		return 0;
	pd_table_reserve(&pd_cpu.table, 1000000000 / value);
	disarm_all();
	set_period();
	arm_all();
	return 0;
}

static void count_threads(int tid, void *arg)
{
	struct pd_counters *c = arg;
	struct pd_thread *t = pd_thread_find(tid);
	if (t && pd_load_relaxed(&t->own))
		return;
	if (!t || pd_load_relaxed(&t->timer) < 0)
		c->timerless_threads++;
	char buf[2048];
	if (c->threads_looked_at++ >= 1000 || pd_read_task_file(tid, "/status", buf, sizeof buf) <= 0)
		return;
	const char *blk = strstr(buf, "\nSigBlk:\t");
	uint64_t mask = 0;
	for (blk = blk ? blk + 9 : ""; *blk && *blk != '\n'; blk++)
		mask = mask << 4 | (uint64_t)(*blk <= '9' ? *blk - '0' : *blk - 'a' + 10);
	int signo = pd_signal_number();
	bool blocks = signo && mask >> (signo - 1) & 1;
	c->masked_threads += blocks;
	if (t)
		((struct pd_cpu_scratch *)t->scratch)->blocks = blocks;
}

/* Read between two samples, so that ticks = recorded + dropped. */
static void read_counters(struct pd_counters *c)
{
	struct timespec us = { 0, 50000 };
	for (int i = 0; i < 100; i++) {
		uint64_t left = pd_load_seqcst(&pd_cpu.left);
		pd_counters_copy(c, &pd_cpu.count);
		/* A read that nothing before it can pass. */
		if (left == pd_add_acq_rel(&pd_cpu.entered, 0))
			break;
		nanosleep(&us, NULL);
	}
	pd_counters_clocks(c);
}

static int snapshot(struct pd_snapshot *out)
{
	struct pd_counters seen = { 0 };
	pd_each_task(count_threads, &seen);
	pd_cpu_settle();
	int err = pd_snapshot_rows(&pd_cpu.table, out);
	if (err)
		return err;
	read_counters(&out->counters);
	out->counters.timerless_threads += seen.timerless_threads;
	out->counters.threads_looked_at += seen.threads_looked_at;
	out->counters.masked_threads += seen.masked_threads;
	out->rate = rate();
	for (size_t i = 0; i < out->n; i++) {
		/* Each row with the period its samples were taken at: exact over changes of the rate. */
		out->row[i].value[1] = out->row[i].value[0] * (int64_t)out->row[i].key.rate;
	}
	return 0;
}

static size_t facts(struct pd_fact *out, size_t max)
{
	const struct pd_fact all[] = {
		{ "label_sets_refused_total", pd_labels_refused() },
		{ "samples_without_trace_total", pd_load_relaxed(&pd_cpu.traceless) },
	};
	size_t n = 0;
	for (; n < sizeof all / sizeof *all && n < max; n++)
		out[n] = all[n];
	return n;
}

static size_t notes(char (*out)[PD_NOTE], size_t max)
{
	size_t n = 0;
	uint64_t sets = pd_labels_refused(), samples = pd_load_relaxed(&pd_cpu.traceless);
	if (sets && n < max)
		snprintf(out[n++], PD_NOTE, "Labels lack: %llu times there was no room for another set of labels since"
		         " the program started; too many different values are the usual reason.",
		         (unsigned long long)sets);
	if (samples && n < max)
		snprintf(out[n++], PD_NOTE, "Traces lack: %llu times since the service was started a sample went without"
		         " its trace_id, because the room for traces was used up.", (unsigned long long)samples);
	return n;
}

static bool stack(uint32_t id, struct pd_stack *out)
{
	return pd_table_stack_get(&pd_cpu.table, id, out);
}

void pd_samplers_on(struct pd_budget *b, uint64_t cpu_hz, int signo)
{
	budget = b;
	hz = cpu_hz;
	pd_signal_prefer(signo);
}

void pd_cpu_forked(void)
{
	pd_cpu = (struct pd_cpu){ 0 };
	process_timer = -1;
}

const struct pd_sampler pd_sampler_cpu = {
	.name = "profile", .rate_name = "cpu_hz", .rate_unit = "hertz", .rate_min = 1, .rate_max = 4000,
	.rate_help = "samples per second of CPU time, while a CPU profile is taken",
	.start = start, .stop = stop, .snapshot = snapshot, .counters = read_counters, .stack = stack,
	.rate = rate, .set_rate = set_rate, .maintain = maintain, .facts = facts, .notes = notes,
};
