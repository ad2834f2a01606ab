/* Between the files of the heap sampler; nobody else includes it. What runs in hooks is signal-safe and keeps errno. */
#ifndef PD_AGENT_SAMPLER_HEAP_H
#define PD_AGENT_SAMPLER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"

/* ---- heap_draw.c: when to sample ---- */

/*
 * `left` is what is left of the interval to the thread's next sample, in bytes, plus the floor of the rate it was
 * drawn for. Floors only rise, by more than any interval: whatever was drawn for an earlier rate lies below, and so
 * does the 0 that a thread begins with.
 */
struct pd_heap_countdown {
	uint64_t left;
	uint64_t random;
};
extern __thread struct pd_heap_countdown pd_heap_countdown;
extern uint64_t pd_heap_floor;

/* An allocation of n bytes that is not to be sampled and was counted down; false: ask pd_heap_due. */
static inline bool pd_heap_pass(size_t n)
{
	uint64_t left;
	if (!n || __builtin_sub_overflow(pd_heap_countdown.left, n, &left) || left < pd_load_relaxed(&pd_heap_floor))
		return false;
	pd_heap_countdown.left = left;
	return true;
}
/* Count n bytes down. The rate at which this allocation is sampled, or 0. */
uint64_t pd_heap_due(size_t n);
/* n objects of `each` bytes; SIZE_MAX when there can be no such size. */
static inline size_t pd_heap_product(size_t n, size_t each)
{
	size_t bytes;
	return __builtin_mul_overflow(n, each, &bytes) ? SIZE_MAX : bytes;
}

/* New intervals of this mean from now on, for all threads; 0 = no samples. One caller at a time. */
void pd_heap_set_interval(uint64_t rate);
/* What one sample of `size` bytes at `rate` stands for; equal arguments give equal results, and over many salts the
 * mean is exact. */
void pd_heap_scale(uint64_t size, uint64_t rate, uint64_t salt, int64_t *objects, int64_t *bytes);

/* ---- heap_live.c: sampled objects that are not freed yet ---- */

#define PD_LIVE_WORDS 1024u
/* A hint for each address, by page and place in the page: in the low half, a bit is set when a live sample may be
 * there. */
extern uint64_t pd_live_hint[PD_LIVE_WORDS];

static inline bool pd_live_maybe(const void *p)
{
	uintptr_t a = (uintptr_t)p;
	return (uint32_t)pd_load_relaxed(&pd_live_hint[a >> 12 & (PD_LIVE_WORDS - 1)]) >> (a >> 4 & 31) & 1;
}

/* Remember `what` (not 0) for p. *stale: what was there for p from an earlier life whose end nobody told us, or 0.
 * False: no room. */
bool pd_live_put(const void *p, uint64_t what, uint64_t *stale);
/* Forget p; what was remembered, 0 = nothing. */
uint64_t pd_live_take(const void *p);
/* Take everything, calling fn for each. */
void pd_live_take_all(void (*fn)(const void *p, uint64_t what));
/* Empty, growing on that budget. Nothing may be under way. 0 or -errno. */
int pd_live_open(struct pd_budget *budget);
/* In a forked child: nothing is found any more. */
void pd_live_forked(void);
struct pd_live_stats {
	size_t live, places, bytes;
};
void pd_live_stats(struct pd_live_stats *out);

/* ---- heap_record.c: what is counted ---- */

struct pd_heap {
	struct pd_table table;
	uint32_t open;         /* the table may be used */
	uint32_t overflow_row;
	uint32_t strangers;    /* threads were met that are not registered, or whose stack is not known */
	struct pd_counters count;
	uint64_t untracked;    /* samples counted as freed at once: no room to remember them */
	uint64_t healed;       /* samples whose free was not seen, found when their place was used again */
};
extern struct pd_heap pd_heap;

/* The allocation of n bytes at p was due at `rate`. frame: of the hook. */
void pd_heap_took(uint64_t rate, const void *p, size_t n, const void *const *frame);
/* p may be a sample and is about to be freed. */
void pd_heap_freed(const void *p);
/* A sample taken out by pd_live_take has been freed, or is still there. */
void pd_heap_gone(const void *p, uint64_t what);
void pd_heap_back(const void *p, uint64_t what);
/* Wait until no hook uses the table, after `open` was cleared or nothing is sampled any more; false after 100 ms. */
bool pd_heap_quiet(void);
void pd_heap_record_forked(void);

/* ---- heap_hooks.c ---- */

/* Hook the allocator. 0 or -errno. */
int pd_heap_hooks_on(void);
void pd_heap_hooks_off(void);
/* All hooks, malloc's first; returns how many. */
struct pd_hook;
size_t pd_heap_hooks(const struct pd_hook **out);

/* ---- heap_tell.c ---- */

/* sampler.h's facts and notes. */
size_t pd_heap_facts(struct pd_fact *out, size_t max);
size_t pd_heap_notes(char (*out)[PD_NOTE], size_t max);
/* Look for what the hooks do not see; now and then, while hooked. */
void pd_heap_look_round(void);

#endif
