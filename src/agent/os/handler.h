/* Between the handler and the file that installs it; nobody else includes it. */
#ifndef PD_AGENT_OS_HANDLER_H
#define PD_AGENT_OS_HANDLER_H

#include <signal.h>
#include <stdint.h>

#include "agent/os/os.h"

/* What the host believes its action for a signal of ours to be. Signal-safe. */
const struct sigaction *pd_host_action(int signo);
/* One setter at a time. */
void pd_host_action_set(int signo, const struct sigaction *act);
/* Handlers of ours that run just now, in all threads. */
uint32_t pd_handlers_running(void);
/* sigaction(2) itself: the plain name may lead to our own hook where the library is linked into a program. Found before
 * the first signal is taken. */
extern int (*pd_sigaction)(int signo, const struct sigaction *act, struct sigaction *old);

void pd_signal_enter(int signo, siginfo_t *info, void *ucontext);

#endif
