/*
 * The process as the samplers see it: its threads, their timers, the sampling signal, safe reads.
 * Functions are for ordinary threads unless they say signal-safe.
 */
#ifndef PD_AGENT_OS_H
#define PD_AGENT_OS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/agent.h"
#include "agent/os/clock.h"
#include "base/arena.h"

/* ---- threads ---- */

#define PD_LABELS_MAX 16

/* Runs in signal context for each signal of a timer made with this target. A NULL ucontext: the signal came on an
 * alternate stack too small to go on; only count. */
struct pd_signal_target;
typedef void pd_signal_fn(struct pd_signal_target *target, int overrun, void *ucontext);
/* First member of whatever a timer's signal is about. */
struct pd_signal_target {
	pd_signal_fn *fn;
};

/* What is known of one live thread. Made when the thread is created or first seen, reused after its end. */
struct pd_thread {
	struct pd_signal_target on_tick; /* for the thread's own timer */
	int tid;                /* 0 = free; set last when made, cleared first when freed */
	bool own;               /* the profiler's: never sampled */
	bool adopted;           /* found by a scan: no code of ours runs at its end */
	int parent_tid;         /* 0 = not known */
	uint32_t created_by;    /* stack id in the threadcreate table; 0 = not known */
	uint64_t stack_lo, stack_hi; /* 0, 0 = not known yet */
	uint64_t sp_seen;       /* set by a sample when the bounds are not known; the next scan looks them up */
	int timer;              /* kernel timer id; -1 = none */
	uint32_t busy;          /* a sample is being taken on it */
	uint32_t labels;        /* set in force; read by samples */
	uint32_t label_depth;   /* pushes not popped, those beyond PD_LABELS_MAX included */
	uint32_t label_outer[PD_LABELS_MAX];
	uint32_t trace_turn;    /* odd while trace[] is being written */
	uint64_t trace[PD_TRACE_WORDS]; /* ids of trace and span, as they lie in memory; the first two 0 = none */
	void *scratch;          /* for the sampler, PD_SCRATCH bytes, zeroed once: only while busy */
	void *waits;            /* for the samplers of waits, PD_WAITS bytes, zeroed once: the thread's own */
	/* how to go on in a thread just created; used by the creation hook only */
	void *(*start)(void *);
	void *arg;
	struct pd_thread *next; /* free list */
	uint32_t seen;          /* scan in which it was last found */
	int64_t still_cpu_ns;   /* of the dumps only: CPU time used when it was found waiting, */
	int64_t still_since;    /* and when (monotonic) that was first so; 0 = never */
};

#define PD_SCRATCH 3072
#define PD_WAITS 64
#define PD_THREADS_MAX 49152 /* threads registered at once; more are left to the process clock */

/* Of the calling thread: 16 and 8 bytes. */
void pd_thread_set_trace(struct pd_thread *t, const unsigned char *trace_id, const unsigned char *span_id);
/* Of any thread: false when it has none, or is just changing them. Signal-safe. */
bool pd_thread_trace(const struct pd_thread *t, uint64_t out[static PD_TRACE_WORDS]);

/* The calling thread's entry; NULL = not registered. Signal-safe. */
struct pd_thread *pd_thread_self(void);
/* The same, registering it when needed. NULL = memory limit. */
struct pd_thread *pd_thread_here(void);
/* Entry by tid, NULL = none. Signal-safe, lock-free. */
struct pd_thread *pd_thread_find(int tid);
/* Signal-safe: bind the calling thread to the entry found by its tid, for threads that a scan registered. */
struct pd_thread *pd_thread_adopt(void);

/* What the calling thread does from here to the matching end is the profiler's own doing, also on a thread of the host.
 * On a thread of the profiler it always is. Signal-safe. */
void pd_own_work_begin(void);
void pd_own_work_end(void);
bool pd_own_work(void);

/* 0 or -errno. Entries come from this budget and stay usable after pd_threads_off(). */
int pd_threads_on(struct pd_budget *budget);
void pd_threads_off(void);
/* In a forked child: forget every thread, without locks. */
void pd_threads_forked(void);

/* An entry for a thread about to be created, NULL = memory limit; given back with pd_thread_discard when it is not. */
struct pd_thread *pd_thread_prepare(void);
void pd_thread_discard(struct pd_thread *t);
/* On the new thread: take the prepared entry as its own. */
void pd_thread_begin(struct pd_thread *t);
/* Mark the calling thread as the profiler's own and name it. */
void pd_thread_own(const char *name);

/* Register the threads of /proc/self/task that are not known, and free the entries of those gone. Calls `added` and
 * `gone` (may be NULL) for each, with the registry locked. Returns how many threads there are, own ones included, or
 * -errno. */
