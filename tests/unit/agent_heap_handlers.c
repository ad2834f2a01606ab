/*
 * The program defines an allocator of its own that handlers may use, and handlers that allocate interrupt everything,
 * samples included, while CPU samples are taken on the same thread: counts stay exact, and it is told whose malloc it
 * is.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "heap.h"

/* Never takes memory back; but knows how much is in use. */
#define EXPORT __attribute__((visibility("default")))
static char heap[256 << 20];
static size_t used;
static long in_use, in_handlers;
EXPORT void *malloc(size_t n)
{
	size_t at = __atomic_fetch_add(&used, (n + 31) & ~(size_t)15, __ATOMIC_RELAXED);
	if (n > sizeof heap / 2 || at + n + 32 > sizeof heap) {
		errno = ENOMEM;
		return NULL;
	}
	*(size_t *)(heap + at) = n;
	return heap + at + 16;
}
EXPORT void free(void *p)
{
}
EXPORT void *calloc(size_t n, size_t each)
{
	return malloc(n * each);
}
EXPORT void *realloc(void *p, size_t n)
{
	void *q = malloc(n);
	return q && p ? memcpy(q, p, ((size_t *)p)[-2] < n ? ((size_t *)p)[-2] : n) : q;
}

static void *(*lib_malloc)(size_t);
static void (*lib_free)(void *);

static void on_alarm(int signo)
{
	int saved = errno;
	void *p = lib_malloc(24);
	if (p)
		__atomic_fetch_add(&in_handlers, 1, __ATOMIC_RELAXED);
	lib_free(p);
	errno = saved;
}

static volatile int stop;

static void *work(void *arg)
{
	while (!stop) {
		void *p = lib_malloc(100);
		if (!p)
			break;
		lib_free(lib_malloc(10));
		lib_free(p);
		__atomic_fetch_add(&in_use, 2, __ATOMIC_RELAXED);
	}
	return NULL;
}

int main(void)
{
#ifdef __SANITIZE_ADDRESS__
	SKIP("the sanitizer's allocator cannot be replaced");
#endif
	char path[4096], note[PD_NOTES][PD_NOTE];
	snprintf(path, sizeof path, "%s/tests/live/lib/allocs.so", getenv("B") ? getenv("B") : "build");
	void *lib = dlopen(path, RTLD_NOW);
	if (!lib)
		SKIP("tests/live/lib/allocs.so is not built");
	lib_malloc = (void *(*)(size_t))dlsym(lib, "lib_malloc");
	lib_free = (void (*)(void *))dlsym(lib, "lib_free");
	set_up(64 << 20);
	rate(1);
	size_t n = pd_sampler_heap.notes(note, PD_NOTES);
	OK(n >= 1 && strstr(note[0], "The program defines malloc itself") && strstr(note[0], "stays in use"));
	OK(n < 2 || !strstr(note[1], "calls no allocator"));
	pd_samplers_on(&budget, 4000, 0);
	EQ(pd_sampler_cpu.start(), 0);
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_NODEFER };
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 300 }, { 0, 300 } }, NULL);
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (long long end = test_now_ns() + 3000000000ll; test_now_ns() < end && in_handlers < 3000 && used < sizeof heap;)
		usleep(10000);
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL);
	struct sums s = sums_of((void *)lib_malloc);
	printf("%ld allocations, %ld in handlers\n", in_use, in_handlers);
	OK(in_handlers > 500);
	OK(llabs(s.samples - in_use - in_handlers) <= 2); /* what a full heap refused the last of two */
	EQ(s.live_objects, 0);
	EQ(fact("live_samples"), sums_of(NULL).live_objects);
	struct pd_snapshot snap;
	EQ(pd_sampler_cpu.snapshot(&snap), 0);
	OK(snap.counters.ticks > 10);
	EQ(snap.counters.ticks, snap.counters.recorded + snap.counters.dropped[PD_DROP_BUSY]);
	pd_snapshot_free(&snap);
	pd_sampler_cpu.stop();
	rate(0);
	pd_sampler_heap.off();
	DONE();
}
