/* How samplers walk the stack of the thread they run on. Signal-safe; errno kept. */
#ifndef PD_AGENT_SAMPLER_WALK_H
#define PD_AGENT_SAMPLER_WALK_H

#include "agent/os/os.h"
#include "agent/unwind/unwind.h"

#define PD_SAMPLE_FRAMES 128

/* What pd_thread.scratch begins with; belongs to whoever holds pd_thread.busy. */
struct pd_scratch {
	uint64_t pc[PD_SAMPLE_FRAMES];
	struct pd_memo memo;
};

/*
 * pd_walk from regs on the calling thread: in place when regs' stack is the one known of t, else in a copy of what can be
 * read there. t: the thread's entry, NULL = none. memo may be NULL. Returns the number of frames, at least 1.
 */
size_t pd_sample_walk(struct pd_thread *t, const struct pd_regs *regs, bool exact, struct pd_memo *memo, uint64_t *pc,
                      size_t max, enum pd_walk_end *end);
/* The same for the caller of a hook. frame: the hook's own frame address, in a function that keeps rbp. */
size_t pd_sample_caller(struct pd_thread *t, const void *const *frame, struct pd_memo *memo, uint64_t *pc, size_t max,
                        enum pd_walk_end *end);

#endif
