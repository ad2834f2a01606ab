/* Kernel timers by bare system calls: libc's timer_t would hide the id that outlives a thread. */
#include "agent/os/os.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"

/* Upper 16 bits that no user-space address has: tells our timers' signals from the host's. */
#define TAG 0x7070ull

static uint32_t timers_made; /* alive now */

static bool room_for_one_more(void)
{
	struct rlimit lim;
	if (getrlimit(RLIMIT_SIGPENDING, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY)
		return true;
	return pd_load_relaxed(&timers_made) < lim.rlim_cur / 4;
}

static int create(clockid_t clock, int tid, int signo, struct pd_signal_target *target)
{
	/* The one of the process stands in for all that are not made. */
	if (tid && !room_for_one_more())
		return -EAGAIN;
	struct sigevent ev;
	memset(&ev, 0, sizeof ev);
	ev.sigev_signo = signo;
	ev.sigev_value.sival_ptr = (void *)((uint64_t)(uintptr_t)target | TAG << 48);
	ev.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
	ev._sigev_un._tid = tid;
	int id = -1;
	if (syscall(SYS_timer_create, clock, &ev, &id) != 0)
		return -errno;
	pd_add_relaxed(&timers_made, 1);
	return id;
}

static int set(int timer, uint64_t first_ns, uint64_t period_ns)
{
	struct itimerspec when = {
		.it_value = pd_timespec((int64_t)first_ns), .it_interval = pd_timespec((int64_t)period_ns),
	};
	return syscall(SYS_timer_settime, timer, 0, &when, NULL) == 0 ? 0 : -errno;
}

/* The CPU clock of a thread, as the kernel encodes it in a clock id: ~tid, per thread, scheduler time. */
static clockid_t thread_clock(int tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6);
}

int64_t pd_thread_cpu_ns(int tid)
{
	struct timespec ts;
	return clock_gettime(thread_clock(tid), &ts) == 0 ? ts.tv_sec * PD_SECOND + ts.tv_nsec : -1;
}

int pd_timer_cpu(int tid, int signo, struct pd_signal_target *target, uint64_t first_ns, uint64_t period_ns)
{
	int timer = create(tid ? thread_clock(tid) : CLOCK_PROCESS_CPUTIME_ID, tid, signo, target);
	if (timer < 0)
		return timer;
	int err = set(timer, first_ns ? first_ns : 1, period_ns);
	if (err) {
		pd_timer_delete(timer);
		return err;
	}
	return timer;
}

int pd_timer_kick(int tid, int signo, struct pd_signal_target *target)
{
	int timer = create(CLOCK_MONOTONIC, tid, signo, target);
	if (timer < 0)
		return timer;
	int err = set(timer, 1, 0);
	if (err) {
		pd_timer_delete(timer);
		return err;
	}
	return timer;
}

void pd_timer_delete(int timer)
{
	if (timer >= 0 && syscall(SYS_timer_delete, timer) == 0)
		pd_sub_release(&timers_made, 1);
}

struct pd_signal_target *pd_timer_target(const siginfo_t *info)
{
	uint64_t v = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
	if (info->si_code != SI_TIMER || v >> 48 != TAG)
		return NULL;
	return (struct pd_signal_target *)(v & ~(0xffffull << 48)); /* NOLINT */
}


void pd_timers_forked(void)
{
	timers_made = 0;
}
