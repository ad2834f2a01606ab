/* What runs when the sampling signal arrives: ours to its target, any other as the host would have had it. */
#include "agent/os/handler.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/atomic.h"

/* What a sample needs of an alternate stack below the signal frame. */
#define ROOM 2048u

/* The host's view of each signal: two slots, and which of them holds. */
static struct sigaction host_slot[_NSIG][2];
static uint32_t host_at[_NSIG];
static uint32_t in_flight; /* handlers running */
int (*pd_sigaction)(int signo, const struct sigaction *act, struct sigaction *old);

const struct sigaction *pd_host_action(int signo)
{
	return &host_slot[signo][pd_load_acquire(&host_at[signo]) & 1];
}

void pd_host_action_set(int signo, const struct sigaction *act)
{
	uint32_t next = pd_load_relaxed(&host_at[signo]) + 1;
	host_slot[signo][next & 1] = *act;
	pd_store_release(&host_at[signo], next);
}

uint32_t pd_handlers_running(void)
{
	return pd_load_seqcst(&in_flight);
}

static bool altstack_too_small(const ucontext_t *uc)
{
	uint64_t lo = (uint64_t)(uintptr_t)uc->uc_stack.ss_sp, here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	if (uc->uc_stack.ss_flags & SS_DISABLE || here < lo || here >= lo + uc->uc_stack.ss_size)
		return false;
	return here - lo < ROOM;
}

/* The default action of every signal we may hold is to end the process. */
static void default_action(int signo)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	pd_sigaction(signo, &dfl, NULL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signo);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8ul);
}

static void to_host(int signo, siginfo_t *info, void *uc)
{
	const struct sigaction host = *pd_host_action(signo);
	if (host.sa_handler == SIG_IGN)
		return;
	if (host.sa_handler == SIG_DFL) {
		default_action(signo);
		return;
	}
	/* The mask that the kernel would have made for it; ours is stricter. */
	uint64_t mask, more, ours;
	memcpy(&mask, &((const ucontext_t *)uc)->uc_sigmask, sizeof mask);
	memcpy(&more, &host.sa_mask, sizeof more);
	mask |= more | (host.sa_flags & SA_NODEFER ? 0 : (uint64_t)1 << (signo - 1));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &ours, 8ul);
	if (host.sa_flags & SA_SIGINFO)
		host.sa_sigaction(signo, info, uc);
	else
		host.sa_handler(signo);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &ours, NULL, 8ul);
}

void pd_signal_enter(int signo, siginfo_t *info, void *ucontext)
{
	int saved = errno;
	struct pd_signal_target *target = pd_timer_target(info);
	if (target) {
		pd_add_seqcst(&in_flight, 1);
		pd_signal_fn *fn = pd_load_relaxed(&target->fn);
		fn(target, info->si_overrun, altstack_too_small(ucontext) ? NULL : ucontext);
		pd_sub_release(&in_flight, 1);
	} else {
		to_host(signo, info, ucontext);
	}
	/* Threads made by bare clone() may share this variable with another: never write what need not be written. */
	if (errno != saved)
		errno = saved;
}
