/*
 * Between the parts of the samplers of waits: block, mutex and io; nobody else includes it.
 * What hooks call is signal-safe, keeps errno, and does nothing on the profiler's own threads.
 */
#ifndef PD_AGENT_SAMPLER_WAIT_H
#define PD_AGENT_SAMPLER_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/hook/hook.h"
#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/sampler/walk.h"
#include "agent/stack/stack.h"

/* ---- wait_table.c: the table of each kind ---- */

struct pd_waits {
	struct pd_table table;
	uint32_t open;   /* the table may be used */
	uint32_t inside; /* threads that use it just now */
	uint64_t rate;   /* as it was set; 0 = off */
	uint64_t ticks;  /* of block and io: the same in ticks */
	struct pd_counters count;
};
extern struct pd_waits pd_block, pd_mutex, pd_io;

struct pd_wait_stack {
	uint32_t n, flags, epoch;
	uint64_t pc[PD_SAMPLE_FRAMES];
};

int pd_waits_on(struct pd_budget *budget);
void pd_waits_off(struct pd_waits *k);
void pd_waits_forked(struct pd_waits *k);
/* Make the table ready to count, the clock and the list of threads too. 0 or -errno. */
int pd_waits_open(struct pd_waits *k);
void pd_waits_counters(const struct pd_waits *k, struct pd_counters *c);
int pd_waits_snapshot(const struct pd_waits *k, struct pd_snapshot *out);
/* What every kind has to do each 100 ms. */
void pd_waits_maintain(void);

/* Count waits and ns for a stack of thread t (NULL: not known, which is counted as a loss). */
void pd_waits_add(struct pd_waits *k, const struct pd_thread *t, const struct pd_wait_stack *s, uint64_t waits,
                  uint64_t ns);
/* A sample that could not be taken. */
void pd_waits_drop(struct pd_waits *k, enum pd_drop why);

/* ---- wait_rule.c: which waits are sampled, and whose stack it was ---- */

/* What the samplers of waits keep for a thread, in its pd_thread.waits; zeroed at first. */
struct pd_waiter {
	uint64_t random;
	uint64_t usual;    /* ticks that its contended locks have taken lately */
	uintptr_t busy;    /* frame of the hook that is at work just now; 0 = none */
	uint32_t state;    /* 0 = not in the sum of a lock's waiters; else a number for this one wait */
	uint32_t turn;     /* the last of these numbers */
	uint32_t entry;    /* of the sum it is in */
	uint32_t suspect;  /* maintenance only: `state` that was found not to wait */
	uint64_t since;    /* when it joined, in units of the sums */
	const void *lock;
};
_Static_assert(sizeof(struct pd_waiter) <= PD_WAITS, "fits what a thread has for it");

/* Where a hook was called: its frame (caller's rbp, return address, and above them the caller's stack), and the
 * function that it stands for, which becomes the leaf of the stack (NULL: the caller is). */
struct pd_site {
	const void *const *frame;
	const void *call;
};
#define PD_SITE(real) ((struct pd_site){ __builtin_frame_address(0), (const void *)(real) })

/* Threads of the process that may be sampled; NULL = one not known yet. *own: never sample it. */
struct pd_thread *pd_wait_self(bool *own);
uint64_t pd_wait_random(struct pd_waiter *w);
/* False: a handler has interrupted this thread in a hook; leave everything alone. */
bool pd_wait_enter(struct pd_waiter *w, const void *frame);
void pd_wait_leave(struct pd_waiter *w);

/* The stack at the call. */
void pd_wait_stack(struct pd_thread *t, struct pd_site site, struct pd_wait_stack *out);

/*
 * Of a wait by its duration, rate and a random number: is it sampled? One as long as the rate always, a shorter one
 * with probability duration / rate, by this limit known before the wait: sampled = duration >= limit.
 */
uint64_t pd_wait_limit(struct pd_waiter *w, uint64_t rate);

