/*
 * Goes on with walks of a thread dump that the agent had to give up, from the registers and the stack copy it kept.
 * Reads no live stack. For the worker's thread: slow beside the agent's walk, but it takes every rule there is.
 */
#ifndef PD_SERVER_UNWIND_H
#define PD_SERVER_UNWIND_H

#include <stddef.h>

#include "agent/agent.h"

/*
 * Walk every unfinished record of d again; where that leads further, the record's frames are replaced, and
 * PD_TRUNCATED is cleared if the thread's first frame was reached. The frames then live in the memory returned: give it
 * to free() when d is no longer used. NULL: nothing was replaced (or no memory).
 */
void *pd_unwind_finish(struct pd_dump *d, const struct pd_module *const *modules, size_t n);

#endif
