/* What the calls a program makes for each request cost, beside an empty one: labels of sets that exist already, the ids
 * of a trace, and a key in a profile of its own. */
#include <pprofd.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "test.h"

#define ROUNDS 9
#define CALLS 200000

static const char *const pair[] = { "route", "/api/v1/items", "method", "GET" };
static volatile int sink;

NOIPA static void nothing(void *arg)
{
	sink = 1;
}

static void empty(void)
{
	nothing(NULL);
}

static void one(void)
{
	pprofd_labels_push(pair[0], pair[1]);
	pprofd_labels_pop();
}

static void two(void)
{
	pprofd_labels_push(pair[0], pair[1]);
	pprofd_labels_push(pair[2], pair[3]);
	pprofd_labels_pop();
	pprofd_labels_pop();
}

static void both(void)
{
	pprofd_do(pair, 2, nothing, NULL);
}

static void traced(void)
{
	static const unsigned char id[24] = { 1 };
	pprofd_labels_trace(id, id + 16);
}

static int profile;

static void key(void)
{
	pprofd_profile_add(profile, &profile, 0);
	pprofd_profile_remove(profile, &profile);
}

static const struct {
	const char *what;
	void (*fn)(void);
} rows[] = {
	{ "empty call", empty },
	{ "push + pop, 1 label", one },
	{ "push + pop twice, 2 labels", two },
	{ "pprofd_do with 2 labels", both },
	{ "trace and span", traced },
	{ "profile add + remove", key },
};
#define ROWS (sizeof rows / sizeof *rows)

static double best[2][ROWS];

static void *measure(void *arg)
{
	double *out = arg;
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ROWS; i++) {
			long long start = test_now_ns();
			for (int k = 0; k < CALLS; k++)
				rows[i].fn();
			double ns = (double)(test_now_ns() - start) / CALLS;
			if (!round || ns < out[i])
				out[i] = ns;
		}
	return NULL;
}

/* On a thread as most are, not the first one. */
static void measured(double *out)
{
	pthread_t t;
	pthread_create(&t, NULL, measure, out);
	pthread_join(t, NULL);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "none" };
	profile = pprofd_profile_new("bench");
	measured(best[0]);
	if (pprofd_start(&o) != 0)
		SKIP("cannot start");
	measured(best[1]);
	printf("%-28s %10s %10s   ns, best of %d\n", "", "not on", "on", ROUNDS);
	for (size_t i = 0; i < ROWS; i++)
		printf("%-28s %10.1f %10.1f\n", rows[i].what, best[0][i], best[1][i]);
	pprofd_stop();
	return 0;
}
