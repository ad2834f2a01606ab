/*
 * What a dump of all threads costs: ours, against one signal to each with an empty handler, which is the least that any
 * dump by signals must do. With an argument: park that many threads, print the pid and wait for the end of stdin.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"
#include "../test.h"

#define DEPTH 20
#define ROUNDS 5

static uint32_t ready, interrupted, answered;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int tids[10000];
static size_t ntids;

static void wait_here(long kind)
{
	if (kind % 2) {
		pthread_mutex_lock(&mutex);
		for (;;)
			pthread_cond_wait(&cond, &mutex);
	}
	for (;;)
		if (nanosleep(&(struct timespec){ 1000, 0 }, NULL) != 0 && errno == EINTR)
			pd_add_relaxed(&interrupted, 1);
}

/* As a volatile pointer, so that no compiler turns the recursion into a loop. */
static void go_down(long kind, int depth);
static void (*volatile down)(long, int) = go_down;

static __attribute__((noinline)) void go_down(long kind, int depth)
{
	if (depth)
		down(kind, depth - 1);
	else
		wait_here(kind);
	pd_fence_signal();
}

static void *parked(void *arg)
{
	long i = (long)(intptr_t)arg;
	tids[i] = (int)syscall(SYS_gettid);
	pd_add_seqcst(&ready, 1);
	go_down(i % 50, DEPTH - (int)(i % 25) / 10);
	return NULL;
}

static bool park_until(size_t n)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 80 << 10);
	for (; ntids < n; ntids++) {
		pthread_t id;
		if (pthread_create(&id, &attr, parked, (void *)(intptr_t)ntids) != 0)
			return false;
	}
	return WITHIN(20000, pd_load_acquire(&ready) == n) && usleep(100000) == 0;
}

static void answer(int signo)
{
	pd_add_seqcst(&answered, 1);
}

static double broadcast(void)
{
	pd_store_release(&answered, 0);
	long long from = test_now_ns();
	for (size_t i = 0; i < ntids; i++)
		syscall(SYS_tgkill, getpid(), tids[i], SIGUSR2);
	while (pd_load_acquire(&answered) < ntids)
		nanosleep(&(struct timespec){ 0, 20000 }, NULL);
	return (double)(test_now_ns() - from) / 1e6;
}

static double ours(size_t *whole, size_t *memory)
{
	struct pd_dump d;
	if (pd_dump_take(10000000000, &d) != 0)
		return 0;
	*whole = 0;
	for (size_t i = 0; i < d.n; i++)
		*whole += d.thread[i].n > DEPTH - 3 && !d.thread[i].flags;
	double ms = (double)d.took_ns / 1e6;
	unsigned char pages[65536];
	*memory = 0;
	for (size_t at = 0; at < d.memory_len; at += sizeof pages * 4096) {
		size_t left = d.memory_len - at, len = left < sizeof pages * 4096 ? left : sizeof pages * 4096;
		if (syscall(SYS_mincore, (char *)d.memory + at, len, pages) == 0)
			for (size_t i = 0; i < (len + 4095) / 4096; i++)
				*memory += (pages[i] & 1u) * 4096;
	}
	pd_dump_free(&d);
	return ms;
}

static double least(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

static int wait_for_others(size_t n)
{
	if (n > sizeof tids / sizeof *tids || !park_until(n))
		return 1;
	printf("%d\n", getpid());
	fflush(stdout);
	return getchar() == 12345;
}

int main(int argc, char **argv)
{
	static struct pd_budget budget = { .cap = 256 << 20 };
	if (argc > 1)
		return wait_for_others((size_t)atoi(argv[1]));
	if (pd_threads_on(&budget) != 0 || pd_unwind_open(&budget) != 0)
		return 1;
	pd_unwind_refresh();
	pd_thread_own("bench"); /* as the thread of the server is */
	sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = answer, .sa_flags = SA_RESTART }, NULL);
	printf("threads  dump ms  whole stacks  KiB  EINTR    tgkill+empty handler ms  EINTR\n");
	for (size_t n = 10; n <= 10000 && park_until(n); n *= 10) {
		double dump = 0, signals = 0;
		size_t whole = 0, memory = 0;
		pd_store_release(&interrupted, 0);
		for (int i = 0; i < ROUNDS; i++)
			dump = least(dump, ours(&whole, &memory));
		uint32_t before = pd_load_acquire(&interrupted);
		for (int i = 0; i < ROUNDS; i++)
			signals = least(signals, broadcast());
		printf("%7zu %8.2f %13zu %4zu %6u %27.2f %6u\n", n, dump, whole, memory >> 10, before, signals,
		       pd_load_acquire(&interrupted) - before);
		fflush(stdout);
	}
	DONE();
}
