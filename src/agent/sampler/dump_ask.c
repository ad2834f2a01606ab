/* Running threads are asked for their stacks: all signals first, then one wait for the answers. */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/dump.h"
#include "base/atomic.h"
#include "base/time.h"

#define ASKS_MAX ((size_t)2048)   /* running at once; more are missed */
#define LEAST_WAIT 20000000       /* ns, even when the deadline has passed */
#define FILLING_WAIT 10000000     /* ns more for a handler that is at it */
#define ENDED_CHECK 10000000      /* how often to look whether those asked are still there */

static struct pd_ask *asks; /* never unmapped while a handler may come */
static int asks_pid;        /* a forked child makes its own */
static uint64_t turns;

struct round {
	struct pd_dump *d;
	struct pd_store *store;
	int signo;
	size_t asked; /* asks[0..asked) were used, or skipped (rec = SIZE_MAX) */
	size_t open;  /* sent */
	uint32_t before;
};

static bool have_asks(void)
{
	size_t len = ASKS_MAX * sizeof *asks;
	if (asks && asks_pid == getpid())
		return true;
	if (asks)
		munmap(asks, len);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	asks = p == MAP_FAILED ? NULL : p;
	asks_pid = getpid();
	return asks != NULL;
}

static unsigned state(const struct pd_ask *a)
{
	return (unsigned)(pd_load_acquire(&a->turn) & PD_ASK_STATE);
}

/* The next slot that no handler writes, NULL when there is none. */
static struct pd_ask *next_slot(struct round *r)
{
	while (r->asked < ASKS_MAX) {
		struct pd_ask *a = &asks[r->asked++];
		if (state(a) != PD_ASK_FILLING)
			return a;
		a->rec = SIZE_MAX;
	}
	return NULL;
}

static void ask(struct round *r, size_t rec)
{
	struct pd_thread_rec *t = &r->d->thread[rec];
	r->d->signalled++;
	struct pd_ask *a = r->signo > 0 ? next_slot(r) : NULL;
	if (!a) {
		r->d->missed++;
		return;
	}
	pd_store_relaxed(&a->target.fn, pd_dump_tick);
	a->rec = rec;
	pd_store_relaxed(&a->tid, t->tid);
	pd_store_release(&a->turn, ++turns << 2 | PD_ASK_WAITING);
	a->timer = pd_timer_kick(t->tid, r->signo, &a->target);
	if (a->timer >= 0) {
		r->open++;
	} else if (a->timer == -EINVAL || a->timer == -ESRCH) {
		t->state = PD_GONE;
		r->d->signalled--;
		a->rec = SIZE_MAX;
		pd_store_relaxed(&a->turn, 0);
	}
}

static bool is_open(const struct pd_ask *a)
{
	return a->rec != SIZE_MAX && a->timer >= 0 && state(a) != PD_ASK_DONE;
}

/* Threads that ended before the signal reached them: they will not answer. */
static void drop_ended(struct round *r)
{
	for (size_t i = 0; i < r->asked; i++) {
		struct pd_ask *a = &asks[i];
		if (!is_open(a) || syscall(SYS_tgkill, getpid(), a->tid, 0) == 0 || errno != ESRCH)
			continue;
		r->d->thread[a->rec].state = PD_GONE;
		r->d->signalled--;
		r->open--;
		pd_timer_delete(a->timer);
		a->rec = SIZE_MAX;
		pd_store_relaxed(&a->turn, 0);
	}
}

static bool all_answered(const struct round *r)
{
	if (pd_load_acquire(&pd_ask_answers) - r->before < r->open)
		return false;
	/* Late answers to an earlier dump may be among those counted. */
	for (size_t i = 0; i < r->asked; i++)
		if (is_open(&asks[i]))
			return false;
	return true;
}

static void wait_until(struct round *r, int64_t until)
{
	for (;;) {
		uint32_t seen = pd_load_acquire(&pd_ask_answers);
		int64_t left = until - pd_mono_ns();
		if (all_answered(r) || left <= 0)
			return;
		struct timespec ts = { 0, left < ENDED_CHECK ? left : ENDED_CHECK };
		if (syscall(SYS_futex, &pd_ask_answers, FUTEX_WAIT_PRIVATE, seen, &ts, NULL, 0) != 0 && errno == ETIMEDOUT)
			drop_ended(r);
	}
}

/* Wait no longer for this answer; true when it is there. */
static bool close_ask(struct pd_ask *a)
{
	uint64_t turn = pd_load_acquire(&a->turn);
	if ((turn & PD_ASK_STATE) == PD_ASK_WAITING && pd_cas_acq_rel(&a->turn, &turn, turn & ~(uint64_t)PD_ASK_STATE))
		return false;
	for (int64_t until = pd_mono_ns() + FILLING_WAIT; state(a) == PD_ASK_FILLING && pd_mono_ns() < until;)
		sched_yield();
	return state(a) == PD_ASK_DONE;
}

static bool keep(struct round *r, const struct pd_ask *a)
{
	struct pd_thread_rec *t = &r->d->thread[a->rec];
	const uint64_t *pc = a->n ? pd_store_frames(r->store, a->pc, a->n) : NULL;
	if (!pc)
		return false;
	t->pc = pc;
	t->n = a->n;
	t->flags = a->end == PD_END_BOTTOM ? 0 : PD_TRUNCATED;
	if (t->flags && a->end != PD_END_FULL && a->view.hi)
		pd_store_unfinished(r->store, t, &a->regs, &a->view);
	return true;
}

void pd_ask_running(struct pd_dump *d, struct pd_store *store, int64_t until)
{
	struct round r = { .d = d, .store = store, .before = pd_load_acquire(&pd_ask_answers) };
	for (size_t i = 0; i < d->n; i++) {
		if (d->thread[i].state != PD_RUNNING)
			continue;
		if (!r.signo)
			r.signo = have_asks() ? pd_signal_take() : -ENOMEM;
		ask(&r, i);
	}
	if (r.signo <= 0)
		return;
	int64_t least = pd_mono_ns() + LEAST_WAIT;
	wait_until(&r, until > least ? until : least);
	if (!all_answered(&r))
		drop_ended(&r);
	for (size_t i = 0; i < r.asked; i++) {
		struct pd_ask *a = &asks[i];
		if (a->rec == SIZE_MAX)
			continue;
		if (!close_ask(a) || !keep(&r, a))
			d->missed++;
		pd_timer_delete(a->timer);
	}
	pd_signal_release();
}
