/*
 * What a thread in a function of the GNU C library waits for, and who can end that: read from a copy of the object it
 * waits at. Knows the functions' names and the objects' layouts. What does not fit together is not told.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "server/encode/inside.h"

/* The word at `offset` from the futex word. */
static bool word_at(const struct pd_thread_rec *t, int64_t offset, uint32_t *out)
{
	uint64_t at = t->args[0] - t->wait_lo + (uint64_t)offset;
	if (t->wait_len < sizeof *out || at > t->wait_len - sizeof *out)
		return false;
	memcpy(out, t->wait_bytes + at, sizeof *out);
	return true;
}

static uint32_t operation(const struct pd_thread_rec *t)
{
	return (uint32_t)t->args[1] & FUTEX_CMD_MASK;
}

static bool locks_pi(const struct pd_thread_rec *t)
{
	return operation(t) == FUTEX_LOCK_PI || operation(t) == FUTEX_LOCK_PI2;
}

/* ---- mutex: its lock word is the futex ---- */

#define OWNER 8
#define KIND 16
#define KIND_ROBUST 0x10u
#define KIND_PI 0x20u
#define KIND_KNOWN 0x3ffu

static void read_mutex(const struct pd_thread_rec *t, struct pd_wait *w)
{
	uint32_t lock, owner, kind;
	w->object = t->args[0];
	/* Without the lock word it is free just now, and whoever the owner field still names does not have it. */
	if (!word_at(t, 0, &lock) || !word_at(t, OWNER, &owner) || !word_at(t, KIND, &kind) || !lock ||
	    kind & ~KIND_KNOWN || locks_pi(t) != !!(kind & KIND_PI))
		return;
	w->holder = (int)(kind & (KIND_ROBUST | KIND_PI) ? lock & FUTEX_TID_MASK : owner);
}

/* Of these, the lock word has the owner's number, and so has the value that the thread waits for to change. */
static bool is_owned_word(const struct pd_thread_rec *t)
{
	uint32_t kind;
	if (!word_at(t, KIND, &kind) || kind & ~KIND_KNOWN)
		return false;
	if (locks_pi(t))
		return kind & KIND_PI;
	return operation(t) == FUTEX_WAIT && (uint32_t)t->args[2] & FUTEX_WAITERS && kind & KIND_ROBUST;
}

/* ---- read/write lock: three of its words are futexes ---- */

enum { RW_READERS = 0, RW_PHASE = 8, RW_WRITERS = 12, RW_WRITER = 24 };
#define RW_WRITE_PHASE 1u
#define RW_READER_SHIFT 3

static void read_rwlock(const struct pd_thread_rec *t, struct pd_wait *w)
{
	uint32_t readers, writer;
	/* The lock is aligned to 8. The count of readers is waited at with a flag of value 4 set, the phase with less. */
	int64_t at = t->args[0] & 4 ? RW_WRITERS : (uint32_t)t->args[2] < 4 ? RW_PHASE : RW_READERS;
	w->object = t->args[0] - (uint64_t)at;
	if (!word_at(t, RW_WRITER - at, &writer) || !word_at(t, RW_READERS - at, &readers))
		return;
	w->holder = (int)writer;
	if (!writer && !(readers & RW_WRITE_PHASE))
		w->readers = readers >> RW_READER_SHIFT;
}

/* ---- the others ---- */

/* Where the two futex words of a condition variable are: behind the word with its flags, of which one for the clock is
 * all that a new one has set. Versions of the library differ. */
static uint64_t signals_of_cond(void)
{
	pthread_condattr_t attr;
	union {
		pthread_cond_t cond;
		uint32_t word[sizeof(pthread_cond_t) / sizeof(uint32_t)];
	} u = { .word = { 0 } };
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&u.cond, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i + 1 < sizeof u.word / sizeof *u.word; i++)
		if (u.word[i])
			return (i + 1) * sizeof *u.word;
	return 0;
}

static void read_cond(const struct pd_thread_rec *t, struct pd_wait *w)
{
	uint64_t signals = signals_of_cond();
	if (signals && !(signals & 7))
		w->object = (t->args[0] & ~7ull) - signals;
}

static void read_barrier(const struct pd_thread_rec *t, struct pd_wait *w)
{
	w->object = t->args[0] - 4;
}

static void read_word(const struct pd_thread_rec *t, struct pd_wait *w)
{
	w->object = t->args[0];
}

