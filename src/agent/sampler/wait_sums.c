/*
 * How long all that wait for a lock have waited: for each such lock the number of its waiters and the sum of the times
 * at which they began. So an unlock knows in one step what it ends: n * now - sum. It then sets all these times to now,
 * which leaves the rest to the next unlock. Lock-free: an entry is changed as a whole, 16 bytes at a time.
 *
 *              join   leave  charge  heal
 * join          -       -      -      -
 * leave         -       -      -      X    X one of them wins the waiter's `state`
 * charge        -       -      -      -
 * Knows neither hooks nor what a lock looks like.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

#define UNIT 6 /* times here are ticks >> UNIT */
#define SETS 1024u
#define WAYS 4u

/*
 * word[0]: 16 bits that stand for the lock, 48 bits of the sum of times, modulo 2^48
 * word[1]: 12 bits number of waiters not charged before, 12 bits number of waiters, 40 bits time of the last charge
 * No waiters: both are 0, and the entry is free.
 */
union entry {
	uint64_t word[2];
	unsigned __int128 both;
};
static union entry entry[SETS * WAYS] __attribute__((aligned(64)));

#define SUM_BITS 48
#define SUM_MASK (((uint64_t)1 << SUM_BITS) - 1)
#define RESET_BITS 40
#define RESET_MASK (((uint64_t)1 << RESET_BITS) - 1)
#define COUNT_MAX 0xfffu
#define AHEAD ((uint64_t)1 << 36) /* a charge may be that much later than the clock was read: half an hour */

struct sums {
	uint64_t sum, reset; /* reset: as a whole time */
	uint32_t tag, n, fresh;
};

static uint64_t sample_fraction;
static uint32_t generation; /* of the fraction: part of what stands for a lock */
static bool inherited;      /* in a forked child: the entries tell of threads of its parent */
static struct pd_sums_stats stats;

static void unpack(const union entry *e, uint64_t now, struct sums *s)
{
	s->tag = (uint32_t)(e->word[0] >> SUM_BITS);
	s->sum = e->word[0] & SUM_MASK;
	s->fresh = (uint32_t)(e->word[1] >> 52);
	s->n = (uint32_t)(e->word[1] >> RESET_BITS) & COUNT_MAX;
	/* The last time with these low bits; the thread may have slept since it read the clock. */
	uint64_t latest = now + AHEAD;
	s->reset = latest - ((latest - e->word[1]) & RESET_MASK);
}

static void pack(union entry *e, const struct sums *s)
{
	if (s->n == 0) {
		*e = (union entry){ .word = { 0, 0 } };
		return;
	}
	e->word[0] = (uint64_t)s->tag << SUM_BITS | (s->sum & SUM_MASK);
	e->word[1] = (uint64_t)s->fresh << 52 | (uint64_t)s->n << RESET_BITS | (s->reset & RESET_MASK);
}

/* Not at once: a torn value only makes the exchange fail. */
static union entry look(const union entry *e)
{
	return (union entry){ .word = { pd_load_relaxed(&e->word[0]), pd_load_relaxed(&e->word[1]) } };
}

/* Store `to` where `was` is; false: `was` is now what is there. */
static bool swap(union entry *e, union entry *was, const union entry *to)
{
	unsigned __int128 found = pd_cas16(&e->both, was->both, to->both);
	bool done = found == was->both;
	was->both = found;
	return done;
}

static uint32_t waiters(const union entry *e)
{
	return (uint32_t)(e->word[1] >> RESET_BITS) & COUNT_MAX;
}

/* The first of the four entries a lock may have, and what stands for it there. */
static uint32_t place(const void *lock, uint32_t *tag)
{
	uint64_t h = (uint64_t)(uintptr_t)lock * 0x9e3779b97f4a7c15u;
	*tag = (uint32_t)((h >> 32) + pd_load_relaxed(&generation) * 0x9e37u) & 0xffff;
	return (uint32_t)(h >> 54) * WAYS;
}
_Static_assert(SETS == 1u << 10, "place() takes the uppermost 10 bits");

