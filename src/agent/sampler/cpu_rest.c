/* CPU time that no clock interrupt of the kernel has found: that of threads which live for less, or work seldom. Knows
 * the CPU clocks of threads; must not know how samples are taken. */
#include <pthread.h>
#include <signal.h>

#include "agent/sampler/cpu.h"
#include "base/atomic.h"

static uint32_t rest; /* of a sample; for whoever has the registry's lock */

static uint64_t unit_ns(void)
{
	return pd_load_relaxed(&pd_cpu.period_ns) / pd_cpu.units;
}

static uint64_t thread_cpu(const struct pd_thread *t)
{
	int64_t ns = pd_thread_cpu_ns(t->tid);
	return ns > 0 ? (uint64_t)ns : 0;
}

uint64_t pd_cpu_samples(uint32_t *left, uint64_t units)
{
	uint64_t all = *left + units, per_sample = pd_cpu.units;
	*left = (uint32_t)(all % per_sample);
	return all / per_sample;
}

/*
 * The timer expires at once and then every unit, so that any clock interrupt finds the thread, however short it lives.
 * What a signal stands for the clock tells: its first unit ends at any time in the first unit's length.
 */
void pd_cpu_armed(struct pd_thread *t)
{
	struct pd_cpu_scratch *s = t->scratch;
	s->due_ns = thread_cpu(t) + pd_phase(unit_ns());
	pd_store_relaxed(&s->paid, 0);
	s->blocks = true;
}

uint64_t pd_cpu_units(struct pd_thread *t)
{
	struct pd_cpu_scratch *s = t->scratch;
	uint64_t now = thread_cpu(t), paid = pd_load_relaxed(&s->paid);
	uint64_t due = now < s->due_ns ? 0 : 1 + (now - s->due_ns) / unit_ns();
	while (paid < due)
		if (pd_cas_acq_rel(&s->paid, &paid, due))
			return due - paid;
	return 0;
}

/* The row of the last interrupt that found a thread; 0 = none did. */
static uint32_t row_of(const struct pd_cpu_scratch *s)
{
	bool now = pd_load_relaxed(&s->generation) == pd_load_relaxed(&pd_cpu.generation);
	return now ? pd_load_relaxed(&s->row) : 0;
}

/* So little that interrupts find one such thread and miss others. */
static bool is_little(const struct pd_cpu_scratch *s)
{
	return pd_load_relaxed(&s->paid) * unit_ns() < 4 * pd_cpu.clock_ns;
}

/* What a thread has used since its last sample is told as that one. What it has used without one is owed: like threads
 * that were found stand for it. */
static void settle(struct pd_thread *t)
{
	struct pd_cpu_scratch *s = t->scratch;
	uint32_t row = row_of(s);
	if (!row && (s->blocks || (thread_cpu(t) - s->due_ns) / 4 >= pd_cpu.clock_ns))
		return;
	uint64_t units = pd_cpu_units(t);
	if (row)
		pd_cpu_count(row, pd_load_relaxed(&s->kind), pd_cpu_samples(&rest, units));
	else
		pd_add_relaxed(&pd_cpu.owed_ns, units * unit_ns());
}

struct share {
	uint64_t owed, all, given, before; /* in units */
};

static void settle_each(struct pd_thread *t, void *arg)
{
	struct share *sum = arg;
	if (t->own || t->timer < 0)
		return;
	settle(t);
	if (row_of(t->scratch) && is_little(t->scratch))
		sum->all += pd_load_relaxed(&((struct pd_cpu_scratch *)t->scratch)->paid);
}

static void share_each(struct pd_thread *t, void *arg)
{
	struct share *sum = arg;
	struct pd_cpu_scratch *s = t->scratch;
	uint32_t row = row_of(s);
	if (t->own || t->timer < 0 || !row || !is_little(s))
		return;
	sum->before += pd_load_relaxed(&s->paid);
	uint64_t upto = sum->before < sum->all ? sum->owed * sum->before / sum->all : sum->owed;
	pd_cpu_count(row, pd_load_relaxed(&s->kind), pd_cpu_samples(&rest, upto - sum->given));
	sum->given = upto;
}

/* Reading counters waits for us as for a tick. */
static bool begin(void)
{
	pd_add_seqcst(&pd_cpu.entered, 1);
	return pd_load_seqcst(&pd_cpu.open);
}

static void end(void)
{
	pd_add_seqcst(&pd_cpu.left, 1);
}

void pd_cpu_settle(void)
{
	struct share sum = { 0 };
	if (begin()) {
		pd_threads_each(settle_each, &sum);
		sum.owed = sum.all ? pd_xchg_acq_rel(&pd_cpu.owed_ns, 0) / unit_ns() : 0;
		if (sum.owed)
			pd_threads_each(share_each, &sum);
		pd_add_relaxed(&pd_cpu.owed_ns, (sum.owed - sum.given) * unit_ns());
	}
	end();
}

static bool blocks_signal(void)
{
	sigset_t blocked;
	return pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, pd_signal_number()) == 1;
}

void pd_cpu_ends(struct pd_thread *t)
{
	struct pd_cpu_scratch *s = t->scratch;
	if (t != pd_thread_self())
		return;
	if (begin()) {
		s->blocks = blocks_signal();
		settle(t);
		uint32_t row = row_of(s);
		if (row && pd_load_relaxed(&s->paid) * unit_ns() < pd_cpu.clock_ns) {
			uint64_t owed = pd_xchg_acq_rel(&pd_cpu.owed_ns, 0) / unit_ns();
			pd_cpu_count(row, pd_load_relaxed(&s->kind), pd_cpu_samples(&rest, owed));
		}
	}
	end();
}
