/*
 * Hooks for what else makes threads wait for each other: semaphores, barriers, the ends of threads, and the futex call
 * itself, by which C++ waits for atomics, semaphores, latches and futures, and other run-time libraries for their
 * locks. Most are cancellation points: nothing is kept while they wait. Knows nothing of samples.
 */
#include <errno.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <threads.h>
#include <time.h>

#include "agent/sampler/wait.h"
#include "agent/sampler/wait_call.h"
#include "base/atomic.h"

static int (*real_sem_wait)(sem_t *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);
static int (*real_sem_clockwait)(sem_t *, clockid_t, const struct timespec *);
static int (*real_pthread_barrier_wait)(pthread_barrier_t *);
static int (*real_pthread_join)(pthread_t, void **);
static int (*real_pthread_timedjoin_np)(pthread_t, void **, const struct timespec *);
static int (*real_pthread_clockjoin_np)(pthread_t, void **, clockid_t, const struct timespec *);
static int (*real_thrd_join)(thrd_t, int *);

/* Its lower half is the value. */
static bool none_left(const sem_t *s)
{
	return pd_load_relaxed((const uint32_t *)s) == 0;
}

#define SEM_HOOK(fn, params, ...)                                                                                     \
	PD_CONTENDED int fn##_none params                                                                             \
	{                                                                                                             \
		PD_WAIT(&pd_block, true, int, real_##fn, __VA_ARGS__);                                                \
	}                                                                                                             \
	static int hook_##fn params                                                                                   \
	{                                                                                                             \
		return none_left(s) ? fn##_none(__VA_ARGS__) : real_##fn(__VA_ARGS__);                                \
	}

SEM_HOOK(sem_wait, (sem_t *s), s)
SEM_HOOK(sem_timedwait, (sem_t *s, const struct timespec *until), s, until)
SEM_HOOK(sem_clockwait, (sem_t *s, clockid_t clock, const struct timespec *until), s, clock, until)

/* The last one at a barrier does not wait, nor who joins a thread that has ended. */
#define MAYBE_HOOK(fn, params, ...)                                                                                   \
	static int hook_##fn params                                                                                   \
	{                                                                                                             \
		PD_WAIT(&pd_block, false, int, real_##fn, __VA_ARGS__);                                               \
	}

MAYBE_HOOK(pthread_barrier_wait, (pthread_barrier_t *b), b)
MAYBE_HOOK(pthread_join, (pthread_t t, void **value), t, value)
MAYBE_HOOK(pthread_timedjoin_np, (pthread_t t, void **value, const struct timespec *until), t, value, until)
MAYBE_HOOK(pthread_clockjoin_np, (pthread_t t, void **value, clockid_t clock, const struct timespec *until), t, value,
           clock, until)
MAYBE_HOOK(thrd_join, (thrd_t t, int *value), t, value)

static bool waits(long op)
{
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2: return true;
	default: return false;
	}
}

PD_CONTENDED long sampled_futex(long nr, long word, long op, long value, long timeout, long word2, long value3)
{
	struct pd_wait w;
	if (!pd_wait_begin(&w, &pd_block, true))
		return pd_real_syscall(nr, word, op, value, timeout, word2, value3);
	long result = pd_call_futex(nr, word, op, value, timeout, word2, value3);
	/* The value had changed already. */
	if (result == 0 || errno != EAGAIN)
		pd_wait_end(&w, &pd_block, PD_SITE(pd_real_syscall));
	return result;
}

/* It is always hooked: nothing of ours is on the stack while nothing is sampled. */
long pd_hook_futex(long nr, long word, long op, long value, long timeout, long word2, long value3)
{
	if (!waits(op) || !pd_load_relaxed(&pd_block.ticks))
		return pd_real_syscall(nr, word, op, value, timeout, word2, value3);
	return sampled_futex(nr, word, op, value, timeout, word2, value3);
}

static struct pd_hook hooks[] = {
	PD_HOOK(sem_wait), PD_HOOK(sem_timedwait), PD_HOOK(sem_clockwait), PD_HOOK(pthread_barrier_wait),
	PD_HOOK(pthread_join), PD_HOOK(pthread_timedjoin_np), PD_HOOK(pthread_clockjoin_np), PD_HOOK(thrd_join),
};
const struct pd_hook_list pd_sleep_hooks = PD_HOOK_LIST(hooks);
