/* What the processor and the kernel's signal frame look like. Implemented once per processor (regs_*.c). */
#ifndef PD_UNWIND_MACHINE_H
#define PD_UNWIND_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"

/* DWARF numbers of the registers the tables follow. */
enum { PD_RBX = 3, PD_RBP = 6, PD_RSP = 7, PD_R12 = 12, PD_RIP = 16 };

/* For functions that read memory which belongs to others, so that sanitizers do not judge it. */
#define PD_RAW __attribute__((no_sanitize("address", "thread", "undefined")))

/* Where each register is in a ucontext_t, in bytes; and its size as far as registers go. */
extern const uint16_t pd_context_offset[PD_NREGS];
enum { PD_CONTEXT_LEN = 40 + 23 * 8 };

/* Copy n bytes of this process; memory that is gone gives false, never a fault. Signal-safe (one system call). */
bool pd_read_self(uint64_t addr, void *to, size_t n);
/* False when the kernel does not let us use pd_read_self at all. */
bool pd_read_self_works(void);

/* Whether ra follows a call instruction; *target = where the call goes if its code tells, else 0. Signal-safe. */
bool pd_follows_call(uint64_t ra, uint64_t *target);
/* Where the stub at an address jumps to now; 0 = there is no stub. Signal-safe. */
uint64_t pd_jumps_to(uint64_t at);

enum pd_landing { PD_LANDING_NONE, PD_LANDING_SIGRETURN, PD_LANDING_CONTEXT };
/* What a return address that no call pushed leads to: the kernel's signal return, or the code under
 * a context made by makecontext. Signal-safe. */
enum pd_landing pd_landing_at(uint64_t ra);

#endif
