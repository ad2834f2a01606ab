/* Who creates threads: the creation hook that registers each new thread, and the table of creation stacks. */
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#include "agent/hook/hook.h"
#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/sampler/wait_call.h"
#include "agent/sampler/walk.h"
#include "agent/stack/stack.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"

#define FRAMES 64

static struct pd_table table;
static uint32_t on;
static uint32_t bare; /* new threads start without labels */
static uint64_t created;
static struct pd_counters counters;
static void (*loader_changed)(void);
static void (*new_session)(void);
static void (*filter_ahead)(bool, bool, const void *);

static int (*real_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int (*real_thrd_create)(thrd_t *, thrd_start_t, void *);
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);
static void (*(*real_signal)(int, void (*)(int)))(int);
static int (*real_sigtimedwait)(const sigset_t *, siginfo_t *, const struct timespec *);
static int (*real_sigwaitinfo)(const sigset_t *, siginfo_t *);
static int (*real_sigwait)(const sigset_t *, int *);
static pid_t (*real_setsid)(void);
static int (*real_daemon)(int, int);
static int (*real_prctl)(int, long, long, long, long);

/* The stack of the hook's caller, as an id. frame: the hook's own frame address. */
static uint32_t creation_stack(const void *const *frame)
{
	uint64_t pc[FRAMES];
	enum pd_walk_end end;
	size_t n = pd_sample_caller(pd_thread_here(), frame, NULL, pc, FRAMES, &end);
	return pd_table_stack(&table, pc, (uint32_t)n, pd_unwind_epoch(), end == PD_END_BOTTOM ? 0 : PD_TRUNCATED);
}

/* An entry for the thread that the caller of the hook is about to make; NULL: go on without one. */
static struct pd_thread *prepare(const void *const *frame)
{
	if (!pd_load_acquire(&on))
		return NULL;
	const struct pd_thread *self = pd_thread_self();
	if (self && self->own)
		return NULL;
	struct pd_thread *t = pd_thread_prepare();
	if (!t)
		return NULL;
	t->created_by = creation_stack(frame);
	self = pd_thread_self();
	t->parent_tid = self ? self->tid : 0;
	t->labels = self && !pd_load_relaxed(&bare) ? self->labels : 0;
	return t;
}

static void made(struct pd_thread *t, uint32_t stack, bool ok)
{
	if (!ok) {
		pd_thread_discard(t);
		return;
	}
	const int64_t one = 1;
	pd_table_add(&table, &(struct pd_key){ .stack = stack }, &one, 1);
	pd_add_relaxed(&created, 1);
}

static void *begin_pthread(void *arg)
{
	struct pd_thread *t = arg;
	void *(*start)(void *) = t->start;
	void *start_arg = t->arg;
	pd_thread_begin(t);
	return start(start_arg);
}

static int hook_pthread_create(pthread_t *th, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	struct pd_thread *t = prepare(__builtin_frame_address(0));
	if (!t)
		return real_pthread_create(th, attr, start, arg);
	uint32_t stack = t->created_by; /* the entry is the new thread's as soon as it runs */
	t->start = start;
	t->arg = arg;
	int err = real_pthread_create(th, attr, begin_pthread, t);
	made(t, stack, err == 0);
	return err;
}

static int begin_thrd(void *arg)
{
	struct pd_thread *t = arg;
	thrd_start_t start = (thrd_start_t)(void (*)(void))t->start;
	void *start_arg = t->arg;
	pd_thread_begin(t);
	return start(start_arg);
}

static int hook_thrd_create(thrd_t *th, thrd_start_t start, void *arg)
{
	struct pd_thread *t = prepare(__builtin_frame_address(0));
	if (!t)
		return real_thrd_create(th, start, arg);
	uint32_t stack = t->created_by;
	t->start = (void *(*)(void *))(void (*)(void))start;
	t->arg = arg;
	int err = real_thrd_create(th, begin_thrd, t);
	made(t, stack, err == thrd_success);
	return err;
}

static int hook_sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
	if (signo != pd_signal_number())
		return real_sigaction(signo, act, old);
	return pd_signal_host_action(signo, act, old);
}

static void (*hook_signal(int signo, void (*handler)(int)))(int)
{
	if (signo != pd_signal_number())
		return real_signal(signo, handler);
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, signo);
	return pd_signal_host_action(signo, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static int hook_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *limit)
{
	return pd_signal_host_wait(set, info, limit, real_sigtimedwait);
}

