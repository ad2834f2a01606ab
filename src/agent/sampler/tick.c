/* One CPU sample, in the handler: walk, look up, count. Lock-free, no allocation but the capped arena, no libc beyond
 * bare system calls. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/sampler/cpu.h"
#include "agent/sampler/sampler.h"
#include "agent/sampler/walk.h"
#include "base/atomic.h"
#include "base/time.h"

enum { WHOLE, TRUNCATED, OVERFLOW };

struct pd_cpu pd_cpu;

/* The row of the interrupted code's stack, 0 = no memory; *kind says what samples of it are. */
static uint32_t find_row(struct pd_thread *t, struct pd_scratch *s, void *ucontext, uint32_t *kind)
{
	struct pd_regs regs;
	enum pd_walk_end end = PD_END_LOST;
	pd_regs_from_context(ucontext, &regs);
	size_t n = pd_sample_walk(t, &regs, true, &s->memo, s->pc, PD_SAMPLE_FRAMES, &end);
	uint32_t flags = end == PD_END_BOTTOM ? 0 : PD_TRUNCATED;
	struct pd_key key = { .rate = pd_load_relaxed(&pd_cpu.period_ns) };
	key.stack = pd_table_stack(&pd_cpu.table, s->pc, (uint32_t)n, pd_unwind_epoch(), flags);
	if (key.stack != PD_STACK_OVERFLOW) {
		key.labels = pd_load_relaxed(&t->labels);
		key.size = pd_trace_row(&pd_cpu.table, t, &pd_cpu.traceless);
	}
	uint32_t row = pd_table_row(&pd_cpu.table, &key);
	*kind = !row || key.stack == PD_STACK_OVERFLOW ? OVERFLOW : flags ? TRUNCATED : WHOLE;
	if (row)
		return row;
	key.stack = PD_STACK_OVERFLOW;
	key.labels = 0;
	key.size = 0;
	return pd_table_row(&pd_cpu.table, &key);
}

void pd_cpu_count(uint32_t row, uint32_t kind, uint64_t samples)
{
	const int64_t value = (int64_t)samples;
	if (!samples)
		return;
	pd_add_relaxed(&pd_cpu.count.ticks, samples);
	if (!row) {
		pd_add_relaxed(&pd_cpu.count.dropped[PD_DROP_MEMORY], samples);
		return;
	}
	pd_table_count(&pd_cpu.table, row, &value, 1);
	pd_add_relaxed(&pd_cpu.count.recorded, samples);
	if (kind == OVERFLOW)
		pd_add_relaxed(&pd_cpu.count.overflow, samples);
	else if (kind == TRUNCATED)
		pd_add_relaxed(&pd_cpu.count.truncated, samples);
}

/*
 * A thread's timer expires at any point of its CPU time, but the kernel looks only at its clock interrupts: the signal
 * comes at the next one that finds the thread running. Where a program works in short bursts, whatever precedes a long
 * gap would be charged to the end of the bursts. So a sample belongs to the nearer of the two interrupts around it.
 */
static void record(struct pd_thread *t, uint64_t units, void *ucontext)
{
	struct pd_cpu_scratch *s = t->scratch;
	uint32_t generation = pd_load_relaxed(&pd_cpu.generation), kind;
	if (s->generation != generation) {
		pd_store_relaxed(&s->row, 0);
		pd_store_relaxed(&s->generation, generation);
		s->units = (uint32_t)((uint64_t)pd_mono_ns() * 0x9e3779b97f4a7c15u >> 33) % pd_cpu.units;
	}
	uint64_t half = units / 2;
	if (units & 1)
		half += s->odd ^= 1;
	uint64_t before = pd_cpu_samples(&s->units, half), here = pd_cpu_samples(&s->units, units - half);
	uint32_t row = find_row(t, &s->walk, ucontext, &kind);
	if (s->row) {
		pd_cpu_count(s->row, s->kind, before);
		before = 0;
	}
	pd_cpu_count(row, kind, before + here);
	pd_store_relaxed(&s->kind, kind);
	pd_store_relaxed(&s->row, row);
}

static void drop(enum pd_drop why, uint64_t units)
{
	uint64_t samples = (units + pd_cpu.units / 2) / pd_cpu.units;
	pd_add_relaxed(&pd_cpu.count.ticks, samples);
	pd_add_relaxed(&pd_cpu.count.dropped[why], samples);
}

/* On an alternate stack too small to go on: a few words deep, or it would write below what the host gave. */
static __attribute__((noinline)) void lost(uint64_t units)
{
	pd_add_seqcst(&pd_cpu.entered, 1);
	if (pd_load_seqcst(&pd_cpu.open)) {
		pd_add_relaxed(&pd_cpu.count.signals, 1);
		drop(PD_DROP_STACK, units);
	}
	pd_add_seqcst(&pd_cpu.left, 1);
}

/* Count the time and record it, or say why not. t may be NULL. */
static __attribute__((noinline)) void sample(struct pd_thread *t, uint64_t units, void *ucontext)
{
	int64_t start = pd_mono_ns();
	pd_add_seqcst(&pd_cpu.entered, 1);
	if (pd_load_seqcst(&pd_cpu.open)) {
		pd_add_relaxed(&pd_cpu.count.signals, 1);
		if (!t) {
			drop(PD_DROP_THREAD, units);
		} else if (t->busy) {
			drop(PD_DROP_BUSY, units);
		} else {
			t->busy = 1;
			pd_fence_signal();
			record(t, units, ucontext);
			pd_fence_signal();
			t->busy = 0;
		}
		pd_add_relaxed(&pd_cpu.count.self_ns, (uint64_t)(pd_mono_ns() - start));
	}
	pd_add_seqcst(&pd_cpu.left, 1);
}

static uint64_t expiries(int overrun)
{
	return 1 + (uint64_t)(overrun > 0 ? overrun : 0);
}

void pd_cpu_tick(struct pd_signal_target *target, int overrun, void *ucontext)
{
	struct pd_thread *t = (struct pd_thread *)target;
	/* A late signal may carry the entry of a thread that is gone; and a thread made by bare clone() may have the
	 * variables of its maker. */
	bool here = (ucontext && pd_thread_adopt() == t) || pd_load_relaxed(&t->tid) == (int)syscall(SYS_gettid);
	uint64_t units = here ? pd_cpu_units(t) : expiries(overrun);
	if (ucontext)
		sample(here ? t : NULL, units, ucontext);
	else
		lost(units);
}

void pd_cpu_tick_process(struct pd_signal_target *target, int overrun, void *ucontext)
{
	struct pd_thread *t = pd_thread_adopt();
	/* Ticks that land on threads with a timer of their own are counted there. */
	if (t && (pd_load_relaxed(&t->own) || pd_load_relaxed(&t->timer) >= 0))
		return;
	/* That timer counts whole periods. */
	uint64_t units = expiries(overrun) * pd_cpu.units;
	if (ucontext)
		sample(t, units, ucontext);
	else
		lost(units);
}
