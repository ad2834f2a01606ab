/* A running thread's part of the wall profile: it is asked by a signal, and records its stack itself in the handler. */
#include "agent/sampler/wall.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/sampler/sampler.h"
#include "agent/sampler/walk.h"
#include "base/atomic.h"
#include "base/time.h"

#define ASKS 4096 /* threads asked at once; the ticks of more are dropped */

struct pd_wall pd_wall;

static struct pd_wall_ask ask[ASKS];
static size_t asks_made;
static struct pd_wall_ask *free_asks;

/* ---- in the handler, and for the sampler's thread too ---- */

static bool is_state(const char *key)
{
	const char *state = "state";
	while (*key && *key == *state)
		key++, state++;
	return *key == *state;
}

uint32_t pd_wall_labels(uint32_t labels, const char *state)
{
	const struct pd_label *l;
	size_t n = pd_labels_get(labels, &l);
	for (size_t i = 0; i < n; i++)
		if (is_state(l[i].key))
			return labels;
	uint32_t with;
	return pd_labels_with(labels, "state", state, &with) == 0 ? with : labels;
}

struct pd_key pd_wall_key(uint32_t stack, uint32_t labels, const struct pd_thread *t)
{
	struct pd_key key = { .stack = stack, .rate = pd_load_relaxed(&pd_wall.period_ns) };
	if (stack == PD_STACK_OVERFLOW)
		return key;
	key.labels = labels;
	key.size = t ? pd_trace_row(&pd_wall.table, t, &pd_wall.traceless) : 0;
	return key;
}

void pd_wall_drop(enum pd_drop why, uint64_t ticks)
{
	pd_add_relaxed(&pd_wall.count.dropped[why], ticks);
}

void pd_wall_record(const struct pd_key *key, bool truncated, uint64_t ticks)
{
	const int64_t value = (int64_t)ticks;
	bool overflow = key->stack == PD_STACK_OVERFLOW;
	int room = pd_table_add(&pd_wall.table, key, &value, 1);
	if (room < 0) {
		pd_wall_drop(PD_DROP_MEMORY, ticks);
		return;
	}
	pd_add_relaxed(&pd_wall.count.recorded, ticks);
	if (!room || overflow)
		pd_add_relaxed(&pd_wall.count.overflow, ticks);
	else if (truncated)
		pd_add_relaxed(&pd_wall.count.truncated, ticks);
}

static void record(struct pd_thread *t, const struct pd_wall_ask *a, uint64_t ticks, void *ucontext)
{
	/* Sets are not made here. One that the thread has changed since it was asked goes without its state. */
	uint64_t known = pd_load_relaxed(&a->labels);
	uint32_t labels = pd_load_relaxed(&t->labels);
	if (known >> 32 == labels)
		labels = (uint32_t)known;
	struct pd_scratch *s = t->scratch;
	struct pd_regs regs;
	enum pd_walk_end end = PD_END_LOST;
	pd_regs_from_context(ucontext, &regs);
	size_t n = pd_sample_walk(t, &regs, true, &s->memo, s->pc, PD_SAMPLE_FRAMES, &end);
	uint32_t flags = end == PD_END_BOTTOM ? 0 : PD_TRUNCATED;
	uint32_t id = pd_table_stack(&pd_wall.table, s->pc, (uint32_t)n, pd_unwind_epoch(), flags);
	struct pd_key key = pd_wall_key(id, labels, t);
	pd_wall_record(&key, flags, ticks);
}

static __attribute__((noinline)) void answer(const struct pd_wall_ask *a, uint64_t ticks, void *ucontext)
{
	struct pd_thread *t = ucontext ? pd_thread_adopt() : NULL;
	if (!ucontext) {
		pd_wall_drop(PD_DROP_STACK, ticks);
	} else if (!t) {
		pd_wall_drop(PD_DROP_THREAD, ticks);
	} else if (t->busy) {
		pd_wall_drop(PD_DROP_BUSY, ticks);
	} else {
		t->busy = 1;
		pd_fence_signal();
		record(t, a, ticks, ucontext);
		pd_fence_signal();
		t->busy = 0;
	}
}

