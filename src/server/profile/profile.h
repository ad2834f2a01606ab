/* A profile as every encoder sees it: typed samples over stacks. No URL, no symbol, no socket is known here. */
#ifndef PD_SERVER_PROFILE_H
#define PD_SERVER_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/buf.h"

struct pd_value_type {
	const char *type, *unit;
};

/* What stands in for a stack that is not there: one frame with a name of its own. */
enum pd_pseudo { PD_REAL_STACK, PD_PSEUDO_OVERFLOW, PD_PSEUDO_NO_STACK, PD_PSEUDOS };

struct pd_sample {
	struct pd_stack stack; /* the addresses belong to the agent and outlive the profile */
	enum pd_pseudo pseudo; /* PD_REAL_STACK exactly when stack.n > 0, see pd_profile_add */
	const struct pd_label *label; /* sorted by key, each key once */
	size_t nlabels;
	uint64_t size;    /* numeric label `bytes`; 0 = none */
	int64_t value[4]; /* as many as the profile has types */
};

/* What a kind of profile is called and counts. One constant table, by name. */
struct pd_profile_type {
	const char *name;          /* file name and first word of the text form */
	struct pd_value_type type[4];
	size_t ntypes;
	const char *default_type;  /* NULL = none */
	struct pd_value_type period;
};

struct pd_profile {
	const struct pd_profile_type *type;
	int64_t period;
	int64_t time_ns;     /* CLOCK_REALTIME at the start of a window, else of the snapshot */
	int64_t duration_ns; /* 0 for a snapshot */
	size_t n, cap;
	struct pd_sample *sample;
	size_t nmodules;
	const struct pd_module *const *modules;
	void *kept; /* what samples point to and nobody else has */
	size_t ncomments;
	char **comment; /* one sentence each */
	bool failed;    /* out of memory while it was made */
	/* Set before pd_profile_window: PD_RAW and the like, or'ed. */
	unsigned how;
	uint64_t raw_rate; /* heap under PD_RAW: the samples are as counted at this rate; 0 or 1 = they are scaled */
};

/* How a window is read. */
enum {
	PD_NO_LABELS = 1, /* as if the samples had none */
	PD_INUSE_NOW = 2, /* heap: in use is what it is at the end, not what it grew by */
	PD_RAW = 4,       /* heap: sampled numbers, not scaled, if all rows have one rate: raw_rate */
};

/* The constant table; NULL when there is no such name. */
const struct pd_profile_type *pd_profile_type(const char *name);

/* Index of the type that is shown unless another one is asked for. */
size_t pd_profile_shown(const struct pd_profile_type *type);

/* Does it count waits and their time? */
bool pd_profile_waits(const struct pd_profile_type *type);

/* "[overflow]", "[stack unavailable]"; their place among the addresses is the small number itself. */
const char *pd_pseudo_name(enum pd_pseudo pseudo);

/* Free what pd_profile_trace has made; part of pd_profile_free. */
void pd_profile_forget(struct pd_profile *p);

/* A zeroed profile is made ready. */
void pd_profile_init(struct pd_profile *p, const struct pd_profile_type *type);
void pd_profile_free(struct pd_profile *p);

/* Append one sample; equal ones (stack, labels, size) are merged by pd_profile_finish. A sample without frames and
 * without pseudo gets PD_PSEUDO_NO_STACK. Errors stick in p->failed. */
void pd_profile_add(struct pd_profile *p, const struct pd_sample *s);
/* Give the sample, which is not yet added, the labels trace_id and span_id; none when the first two words are 0. */
void pd_profile_trace(struct pd_profile *p, struct pd_sample *s, const uint64_t trace[static PD_TRACE_WORDS]);
/* The same in hexadecimal digits, "" = none. */
#define PD_TRACE_ID 33
#define PD_SPAN_ID 17
void pd_trace_digits(const uint64_t trace[static PD_TRACE_WORDS], char trace_id[static PD_TRACE_ID],
                     char span_id[static PD_SPAN_ID]);
/* One sentence for the reader. */
void pd_profile_comment(struct pd_profile *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Samples of the window between two snapshots of one table (from may be NULL: everything up to `to`).
 * Rows without change are left out. Also fills in time, duration, period and the modules as the agent has them now
 * (modules_refresh is the caller's).
 */
void pd_profile_window(struct pd_profile *p, const struct pd_agent *agent, enum pd_kind kind,
                       const struct pd_snapshot *from, const struct pd_snapshot *to);

/* Merge equal samples, count sums below 0 as 0, drop all-zero samples and put the rest in the one order everybody gets:
 * by the value that is shown down, then by addresses, then by labels. A delay has a count of at least one. 0 or
 * -ENOMEM. */
int pd_profile_finish(struct pd_profile *p);

/* ---- heap.c ---- */

/* How many allocations one sampled allocation of `size` bytes stands for, at a mean interval of `rate` bytes:
 * 1 / (1 - exp(-size / rate)), the inverse of its chance to be sampled. rate 0 or 1: 1. */
double pd_heap_scale(uint64_t size, uint64_t rate);

/* A heap table in all, scaled. */
struct pd_heap_totals {
	double alloc_objects, alloc_bytes, inuse_objects, inuse_bytes;
	double inuse_error; /* standard error of inuse_bytes, for sampling is by chance */
	uint64_t rate;  /* at which the samples were taken; 0 = there are none */
	bool mixed;     /* at this one and others */
};
struct pd_heap_totals pd_heap_totals(const struct pd_snapshot *s);

#endif
