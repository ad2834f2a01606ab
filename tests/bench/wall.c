/*
 * What a wall profile of 1 000 threads costs at 20 Hz, in CPU time of the profiler's own thread: all waiting, and with
 * some that wake up all the time. Beside it what reading every thread's place anew at each tick takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/os/os.h"
#include "agent/sampler/dump.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"
#include "../test.h"

#define THREADS 1000
#define SECONDS 4
#define HZ 20

static uint32_t ready, interrupted;
static int tids[THREADS];
static long pause_ns[THREADS]; /* 0 = for ever */

static __attribute__((noinline)) void wait_here(long ns)
{
	struct timespec ts = { ns ? 0 : 1000, ns };
	if (nanosleep(&ts, NULL) != 0 && errno == EINTR)
		pd_add_relaxed(&interrupted, 1);
}

static void *parked(void *arg)
{
	long i = (long)(intptr_t)arg;
	tids[i] = (int)syscall(SYS_gettid);
	pd_add_seqcst(&ready, 1);
	for (;;)
		wait_here(pd_load_relaxed(&pause_ns[i]));
	return NULL;
}

static double own_cpu(void)
{
	return (double)pd_threads_own_cpu() / 1e9;
}

/* Percent of one core, for a window; the first tick, which looks at everybody, included. */
static void window(const char *what)
{
	struct pd_snapshot s;
	pd_store_relaxed(&interrupted, 0);
	double before = own_cpu();
	if (pd_sampler_wall.start() != 0 || pd_sampler_wall.snapshot(&s) != 0)
		exit(1);
	struct pd_counters was = s.counters;
	pd_snapshot_free(&s);
	sleep(SECONDS);
	double cpu = own_cpu() - before;
	if (pd_sampler_wall.snapshot(&s) != 0)
		exit(1);
	const struct pd_counters *c = &s.counters;
	uint64_t dropped = 0;
	for (int i = 0; i < PD_DROP_REASONS; i++)
		dropped += c->dropped[i] - was.dropped[i];
	printf("%-28s %5.2f %% of a core, %6lu ticks, %lu dropped, %lu signals, %u EINTR\n", what, 100 * cpu / SECONDS,
	       c->ticks - was.ticks, dropped, c->signals - was.signals, pd_load_relaxed(&interrupted));
	fflush(stdout);
	pd_snapshot_free(&s);
	pd_sampler_wall.stop();
}

/* The place of each thread, read anew. */
static void plain_reading(void)
{
	struct pd_where at;
	int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < THREADS; i++)
			pd_proc_where(dir, tids[i], &at);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	double each = ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9) / 5;
	printf("%-28s %5.2f %% of a core, without any stack\n", "every place read anew", 100 * each * HZ);
	close(dir);
}

int main(void)
{
	static struct pd_budget budget = { .cap = 256 << 20 };
	if (pd_threads_on(&budget) != 0 || pd_labels_on(&budget) != 0 || pd_unwind_open(&budget) != 0 ||
	    pd_sampler_wall.on(&budget) != 0 || pd_sampler_wall.set_rate(HZ) != 0)
		return 1;
	pd_unwind_refresh();
	pd_thread_own("bench");
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (long i = 0; i < THREADS; i++) {
		pthread_t id;
		/* The last hundred wake up now and then, to change what they do. */
		pause_ns[i] = i < THREADS - 100 ? 0 : 20000000;
		if (pthread_create(&id, &attr, parked, (void *)(intptr_t)i) != 0)
			return 1;
	}
	if (!WITHIN(10000, pd_load_acquire(&ready) == THREADS))
		return 1;
	window("100 wake up 50 times a second");
	for (long i = 0; i < THREADS; i++)
		pd_store_relaxed(&pause_ns[i], 0);
	usleep(100000);
	for (int i = 0; i < 3; i++)
		window("all wait");
	plain_reading();
	DONE();
}
