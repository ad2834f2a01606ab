/* Which signal is ours for now: chosen among those the host does not use, given back as it was. */
#include "agent/os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/os/handler.h"
#include "base/atomic.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards holders and moving_from */
static uint32_t holders;
static int preferred; /* 0 = any */
static int held;        /* 0 = none */
static int held_pid;    /* whose; a vfork child shares our memory but not our signal actions */
static int moving_from; /* the signal to give back when its timers are gone */
static uint32_t host_wants; /* the host asked for the signal we hold */
static uint32_t host_lock;  /* guards the host's action; taken with all signals blocked */

int pd_signal_number(void)
{
	return pd_load_acquire(&held);
}

static int install(int signo)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	act.sa_sigaction = pd_signal_enter;
	/* The host's handlers wait for the end of ours, libc's inner signals included: from one that longjmps or cancels
	 * the thread there would be no way back into a sample. Faults stay faults. */
	const int fault[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	memset(&act.sa_mask, 0xff, sizeof act.sa_mask);
	for (size_t i = 0; i < sizeof fault / sizeof *fault; i++)
		sigdelset(&act.sa_mask, fault[i]);
	return pd_sigaction(signo, &act, NULL) == 0 ? 0 : -errno;
}

static void find_sigaction(void)
{
	pd_loader_lock();
	if (!pd_sigaction)
		pd_sigaction = (int (*)(int, const struct sigaction *, struct sigaction *))dlsym(RTLD_DEFAULT, "sigaction");
	pd_loader_unlock();
}

/* Is the signal free: its action the default (or, when even_ignored, ignore)? */
static bool is_free(int signo, bool even_ignored)
{
	struct sigaction now;
	if (signo == held || signo == moving_from || pd_sigaction(signo, NULL, &now) != 0)
		return false;
	return now.sa_handler == SIG_DFL || (even_ignored && now.sa_handler == SIG_IGN);
}

static int choose(void)
{
	if (preferred)
		return is_free(preferred, true) ? preferred : -EBUSY;
	const int first[] = { SIGPROF, SIGVTALRM, SIGSTKFLT };
	/* An ignored signal would be inherited as such by programs executed meanwhile: only if nothing else is left. */
	for (int even_ignored = 0; even_ignored < 2; even_ignored++) {
		for (size_t i = 0; i < sizeof first / sizeof *first; i++)
			if (is_free(first[i], even_ignored))
				return first[i];
		for (int s = SIGRTMAX - 1; s > SIGRTMIN + 4; s--)
			if (is_free(s, even_ignored))
				return s;
	}
	return -EBUSY;
}

/* Take a free signal. The lock is held. */
static int acquire(void)
{
	struct sigaction host;
	find_sigaction();
	int signo = choose();
	if (signo < 0)
		return signo;
	if (pd_sigaction(signo, NULL, &host) != 0)
		return -errno;
	/* The host's view comes first: the handler may run as soon as it is installed. */
	pd_host_action_set(signo, &host);
	int err = install(signo);
	if (err)
		return err;
	pd_store_relaxed(&held_pid, getpid());
	pd_store_release(&held, signo);
	return signo;
}

void pd_signal_prefer(int signo)
{
	preferred = signo;
}

int pd_signal_take(void)
{
	pthread_mutex_lock(&lock);
	int got = held;
	if (holders == 0)
		got = acquire();
	if (got > 0)
		holders++;
	pthread_mutex_unlock(&lock);
	return got;
}

static void give_back(int signo)
{
	const struct sigaction *host = pd_host_action(signo);
	struct sigaction now;
	/* Somebody put a handler over ours by other means: it is theirs now. */
	if (pd_sigaction(signo, NULL, &now) == 0 && now.sa_sigaction != pd_signal_enter)
		return;
	/* Ignoring drops what is still pending in threads that slept, which the default action would let kill us. */
	struct sigaction ign = { .sa_handler = SIG_IGN };
	if (host->sa_handler == SIG_DFL)
		pd_sigaction(signo, &ign, NULL);
	pd_sigaction(signo, host, NULL);
}

void pd_signal_release(void)
{
	pthread_mutex_lock(&lock);
	if (--holders == 0 && held) {
		pd_signal_drain();
		give_back(held);
		pd_store_release(&held, 0);
		pd_store_relaxed(&host_wants, 0);
	}
	pthread_mutex_unlock(&lock);
}

bool pd_signal_drain(void)
{
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < 100; i++) {
		if (pd_handlers_running() == 0)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

bool pd_signal_unwanted(void)
{
	struct sigaction now;
	int signo = pd_signal_number();
	if (!signo)
		return false;
	if (pd_load_relaxed(&host_wants))
		return true;
	return pd_sigaction(signo, NULL, &now) == 0 && now.sa_sigaction != pd_signal_enter;
}

int pd_signal_move(void)
{
	pthread_mutex_lock(&lock);
	pd_store_relaxed(&moving_from, held);
	int got = acquire();
	if (got < 0)
		pd_store_relaxed(&moving_from, 0);
	pd_store_relaxed(&host_wants, 0);
	pthread_mutex_unlock(&lock);
	return got < 0 ? got : 0;
}

void pd_signal_moved(void)
{
	pthread_mutex_lock(&lock);
	if (moving_from) {
		pd_signal_drain();
		give_back(moving_from);
		pd_store_relaxed(&moving_from, 0);
	}
	pthread_mutex_unlock(&lock);
}

void pd_signal_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	host_lock = 0;
	if (held)
		give_back(held);
	if (moving_from)
		give_back(moving_from);
	held = moving_from = 0;
	holders = 0;
	host_wants = 0;
}

static void lock_host(sigset_t *before)
{
	sigset_t every;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, before);
	uint32_t open = 0;
	while (!pd_cas_acq_rel(&host_lock, &open, 1)) {
		open = 0;
		sched_yield();
	}
}

static void unlock_host(const sigset_t *before)
{
	pd_store_release(&host_lock, 0);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

int pd_signal_host_action(int signo, const struct sigaction *act, struct sigaction *old)
{
	int ours = pd_signal_number();
	if (!ours || (signo != ours && signo != pd_load_relaxed(&moving_from)) || getpid() != pd_load_relaxed(&held_pid))
		return pd_sigaction(signo, act, old);
	sigset_t before;
	struct sigaction seen, wanted;
	if (act)
		wanted = *act;
	lock_host(&before);
	seen = *pd_host_action(signo);
	if (act) {
		pd_host_action_set(signo, &wanted);
		pd_store_relaxed(&host_wants, wanted.sa_handler != SIG_DFL && wanted.sa_handler != SIG_IGN);
	}
	unlock_host(&before);
	if (old)
		*old = seen;
	return 0;
}
