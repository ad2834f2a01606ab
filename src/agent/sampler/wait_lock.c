/* A wait for a lock, from where contention is seen to where the lock is had. Knows no kind of lock. */
#include <errno.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

/*
 * The waiter's stack is taken before it sleeps, and not when it has the lock and keeps others waiting. But before it
 * sleeps nobody knows how long it will; so the limit is drawn before, and the stack taken when waits like the last ones
 * would pass it. A wait that passes it unexpectedly pays with the lock held: once in a while.
 */
static bool likely(const struct pd_waiter *me, uint64_t limit)
{
	return limit <= 2 * me->usual;
}

static uint64_t late;

uint64_t pd_lock_late_stacks(void)
{
	return pd_load_relaxed(&late);
}

bool pd_lock_wait_begin(struct pd_lock_wait *w, const void *lock, struct pd_site site)
{
	uint64_t rate = pd_load_relaxed(&pd_block.ticks), fraction = pd_sums_fraction();
	bool own;
	struct pd_thread *t = pd_wait_self(&own);
	if (own || !(rate || fraction))
		return false;
	w->t = t;
	w->rate = rate;
	w->joined = 0;
	w->have_stack = false;
	struct pd_waiter none = { 0 }, *me = t ? t->waits : &none;
	bool counted = pd_sums_chance(me, fraction);
	if (!t) {
		if (counted)
			pd_waits_drop(&pd_mutex, PD_DROP_THREAD);
		w->since = pd_ticks();
		return rate;
	}
	if (!(rate || counted) || !pd_wait_enter(me, site.frame))
		return false;
	w->since = pd_ticks();
	if (counted)
		w->joined = pd_sums_join(me, lock, w->since);
	w->limit = rate ? pd_wait_limit(me, rate) : 0;
	if (rate && likely(me, w->limit)) {
		pd_wait_stack(t, site, &w->stack);
		w->have_stack = true;
	}
	pd_wait_leave(me);
	return true;
}

void pd_lock_wait_end(struct pd_lock_wait *w, struct pd_site site)
{
	uint64_t now = pd_ticks(), took = (int64_t)(now - w->since) > 0 ? now - w->since : 1;
	int saved = errno;
	struct pd_waiter none = { 0 }, *me = w->t ? w->t->waits : &none;
	if (w->joined)
		pd_sums_leave(me, w->joined, now);
	if (w->rate) {
		me->usual += ((int64_t)took - (int64_t)me->usual) / 8;
		bool sampled = took >= (w->t ? w->limit : pd_wait_limit(me, w->rate));
		if (sampled)
			pd_wait_sampled(&pd_block, w->t, took, w->rate, site, w->have_stack ? &w->stack : NULL);
		if (sampled && !w->have_stack)
			pd_add_relaxed(&late, 1);
	}
	errno = saved;
}
