/* One wait: whether it is sampled, what it counts for, and the stack of its caller. Knows no hook. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"

/* Nothing falls asleep and is woken in less: a call that returned earlier has not waited. */
#define LEAST_SLEEP 1000 /* ns */

struct pd_thread *pd_wait_self(bool *own)
{
	struct pd_thread *t = pd_thread_adopt();
	*own = t && pd_load_relaxed(&t->own);
	return t;
}

uint64_t pd_wait_random(struct pd_waiter *w)
{
	uint64_t x = w->random;
	if (!x)
		x = ((uint64_t)(uintptr_t)w ^ pd_ticks()) * 0x9e3779b97f4a7c15u | 1;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	w->random = x;
	return x * 0x2545f4914f6cdd1du;
}

bool pd_wait_enter(struct pd_waiter *w, const void *frame)
{
	uintptr_t here = (uintptr_t)frame;
	/* One above us on the stack is gone: a handler has jumped out of it. */
	if (w->busy && here < w->busy)
		return false;
	w->busy = here;
	pd_fence_signal();
	return true;
}

void pd_wait_leave(struct pd_waiter *w)
{
	pd_fence_signal();
	w->busy = 0;
}

void pd_wait_stack(struct pd_thread *t, struct pd_site site, struct pd_wait_stack *out)
{
	enum pd_walk_end end;
	uint32_t leaf = site.call != NULL;
	out->pc[0] = (uint64_t)(uintptr_t)site.call;
	out->n = leaf + (uint32_t)pd_sample_caller(t, site.frame, NULL, out->pc + leaf, PD_SAMPLE_FRAMES - leaf, &end);
	out->epoch = pd_unwind_epoch();
	out->flags = end == PD_END_BOTTOM ? 0 : PD_TRUNCATED;
}

uint64_t pd_wait_limit(struct pd_waiter *w, uint64_t rate)
{
	return (uint64_t)((unsigned __int128)pd_wait_random(w) * rate >> 64);
}

uint64_t pd_wait_stands_for(struct pd_waiter *me, uint64_t took, uint64_t rate)
{
	if (took >= rate)
		return 1;
	uint64_t whole = rate / took, rest = rate % took;
	return whole + (pd_wait_limit(me, took) < rest);
}

void pd_wait_sampled(struct pd_waits *k, struct pd_thread *t, uint64_t took, uint64_t rate, struct pd_site site,
                     const struct pd_wait_stack *stack)
{
	/* Switched off meanwhile. */
	if (!pd_load_relaxed(&k->ticks))
		return;
	uint64_t start = pd_ticks();
	struct pd_waiter *me = t ? t->waits : NULL;
	if (!me || !pd_wait_enter(me, site.frame)) {
		pd_waits_drop(k, me ? PD_DROP_BUSY : PD_DROP_THREAD);
		return;
	}
	struct pd_wait_stack here;
	if (!stack) {
		pd_wait_stack(t, site, &here);
		stack = &here;
	}
	uint64_t waits = pd_wait_stands_for(me, took, rate);
	pd_waits_add(k, t, stack, waits, pd_ticks_to_ns(took > rate ? took : rate));
	pd_wait_leave(me);
	pd_add_relaxed(&k->count.self_ns, pd_ticks_to_ns(pd_ticks() - start));
}

/* Times that the thread has given up its processor by itself. */
static int64_t switches(void)
{
	struct rusage use;
	return syscall(SYS_getrusage, RUSAGE_THREAD, &use) == 0 ? use.ru_nvcsw : -1;
}

bool pd_wait_begin(struct pd_wait *w, struct pd_waits *k, bool sure)
{
	w->rate = pd_load_relaxed(&k->ticks);
	if (!w->rate)
		return false;
	int saved = errno;
	w->switches = sure ? -1 : switches();
	errno = saved;
	w->since = pd_ticks();
	return true;
}

void pd_wait_end(struct pd_wait *w, struct pd_waits *k, struct pd_site site)
{
	uint64_t now = pd_ticks(), took = now - w->since;
	int saved = errno;
	if ((int64_t)took < (int64_t)pd_ns_to_ticks(LEAST_SLEEP) || (w->switches >= 0 && w->switches == switches()))
		goto out;
	bool own;
	struct pd_thread *t = pd_wait_self(&own);
	if (own)
		goto out;
	struct pd_waiter none = { 0 }, *me = t ? t->waits : &none;
	if (took >= pd_wait_limit(me, w->rate))
		pd_wait_sampled(k, t, took, w->rate, site, NULL);
out:
	errno = saved;
}
