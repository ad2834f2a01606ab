/* The registry of threads: entries made at creation or by a scan, freed at the end. Knows no sampler. */
#include "agent/os/os.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/os/registry.h"
#include "base/atomic.h"

#define ENTRY (sizeof(struct pd_thread) + PD_SCRATCH + PD_WAITS) /* bytes of one */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below, and writes to pd_by_tid */
static struct pd_arena arena;
static struct pd_thread *free_list;
static struct pd_thread *all[PD_THREADS_MAX]; /* every entry ever made */
static size_t made, known;
static uint32_t scans;
static void (*at_begin)(struct pd_thread *), (*at_exit)(struct pd_thread *);
static pthread_key_t exit_key;
static bool have_key;

static void insert(struct pd_thread *t, int tid)
{
	uint32_t at = (uint32_t)tid;
	for (uint32_t i = 0; i < PD_BY_TID; i++) {
		struct pd_thread **p = &pd_by_tid[(at + i) % PD_BY_TID];
		if (*p && *p != PD_TID_GONE)
			continue;
		pd_store_release(&t->tid, tid);
		pd_store_release(p, t);
		known++;
		return;
	}
}

static void take_out(struct pd_thread *t)
{
	uint32_t at = (uint32_t)t->tid;
	pd_store_relaxed(&t->tid, 0);
	for (uint32_t i = 0; i < PD_BY_TID; i++) {
		uint32_t k = (at + i) % PD_BY_TID;
		if (!pd_by_tid[k])
			return;
		if (pd_by_tid[k] != t)
			continue;
		pd_store_release(&pd_by_tid[k], PD_TID_GONE);
		known--;
		/* A run of removed ones with nothing behind it needs no probe past it. */
		while (pd_by_tid[k] == PD_TID_GONE && !pd_by_tid[(k + 1) % PD_BY_TID]) {
			pd_store_release(&pd_by_tid[k], NULL);
			k = (k + PD_BY_TID - 1) % PD_BY_TID;
		}
		return;
	}
}

static struct pd_thread *make(void)
{
	struct pd_thread *t = free_list;
	if (t) {
		free_list = t->next;
	} else {
		if (made == PD_THREADS_MAX || !arena.base)
			return NULL;
		unsigned char *p = pd_arena_take(&arena, ENTRY);
		if (!p)
			return NULL;
		t = (struct pd_thread *)(void *)p;
		t->scratch = p + sizeof *t;
		t->waits = p + sizeof *t + PD_SCRATCH;
		all[made++] = t;
	}
	/* Whoever looks at an entry without the lock may still look at this one; a late signal may even call on_tick,
	 * which therefore stays. */
	pd_store_relaxed(&t->own, false);
	pd_store_relaxed(&t->adopted, false);
	pd_store_relaxed(&t->parent_tid, 0);
	pd_store_relaxed(&t->created_by, 0);
	pd_store_relaxed(&t->stack_hi, 0);
	pd_store_relaxed(&t->stack_lo, 0);
	pd_store_relaxed(&t->sp_seen, 0);
	pd_store_relaxed(&t->timer, -1);
	pd_store_relaxed(&t->busy, 0);
	pd_store_relaxed(&t->labels, 0);
	t->label_depth = 0;
	pd_store_relaxed(&t->trace[0], 0);
	pd_store_relaxed(&t->trace[1], 0);
	t->seen = scans;
	pd_store_relaxed(&t->still_since, 0);
	return t;
}

static void release(struct pd_thread *t)
{
	if (t->tid)
		take_out(t);
	t->next = free_list;
	free_list = t;
}

static void thread_ends(void *arg)
{
	struct pd_thread *t = arg;
	pthread_mutex_lock(&lock);
	if (at_exit)
		at_exit(t);
	pd_self_end();
	release(t);
	pthread_mutex_unlock(&lock);
}

