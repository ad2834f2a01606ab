/*
 * Hooks for mutexes: those of POSIX and of C11, which are the same thing in glibc. A free lock costs one look at its
 * word and a jump. What the word means follows from the kind of the mutex; the kinds that the kernel shares (robust,
 * priority inheritance) have the owner's thread id in it, by the kernel's own rules.
 * After the unlock the mutex may be gone: it is not touched any more. Knows nothing of samples.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

#define KIND_TYPE 3       /* PTHREAD_MUTEX_NORMAL ... _ADAPTIVE_NP */
#define KIND_ROBUST 0x10
#define KIND_INHERIT 0x20
#define KIND_PROTECT 0x40
#define CEILING 0xfff80000u /* KIND_PROTECT: the part of the word that says no more than the priority */

static int (*real_pthread_mutex_lock)(pthread_mutex_t *);
static int (*real_pthread_mutex_timedlock)(pthread_mutex_t *, const struct timespec *);
static int (*real_pthread_mutex_clocklock)(pthread_mutex_t *, clockid_t, const struct timespec *);
static int (*real_pthread_mutex_unlock)(pthread_mutex_t *);
static int (*real_mtx_lock)(mtx_t *);
static int (*real_mtx_timedlock)(mtx_t *, const struct timespec *);
static int (*real_mtx_unlock)(mtx_t *);

static uint32_t word(const pthread_mutex_t *m)
{
	return (uint32_t)pd_load_relaxed(&m->__data.__lock);
}

static bool mine(const pthread_mutex_t *m)
{
	const struct pd_thread *t = pd_thread_self();
	int tid = t ? pd_load_relaxed(&t->tid) : (int)syscall(SYS_gettid);
	return pd_load_relaxed(&m->__data.__owner) == tid;
}

/* Has somebody else got it? Its word is not 0. */
static bool held(const pthread_mutex_t *m)
{
	int kind = pd_load_relaxed(&m->__data.__kind), type = kind & KIND_TYPE;
	uint32_t w = word(m);
	if (kind & (KIND_ROBUST | KIND_INHERIT))
		w &= FUTEX_TID_MASK;
	else if (kind & KIND_PROTECT)
		w &= ~CEILING;
	/* Locking one's own again is counted, or refused. */
	return w && !(type != PTHREAD_MUTEX_NORMAL && type != PTHREAD_MUTEX_ADAPTIVE_NP && mine(m));
}

bool pd_mutex_contended(const pthread_mutex_t *m)
{
	int kind = pd_load_relaxed(&m->__data.__kind), type = kind & KIND_TYPE;
	uint32_t w = word(m);
	bool waiters = w > 1;
	if (kind & (KIND_ROBUST | KIND_INHERIT))
		waiters = w & FUTEX_WAITERS;
	else if (kind & KIND_PROTECT)
		waiters = (w & ~CEILING) > 1;
	if (!waiters || type == PTHREAD_MUTEX_NORMAL || type == PTHREAD_MUTEX_ADAPTIVE_NP)
		return waiters;
	return mine(m) && !(type == PTHREAD_MUTEX_RECURSIVE && m->__data.__count > 1);
}

PD_CONTENDED int lock_contended(pthread_mutex_t *m)
{
	PD_LOCK(m, held(m), real_pthread_mutex_lock, m);
}

static int hook_pthread_mutex_lock(pthread_mutex_t *m)
{
	return __builtin_expect(word(m) == 0, 1) ? real_pthread_mutex_lock(m) : lock_contended(m);
}

PD_CONTENDED int timedlock_contended(pthread_mutex_t *m, const struct timespec *until)
{
	PD_LOCK(m, held(m), real_pthread_mutex_timedlock, m, until);
}

static int hook_pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *until)
{
	return word(m) == 0 ? real_pthread_mutex_timedlock(m, until) : timedlock_contended(m, until);
}

PD_CONTENDED int clocklock_contended(pthread_mutex_t *m, clockid_t clock, const struct timespec *until)
{
	PD_LOCK(m, held(m), real_pthread_mutex_clocklock, m, clock, until);
}

static int hook_pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, const struct timespec *until)
{
	return word(m) == 0 ? real_pthread_mutex_clocklock(m, clock, until) : clocklock_contended(m, clock, until);
}

PD_CONTENDED int mtx_contended(mtx_t *c11)
{
	pthread_mutex_t *m = (pthread_mutex_t *)c11;
	PD_LOCK(m, held(m), real_mtx_lock, c11);
}

static int hook_mtx_lock(mtx_t *m)
{
	return word((pthread_mutex_t *)m) == 0 ? real_mtx_lock(m) : mtx_contended(m);
}

PD_CONTENDED int mtx_timed_contended(mtx_t *c11, const struct timespec *until)
{
	pthread_mutex_t *m = (pthread_mutex_t *)c11;
	PD_LOCK(m, held(m), real_mtx_timedlock, c11, until);
}

static int hook_mtx_timedlock(mtx_t *m, const struct timespec *until)
{
	return word((pthread_mutex_t *)m) == 0 ? real_mtx_timedlock(m, until) : mtx_timed_contended(m, until);
}

PD_CONTENDED int unlock_contended(pthread_mutex_t *m)
{
	PD_UNLOCK(m, pd_mutex_contended(m), real_pthread_mutex_unlock, m);
}

static int hook_pthread_mutex_unlock(pthread_mutex_t *m)
{
	return __builtin_expect(word(m) <= 1, 1) ? real_pthread_mutex_unlock(m) : unlock_contended(m);
}

PD_CONTENDED int mtx_unlock_contended(mtx_t *c11)
{
	pthread_mutex_t *m = (pthread_mutex_t *)c11;
	PD_UNLOCK(m, pd_mutex_contended(m), real_mtx_unlock, c11);
}

static int hook_mtx_unlock(mtx_t *m)
{
	return word((pthread_mutex_t *)m) <= 1 ? real_mtx_unlock(m) : mtx_unlock_contended(m);
}

static struct pd_hook lock_hooks[] = {
	PD_HOOK(pthread_mutex_lock), PD_HOOK(pthread_mutex_timedlock), PD_HOOK(pthread_mutex_clocklock),
	PD_HOOK(mtx_lock), PD_HOOK(mtx_timedlock),
};
static struct pd_hook unlock_hooks[] = { PD_HOOK(pthread_mutex_unlock), PD_HOOK(mtx_unlock) };
const struct pd_hook_list pd_mutex_lock_hooks = PD_HOOK_LIST(lock_hooks);
const struct pd_hook_list pd_mutex_unlock_hooks = PD_HOOK_LIST(unlock_hooks);