static void read_join(const struct pd_thread_rec *t, struct pd_wait *w)
{
	uint32_t tid;
	if (word_at(t, 0, &tid) && tid == (uint32_t)t->args[2])
		w->holder = (int)tid;
}

/* The word is the number of a thread, which the kernel clears at its end: a wake-up that is never private. */
static bool is_thread_word(const struct pd_thread_rec *t)
{
	uint32_t tid;
	return (uint32_t)t->args[1] == (FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME) && word_at(t, 0, &tid) &&
	       tid == (uint32_t)t->args[2];
}

static const struct pd_wait_kind MUTEX = { "mutex wait", "mutex", true, read_mutex };
static const struct pd_wait_kind RWLOCK = { "rwlock wait", "rwlock", true, read_rwlock };
static const struct pd_wait_kind JOIN = { "join wait", "thread", true, read_join };
static const struct pd_wait_kind COND = { "cond wait", "cond", false, read_cond };
static const struct pd_wait_kind SEMAPHORE = { "semaphore wait", "semaphore", false, read_word };
static const struct pd_wait_kind BARRIER = { "barrier wait", "barrier", false, read_barrier };
static const struct pd_wait_kind ONCE = { "once wait", "once", false, read_word };
static const struct pd_wait_kind LIBC = { "libc lock wait", "libc lock", false, read_word };
static const struct pd_wait_kind FUTURE = { "future wait", "future", false, read_word };
static const struct pd_wait_kind ATOMIC = { "atomic wait", "atomic", false, read_word };

struct start {
	const char *name;
	const struct pd_wait_kind *kind;
};

/* Names of functions of the C library begin like this, behind their underscores. */
static const struct start LIBRARY[] = {
	{ "pthread_mutex_lock", &MUTEX },      { "pthread_mutex_timedlock", &MUTEX },
	{ "pthread_mutex_clocklock", &MUTEX }, { "pthread_mutex_cond_lock", &MUTEX },
	{ "mtx_lock", &MUTEX },                { "mtx_timedlock", &MUTEX },
	{ "pthread_rwlock_", &RWLOCK },        { "pthread_cond_wait", &COND },
	{ "pthread_cond_timedwait", &COND },   { "pthread_cond_clockwait", &COND },
	{ "cnd_wait", &COND },                 { "cnd_timedwait", &COND },
	{ "sem_wait", &SEMAPHORE },            { "sem_timedwait", &SEMAPHORE },
	{ "sem_clockwait", &SEMAPHORE },       { "new_sem_", &SEMAPHORE },
	{ "pthread_barrier_wait", &BARRIER },  { "pthread_join", &JOIN },
	{ "pthread_timedjoin", &JOIN },        { "pthread_clockjoin", &JOIN },
	{ "thrd_join", &JOIN },                { "pthread_once", &ONCE },
	{ "call_once", &ONCE },                { "lll_lock_wait_private", &LIBC },
};

/* Of the C++ library, which goes to the kernel by syscall(). */
static const struct start BY_SYSCALL[] = {
	{ "std::__atomic_futex_unsigned_base::", &FUTURE },
	{ "std::__detail::__platform_wait", &ATOMIC },
	{ "__cxa_guard_acquire", &ONCE },
};

static const struct pd_wait_kind *find(const struct start *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(name, list[i].name, strlen(list[i].name)) == 0)
			return list[i].kind;
	return NULL;
}

bool pd_is_libc(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	return strncmp(base, "libc.so.", 8) == 0 || strncmp(base, "libc-2.", 7) == 0 ||
	       strncmp(base, "libpthread", 10) == 0;
}

const struct pd_wait_kind *pd_wait_of_function(const char *name)
{
	return find(LIBRARY, sizeof LIBRARY / sizeof *LIBRARY, name + strspn(name, "_"));
}

const struct pd_wait_kind *pd_wait_of_syscall_caller(const char *name)
{
	return find(BY_SYSCALL, sizeof BY_SYSCALL / sizeof *BY_SYSCALL, name);
}

const struct pd_wait_kind *pd_wait_of_word(const struct pd_wait_kind *known, const struct pd_thread_rec *t)
{
	/* A wait for a condition ends with taking its mutex again, by functions that may have no name. A mutex that has
	 * waiters has the value 2; conditions are waited at with another operation, or value 0. */
	if (known == &COND && (is_owned_word(t) || (operation(t) == FUTEX_WAIT && (uint32_t)t->args[2] == 2)))
		return &MUTEX;
	if (known)
		return known;
	return is_owned_word(t) ? &MUTEX : is_thread_word(t) ? &JOIN : NULL;
}