static void own_bounds(struct pd_thread *t)
{
	pthread_attr_t attr;
	void *lo;
	size_t size;
	/* For the first thread this would read /proc/self/maps; a scan finds its bounds. */
	if (t->tid == getpid() || pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &lo, &size) == 0) {
		pd_store_relaxed(&t->stack_lo, (uint64_t)(uintptr_t)lo);
		pd_store_release(&t->stack_hi, (uint64_t)(uintptr_t)lo + size);
	}
	pthread_attr_destroy(&attr);
}

/* The calling thread becomes t's. The registry is locked. */
static void bind_self(struct pd_thread *t, int tid)
{
	struct pd_thread *stale = pd_thread_find(tid);
	if (stale) {
		if (at_exit)
			at_exit(stale);
		release(stale);
	}
	insert(t, tid);
	pd_self_set(t);
	if (at_begin)
		at_begin(t);
}

int pd_threads_on(struct pd_budget *budget)
{
	pthread_mutex_lock(&lock);
	int err = 0;
	if (!have_key) {
		err = -pthread_key_create(&exit_key, thread_ends);
		have_key = err == 0;
	}
	if (!err && !arena.base)
		err = pd_arena_open(&arena, budget, (ENTRY + 16) * PD_THREADS_MAX);
	for (size_t i = 0; i < made; i++) {
		/* Nobody told us of their end while we were off; a number may have a new thread by now. */
		if (all[i]->adopted) {
			all[i]->labels = all[i]->label_depth = 0;
			all[i]->trace[0] = all[i]->trace[1] = 0;
			all[i]->stack_lo = all[i]->stack_hi = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	return err;
}

void pd_threads_off(void)
{
	pthread_mutex_lock(&lock);
	at_begin = at_exit = NULL;
	pthread_mutex_unlock(&lock);
}

void pd_threads_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	/* Only where something is: touching the whole table would cost every child its pages. */
	for (size_t i = 0; i < made; i++)
		if (all[i]->tid)
			take_out(all[i]);
	/* The pages stay: a destructor of this thread may still get its old entry. */
	arena = (struct pd_arena){ 0 };
	free_list = NULL;
	made = known = 0;
	at_begin = at_exit = NULL;
	if (have_key)
		pthread_setspecific(exit_key, NULL);
	pd_self_set(NULL);
}

struct pd_thread *pd_thread_here(void)
{
	struct pd_thread *t = pd_thread_self();
	if ((t && !t->adopted) || pd_self_ended())
		return t;
	int tid = (int)syscall(SYS_gettid);
	pthread_mutex_lock(&lock);
	t = pd_thread_find(tid);
	if (t) {
		pd_self_set(t);
	} else if ((t = make())) {
		bind_self(t, tid);
	}
	if (t) {
		t->adopted = pthread_setspecific(exit_key, t) != 0;
		if (!t->stack_hi)
			own_bounds(t);
	}
	pthread_mutex_unlock(&lock);
	return t;
}

struct pd_thread *pd_thread_prepare(void)
{
	pthread_mutex_lock(&lock);
	struct pd_thread *t = make();
	pthread_mutex_unlock(&lock);
	return t;
}

void pd_thread_discard(struct pd_thread *t)
{
	pthread_mutex_lock(&lock);
	release(t);
	pthread_mutex_unlock(&lock);
}

void pd_thread_begin(struct pd_thread *t)
{
	int tid = (int)syscall(SYS_gettid);
	bool key = pthread_setspecific(exit_key, t) == 0;
	own_bounds(t);
	pthread_mutex_lock(&lock);
	t->adopted = !key;
	bind_self(t, tid);
	pthread_mutex_unlock(&lock);
}

void pd_thread_own(const char *name)
{
	pd_own_work_begin(); /* without an end */
	prctl(PR_SET_NAME, name);
	struct pd_thread *t = pd_thread_here();
	if (!t)
		return;
	pthread_mutex_lock(&lock);
	pd_store_relaxed(&t->own, true);
	if (at_exit)
		at_exit(t); /* its timer, if it has got one already */
	pthread_mutex_unlock(&lock);
}

struct scan {
	int *tid;
	size_t n, cap;
};

static void collect(int tid, void *arg)
{
	struct scan *s = arg;
	if (s->n < s->cap)
		s->tid[s->n++] = tid;
}

static void adopt_new(int tid, void (*added)(struct pd_thread *))
{
	struct pd_thread *t = pd_thread_find(tid);
	if (t) {
		t->seen = scans;
		return;
	}
	t = make();
	if (!t)
		return;
	t->adopted = true;
	insert(t, tid);
	if (at_begin)
		at_begin(t);
	if (added)
		added(t);
}

int pd_threads_scan(void (*added)(struct pd_thread *), void (*gone)(struct pd_thread *))
{
	/* Entries of threads that begin while the list is read are younger than it: they keep this scan's number. */
	pthread_mutex_lock(&lock);
	uint32_t scan = ++scans;
	pthread_mutex_unlock(&lock);
	struct scan s = { .cap = 1 << 20 };
	s.tid = mmap(NULL, s.cap * sizeof *s.tid, PROT_READ | PROT_WRITE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.tid == MAP_FAILED)
		return -ENOMEM;
	int err = pd_each_task(collect, &s);
	for (size_t i = 0; i < s.n && !err;) {
		pthread_mutex_lock(&lock);
		for (size_t end = i + 64 < s.n ? i + 64 : s.n; i < end; i++)
			adopt_new(s.tid[i], added);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < made && !err; i++) {
		struct pd_thread *t = all[i];
		if (!t->tid || t->seen >= scan)
			continue;
		/* Those with an end of their own may have begun after the list was read. */
		if (!t->adopted && syscall(SYS_tgkill, getpid(), t->tid, 0) == 0)
			continue;
		if (gone)
			gone(t);
		if (at_exit)
			at_exit(t);
		if (t->adopted)
			release(t);
	}
	pthread_mutex_unlock(&lock);
	munmap(s.tid, s.cap * sizeof *s.tid);
	return err ? err : (int)s.n;
}

static void visit(bool ended_too, void (*fn)(struct pd_thread *t, void *arg), void *arg)
{
	for (size_t i = 0;;) {
		pthread_mutex_lock(&lock);
		size_t end = i + 64 < made ? i + 64 : made;
		for (; i < end; i++)
			if (ended_too || all[i]->tid)
				fn(all[i], arg);
		bool done = i >= made;
		pthread_mutex_unlock(&lock);
		if (done)
			return;
	}
}

void pd_threads_each(void (*fn)(struct pd_thread *t, void *arg), void *arg)
{
	visit(false, fn, arg);
}

void pd_threads_every(void (*fn)(struct pd_thread *t, void *arg), void *arg)
{
	visit(true, fn, arg);
}

void pd_threads_at_exit(void (*fn)(struct pd_thread *t))
{
	pthread_mutex_lock(&lock);
	at_exit = fn;
	pthread_mutex_unlock(&lock);
}

void pd_threads_at_begin(void (*fn)(struct pd_thread *t))
{
	pthread_mutex_lock(&lock);
	at_begin = fn;
	pthread_mutex_unlock(&lock);
}

size_t pd_threads_known(void)
{
	return pd_load_relaxed(&known);
}

int pd_threads_count(void)
{
	char buf[1024];
	if (pd_read_file("/proc/self/stat", buf, sizeof buf) <= 0)
		return -1;
	const char *p = strrchr(buf, ')');
	/* num_threads is the 18th field after the name. */
	for (int field = 0; p && field < 18; field++)
		p = strchr(p + 1, ' ');
	int n = 0;
	for (p = p ? p + 1 : ""; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (*p - '0');
	return n ? n : -1;
}

static void add_own_cpu(struct pd_thread *t, void *arg)
{
	int64_t ns = t->own ? pd_thread_cpu_ns(t->tid) : 0;
	*(uint64_t *)arg += ns > 0 ? (uint64_t)ns : 0;
}

uint64_t pd_threads_own_cpu(void)
{
	uint64_t ns = 0;
	pd_threads_each(add_own_cpu, &ns);
	return ns;
}