/* For how many waits it stands then: 1, or rate / took rounded up or down at random so that the mean is right. */
uint64_t pd_wait_stands_for(struct pd_waiter *w, uint64_t took, uint64_t rate);

/* Count a wait that is sampled, `took` >= 1 ticks long. stack: the one at the call, when it is known already. */
void pd_wait_sampled(struct pd_waits *k, struct pd_thread *t, uint64_t took, uint64_t rate, struct pd_site site,
                     const struct pd_wait_stack *stack);

/* One wait of a kind with a rate in time. */
struct pd_wait {
	uint64_t since, rate; /* ticks */
	int64_t switches;     /* of the thread before; -1 = not looked at */
};
/* False: nothing is sampled now. `sure` = false: the call may not wait at all; the kernel is asked whether it did. */
bool pd_wait_begin(struct pd_wait *w, struct pd_waits *k, bool sure);
void pd_wait_end(struct pd_wait *w, struct pd_waits *k, struct pd_site site);

/* ---- wait_lock.c: a wait for a lock, for both block and mutex ---- */

struct pd_lock_wait {
	struct pd_thread *t;
	uint64_t since, rate, limit; /* ticks; rate 0 = not for block */
	uint32_t joined;             /* pd_waiter.state; 0 = not for mutex */
	bool have_stack;
	struct pd_wait_stack stack;
};
/* The caller is about to wait for the lock. False: not sampled. */
bool pd_lock_wait_begin(struct pd_lock_wait *w, const void *lock, struct pd_site site);
void pd_lock_wait_end(struct pd_lock_wait *w, struct pd_site site);
/* Stacks taken with the lock held, because a wait was longer than expected. */
uint64_t pd_lock_late_stacks(void);

/* ---- wait_sums.c: how long all waiters of a lock have waited ---- */

struct pd_charge {
	uint64_t waits; /* not charged before */
	uint64_t ticks;
	uint64_t fraction; /* to multiply both by */
	struct pd_thread *t;
};
/* Before the real unlock of a contended lock: take what its waiters have waited since the unlock before. False: nobody
 * sampled waits. */
bool pd_charge_take(struct pd_charge *c, const void *lock);
/* After it: charge the hook's caller. */
void pd_charge_put(struct pd_charge *c, struct pd_site site);

/* One wait in `fraction` is counted: is this one? */
bool pd_sums_chance(struct pd_waiter *w, uint64_t fraction);
/* The thread begins to wait for the lock; the number of this wait, 0 = it is not counted. The sums must be on. */
uint32_t pd_sums_join(struct pd_waiter *w, const void *lock, uint64_t now);
/* It waits no longer; nothing to do when that wait is over already. */
void pd_sums_leave(struct pd_waiter *w, uint32_t joined, uint64_t now);
uint64_t pd_sums_fraction(void);
/* One in `fraction` waits is to be counted; 0 = none. Waits under way are forgotten when it changes. */
void pd_sums_rate(uint64_t fraction);
/* Find waiters that are no more: a jump out of a signal handler left them behind. */
void pd_sums_maintain(void);
void pd_sums_forked(void);
struct pd_sums_stats {
	uint64_t full;   /* waits not counted because too many locks were waited for */
	uint64_t healed; /* waiters found to be gone */
};
void pd_sums_stats(struct pd_sums_stats *out);

/* ---- the hooks ---- */

struct pd_hook_list {
	struct pd_hook *hook;
	size_t n;
};
extern const struct pd_hook_list pd_mutex_lock_hooks, pd_mutex_unlock_hooks, pd_rwlock_lock_hooks,
	pd_rwlock_unlock_hooks, pd_cond_hooks, pd_sleep_hooks, pd_io_hooks;
/* Does unlocking that mutex now end somebody's wait? For cond_wait, which unlocks by itself. */
bool pd_mutex_contended(const pthread_mutex_t *m);

