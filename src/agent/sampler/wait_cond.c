/*
 * Hooks for condition variables. Entering such a wait is also an unlock of its mutex, which happens inside libc: the
 * charge for it is put before, with the lock still held, because afterwards may be never. A thread cancelled here
 * leaves nothing behind: nothing is kept while it waits. Knows nothing of samples.
 */
#include <threads.h>
#include <time.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

static int (*real_pthread_cond_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*real_pthread_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_pthread_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
static int (*real_cnd_wait)(cnd_t *, mtx_t *);
static int (*real_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);

static void unlocking(const void *mutex, struct pd_site site)
{
	struct pd_charge c;
	if (pd_mutex_contended(mutex) && pd_charge_take(&c, mutex))
		pd_charge_put(&c, site);
}

#define COND_HOOK(fn, params, ...)                                                                                    \
	static int hook_##fn params                                                                                   \
	{                                                                                                             \
		unlocking(m, PD_SITE(real_##fn));                                                                     \
		PD_WAIT(&pd_block, true, int, real_##fn, __VA_ARGS__);                                                \
	}

COND_HOOK(pthread_cond_wait, (pthread_cond_t *c, pthread_mutex_t *m), c, m)
COND_HOOK(pthread_cond_timedwait, (pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until), c, m, until)
COND_HOOK(pthread_cond_clockwait,
          (pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock, const struct timespec *until), c, m, clock, until)
COND_HOOK(cnd_wait, (cnd_t *c, mtx_t *m), c, m)
COND_HOOK(cnd_timedwait, (cnd_t *c, mtx_t *m, const struct timespec *until), c, m, until)

/* Programs from before may want the conditions of then, which are another thing in the same memory. */
#define NEW_COND(fn)                                                                                                  \
	{                                                                                                             \
		.name = #fn, .version = "GLIBC_2.3.2", .replacement = (void *)hook_##fn,                              \
		.real = (void **)(void *)&real_##fn                                                                   \
	}
static struct pd_hook hooks[] = {
	NEW_COND(pthread_cond_wait), NEW_COND(pthread_cond_timedwait), PD_HOOK(pthread_cond_clockwait),
	PD_HOOK(cnd_wait), PD_HOOK(cnd_timedwait),
};
const struct pd_hook_list pd_cond_hooks = PD_HOOK_LIST(hooks);
