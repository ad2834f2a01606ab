/* The dump of all threads: who there is, how the work is shared out, and the result's memory. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/dump.h"
#include "agent/sampler/sampler.h"
#include "base/atomic.h"
#include "base/thread.h"
#include "base/time.h"

#define TIDS_MAX ((size_t)1 << 20)
#define HELPERS_FROM 256 /* threads to look at that make helpers worth their start */
#define HELPERS_MAX 3
#define CHUNK 32

struct tids {
	int *tid;
	size_t n;
};

struct job {
	struct pd_dump *d;
	struct pd_store *store;
	int task_dir;
	bool again; /* only those found running */
	size_t next;
};

/* One dump at a time. A forked child may find its parent's number here and goes on. */
static int taken_by;

static void take_turn(void)
{
	int pid = getpid(), there = 0;
	while (!pd_cas_acq_rel(&taken_by, &there, pid)) {
		if (there == pid) {
			nanosleep(&(struct timespec){ 0, 500000 }, NULL);
			there = 0;
		}
	}
}

static void add_tid(int tid, void *arg)
{
	struct tids *s = arg;
	const struct pd_thread *t = pd_thread_find(tid);
	if (s->n < TIDS_MAX && !(t && pd_load_relaxed(&t->own)))
		s->tid[s->n++] = tid;
}

/* The main thread's number is the lowest but after an overflow of the numbers; it comes first anyway. */
static bool before(int a, int b, int pid)
{
	return a == pid ? b != pid : b != pid && a < b;
}

static void sort(const struct tids *s)
{
	int pid = getpid();
	for (size_t gap = s->n / 2; gap; gap /= 2) {
		for (size_t i = gap; i < s->n; i++) {
			int v = s->tid[i];
			size_t k = i;
			for (; k >= gap && before(v, s->tid[k - gap], pid); k -= gap)
				s->tid[k] = s->tid[k - gap];
			s->tid[k] = v;
		}
	}
}

/* Make the dump's memory with one record for each thread. 0 or -errno. */
static int list_threads(struct pd_dump *d, struct pd_store *store)
{
	struct tids s = { 0 };
	s.tid = mmap(NULL, TIDS_MAX * sizeof *s.tid, PROT_READ | PROT_WRITE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.tid == MAP_FAILED)
		return -ENOMEM;
	int err = pd_each_task(add_tid, &s);
	if (!err)
		err = pd_store_open(store, s.n);
	if (!err) {
		sort(&s);
		d->memory = store->base;
		d->memory_len = store->len;
		d->thread = pd_store_take(store, s.n * sizeof *d->thread);
		d->n = s.n;
		for (size_t i = 0; i < s.n; i++)
			d->thread[i].tid = s.tid[i];
	}
	munmap(s.tid, TIDS_MAX * sizeof *s.tid);
	return err;
}

static void work(struct job *j)
{
	struct pd_look *l = pd_store_take(j->store, sizeof *l);
	if (!l)
		return;
	l->task_dir = j->task_dir;
	l->store = j->store;
	size_t at;
	while ((at = pd_add_relaxed(&j->next, CHUNK)) < j->d->n) {
		for (size_t i = at; i < at + CHUNK && i < j->d->n; i++)
			if (!j->again || j->d->thread[i].state == PD_RUNNING)
				pd_look_at(l, &j->d->thread[i]);
	}
}

static void *helper(void *arg)
{
	pd_thread_own("pprofd-dump");
	work(arg);
	return NULL;
}

static size_t helpers_for(size_t n)
{
	cpu_set_t cpus;
	if (n < HELPERS_FROM || sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 0;
	size_t others = (size_t)CPU_COUNT(&cpus) - 1;
	return others < HELPERS_MAX ? others : HELPERS_MAX;
}

/* Look at all threads, with helpers when there are many. The host's signals are not for them. */
static void look_at_all(struct job *j)
{
	pthread_t started[HELPERS_MAX];
	size_t n = 0, want = helpers_for(j->d->n);
	while (n < want && pd_thread_start(&started[n], 256 << 10, helper, j) == 0)
		n++;
	work(j);
	while (n)
		pthread_join(started[--n], NULL);
}

/* A thread that has used no CPU time since an earlier dump has waited all that time. */
static void tell_waits(struct pd_dump *d)
{
	int64_t now = pd_mono_ns();
	for (size_t i = 0; i < d->n; i++) {
		struct pd_thread_rec *rec = &d->thread[i];
		struct pd_thread *t = rec->state == PD_WAITING ? pd_thread_find(rec->tid) : NULL;
		if (!t || rec->cpu_ns < 0)
			continue;
		int64_t since = pd_load_relaxed(&t->still_since);
		if (since && t->still_cpu_ns == rec->cpu_ns) {
			rec->wait_ns = now - since;
			continue;
		}
		t->still_cpu_ns = rec->cpu_ns;
		pd_store_relaxed(&t->still_since, now);
	}
}

static int take(int64_t until, struct pd_dump *d)
{
	struct pd_store store;
	int task_dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (task_dir < 0)
		return -errno;
	int err = list_threads(d, &store);
	if (!err) {
		struct job first = { .d = d, .store = &store, .task_dir = task_dir };
		look_at_all(&first);
		/* Most of those met on their way are waiting by now, and need no signal. */
		struct job second = { .d = d, .store = &store, .task_dir = task_dir, .again = true };
		work(&second);
		pd_look_at_waits(d);
		pd_ask_running(d, &store, until);
		tell_waits(d);
	}
	close(task_dir);
	return err;
}

int pd_dump_take(int64_t deadline_ns, struct pd_dump *out)
{
	*out = (struct pd_dump){ .real_ns = pd_clock_ns(CLOCK_REALTIME), .epoch = pd_unwind_epoch() };
	int64_t start = pd_mono_ns();
	take_turn();
	int err = take(start + deadline_ns, out);
	pd_store_release(&taken_by, 0);
	out->took_ns = pd_mono_ns() - start;
	return err;
}

void pd_dump_free(struct pd_dump *d)
{
	if (d->memory)
		munmap(d->memory, d->memory_len);
	*d = (struct pd_dump){ 0 };
}