/* wait_absl.c: have absl's own account of its mutexes, when the process has the library. Once; costs nothing again. */
void pd_absl_watch(void);
/* What a reader must know of it; NULL = the process has no absl. */
const char *pd_absl_note(void);

/* wait_hooks.c: set the rate of a kind, put the hooks in place that the rates in force need, and take out the others.
 * 0, or -errno with nothing changed. */
int pd_waits_set(struct pd_waits *k, uint64_t rate);
void pd_wait_hooks_forked(void);

/* wait_notes.c: facts and notes of the samplers. */
size_t pd_block_notes(char (*out)[PD_NOTE], size_t max);
size_t pd_mutex_notes(char (*out)[PD_NOTE], size_t max);
size_t pd_io_notes(char (*out)[PD_NOTE], size_t max);
size_t pd_block_facts(struct pd_fact *out, size_t max);
size_t pd_mutex_facts(struct pd_fact *out, size_t max);
size_t pd_io_facts(struct pd_fact *out, size_t max);

/* What the samplers of all three kinds have in common. */
#define PD_WAIT_SAMPLER(kind)                                                                                          \
	static int start(void)                                                                                         \
	{                                                                                                              \
		return 0;                                                                                              \
	}                                                                                                              \
	static void stop(void)                                                                                         \
	{                                                                                                              \
	}                                                                                                              \
	static uint64_t rate(void)                                                                                     \
	{                                                                                                              \
		return kind.rate;                                                                                      \
	}                                                                                                              \
	static int snapshot(struct pd_snapshot *out)                                                                   \
	{                                                                                                              \
		return pd_waits_snapshot(&kind, out);                                                                  \
	}                                                                                                              \
	static void wait_counters(struct pd_counters *out)                                                             \
	{                                                                                                              \
		pd_waits_counters(&kind, out);                                                                         \
	}                                                                                                              \
	static bool stack(uint32_t id, struct pd_stack *out)                                                           \
	{                                                                                                              \
		return pd_table_stack_get(&kind.table, id, out);                                                       \
	}                                                                                                              \
	static void off(void)                                                                                          \
	{                                                                                                              \
		pd_waits_off(&kind);                                                                                   \
	}

/*
 * The hooks of locks keep no frame: with nothing to do they only jump. The parts with something to do are entered by a
 * jump too, so that the frame they make is the one of the hook. The charge of an unlock is taken while the lock is
 * still held, since a waiter let in leaves the sum; the stack comes after.
 */
#define PD_CONTENDED static __attribute__((noinline))
#define PD_LOCK(lock, contended, real, ...)                                                                            \
	struct pd_lock_wait w;                                                                                         \
	if (!(contended) || !pd_lock_wait_begin(&w, lock, PD_SITE(real)))                                              \
		return real(__VA_ARGS__);                                                                              \
	int err = real(__VA_ARGS__);                                                                                   \
	pd_lock_wait_end(&w, PD_SITE(real));                                                                           \
	return err
#define PD_UNLOCK(lock, contended, real, arg)                                                                          \
	struct pd_charge c;                                                                                            \
	if (!(contended) || !pd_charge_take(&c, lock))                                                                 \
		return real(arg);                                                                                      \
	int err = real(arg);                                                                                           \
	pd_charge_put(&c, PD_SITE(real));                                                                              \
	return err

/* A hook around a call that waits. */
#define PD_WAIT(kind, sure, type, real, ...)                                                                           \
	struct pd_wait waiting;                                                                                        \
	if (!pd_wait_begin(&waiting, kind, sure))                                                                      \
		return real(__VA_ARGS__);                                                                              \
	type result = real(__VA_ARGS__);                                                                               \
	pd_wait_end(&waiting, kind, PD_SITE(real));                                                                    \
	return result

#define PD_HOOK(fn) { .name = #fn, .replacement = (void *)hook_##fn, .real = (void **)(void *)&real_##fn }
#define PD_HOOK_LIST(a) { (a), sizeof (a) / sizeof *(a) }

#endif