int pd_threads_scan(void (*added)(struct pd_thread *), void (*gone)(struct pd_thread *));
/* Call fn for each entry, with the registry locked. */
void pd_threads_each(void (*fn)(struct pd_thread *t, void *arg), void *arg);
/* The same, and those of ended threads too, which have tid 0. */
void pd_threads_every(void (*fn)(struct pd_thread *t, void *arg), void *arg);
/* Called at the end of each registered thread, on it, before its entry is freed. Set once. */
void pd_threads_at_exit(void (*fn)(struct pd_thread *t));
/* Called when a thread has been registered (created or found). Set once. */
void pd_threads_at_begin(void (*fn)(struct pd_thread *t));
/* Number of threads of the process, from /proc/self/stat; -1 = not known. Cheap. */
int pd_threads_count(void);
size_t pd_threads_known(void);
/* Look up bounds for entries with sp_seen set. One pass over /proc/self/maps. */
void pd_threads_find_stacks(void);
/* In a forked child; by_first: the process's first thread has forked it. */
void pd_stacks_forked(bool by_first);
/* CPU time of the profiler's own threads in ns. */
uint64_t pd_threads_own_cpu(void);

/* ---- /proc, without stdio or malloc ---- */

/* Read a whole small file into buf, terminated. Length, or -errno. */
ssize_t pd_read_file(const char *path, char *buf, size_t n);
/* The same of a thread's folder in /proc; name: "/status", at most 20 bytes. */
ssize_t pd_read_task_file(int tid, const char *name, char *buf, size_t n);
/* CPU time used by a thread in ns, -1 when it is gone. It stands still exactly as long as the thread does not run.
 * Signal-safe. */
int64_t pd_thread_cpu_ns(int tid);
/* Call fn for each tid of the process. 0 or -errno. */
int pd_each_task(void (*fn)(int tid, void *arg), void *arg);

/* ---- low descriptor numbers, which are left to the host ---- */

#define PD_FDS_FLOOR 64
struct pd_fds_filled {
	uint64_t taken; /* bit per number */
	ino_t ino;
};

/* The lowest number that descriptors of ours should have; less when the process may have few. */
int pd_fds_floor(void);
/* Occupy the free numbers below the floor, and free them again: what is opened in between lies above. */
void pd_fds_fill(struct pd_fds_filled *f);
void pd_fds_free(const struct pd_fds_filled *f);

/* ---- the dynamic loader's lock ---- */

/* Held around every dl_iterate_phdr and dlsym of ours, and by fork(): a child must not inherit the loader's lock from a
 * thread it does not have. */
void pd_loader_lock(void);
void pd_loader_unlock(void);
void pd_loader_forked(void);

/* ---- safe reads ---- */

/* Copy n bytes of this process's memory that may not be mapped; the number of bytes read (a prefix), or -errno.
 * Signal-safe; errno kept. */
ssize_t pd_peek(void *to, uint64_t from, size_t n);

/* ---- timers ---- */

/*
 * A timer on the CPU clock of thread `tid` that sends `signo` to it every period_ns of its CPU time, for
 * `target`.
 * tid 0: the clock of the process, to any thread. The first tick comes after first_ns. Kernel timer id (>= 0) or -errno
 * (-EAGAIN: a quarter of RLIMIT_SIGPENDING is used up).
 */
int pd_timer_cpu(int tid, int signo, struct pd_signal_target *target, uint64_t first_ns, uint64_t period_ns);
/* One signal to one thread now, by a timer, so that it vanishes if the process execs. Timer id or -errno. */
int pd_timer_kick(int tid, int signo, struct pd_signal_target *target);
void pd_timer_delete(int timer);
/* In a forked child, which inherits none. */
void pd_timers_forked(void);

/* The target a timer's signal carries, NULL when the signal is none of ours. Signal-safe. */
struct pd_signal_target *pd_timer_target(const siginfo_t *info);

/* ---- the sampling signal ---- */

/* The signal to use; 0 = choose: SIGPROF, SIGVTALRM, SIGSTKFLT, a free real-time one. Before the first is taken. */
void pd_signal_prefer(int signo);
/* Take a signal; the host's action for it must be default or ignore. Counted: the first call takes it, the last release puts the host's action back. All timers made for it must
 * be deleted before the last release. The signal number or -errno (-EBUSY: none is free). */
int pd_signal_take(void);
void pd_signal_release(void);
/* The signal held now; 0 = none. Signal-safe. */
int pd_signal_number(void);
/* In a forked child: put the host's action back, without locks. */
void pd_signal_forked(void);
/* True when the host has asked for the signal we hold, or has taken it behind our back: move to another. */
bool pd_signal_unwanted(void);
/* Hold another signal from now on (for timers made later), and give the old one back when `done` is called after the
 * old timers were deleted. 0 or -EBUSY. */
int pd_signal_move(void);
void pd_signal_moved(void);
/* Wait until no handler of ours runs any more; false when one still does after 100 ms. */
bool pd_signal_drain(void);

/* What the host's calls of sigaction() are led to; as sigaction(2), errno set. For the signal we hold it tells and keeps
 * the host's view; all others go on. Usable in the host's handlers. */
int pd_signal_host_action(int signo, const struct sigaction *act, struct sigaction *old);

/* What the host's waits for signals are led to; as sigtimedwait(2), by way of `real`, without signals of our timers.
 * A NULL limit waits for ever. Cancellation point. */
typedef int pd_signal_wait_fn(const sigset_t *set, siginfo_t *info, const struct timespec *limit);
int pd_signal_host_wait(const sigset_t *set, siginfo_t *info, const struct timespec *limit, pd_signal_wait_fn *real);

#endif