/* Try to join one entry; *since may move on. */
static bool join_entry(union entry *e, uint32_t tag, bool free_one, uint64_t *since)
{
	union entry was = look(e), to;
	for (;;) {
		struct sums s;
		unpack(&was, *since, &s);
		if (free_one) {
			if (s.n)
				return false;
			s = (struct sums){ .tag = tag, .reset = *since - 1 };
		} else if (s.n == 0 || s.tag != tag || s.n == COUNT_MAX || s.fresh == COUNT_MAX) {
			return false;
		}
		/* One that joined after a charge has to look like it. */
		uint64_t begin = *since > s.reset ? *since : s.reset + 1;
		s.n++;
		s.fresh++;
		s.sum += begin;
		pack(&to, &s);
		if (!swap(e, &was, &to))
			continue;
		*since = begin;
		return true;
	}
}

uint32_t pd_sums_join(struct pd_waiter *w, const void *lock, uint64_t now)
{
	uint32_t tag, first = place(lock, &tag);
	uint64_t since = now >> UNIT;
	/* A wait that a handler of this thread has interrupted, or jumped out of, is not counted any further. */
	pd_sums_leave(w, pd_load_relaxed(&w->state), now);
	for (uint32_t i = 0; i < 2 * WAYS; i++) {
		uint32_t at = first + i % WAYS;
		if (!join_entry(&entry[at], tag, i >= WAYS, &since))
			continue;
		w->entry = at;
		w->since = since;
		pd_store_relaxed(&w->lock, lock);
		w->turn = w->turn + 1 ? w->turn + 1 : 1;
		pd_store_release(&w->state, w->turn);
		return w->turn;
	}
	pd_add_relaxed(&stats.full, 1);
	return 0;
}

static void leave_entry(union entry *e, uint64_t since, uint64_t now)
{
	union entry was = look(e), to;
	for (;;) {
		struct sums s;
		unpack(&was, now, &s);
		if (s.n == 0)
			return;
		bool charged = since <= s.reset;
		s.n--;
		s.fresh -= !charged && s.fresh;
		s.fresh = s.fresh < s.n ? s.fresh : s.n;
		s.sum -= charged ? s.reset : since;
		pack(&to, &s);
		if (swap(e, &was, &to))
			return;
	}
}

void pd_sums_leave(struct pd_waiter *w, uint32_t joined, uint64_t now)
{
	uint32_t at = w->entry;
	uint64_t since = w->since;
	if (joined && pd_cas_acq_rel(&w->state, &joined, 0))
		leave_entry(&entry[at], since, now >> UNIT);
}

/* Add to the charge what the waiters of an entry have waited since the last one. */
static bool charge_entry(union entry *e, uint32_t tag, struct pd_charge *c)
{
	union entry was = look(e), to;
	for (;;) {
		/* Read after the entry: nobody in it has joined later. */
		uint64_t now = pd_ticks() >> UNIT;
		struct sums s;
		unpack(&was, now, &s);
		if (s.n == 0 || s.tag != tag)
			return false;
		now = now > s.reset ? now : s.reset + 1;
		uint64_t units = (s.n * now - s.sum) & SUM_MASK, waits = s.fresh;
		s.sum = s.n * now;
		s.reset = now;
		s.fresh = 0;
		pack(&to, &s);
		if (!swap(e, &was, &to))
			continue;
		/* Clocks of processors differ a little: less than nothing is nothing. */
		c->ticks += units >> (SUM_BITS - 1) ? 0 : units << UNIT;
		c->waits += waits;
		return true;
	}
}

bool pd_charge_take(struct pd_charge *c, const void *lock)
{
	uint32_t tag, first = place(lock, &tag);
	bool any = false;
	for (uint32_t i = 0; i < WAYS; i++) {
		union entry e = look(&entry[first + i]);
		if (!waiters(&e) || e.word[0] >> SUM_BITS != tag)
			continue;
		if (!any)
			*c = (struct pd_charge){ .fraction = pd_load_relaxed(&sample_fraction) };
		any |= charge_entry(&entry[first + i], tag, c);
	}
	return any && c->fraction && (c->waits || c->ticks);
}