/* What is owed is taken in one go with the check for whom it is meant: a late signal may carry a question that was
 * ended, or is another thread's by now. */
void pd_wall_tick(struct pd_signal_target *target, int overrun, void *ucontext)
{
	struct pd_wall_ask *a = (struct pd_wall_ask *)(void *)target;
	int64_t start = pd_mono_ns();
	pd_add_seqcst(&pd_wall.entered, 1);
	uint64_t owed = pd_load_acquire(&a->owed), me = (uint64_t)(uint32_t)syscall(SYS_gettid);
	if (pd_load_seqcst(&pd_wall.open) && owed >> 32 == me && (uint32_t)owed &&
	    pd_cas_acq_rel(&a->owed, &owed, me << 32)) {
		pd_add_relaxed(&pd_wall.count.signals, 1);
		answer(a, (uint32_t)owed, ucontext);
		pd_add_relaxed(&pd_wall.count.self_ns, (uint64_t)(pd_mono_ns() - start));
	}
	pd_add_seqcst(&pd_wall.left, 1);
}

/* ---- asking ---- */

struct pd_wall_ask *pd_wall_ask_new(int tid)
{
	struct pd_wall_ask *a = free_asks;
	if (a)
		free_asks = a->next;
	else if (asks_made < ASKS)
		a = &ask[asks_made++];
	else
		return NULL;
	pd_store_relaxed(&a->target.fn, pd_wall_tick);
	a->timer = -1;
	pd_store_relaxed(&a->labels, 0);
	pd_store_release(&a->owed, (uint64_t)(uint32_t)tid << 32);
	return a;
}

uint64_t pd_wall_owed(const struct pd_wall_ask *a)
{
	return (uint32_t)pd_load_acquire(&a->owed);
}

/* No ticks but what is left of them: returns those. */
static uint64_t take_back(struct pd_wall_ask *a)
{
	uint64_t owed = pd_load_acquire(&a->owed);
	while (!pd_cas_acq_rel(&a->owed, &owed, owed >> 32 << 32))
		continue;
	return (uint32_t)owed;
}

bool pd_wall_ask_for(struct pd_wall_ask *a, uint32_t labels, uint64_t ticks, int64_t now)
{
	if (pd_load_relaxed(&a->labels) >> 32 != labels || !pd_load_relaxed(&a->labels))
		pd_store_relaxed(&a->labels, (uint64_t)labels << 32 | pd_wall_labels(labels, "running"));
	uint64_t before = pd_add_acq_rel(&a->owed, ticks);
	if ((uint32_t)before)
		return true; /* the signal is under way */
	a->since_ns = now;
	pd_timer_delete(a->timer);
	a->timer = pd_timer_kick((int)(before >> 32), pd_signal_number(), &a->target);
	if (a->timer >= 0)
		return true;
	bool gone = a->timer == -ESRCH || a->timer == -EINVAL;
	uint64_t left = take_back(a);
	if (!gone)
		pd_wall_drop(PD_DROP_LATE, left);
	return !gone;
}

void pd_wall_ask_end(struct pd_wall_ask *a)
{
	uint64_t left = take_back(a);
	pd_timer_delete(a->timer);
	a->timer = -1;
	if (left)
		pd_wall_drop(PD_DROP_LATE, left);
}

void pd_wall_ask_free(struct pd_wall_ask *a)
{
	pd_wall_ask_end(a);
	pd_store_release(&a->owed, 0);
	a->next = free_asks;
	free_asks = a;
}

uint64_t pd_wall_owed_by_all(void)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < asks_made; i++)
		sum += pd_wall_owed(&ask[i]);
	return sum;
}

void pd_wall_end_all(void)
{
	for (size_t i = 0; i < asks_made; i++)
		if (pd_load_relaxed(&ask[i].owed))
			pd_wall_ask_end(&ask[i]);
}

void pd_wall_ask_forked(void)
{
	for (size_t i = 0; i < asks_made; i++)
		pd_store_relaxed(&ask[i].owed, 0);
	asks_made = 0;
	free_asks = NULL;
}
