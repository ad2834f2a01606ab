/*
 * Whatever the rates, the profiles tell the same: four threads want one lock, and the rates change all the time. What
 * is told of each must agree, within the error of sampling, with what the threads have measured themselves.
 */
#include <math.h>

#include "locks.h"

PLACE(contender);

#define CASES 3
#define ROUNDS 25
#define THREADS 4
static const uint64_t rate[CASES] = { 1, 10000, 1000000 }, fraction[CASES] = { 1, 10, 100 };

static pthread_mutex_t wanted = PTHREAD_MUTEX_INITIALIZER;
/* Index of the rates in force; -1 while they change, when nobody wants the lock. */
static int now = -1, parked, stop;
/* Of the waits under each: number, sum, and variances of the estimates. */
static struct truth {
	double n, ns, block_var, square;
} truth[THREADS][CASES];

PLACED(contender) static void *contender(void *arg)
{
	struct truth *mine = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int c = __atomic_load_n(&now, __ATOMIC_ACQUIRE);
		if (c < 0) {
			__atomic_fetch_add(&parked, 1, __ATOMIC_RELEASE);
			while (__atomic_load_n(&now, __ATOMIC_RELAXED) < 0 && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
				usleep(100);
			__atomic_fetch_sub(&parked, 1, __ATOMIC_RELEASE);
			continue;
		}
		long long before = test_now_ns();
		pthread_mutex_lock(&wanted);
		double took = (double)(test_now_ns() - before);
		/* Asleep, so that many take turns on few processors. */
		usleep(30);
		pthread_mutex_unlock(&wanted);
		usleep(20);
		if (took < 2000)
			continue;
		mine[c].n++;
		mine[c].ns += took;
		mine[c].square += took * took;
		if (took < (double)rate[c])
			mine[c].block_var += took * ((double)rate[c] - took);
	}
	return NULL;
}

static void add(struct peek_sum *to, struct peek_sum more)
{
	to->waits += more.waits;
	to->ns += more.ns;
}

/* What is counted so far, when all have left the lock. */
static void park(struct peek_sum *block, struct peek_sum *mutex)
{
	__atomic_store_n(&now, -1, __ATOMIC_RELEASE);
	OK(WITHIN(10000, __atomic_load_n(&parked, __ATOMIC_ACQUIRE) == THREADS));
	*block = peek_sum(PD_BLOCK, IN(contender), NULL);
	*mutex = peek_sum(PD_MUTEX, IN(contender), NULL);
}

static void go(int c)
{
	peek_rate("block_rate", rate[c]);
	peek_rate("mutex_fraction", fraction[c]);
	__atomic_store_n(&now, c, __ATOMIC_RELEASE);
	OK(WITHIN(10000, __atomic_load_n(&parked, __ATOMIC_ACQUIRE) == 0));
	usleep(50000);
}

int main(void)
{
	pthread_t t[THREADS];
	struct peek_sum block[CASES] = { { 0, 0, 0 } }, mutex[CASES] = { { 0, 0, 0 } };
	struct peek_sum b, m, block_was, mutex_was;
	peek_start();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, contender, truth[i]);
	park(&block_was, &mutex_was);
	for (int r = 0; r < CASES * ROUNDS; r++) {
		int c = r % CASES;
		go(c);
		park(&b, &m);
		add(&block[c], peek_less(b, block_was));
		add(&mutex[c], peek_less(m, mutex_was));
		block_was = b;
		mutex_was = m;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	double share[CASES], error[CASES];
	for (int c = 0; c < CASES; c++) {
		struct truth all = { 0, 0, 0, 0 };
		for (int i = 0; i < THREADS; i++) {
			all.n += truth[i][c].n;
			all.ns += truth[i][c].ns;
			all.square += truth[i][c].square;
			all.block_var += truth[i][c].block_var;
		}
		double sd = sqrt(all.block_var) / all.ns;
		NEAR(block[c].ns, all.ns, 0.08 + 4 * sd);
		OK(all.n > 200);
		/* A short wait's chance is less, and it stands for more. */
		NEAR(block[c].waits, all.n, 0.25 + 4 * sqrt((double)rate[c] / (all.ns / all.n)) / sqrt(all.n));
		NEAR(mutex[c].waits, all.n, 0.1 + 4 * sqrt((double)fraction[c] / all.n));
		/* Waking up is not charged, so the share of the whole is compared. */
		share[c] = mutex[c].ns / all.ns;
		error[c] = sqrt((double)(fraction[c] - 1) * all.square) / all.ns;
		printf("rate %7llu ns, 1/%-3llu: %6.0f waits, %8.1f ms; ", (unsigned long long)rate[c],
		       (unsigned long long)fraction[c], all.n, all.ns / 1e6);
		printf("block %6.0f %8.1f (sd %4.1f %%), mutex %6.0f %8.1f (sd %4.1f %%)\n", block[c].waits,
		       block[c].ns / 1e6, 100 * sd, mutex[c].waits, mutex[c].ns / 1e6, 100 * error[c]);
	}
	OK(share[0] > 0.3 && share[0] < 1.05);
	NEAR(share[1], share[0], 0.15 + 4 * error[1]);
	NEAR(share[2], share[0], 0.15 + 4 * error[2]);
	pprofd_stop();
	DONE();
}
