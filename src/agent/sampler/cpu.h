/* Between the CPU sampler's control (cpu.c) and what runs in the handler (tick.c); and what the wall sampler shares. */
#ifndef PD_AGENT_SAMPLER_CPU_H
#define PD_AGENT_SAMPLER_CPU_H

#include "agent/os/os.h"
#include "agent/sampler/walk.h"
#include "agent/stack/stack.h"

struct pd_cpu {
	struct pd_table table;
	uint32_t open;       /* ticks are recorded */
	uint32_t generation; /* of the table and the period */
	uint64_t period_ns;  /* CPU time that one sample stands for */
	uint32_t units;      /* a thread's timer counts units of period_ns / units */
	uint64_t clock_ns;   /* between two clock interrupts of the kernel */
	uint64_t owed_ns;    /* CPU time of threads that ended between two of them, for the next that one does find */
	uint64_t entered, left; /* ticks begun and done, to read the counters between two */
	struct pd_counters count;
	uint64_t traceless; /* samples without the trace they belong to */
};
extern struct pd_cpu pd_cpu;

/* In signal context: a tick of a thread's own timer, and of the timer of the whole process. */
void pd_cpu_tick(struct pd_signal_target *target, int overrun, void *ucontext);
void pd_cpu_tick_process(struct pd_signal_target *target, int overrun, void *ucontext);

/* A thread's scratch memory. */
struct pd_cpu_scratch {
	struct pd_scratch walk; /* first: hooks on the thread use it, too */
	/* Of the signal before: */
	uint32_t generation;
	uint32_t row; /* 0 = none, or lost for memory */
	uint32_t kind;
	uint32_t units; /* of CPU time since the last sample */
	uint32_t odd;
	/* Since the timer was made: */
	uint64_t due_ns; /* CPU time of the thread at which its first unit ends */
	uint64_t paid;   /* units counted */
	bool blocks;     /* the signal: true also when it is not known */
};
_Static_assert(sizeof(struct pd_cpu_scratch) <= PD_SCRATCH, "a thread's scratch memory holds one sample");

/* Samples that fall into the next `units` of CPU time; *rest is what is left of a sample. Signal-safe. */
uint64_t pd_cpu_samples(uint32_t *rest, uint64_t units);
/* Samples of a row, of that kind; row 0: lost for memory. Signal-safe. */
void pd_cpu_count(uint32_t row, uint32_t kind, uint64_t samples);
/* Units of CPU time that a thread has used and nobody has counted: who asks does. Signal-safe. */
uint64_t pd_cpu_units(struct pd_thread *t);

/* A timer is being made for a thread; one that had one ends: its own call. */
void pd_cpu_armed(struct pd_thread *t);
void pd_cpu_ends(struct pd_thread *t);
/* Count what all threads have used up to now. */
void pd_cpu_settle(void);

/* Register threads that nobody told us of, and the bounds of stacks that samples met. */
void pd_sampler_find_threads(void);

/* A time in [1, period], at random: samples must not run in step with each other or with the work. */
uint64_t pd_phase(uint64_t period);

#endif