void pd_charge_put(struct pd_charge *c, struct pd_site site)
{
	uint64_t start = pd_ticks();
	bool own;
	struct pd_thread *t = pd_wait_self(&own);
	struct pd_waiter *me = t ? t->waits : NULL;
	if (own)
		return;
	if (!me || !pd_wait_enter(me, site.frame)) {
		pd_waits_drop(&pd_mutex, me ? PD_DROP_BUSY : PD_DROP_THREAD);
		return;
	}
	struct pd_wait_stack stack;
	pd_wait_stack(t, site, &stack);
	pd_waits_add(&pd_mutex, t, &stack, c->waits * c->fraction, pd_ticks_to_ns(c->ticks) * c->fraction);
	pd_wait_leave(me);
	pd_add_relaxed(&pd_mutex.count.self_ns, pd_ticks_to_ns(pd_ticks() - start));
}

void pd_sums_rate(uint64_t fraction)
{
	if (inherited)
		memset(entry, 0, sizeof entry);
	inherited = false;
	pd_add_relaxed(&generation, 1);
	pd_store_relaxed(&sample_fraction, fraction);
}

uint64_t pd_sums_fraction(void)
{
	return pd_load_relaxed(&sample_fraction);
}

bool pd_sums_chance(struct pd_waiter *w, uint64_t fraction)
{
	return fraction == 1 || (fraction && pd_wait_limit(w, fraction) == 0);
}

void pd_sums_forked(void)
{
	sample_fraction = 0;
	inherited = true;
}

/* ---- waiters left behind ---- */

#define LONG_WAIT 1000000000 /* ns; before that nobody asks whether a thread still waits */
#define LOOKS 16             /* at most, at one time */

struct healing {
	uint64_t now; /* ticks */
	int looks;
};

static uint64_t hex(const char *p)
{
	uint64_t v = 0;
	for (p += p[0] == '0' && p[1] == 'x' ? 2 : 0;; p++) {
		if (*p >= '0' && *p <= '9')
			v = v << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = v << 4 | (uint64_t)(*p - 'a' + 10);
		else
			return v;
	}
}

/* Is the thread in a system call about that lock? When nothing can be read: yes. */
static bool waits_for(int tid, uintptr_t lock)
{
	char buf[256];
	if (pd_read_task_file(tid, "/syscall", buf, sizeof buf) <= 0)
		return true;
	const char *arg = strchr(buf, ' ');
	return arg && hex(arg + 1) - lock < sizeof(pthread_rwlock_t);
}

/* Twice found elsewhere during one and the same wait: it has been left by a jump, or its thread has ended. */
static void heal(struct pd_thread *t, void *arg)
{
	struct healing *h = arg;
	struct pd_waiter *w = t->waits;
	uint32_t state = pd_load_acquire(&w->state);
	uint64_t ago = h->now - (w->since << UNIT);
	if (!state || (int64_t)ago < (int64_t)pd_ns_to_ticks(LONG_WAIT) || h->looks >= LOOKS)
		return;
	h->looks++;
	int tid = pd_load_relaxed(&t->tid);
	if (tid && waits_for(tid, (uintptr_t)pd_load_relaxed(&w->lock))) {
		w->suspect = 0;
	} else if (w->suspect != state) {
		w->suspect = state;
	} else {
		pd_sums_leave(w, state, h->now);
		pd_add_relaxed(&stats.healed, 1);
	}
}

void pd_sums_maintain(void)
{
	struct healing h = { .now = pd_ticks() };
	pd_threads_every(heal, &h);
}

void pd_sums_stats(struct pd_sums_stats *out)
{
	out->full = pd_load_relaxed(&stats.full);
	out->healed = pd_load_relaxed(&stats.healed);
}
