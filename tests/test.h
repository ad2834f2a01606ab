/* Checks for test programs: a failed one is told with its place, and the program goes on. */
#ifndef PD_TEST_H
#define PD_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int test_failures __attribute__((unused));

#define OK(e) \
	((e) ? (void)0 : (test_failures++, (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #e)))
#define EQ(a, b)                                                                                       \
	do {                                                                                           \
		long long eq_a = (long long)(a), eq_b = (long long)(b);                                \
		if (eq_a != eq_b) {                                                                    \
			test_failures++;                                                               \
			fprintf(stderr, "%s:%d: %s is %lld, not %s = %lld\n", __FILE__, __LINE__, #a, eq_a, #b, eq_b); \
		}                                                                                      \
	} while (0)
#define STREQ(a, b)                                                                                    \
	do {                                                                                           \
		const char *eq_a = (a), *eq_b = (b);                                                   \
		if (!eq_a || !eq_b || strcmp(eq_a, eq_b) != 0) {                                       \
			test_failures++;                                                               \
			fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a,   \
			        eq_a ? eq_a : "(null)", eq_b ? eq_b : "(null)");                       \
		}                                                                                      \
	} while (0)
#define SKIP(why)                                  \
	do {                                       \
		printf("skipped: %s\n", (why));    \
		exit(77);                          \
	} while (0)
/* A function that stays as it is, with a frame of its own. */
#ifdef __clang__
#define NOIPA __attribute__((noinline))
#else
#define NOIPA __attribute__((noipa))
#endif
#define DONE() return test_failures ? 1 : 0

/* Poll until e holds or ms milliseconds have passed; the value is whether it held. */
#define WITHIN(ms, e)                                                                                  \
	({                                                                                             \
		int within_ok = 0;                                                                     \
		for (int within_i = 0; within_i <= (ms) && !(within_ok = !!(e)); within_i++)           \
			usleep(1000);                                                                  \
		within_ok;                                                                             \
	})

static inline long long test_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

#endif
