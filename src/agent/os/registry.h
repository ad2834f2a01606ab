/* Between the files of the thread registry; nobody else includes it. */
#ifndef PD_AGENT_OS_REGISTRY_H
#define PD_AGENT_OS_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/os/os.h"

#define PD_BY_TID 65536u
#define PD_TID_GONE ((struct pd_thread *)2)

extern struct pd_thread *pd_by_tid[PD_BY_TID];

/* The calling thread's own pointer. Signal-safe. */
void pd_self_set(struct pd_thread *t);
void pd_self_end(void);
bool pd_self_ended(void);

#endif
