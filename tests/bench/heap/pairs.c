/*
 * Nanoseconds for one malloc and one free: pairs CASE THREADS ROUNDS PAIRS prints the 5th percentile over the rounds,
 * of the slowest thread. CASE: bytes, or "mixed": 8 B .. 32 KiB in random order, 2048 live. Ten calls deep, as
 * programs are.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t size; /* 0 = mixed */
static int rounds;
static long pairs;
static pthread_barrier_t together;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

__attribute__((noinline)) static void same(void)
{
	size_t n = size;
	for (long i = 0; i < pairs; i++) {
		void *volatile p = malloc(n);
		free(p);
	}
}

static void mixed(void)
{
	static __thread void *live[2048];
	static __thread uint64_t r = 88172645463325252u;
	for (long i = 0; i < pairs; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		void **at = &live[r >> 20 & 2047];
		free(*at);
		*at = malloc(8 + ((size_t)(r >> 40 & 32767) >> (r >> 34 & 15) % 12));
	}
}

__attribute__((noinline)) static void deep(int n)
{
	if (n)
		deep(n - 1);
	else if (size)
		same();
	else
		mixed();
	__asm__ volatile("");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void *run(void *arg)
{
	double *t = arg;
	deep(8);
	for (int i = 0; i < rounds; i++) {
		pthread_barrier_wait(&together);
		double from = now();
		deep(8);
		t[i] = (now() - from) / (double)pairs;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 1;
	size = argc > 1 && strcmp(argv[1], "mixed") != 0 ? (size_t)atol(argv[1]) : 0;
	rounds = argc > 3 ? atoi(argv[3]) : 100;
	pairs = argc > 4 ? atol(argv[4]) : 100000;
	pthread_t th[8];
	double *t[8], slowest = 0;
	pthread_barrier_init(&together, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		t[i] = calloc((size_t)rounds + 1, sizeof **t);
		pthread_create(&th[i], NULL, run, t[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(th[i], NULL);
		qsort(t[i], (size_t)rounds, sizeof **t, by_value);
		slowest = t[i][rounds / 20] > slowest ? t[i][rounds / 20] : slowest;
	}
	printf("%.3f\n", slowest);
	return 0;
}
