/*
 * From registers and readable stack memory to return addresses, by tables of our own made from .eh_frame.
 * pd_walk is signal-safe: bounded reads inside the given views, no lock, no libc call, bounded time.
 */
#ifndef PD_AGENT_UNWIND_H
#define PD_AGENT_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/arena.h"

struct pd_regs {
	uint64_t r[PD_NREGS]; /* DWARF order, see agent.h */
	bool only_sp;         /* only pc and sp are known (a thread seen from outside) */
};

/* Stack addresses [lo, hi) can be read at `at + (address - lo)`: the stack itself, or a copy of it.
 * lo should be sp - 128 or less: leaf functions may keep rbp in that red zone. */
struct pd_view {
	uint64_t lo, hi;
	const unsigned char *at;
};

enum pd_walk_end {
	PD_END_BOTTOM, /* the thread's first frame was reached */
	PD_END_FULL,   /* max frames */
	PD_END_LOST,   /* no rule, or a value that cannot be right */
	PD_END_VIEW,   /* the chain left the readable memory */
};

#define PD_MEMO_MAX 64

/* The last stack of one thread, so that the next walk can stop where it meets it. Zeroed = empty.
 * Used by one walk at a time: its thread's own. */
struct pd_memo {
	uint32_t n;
	uint32_t generation;
	uint64_t bottom;           /* the last entry is the thread's first frame */
	uint64_t pc[PD_MEMO_MAX];  /* return address as read; in the upper 16 bits, where rbp was saved */
	uint64_t cfa[PD_MEMO_MAX]; /* of the frame that pc returns from */
	uint64_t fp[PD_MEMO_MAX];  /* rbp in the frame that pc belongs to */
};

/*
 * Walk from regs. pc[0] is the exact pc when `exact` (interrupted code), else regs' pc is a return address.
 * Addresses are stored as agent.h wants them: inside the instruction. A kernel signal frame is its first instruction,
 * and so is the code under a context of makecontext.
 * `outer` (may be NULL) is the view to go on in when a signal frame or a switch of stacks leads to it. memo may be
 * NULL. Returns the number of frames, at least 1.
 */
size_t pd_walk(const struct pd_regs *regs, bool exact, const struct pd_view *view, const struct pd_view *outer,
               struct pd_memo *memo, uint64_t *pc, size_t max, enum pd_walk_end *end);

/* Registers of interrupted code from the ucontext_t a handler got. Signal-safe. */
void pd_regs_from_context(const void *ucontext, struct pd_regs *out);

/* ---- tables and modules; ordinary threads only ---- */

/* Memory for tables comes from this budget. 0 or -errno. */
int pd_unwind_open(struct pd_budget *budget);
/* Make modules and tables current when the loader has changed something since (two counters are compared
 * first, so an idle call is cheap). Takes the loader's lock for the list only, not while tables are built. */
void pd_unwind_refresh(void);
/* Free all, once the walks under way have ended. */
void pd_unwind_close(void);
/* In a forked child: locks are made new and everything is forgotten, as after pd_unwind_close. */
void pd_unwind_forked(void);

/* Raised when an address range is taken over by another object; which modules hold in a walk made now. Signal-safe. */
uint32_t pd_unwind_epoch(void);
/* Number of the published tables; changes with every dlopen or dlclose noticed. Signal-safe. */
uint32_t pd_unwind_generation(void);
/* Walks that met an address no table covers; a growing count asks for a refresh. Signal-safe. */
uint64_t pd_unwind_unknown(void);

/* Every module ever seen, in the order they were first seen; the array stays valid until pd_unwind_close. */
size_t pd_unwind_modules(const struct pd_module *const **list);

struct pd_unwind_stats {
	size_t bytes;        /* charged for tables, snapshots and the cache */
	size_t tables, rows, rules;
	uint64_t text;       /* bytes of code that have a table */
};
void pd_unwind_stats(struct pd_unwind_stats *out);

#endif
