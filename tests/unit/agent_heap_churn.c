/*
 * Many threads that free what others have allocated, while rates change and threads come and go: what is in use in
 * the end is exactly what there is, and nothing when all is freed. argv[1]: millions of operations (default 4).
 */
#include <malloc.h>
#include <pthread.h>

#include "heap.h"

#define THREADS 64
#define SLOTS 4096

static void *slot[SLOTS];
static uint64_t ops;

static size_t size_of(void *p)
{
	return ((size_t *)p)[0];
}

static __attribute__((noinline)) void *allocate(uint64_t r)
{
	size_t n = sizeof(size_t) + (r >> 40) % (r >> 20 & 15 ? 256 : 20000);
	void *p;
	if ((r >> 58) == 1)
		p = calloc(1, n);
	else if ((r >> 58) == 2)
		p = aligned_alloc(64, n = (n + 63) & ~(size_t)63);
	else if ((r >> 58) == 3)
		p = realloc(malloc(n / 2 + 1), n);
	else
		p = malloc(n);
	((size_t *)p)[0] = n;
	return p;
}

static void *churn(void *arg)
{
	uint64_t r = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
	uint64_t n = ops;
	for (uint64_t i = 0; i < n; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		void *p = r >> 16 & 7 ? allocate(r) : NULL;
		free(__atomic_exchange_n(&slot[r % SLOTS], p, __ATOMIC_ACQ_REL));
	}
	return NULL;
}

/* Threads that end at once, with frees of libc's after our last look. */
static void *brief(void *arg)
{
	ops = 50;
	return churn(arg);
}

static void all_threads(void *(*work)(void *))
{
	static uintptr_t seed;
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++)
		EQ(pthread_create(&t[i], NULL, work, (void *)++seed), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void free_all(void)
{
	for (int i = 0; i < SLOTS; i++)
		free(__atomic_exchange_n(&slot[i], NULL, __ATOMIC_ACQ_REL));
}

/* Of one row, or of all: never below nothing. */
static void none_below_zero(void)
{
	struct pd_snapshot snap;
	EQ(pd_sampler_heap.snapshot(&snap), 0);
	for (size_t i = 0; i < snap.n; i++)
		OK(snap.row[i].value[0] >= snap.row[i].value[2] && snap.row[i].value[1] >= snap.row[i].value[3]);
	EQ(snap.counters.ticks, snap.counters.recorded);
	pd_snapshot_free(&snap);
}

static void exact(uint64_t each)
{
	struct sums before = sums_of(NULL);
	rate(1);
	ops = each;
	all_threads(churn);
	double bytes = 0, objects = 0;
	for (int i = 0; i < SLOTS; i++) {
		objects += slot[i] != NULL;
		bytes += slot[i] ? (double)size_of(slot[i]) : 0;
	}
	struct sums s = sums_of(NULL);
	EQ(s.live_objects - before.live_objects, objects);
	EQ(s.live_bytes - before.live_bytes, bytes);
	OK(s.samples - before.samples > (int64_t)each * THREADS / 2);
	EQ(fact("live_samples"), objects);
	free_all();
	s = sums_of(NULL);
	EQ(s.live_objects, before.live_objects);
	EQ(s.live_bytes, before.live_bytes);
	EQ(fact("live_samples"), 0);
}

static volatile int switching;

static void *switch_rates(void *arg)
{
	static const uint64_t rates[] = { 512 << 10, 1, 4096, 1 << 20, 2 };
	for (unsigned i = 0; switching; i++) {
		rate(rates[i % 5]);
		usleep(2000);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t all = (uint64_t)((argc > 1 ? atof(argv[1]) : 4) * 1e6);
	set_up(512 << 20);
	exact(all / 20 / THREADS);
	rate(4096);
	for (uint64_t left = all; left; left -= left > 1000000 ? 1000000 : left) {
		ops = (left > 1000000 ? 1000000 : left) / THREADS;
		all_threads(churn);
	}
	none_below_zero();
	struct sums s = sums_of(NULL);
	OK(s.samples > 1000);
	OK(s.live_objects > 100);
	all_threads(brief);
	free_all();
	EQ(sums_of(NULL).live_objects, 0);
	EQ(fact("live_samples"), 0);
	pthread_t t;
	switching = 1;
	pthread_create(&t, NULL, switch_rates, NULL);
	ops = all / 2 / THREADS;
	all_threads(churn);
	switching = 0;
	pthread_join(t, NULL);
	free_all();
	none_below_zero();
	EQ(sums_of(NULL).live_objects, 0);
	EQ(sums_of_overflow().objects, 0);
	EQ(fact("live_samples"), 0);
	EQ(fact("healed_samples_total"), 0);
	EQ(fact("untracked_samples_total"), 0);
	rate(0);
	pd_sampler_heap.off();
	DONE();
}
