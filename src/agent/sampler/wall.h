/* Between the parts of the wall sampler: its control and thread, what it sees from outside, and the handler. */
#ifndef PD_AGENT_SAMPLER_WALL_H
#define PD_AGENT_SAMPLER_WALL_H

#include "agent/os/os.h"
#include "agent/stack/stack.h"

struct pd_wall {
	struct pd_table table;
	uint32_t open;      /* ticks are recorded */
	uint64_t period_ns; /* of one tick */
	uint64_t entered, left; /* answers begun and done, to read the counters between two */
	uint64_t traceless; /* samples without the trace they belong to */
	uint32_t hidden;    /* the kernel did not tell where a thread waits */
	struct pd_counters count; /* ticks: those due, whether accounted for or still owed by a thread */
};
extern struct pd_wall pd_wall;

/* ---- wall_scan.c: the sampler's thread only ---- */

/* Give so many ticks to each thread that is there: the moment stands for as many periods. */
void pd_wall_scan(uint64_t ticks);
/* Forget all threads; memory stays. */
void pd_wall_forget(void);

/* ---- wall_tick.c: threads that run, asked by a signal for their stacks ---- */

/* What a thread is asked. Never unmapped: a handler may come late. */
struct pd_wall_ask {
	struct pd_signal_target target; /* first: what the signal carries */
	uint64_t owed;                  /* the thread's tid << 32 | ticks it has not recorded yet */
	uint64_t labels;                /* the thread's << 32 | these and its state */
	int timer;                      /* -1 = none */
	int64_t since_ns;               /* monotonic; when the first of these ticks was due */
	struct pd_wall_ask *next;       /* free list */
};

/* The calls below: by the sampler's thread, or with its lock held. */

/* One for a thread, NULL when all are taken. */
struct pd_wall_ask *pd_wall_ask_new(int tid);
/* Ask for so many ticks more; labels: the thread's now. False: the thread is gone, nothing is owed. */
bool pd_wall_ask_for(struct pd_wall_ask *a, uint32_t labels, uint64_t ticks, int64_t now_ns);
/* Ticks owed for now. */
uint64_t pd_wall_owed(const struct pd_wall_ask *a);
/* Wait no longer: what is still owed counts as dropped. */
void pd_wall_ask_end(struct pd_wall_ask *a);
void pd_wall_ask_free(struct pd_wall_ask *a);
/* Ticks owed by all. */
uint64_t pd_wall_owed_by_all(void);
/* End all questions under way, so that no timer holds the signal; takes the sampler's lock. */
void pd_wall_disarm(void);
void pd_wall_end_all(void);
/* In a forked child, which inherits no timer. */
void pd_wall_ask_forked(void);

/* The set `labels` with the thread's state added; unchanged when it has one of that name. */
uint32_t pd_wall_labels(uint32_t labels, const char *state);

/* The calls below are signal-safe. */

/* The key of a sample of t (NULL = not registered). */
struct pd_key pd_wall_key(uint32_t stack, uint32_t labels, const struct pd_thread *t);
void pd_wall_record(const struct pd_key *key, bool truncated, uint64_t ticks);
void pd_wall_drop(enum pd_drop why, uint64_t ticks);

pd_signal_fn pd_wall_tick;

#endif
