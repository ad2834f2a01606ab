/*
 * Estimates at 512 KiB over many runs: mean objects and bytes, in all and in use, of functions with known truth lie
 * within three standard errors; and the standard deviation is what theory says, so that a broken sampler cannot hide
 * in it. Runs are drawn within one process: rates are set anew before each.
 */
#include "heap.h"

#define RUNS 200
#define RATE (512 << 10)

static void *kept[60000];

static void half_in_use(int n, int i, void *p)
{
	if (i < n / 2)
		kept[i] = p;
	else
		free(p);
}

FN(small) { for (int i = 0; i < 20000; i++) half_in_use(20000, i, malloc(64)); }
FN(pages) { for (int i = 0; i < 1000; i++) half_in_use(1000, i, malloc(4096)); }
FN(large) { for (int i = 0; i < 10; i++) half_in_use(10, i, malloc(1 << 20)); }
FN(two_sizes)
{
	for (int i = 0; i < 8000; i++)
		half_in_use(8000, i, malloc(i % 1000 ? 64 : 1 << 20));
}
FN(mixed)
{
	for (int i = 0; i < 20000; i++)
		half_in_use(20000, i, malloc((size_t)(i % 50 * 40 + 40)));
}
FN(zeroed) { for (int i = 0; i < 6000; i++) half_in_use(6000, i, calloc(3, 50)); }
FN(grown)
{
	for (int i = 0; i < 2000; i++)
		half_in_use(2000, i, realloc(malloc(100), 900));
}

static size_t size_in(const void *function, int i)
{
	return function == small ? 64 : function == pages ? 4096 : function == large ? 1 << 20
	     : function == two_sizes ? (i % 1000 ? 64 : 1 << 20) : function == mixed ? (size_t)(i % 50 * 40 + 40)
	     : function == zeroed ? 150 : i % 2 ? 900 : 100;
}

static struct {
	const char *name;
	void (*run)(void);
	int n;
} job[] = {
	{ "64 B", small, 20000 }, { "4 KiB", pages, 1000 }, { "1 MiB", large, 10 }, { "64 B + 1 MiB", two_sizes, 8000 },
	{ "mixed", mixed, 20000 }, { "calloc", zeroed, 6000 }, { "realloc", grown, 4000 },
};
#define JOBS (sizeof job / sizeof *job)
static double sum[JOBS][4], squares[JOBS][4];

static void one_run(size_t k)
{
	struct sums before = sums_of((void *)job[k].run);
	job[k].run();
	struct sums after = sums_of((void *)job[k].run);
	double v[4] = { after.objects - before.objects, after.bytes - before.bytes, after.live_objects, after.live_bytes };
	for (int i = 0; i < 4; i++) {
		sum[k][i] += v[i];
		squares[k][i] += v[i] * v[i];
	}
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		free(kept[i]);
		kept[i] = NULL;
	}
	OK(fabs(sums_of((void *)job[k].run).live_bytes) < 1);
}

static void judge(size_t k)
{
	static const char *const what[4] = { "objects", "bytes", "objects in use", "bytes in use" };
	double truth[4] = { 0 }, var[4] = { 0 };
	for (int i = 0; i < job[k].n; i++) {
		double s = (double)size_in((void *)job[k].run, i), q = exp(-s / RATE);
		bool live = job[k].run == grown ? i % 2 && i / 2 < job[k].n / 4 : i < job[k].n / 2;
		for (int v = 0; v < 4; v++) {
			double x = v % 2 ? s : 1;
			truth[v] += v < 2 || live ? x : 0;
			var[v] += v < 2 || live ? x * x * q / (1 - q) : 0;
		}
	}
	for (int v = 0; v < 4; v++) {
		double mean = sum[k][v] / RUNS, error = sqrt(var[v] / RUNS);
		double sd = sqrt(squares[k][v] / RUNS - mean * mean);
		printf("%-13s %-14s %12.0f true, %+6.2f %% = %+5.2f standard errors, deviation %.2f of the expected\n",
		       job[k].name, what[v], truth[v], 100 * (mean / truth[v] - 1), (mean - truth[v]) / error,
		       sd / sqrt(var[v]));
		/* 28 figures are judged: three errors for each would fail one time in 14. */
		OK(fabs(mean - truth[v]) < 4 * error);
		OK(sd > 0.6 * sqrt(var[v]) && sd < 1.5 * sqrt(var[v]));
	}
}

int main(void)
{
	set_up(256 << 20);
	for (int r = 0; r < RUNS; r++) {
		for (size_t k = 0; k < JOBS; k++) {
			rate(RATE);
			one_run(k);
		}
		rate(RATE + 1); /* all threads draw anew */
	}
	rate(RATE);
	for (size_t k = 0; k < JOBS; k++)
		judge(k);
	EQ(fact("live_samples"), 0);
	DONE();
}
