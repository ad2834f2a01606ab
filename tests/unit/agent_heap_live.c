/* The table of live samples by itself: many threads put and take addresses, what is put is found until it is taken, the
 * hint never denies a live one, and is gone with the last; it grows to its limit and says so. */
#include <pthread.h>
#include <sched.h>

#include "agent/sampler/heap.h"
#include "../test.h"

#define THREADS 4
#define EACH 3000
#define ROUNDS 30

static struct pd_budget budget;
static int wrong;

/* Addresses of different threads share pages, buckets and hints. */
static const void *address(uintptr_t thread, uintptr_t i)
{
	return (const void *)(0x7f0000000000 + (i * THREADS + thread) * 16 * (1 + i % 97 * 256));
}

/* One that waits for another's new room gives up in time, and the sample counts as untracked; not here. */
static bool put(const void *p, uint64_t what)
{
	uint64_t stale = 0;
	for (int i = 0; i < 100000; i++, sched_yield())
		if (pd_live_put(p, what, &stale))
			return stale == 0;
	return false;
}

static void *work(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	int bad = 0;
	for (int r = 0; r < ROUNDS; r++) {
		for (uintptr_t i = 0; i < EACH; i++) {
			bad += !put(address(me, i), i + 1);
			bad += !pd_live_maybe(address(me, i));
		}
		for (uintptr_t i = 0; i < EACH; i++) {
			uintptr_t k = i * 1009 % EACH;
			bad += !pd_live_maybe(address(me, k));
			bad += pd_live_take(address(me, k)) != k + 1;
			bad += pd_live_take(address(me, k)) != 0;
		}
	}
	__atomic_fetch_add(&wrong, bad, __ATOMIC_RELAXED);
	return NULL;
}

static int done;

/* As free(NULL) does: it must not take what is being put into a free place. */
static void *take_nothing(void *arg)
{
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
		__atomic_fetch_add(&wrong, pd_live_take(NULL) != 0, __ATOMIC_RELAXED);
	return NULL;
}

static size_t hints(void)
{
	size_t n = 0;
	for (size_t i = 0; i < PD_LIVE_WORDS; i++)
		n += (size_t)__builtin_popcount((uint32_t)pd_live_hint[i]);
	return n;
}

static size_t taken;

static void count(const void *p, uint64_t what)
{
	taken++;
	OK(what == (uintptr_t)p / 16 % 1000 + 1);
}

static void to_the_limit(void)
{
	uint64_t stale;
	size_t n = 0;
	while (pd_live_put((const void *)(0x10000 + n * 16), n + 1, &stale) && n < 10000000)
		n++;
	struct pd_live_stats s;
	pd_live_stats(&s);
	printf("%zu live in %zu places, %zu bytes: %.1f bytes each\n", s.live, s.places, s.bytes, (double)s.bytes / (double)n);
	EQ(s.live, n);
	OK(n > s.places * 8 / 10);
	OK(budget.taken <= budget.cap);
	/* A stale one is replaced, in a full table, too. */
	OK(pd_live_put((const void *)0x10000, 7, &stale));
	OK(stale > 0);
}

static void take_without_look(const void *p, uint64_t what)
{
	taken++;
}

int main(void)
{
	budget = (struct pd_budget){ .cap = 4 << 20 };
	EQ(pd_live_open(&budget), 0);
	pthread_t t[THREADS], nothing;
	pthread_create(&nothing, NULL, take_nothing, NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&done, 1, __ATOMIC_RELAXED);
	pthread_join(nothing, NULL);
	EQ(wrong, 0);
	EQ(hints(), 0);
	uint64_t stale;
	for (uintptr_t i = 1; i <= 500; i++)
		OK(pd_live_put((const void *)(i * 16), i % 1000 + 1, &stale));
	pd_live_take_all(count);
	EQ(taken, 500);
	EQ(hints(), 0);
	to_the_limit();
	taken = 0;
	pd_live_take_all(take_without_look);
	OK(taken > 100000);
	pd_live_forked();
	OK(!pd_live_maybe((const void *)0x10000));
	EQ(pd_live_take((const void *)0x10000), 0);
	DONE();
}
