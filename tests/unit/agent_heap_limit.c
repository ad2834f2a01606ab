/* Past the memory limit: nothing is lost but the names, in use returns to nothing, others keep their memory; and before
 * that, sizes are rounded without a bias. */
#include "heap.h"

#define RATE 2048

static void *kept[400000];

/* A stack of its own for each path through a binary tree. */
__attribute__((noinline)) static void *deep(unsigned path, int depth, size_t n)
{
	void *p;
	if (depth == 0)
		p = malloc(n);
	else if (path & 1) {
		/* Or both calls become one. */
		__asm__ volatile("nop");
		p = deep(path >> 1, depth - 1, n);
		__asm__ volatile("nop" : "+r"(p));
	} else {
		__asm__ volatile("nop; nop");
		p = deep(path >> 1, depth - 1, n);
		__asm__ volatile("nop; nop" : "+r"(p));
	}
	__asm__ volatile("" : "+r"(p));
	return p;
}

static double free_all(size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(kept[i]);
	return sums_of_overflow().live_bytes + sums_of(NULL).live_bytes;
}

static void overflow(uint64_t interval, size_t n)
{
	double bytes = 0;
	struct sums o0 = sums_of_overflow(), s0 = sums_of(NULL);
	rate(interval);
	for (size_t i = 0; i < n; i++) {
		size_t size = 40 + i * 7919 % 500;
		kept[i] = deep((unsigned)i * 2654435761u >> 8, 18, size);
		bytes += (double)size;
	}
	struct sums o = sums_of_overflow(), s = sums_of(NULL);
	double share = 1 / sqrt(bytes / (double)interval), got = o.bytes - o0.bytes + s.bytes - s0.bytes;
	double objects = o.objects - o0.objects + s.objects - s0.objects;
	printf("rate %llu: %.0f bytes, told %.0f (%+.2f standard errors), [overflow] %.0f; %zu objects, told %.0f; "
	       "untracked %llu\n",
	       (unsigned long long)interval, bytes, got, (got / bytes - 1) / share, o.bytes - o0.bytes, n, objects,
	       (unsigned long long)fact("untracked_samples_total"));
	OK(o.bytes > o0.bytes);
	if (interval == 1) {
		EQ(got, bytes);
		EQ(objects, n);
	} else {
		OK(fabs(got / bytes - 1) < 4 * share);
		OK(fabs(objects / (double)n - 1) < 6 * share);
	}
	OK(fabs(free_all(n)) < 1);
	EQ(fact("live_samples"), 0);
}

static void rounded(void)
{
	double bytes = 0;
	size_t n = 0;
	struct sums s0 = sums_of(NULL);
	rate(RATE);
	for (; n < 400000; n++) {
		size_t size = 100 + n * 31 % 60000;
		kept[n] = malloc(size);
		bytes += (double)size;
		if (n % 64 == 63) /* not all at once */
			for (int k = 0; k < 64; k++)
				free(kept[n - (size_t)k]), kept[n - (size_t)k] = NULL;
	}
	struct sums s = sums_of(NULL);
	double got = s.bytes - s0.bytes, objects = s.objects - s0.objects, error = sqrt((double)RATE / bytes);
	printf("%zu rows; %.0f bytes, told %.0f (%+.4f %%); %zu objects, told %.0f\n", (size_t)s.rows, bytes, got,
	       100 * (got / bytes - 1), n, objects);
	OK(fabs(got / bytes - 1) < 5 * error);
	OK(fabs(objects / (double)n - 1) < 0.01);
	OK(s.rows < 40000);
	EQ(sums_of_overflow().samples, 0);
	OK(fabs(free_all(n)) < 1);
}

int main(void)
{
	puts("what stdio needs is there"); /* before anything is counted */
	set_up(16 << 20);
	rounded();
	overflow(RATE, 400000);
	overflow(1, 60000);
	OK(budget.taken < (16 << 20) * 3 / 4);
	struct pd_snapshot snap;
	EQ(pd_sampler_heap.snapshot(&snap), 0);
	OK(snap.counters.overflow > 0);
	EQ(snap.counters.ticks, snap.counters.recorded + snap.counters.dropped[PD_DROP_MEMORY]);
	pd_snapshot_free(&snap);
	rate(0);
	pd_sampler_heap.off();
	DONE();
}
