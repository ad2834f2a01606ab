/* What every sampler offers the agent, and the list of them. Ordinary threads only. */
#ifndef PD_AGENT_SAMPLER_H
#define PD_AGENT_SAMPLER_H

#include "agent/agent.h"
#include "base/arena.h"

struct pd_sampler {
	const char *name;
	const char *rate_name;        /* "cpu_hz"; NULL = has no rate */
	const char *rate_unit, *rate_help; /* as in struct pd_rate */
	uint64_t rate_min, rate_max;
	bool standing; /* counts as long as the service runs and its rate is not 0, opened or not */
	/* The first opener / the last closer; the agent's lock is held. 0 or -errno. */
	int (*start)(void);
	void (*stop)(void);
	int (*snapshot)(struct pd_snapshot *out);
	/* agent.h's counters, at any time; NULL = by a snapshot while opened or standing with a rate. */
	void (*counters)(struct pd_counters *out);
	bool (*stack)(uint32_t id, struct pd_stack *out);
	uint64_t (*rate)(void);
	/* within [rate_min, rate_max]; the agent's lock is held. 0 or -errno with nothing changed. */
	int (*set_rate)(uint64_t value);
	/* Periodic work of the agent's thread while open, or standing with a rate: every 100 ms. May be NULL. */
	void (*maintain)(void);
	/* agent.h's facts and notes; may be NULL. */
	size_t (*facts)(struct pd_fact *out, size_t max);
	size_t (*notes)(char (*out)[PD_NOTE], size_t max);
	/* The service starts (rate still 0 for a standing sampler) and ends; in a forked child. May be NULL. */
	int (*on)(struct pd_budget *budget);
	void (*off)(void);
	void (*forked)(void);
};

extern const struct pd_sampler pd_sampler_cpu, pd_sampler_threadcreate, pd_sampler_heap, pd_sampler_block,
	pd_sampler_mutex, pd_sampler_io, pd_sampler_wall;

/* Settings of the CPU sampler; before it is started. */
void pd_samplers_on(struct pd_budget *budget, uint64_t cpu_hz, int want_signal);
void pd_cpu_forked(void);

/* Rows of a table as a snapshot, times and process CPU filled in. 0 or -ENOMEM. */
struct pd_table;
int pd_snapshot_rows(const struct pd_table *t, struct pd_snapshot *out);
void pd_snapshot_free(struct pd_snapshot *s);
/* A sampler's counters as they are now; the CPU clocks beside them; both, with ticks as what is recorded and dropped. */
void pd_counters_copy(struct pd_counters *to, const struct pd_counters *live);
void pd_counters_clocks(struct pd_counters *c);
void pd_counters_sum(struct pd_counters *c);

/* The value of key.size for a sample of t in this table of a CPU or wall sampler: the trace t works for. 0 = none, or
 * there is no more room for such rows, counted in *left_out. Signal-safe. */
struct pd_thread;
uint64_t pd_trace_row(struct pd_table *table, const struct pd_thread *t, uint64_t *left_out);

/* Thread creation is on as long as the service runs: hooks for pthread_create, dlopen, sigaction and what else
 * of the program's calls concerns the service as a whole, whatever is sampled. */
int pd_threadcreate_on(struct pd_budget *budget, void (*loader_changed)(void), void (*new_session)(void),
                       void (*filter_ahead)(bool strict, bool all_threads, const void *prog));
void pd_threadcreate_off(void);
void pd_threadcreate_forked(void);
/* Do new threads start with the labels of their creator? (At first: yes.) */
void pd_threadcreate_inherit(bool yes);

/* Profiles of the program's own (custom.c): what is behind pprofd_profile_*, and agent.h's customs, custom_snapshot and
 * custom_stack. frame: of the function whose caller adds. */
int pd_custom_new(const char *name);
int pd_custom_add(int profile, uint64_t key, const void *const *frame, unsigned skip);
int pd_custom_remove(int profile, uint64_t key);
int64_t pd_custom_count(int profile);
size_t pd_customs(struct pd_custom *out, size_t max);
int pd_custom_snapshot(size_t i, struct pd_snapshot *out);
bool pd_custom_stack(uint32_t id, struct pd_stack *out);
void pd_custom_on(struct pd_budget *budget);
void pd_custom_off(void);
void pd_custom_forked(void);

/* agent.h's dump and dump_free. */
int pd_dump_take(int64_t deadline_ns, struct pd_dump *out);
void pd_dump_free(struct pd_dump *d);

#endif
