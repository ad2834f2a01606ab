/* The arithmetic of waits: the rule is unbiased at every duration, and an unlock is charged with what it ends. */
#include <math.h>
#include <pthread.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"
#include "base/time.h"
#include "test.h"

/* Of 400000 waits of one duration, what the rule makes of them: number and time in units of the truth, and their errors. */
static void one_duration(uint64_t took, uint64_t rate)
{
	struct pd_waiter me = { 0 };
	const int n = 400000;
	double waits = 0, ticks = 0, p = took >= rate ? 1 : (double)took / (double)rate;
	for (int i = 0; i < n; i++) {
		if (took < pd_wait_limit(&me, rate))
			continue;
		waits += (double)pd_wait_stands_for(&me, took, rate);
		ticks += (double)(took >= rate ? took : rate);
	}
	/* Each sampled one stands for 1/p; rounding adds at most a quarter of its square root. */
	double sd = sqrt((1 - p) / p / n), rounding = 0.5 * sqrt(p / n);
	double w = waits / n - 1, t = ticks / n / (double)took - 1;
	printf("%8llu of %8llu: number %+.4f, time %+.4f (sd %.4f)\n", (unsigned long long)took, (unsigned long long)rate, w, t, sd);
	OK(fabs(t) <= 4.5 * sd + 1.0 / (double)took);
	OK(fabs(w) <= 4.5 * (sd + rounding) + 1.0 / (double)took);
}

static void rule(void)
{
	static const uint64_t rate[] = { 1, 1000, 24000, 2400000 }, took[] = { 1000, 7777, 23999, 24000, 100000, 5000000 };
	for (size_t r = 0; r < sizeof rate / sizeof *rate; r++)
		for (size_t t = 0; t < sizeof took / sizeof *took; t++)
			one_duration(took[t], rate[r]);
}

static void chance(void)
{
	struct pd_waiter me = { 0 };
	static const uint64_t fraction[] = { 1, 2, 10, 1000 };
	for (size_t f = 0; f < sizeof fraction / sizeof *fraction; f++) {
		int n = 1000000, hits = 0;
		for (int i = 0; i < n; i++)
			hits += pd_sums_chance(&me, fraction[f]);
		double p = 1 / (double)fraction[f];
		OK(fabs(hits - n * p) <= 4.5 * sqrt(n * p * (1 - p)));
	}
	OK(!pd_sums_chance(&me, 0));
}

static double charged_ms(const void *lock, uint64_t *waits)
{
	struct pd_charge c = { 0 };
	*waits = 0;
	if (!pd_charge_take(&c, lock))
		return 0;
	*waits = c.waits;
	return (double)pd_ticks_to_ns(c.ticks) / 1e6;
}

#define CHARGED(lock, ms, n)                                                  \
	do {                                                                  \
		uint64_t ch_n;                                                \
		double ch_want = (ms), ch_ms = charged_ms(lock, &ch_n);       \
		if (ch_ms < ch_want - 0.01 || ch_ms > ch_want * 1.02 + 15)            \
			printf("%d: %g ms, not %g\n", __LINE__, ch_ms, ch_want), test_failures++; \
		EQ(ch_n, n);                                                  \
	} while (0)

/* A time as it was some ms ago, so that nobody has to sleep. */
static uint64_t ago(double ms)
{
	return pd_ticks() - pd_ns_to_ticks((uint64_t)(ms * 1e6));
}