static int hook_sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	return pd_signal_host_wait(set, info, NULL, real_sigtimedwait);
}

static int hook_sigwait(const sigset_t *set, int *signo)
{
	int saved = errno, got;
	do
		got = pd_signal_host_wait(set, NULL, NULL, real_sigtimedwait);
	while (got < 0 && errno == EINTR);
	int err = got < 0 ? errno : 0;
	if (!err)
		*signo = got;
	errno = saved;
	return err;
}

static pid_t hook_setsid(void)
{
	pid_t got = real_setsid();
	if (got != -1 && new_session)
		new_session();
	return got;
}

static int hook_daemon(int nochdir, int noclose)
{
	int err = real_daemon(nochdir, noclose);
	if (err == 0 && new_session)
		new_session();
	return err;
}

static int hook_prctl(int option, long a, long b, long c, long d)
{
	int saved = errno;
	if (option == PR_SET_SECCOMP && filter_ahead)
		filter_ahead(a == SECCOMP_MODE_STRICT, false, (const void *)b);
	errno = saved;
	return real_prctl(option, a, b, c, d);
}

long pd_hook_seccomp(long nr, unsigned operation, unsigned flags, const void *filter)
{
	int saved = errno;
	if (operation <= SECCOMP_SET_MODE_FILTER && filter_ahead)
		filter_ahead(operation == SECCOMP_SET_MODE_STRICT, flags & SECCOMP_FILTER_FLAG_TSYNC, filter);
	errno = saved;
	return pd_real_syscall(nr, operation, flags, filter);
}

void pd_hook_loader_notice(void)
{
	if (pd_load_acquire(&on) && loader_changed)
		loader_changed();
}

#define HOOK(fn) { .name = #fn, .replacement = (void *)hook_##fn, .real = (void **)(void *)&real_##fn }
static struct pd_hook hooks[] = {
	HOOK(pthread_create),
	HOOK(thrd_create),
	HOOK(sigaction),
	HOOK(signal),
	HOOK(sigtimedwait),
	HOOK(sigwaitinfo),
	HOOK(sigwait),
	HOOK(setsid),
	HOOK(daemon),
	HOOK(prctl),
	{ .name = "syscall", .replacement = (void *)pd_hook_syscall, .real = (void **)(void *)&pd_real_syscall },
	{ .name = "dlopen", .replacement = (void *)pd_hook_dlopen, .real = (void **)(void *)&pd_real_dlopen },
	{ .name = "dlmopen", .replacement = (void *)pd_hook_dlmopen, .real = (void **)(void *)&pd_real_dlmopen },
};

int pd_threadcreate_on(struct pd_budget *budget, void (*changed)(void), void (*session)(void),
                       void (*filter)(bool, bool, const void *))
{
	/* A thread may still be in a hook with the table of an earlier start: it is kept. */
	int err = table.arena.base ? 0 : pd_table_open(&table, budget);
	if (err)
		return err;
	pd_table_reserve(&table, 0);
	loader_changed = changed;
	new_session = session;
	filter_ahead = filter;
	pd_store_release(&on, 1);
	return pd_hooks_on(hooks, sizeof hooks / sizeof *hooks);
}

void pd_threadcreate_inherit(bool yes)
{
	pd_store_relaxed(&bare, !yes);
}

void pd_threadcreate_off(void)
{
	pd_store_release(&on, 0);
	pd_hooks_off(hooks);
}

void pd_threadcreate_forked(void)
{
	on = 0;
	created = 0;
	memset(&table, 0, sizeof table); /* the parent's pages stay mapped, unused */
}

static int start(void)
{
	return 0;
}

static void stop(void)
{
}

static void read_counters(struct pd_counters *out)
{
	*out = counters;
	out->ticks = out->recorded = pd_load_relaxed(&created);
}

static int snapshot(struct pd_snapshot *out)
{
	int err = pd_snapshot_rows(&table, out);
	read_counters(&out->counters);
	out->rate = 1;
	return err;
}

static bool stack(uint32_t id, struct pd_stack *out)
{
	return pd_table_stack_get(&table, id, out);
}

const struct pd_sampler pd_sampler_threadcreate = {
	.name = "threadcreate", .start = start, .stop = stop, .snapshot = snapshot,
	.counters = read_counters, .stack = stack,
};
