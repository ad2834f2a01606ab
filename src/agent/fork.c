/*
 * What happens in children. A child lets go of all that was the parent's. It starts a service of its own only when the
 * address names the process (%p), or when it becomes a daemon in place of its parent.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/life.h"
#include "agent/os/os.h"
#include "base/atomic.h"
#include "base/thread.h"

static bool watching;
/* Of the fork under way; guarded by the loader lock. */
static sigset_t mask_before;
static pid_t forking;
static bool by_first;
static pid_t parent; /* in a child: who forked it, which getppid() no longer tells when that has ended */
/* In a child of a served process: what the service was, until the child has its own or gave it up. */
static const struct pd_settings *inherited;
static pid_t self; /* this child; one made by vfork() shares our memory, but must start nothing in it */
static bool daemon_in_making; /* the session was made new after the fork */
static uint32_t heir_running;
static bool confined;

static void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&ts, NULL);
}

/* One thread per child that is to serve. A child that is about to exec takes the thread with it. */
static void *heir(void *arg)
{
	const struct pd_settings *s = inherited;
	bool after_parent = arg != NULL;
	pd_thread_own("pprofd-heir");
	pause_ms(after_parent ? 20 : 100);
	for (int i = 0; s && i < 200; i++) {
		/* As long as the parent lives it serves. */
		if (!after_parent || getppid() != parent) {
			int err = pd_start(s);
			if (err != -EADDRINUSE || !after_parent)
				break;
		}
		pause_ms(50);
	}
	pd_store_release(&heir_running, 0);
	return NULL;
}

static void start_heir(bool after_parent)
{
	uint32_t none = 0;
	if (pd_load_relaxed(&confined) || !pd_cas_acq_rel(&heir_running, &none, 1))
		return;
	pthread_t t;
	if (pd_thread_start(&t, 256 << 10, heir, after_parent ? &parent : NULL) == 0)
		pthread_detach(t);
	else
		pd_store_release(&heir_running, 0);
}

void pd_fork_confined(void)
{
	pd_store_relaxed(&confined, true);
}

void pd_fork_new_session(void)
{
	if (!inherited || pd_started() || getpid() != self)
		return;
	daemon_in_making = true;
	start_heir(true);
}

static void before_fork(void)
{
	sigset_t ours;
	int signo = pd_signal_number();
	sigemptyset(&ours);
	if (signo)
		sigaddset(&ours, signo);
	pd_loader_lock();
	forking = getpid();
	by_first = syscall(SYS_gettid) == forking;
	/* On old kernels a signal makes a fork of a large process begin again. */
	pthread_sigmask(SIG_BLOCK, &ours, &mask_before);
}

static void in_parent(void)
{
	sigset_t mask = mask_before;
	pd_loader_unlock();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void in_child(void)
{
	const struct pd_settings *s = pd_start_forked();
	bool waiting = pd_load_relaxed(&heir_running);
	heir_running = 0;
	parent = forking;
	self = getpid();
	if (s)
		pd_server_unload(true);
	pd_agent_forked();
	pd_stacks_forked(by_first);
	pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
	if (s) {
		inherited = s;
		daemon_in_making = false;
		pd_listen_disown();
		if (strstr(s->listen, "%p"))
			start_heir(false);
	} else if (inherited && daemon_in_making && waiting) {
		/* The second fork of a daemon: its parent ends in a moment, too. */
		start_heir(true);
	}
}

int pd_fork_watch(void)
{
	if (watching)
		return 0;
	int err = -pthread_atfork(before_fork, in_parent, in_child);
	watching = err == 0;
	return err;
}
