/*
 * Hooks for read-write locks. Whether a call will wait, and whether an unlock lets somebody in, is read from the words
 * of glibc's lock (the same since 2.25). Knows nothing of samples.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

/* Bits of __readers; above them the number of readers that have the lock or wait for it. */
#define WRITE_PHASE 1u
#define WRITE_LOCKED 2u /* a writer has it, or waits for its readers */
#define READERS 3

static int (*real_pthread_rwlock_rdlock)(pthread_rwlock_t *);
static int (*real_pthread_rwlock_timedrdlock)(pthread_rwlock_t *, const struct timespec *);
static int (*real_pthread_rwlock_clockrdlock)(pthread_rwlock_t *, clockid_t, const struct timespec *);
static int (*real_pthread_rwlock_wrlock)(pthread_rwlock_t *);
static int (*real_pthread_rwlock_timedwrlock)(pthread_rwlock_t *, const struct timespec *);
static int (*real_pthread_rwlock_clockwrlock)(pthread_rwlock_t *, clockid_t, const struct timespec *);
static int (*real_pthread_rwlock_unlock)(pthread_rwlock_t *);

static bool written(uint32_t r)
{
	return (r & (WRITE_PHASE | WRITE_LOCKED)) == (WRITE_PHASE | WRITE_LOCKED);
}

static bool read_waits(const pthread_rwlock_t *l)
{
	uint32_t r = pd_load_relaxed(&l->__data.__readers);
	bool writers_first = l->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
	return written(r) || (writers_first && r & WRITE_LOCKED && r >> READERS);
}

static bool write_waits(const pthread_rwlock_t *l)
{
	uint32_t r = pd_load_relaxed(&l->__data.__readers);
	return r & WRITE_LOCKED || r >> READERS;
}

/* The caller has it for writing: asking for it again is refused. */
static bool mine(const pthread_rwlock_t *l)
{
	const struct pd_thread *t = pd_thread_self();
	int tid = t ? pd_load_relaxed(&t->tid) : (int)syscall(SYS_gettid);
	return pd_load_relaxed(&l->__data.__cur_writer) == tid;
}

/* Does the caller's unlock let somebody in: a writer's, or the last reader's when a writer waits? */
static inline bool lets_in(const pthread_rwlock_t *l)
{
	uint32_t r = pd_load_relaxed(&l->__data.__readers);
	if (written(r))
		return r >> READERS || pd_load_relaxed(&l->__data.__writers);
	return r & WRITE_LOCKED && r >> READERS == 1;
}

#define LOCK_HOOK(fn, waits, params, ...)                                                                             \
	PD_CONTENDED int fn##_contended params                                                                        \
	{                                                                                                             \
		PD_LOCK(l, !mine(l), real_##fn, __VA_ARGS__);                                                         \
	}                                                                                                             \
	static int hook_##fn params                                                                                   \
	{                                                                                                             \
		return waits(l) ? fn##_contended(__VA_ARGS__) : real_##fn(__VA_ARGS__);                               \
	}

LOCK_HOOK(pthread_rwlock_rdlock, read_waits, (pthread_rwlock_t *l), l)
LOCK_HOOK(pthread_rwlock_timedrdlock, read_waits, (pthread_rwlock_t *l, const struct timespec *until), l, until)
LOCK_HOOK(pthread_rwlock_clockrdlock, read_waits, (pthread_rwlock_t *l, clockid_t clock, const struct timespec *until),
          l, clock, until)
LOCK_HOOK(pthread_rwlock_wrlock, write_waits, (pthread_rwlock_t *l), l)
LOCK_HOOK(pthread_rwlock_timedwrlock, write_waits, (pthread_rwlock_t *l, const struct timespec *until), l, until)
LOCK_HOOK(pthread_rwlock_clockwrlock, write_waits, (pthread_rwlock_t *l, clockid_t clock, const struct timespec *until),
          l, clock, until)

PD_CONTENDED int unlock_contended(pthread_rwlock_t *l)
{
	PD_UNLOCK(l, true, real_pthread_rwlock_unlock, l);
}

static int hook_pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	return lets_in(l) ? unlock_contended(l) : real_pthread_rwlock_unlock(l);
}

static struct pd_hook lock_hooks[] = {
	PD_HOOK(pthread_rwlock_rdlock), PD_HOOK(pthread_rwlock_timedrdlock), PD_HOOK(pthread_rwlock_clockrdlock),
	PD_HOOK(pthread_rwlock_wrlock), PD_HOOK(pthread_rwlock_timedwrlock), PD_HOOK(pthread_rwlock_clockwrlock),
};
static struct pd_hook unlock_hooks[] = { PD_HOOK(pthread_rwlock_unlock) };
const struct pd_hook_list pd_rwlock_lock_hooks = PD_HOOK_LIST(lock_hooks);
const struct pd_hook_list pd_rwlock_unlock_hooks = PD_HOOK_LIST(unlock_hooks);
