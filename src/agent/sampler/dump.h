/* Between the parts of the thread dump, and for the wall sampler, which looks at threads as it does. */
#ifndef PD_AGENT_SAMPLER_DUMP_H
#define PD_AGENT_SAMPLER_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/os/os.h"
#include "agent/unwind/unwind.h"

enum { PD_REG_RBP = 6, PD_REG_RSP = 7, PD_REG_PC = 16 };

/* ---- dump_store.c: the memory of one dump ---- */

struct pd_store {
	unsigned char *base;
	size_t len, used;
	size_t stacks;          /* bytes of stack copies kept */
	const uint64_t **shared; /* stacks by the hash of their frames; [0] of each is the number of frames */
	size_t shared_mask;
};

/* Room for a dump of n threads. 0 or -ENOMEM. */
int pd_store_open(struct pd_store *s, size_t n);
/* n zeroed bytes aligned to 16, NULL when it is full. Any thread. */
void *pd_store_take(struct pd_store *s, size_t n);
/* These frames, kept once however often they come. NULL when it is full. Any thread. */
const uint64_t *pd_store_frames(struct pd_store *s, const uint64_t *pc, size_t n);
/* For whoever goes on with a walk that ended early: registers and a copy of the stack, while there is room. Any
 * thread. */
void pd_store_unfinished(struct pd_store *s, struct pd_thread_rec *rec, const struct pd_regs *regs,
                         const struct pd_view *view);

/* ---- dump_proc.c: what /proc tells of a thread ---- */

/* Where a thread is, as its file `syscall` tells. */
struct pd_where {
	bool running;
	int nr; /* -1 = blocked, but not in a call */
	uint64_t args[6], sp, pc;
};

/* Name, state letter and, for uninterruptible waits, wchan. 0 or -errno: it is gone. */
int pd_proc_stat(int task_dir, struct pd_thread_rec *rec);
/* 0 or -errno; -EACCES: hidden from us, as the kernel does when a process has changed its user, for the thread is
 * not gone. */
int pd_proc_where(int task_dir, int tid, struct pd_where *out);

/* ---- dump_look.c: one thread seen from outside ---- */

#define PD_LOOK_FRAMES 512
#define PD_LOOK_STACK ((size_t)64 << 10)

/* One worker's memory. */
struct pd_look {
	int task_dir; /* /proc/self/task */
	struct pd_store *store;
	uint64_t pc[PD_LOOK_FRAMES];
	unsigned char stack[PD_LOOK_STACK];
};

/* A walk from outside: the first n of l->pc, and what it takes to go on with it. */
struct pd_looked {
	struct pd_regs regs;
	struct pd_view view; /* of l->stack */
	size_t n;
	enum pd_walk_end end;
};
/* Walk the stack of a thread that waits `at` (not running); t NULL = it is not registered. What is found is worth
 * something only if the thread has not run meanwhile. */
void pd_look_walk(struct pd_look *l, const struct pd_thread *t, const struct pd_where *at, struct pd_looked *out);

/* Fill in the record of rec->tid. A running thread is left with state PD_RUNNING and without frames. */
void pd_look_at(struct pd_look *l, struct pd_thread_rec *rec);

/* ---- dump_wait.c: what is in memory where threads wait ---- */

/* Fill in wait_lo, wait_len and wait_bytes of all threads found waiting in futex(2). */
void pd_look_at_waits(struct pd_dump *d);

/* ---- dump_frame.c: the frame pointer nobody tells ---- */

/*
 * A walk from pc and sp alone was lost in a function that keeps its frame by rbp, after n frames pc[0..n).
 * Find that function's frame on the stack and walk again. Only what code and stack agree on is accepted: the function's
 * prologue must fit, and the frame's return address must follow a call of this very function. True with the new walk in
 * pc, n and end, and rbp in regs.
 */
bool pd_frame_find(struct pd_regs *regs, bool exact, const struct pd_view *view, uint64_t *pc, size_t *n,
                   enum pd_walk_end *end);

/* ---- dump_ask.c: threads that run, asked by one signal each ---- */

/* Ask all threads still without frames in state PD_RUNNING, and wait for the answers until `until` (monotonic ns), or a
 * little longer when that has passed already. */
void pd_ask_running(struct pd_dump *d, struct pd_store *store, int64_t until);

/* ---- dump_tick.c: the answer, given in the handler ---- */

#define PD_ASK_FRAMES 128
#define PD_ASK_COPY 16384

/* FREE and DONE may be taken for another question; FILLING belongs to the handler, even after the asker has gone. */
enum { PD_ASK_FREE, PD_ASK_WAITING, PD_ASK_FILLING, PD_ASK_DONE };
#define PD_ASK_STATE 3u

/* A question to one thread. Never unmapped: a handler may come late. */
struct pd_ask {
	struct pd_signal_target target; /* first: what the signal carries */
	uint64_t turn;                  /* state in the low bits, above it a number no other question ever has */
	int tid;                        /* written while FREE or DONE */
	int timer;
	size_t rec;                     /* the asker's: index of the thread */
	uint32_t n;
	enum pd_walk_end end;
	struct pd_regs regs;
	struct pd_view view;            /* of the stack, when it is a copy */
	uint64_t pc[PD_ASK_FRAMES];
	unsigned char copy[PD_ASK_COPY];
};

/* Answers given so far, by all threads; a futex. */
extern uint32_t pd_ask_answers;

pd_signal_fn pd_dump_tick;

#endif
