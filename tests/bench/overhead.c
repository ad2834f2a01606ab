/*
 * What a CPU profile costs the program that is profiled: a fixed piece of work on one thread, alone and with a window
 * open at 100 Hz and at 1 kHz, in turn, in CPU time of the thread. Prints medians and ratios of neighbours.
 * argv[1]: rounds (default 40).
 */
#include <pprofd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../http.h"
#include "../test.h"

#define CASES 3
static const uint64_t hz[CASES] = { 0, 100, 1000 };

static __attribute__((noinline)) unsigned long leaf(unsigned long x, int n)
{
	for (int i = 0; i < n; i++)
		x = x * 6364136223846793005ul + 1442695040888963407ul;
	return x;
}

static __attribute__((noinline)) unsigned long deep(unsigned long x, int depth)
{
	x = depth ? deep(x, depth - 1) + 1 : leaf(x, 3000);
	__asm__ volatile("" : "+r"(x));
	return x;
}

static double work(void)
{
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	unsigned long x = 1;
	for (int i = 0; i < 150000; i++)
		x = deep(x, 25);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	__asm__ volatile("" : : "r"(x));
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, compare);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 40;
	double *t[CASES], *ratio[CASES];
	for (int c = 0; c < CASES; c++) {
		t[c] = calloc((size_t)rounds, sizeof **t);
		ratio[c] = calloc((size_t)rounds, sizeof **t);
	}
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	if (pprofd_start(&o) != 0)
		return 1;
	work();
	for (int r = 0; r < rounds; r++) {
		for (int k = 0; k < CASES; k++) {
			int c = (k + r) % CASES;
			if (hz[c]) {
				pprofd_rate_set("cpu_hz", hz[c]);
				/* Ends when its client does. */
				int fd = http_connect(http_port());
				dprintf(fd, "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n");
				usleep(30000);
				t[c][r] = work();
				close(fd);
				usleep(100000);
			} else {
				t[c][r] = work();
			}
		}
		for (int c = 0; c < CASES; c++)
			ratio[c][r] = t[c][r] / t[0][r];
	}
	for (int c = 0; c < CASES; c++) {
		double m = median(t[c], rounds), q = median(ratio[c], rounds);
		printf("%5llu Hz: median %.4f s of CPU, ratio to none %.4f (quartiles %.4f .. %.4f)\n", (unsigned long long)hz[c], m, q,
		       ratio[c][rounds / 4], ratio[c][rounds * 3 / 4]);
	}
	return pprofd_stop();
}