static void sums(void)
{
	struct pd_waiter a = { 0 }, b = { 0 }, c = { 0 };
	int lock, other;
	uint32_t ja = pd_sums_join(&a, &lock, ago(100)), jb = pd_sums_join(&b, &lock, ago(40));
	OK(ja && jb);
	CHARGED(&other, 0, 0);
	uint64_t start = pd_ticks(), n;
	CHARGED(&lock, 140, 2);
	/* One that goes takes what was charged already with it; what it waited since is nobody's. */
	pd_sums_leave(&a, ja, pd_ticks());
	pd_sums_leave(&a, ja, pd_ticks());
	uint32_t jc = pd_sums_join(&c, &lock, pd_ticks());
	usleep(20000);
	double ms = charged_ms(&lock, &n), most = (double)pd_ticks_to_ns(pd_ticks() - start) / 1e6;
	OK(ms >= 39.9 && ms <= 2 * most);
	EQ(n, 1);
	pd_sums_leave(&b, jb, pd_ticks());
	pd_sums_leave(&c, jc, pd_ticks());
	CHARGED(&lock, 0, 0);
	/* One left behind goes when its thread waits for something else. */
	ja = pd_sums_join(&a, &lock, ago(1000));
	uint32_t again = pd_sums_join(&a, &other, ago(30));
	OK(again && again != ja);
	pd_sums_leave(&a, ja, pd_ticks());
	CHARGED(&lock, 0, 0);
	CHARGED(&other, 30, 1);
	/* Another fraction: waits under way are not multiplied by it. */
	jb = pd_sums_join(&b, &lock, ago(50));
	pd_sums_rate(7);
	CHARGED(&lock, 0, 0);
	pd_sums_leave(&b, jb, pd_ticks());
	pd_sums_leave(&a, again, pd_ticks());
	pd_sums_rate(1);
}

/* More locks at once than there is room for are counted, and leave nothing behind. */
static void full(void)
{
	static struct pd_waiter w[8000];
	static uint64_t lock[8000];
	static uint32_t joined[8000];
	struct pd_sums_stats stats;
	uint64_t none = 0, n;
	for (int i = 0; i < 8000; i++)
		none += (joined[i] = pd_sums_join(&w[i], &lock[i], pd_ticks())) == 0;
	pd_sums_stats(&stats);
	OK(none >= 8000 - 4096 && none < 8000);
	EQ(stats.full, none);
	for (int i = 0; i < 8000; i++)
		pd_sums_leave(&w[i], joined[i], pd_ticks());
	for (int i = 0; i < 8000; i++)
		OK(charged_ms(&lock[i], &n) == 0 && n == 0);
}

/* Threads that join and leave one lock while others charge it: what is charged is never more than what was waited, and
 * nothing is left at the end. */
static int hot;
static uint64_t waited, charged;
static int stop;

static void *coming_and_going(void *arg)
{
	struct pd_waiter me = { 0 };
	uint64_t mine = 0;
	while (!pd_load_relaxed(&stop)) {
		uint64_t from = pd_ticks();
		uint32_t joined = pd_sums_join(&me, &hot, from);
		for (volatile int i = 0; i < 50; i++)
			continue;
		uint64_t to = pd_ticks();
		pd_sums_leave(&me, joined, to);
		mine += joined ? pd_ticks() - from + 64 : 0;
	}
	pd_add_relaxed(&waited, mine);
	return NULL;
}

static void *charging(void *arg)
{
	struct pd_charge c;
	uint64_t sum = 0;
	while (!pd_load_relaxed(&stop))
		if (pd_charge_take(&c, &hot))
			sum += c.ticks;
	pd_add_relaxed(&charged, sum);
	return NULL;
}

static void at_once(void)
{
	pthread_t t[5];
	uint64_t n;
	for (int i = 0; i < 5; i++)
		pthread_create(&t[i], NULL, i < 4 ? coming_and_going : charging, NULL);
	usleep(500000);
	pd_store_relaxed(&stop, 1);
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	printf("charged %.1f of %.1f ms\n", (double)pd_ticks_to_ns(charged) / 1e6, (double)pd_ticks_to_ns(waited) / 1e6);
	OK(charged > 0 && charged <= waited);
	OK(charged_ms(&hot, &n) == 0 && n == 0);
}

int main(void)
{
	pd_clock_open();
	pd_sums_rate(1);
	uint64_t ticks = pd_ticks(), ns = (uint64_t)pd_mono_ns();
	usleep(50000);
	ticks = pd_ticks_to_ns(pd_ticks() - ticks);
	ns = (uint64_t)pd_mono_ns() - ns;
	OK(fabs((double)ticks / (double)ns - 1) < 0.005);
	rule();
	chance();
	sums();
	full();
	at_once();
	DONE();
}
