/*
 * What block and mutex sampling cost a program: calls that do not wait, and a lock that two threads want, for three
 * lengths of holding it. In a process that never had the service, in one with all rates at 0, with rates, and through
 * wrappers that try the lock first, as others do it; all in turn in one run. argv[1]: rounds (default 60).
 */
#include <errno.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "../locks.h"

enum { PLAIN, OFF, WRAPPED, HUNDRED, MUTEX, BLOCK, ALL, VARIANTS };
static const struct variant {
	const char *name;
	uint64_t block, mutex;
} variant[VARIANTS] = {
	[PLAIN] = { "without the service", 0, 0 },
	[OFF] = { "off", 0, 0 },
	[WRAPPED] = { "trylock-first wrappers", 0, 0 },
	[HUNDRED] = { "block 1 ms, mutex 1/100", 1000000, 100 },
	[MUTEX] = { "mutex 1/100", 0, 100 },
	[BLOCK] = { "block 10 us", 10000, 0 },
	[ALL] = { "every wait, every unlock", 1, 1 },
};

static void use(int v)
{
	static int now = PLAIN;
	if (v == PLAIN || now == v)
		return;
	now = v;
	peek_rate("block_rate", variant[v].block);
	peek_rate("mutex_fraction", variant[v].mutex);
}

/* ---- calls that do not wait ---- */

/* What a wrapper has to do at least: try, and look at the clock only when that fails. */
static __attribute__((noinline)) int wrapped_lock(pthread_mutex_t *m)
{
	int err = pthread_mutex_trylock(m);
	if (__builtin_expect(err != EBUSY, 1))
		return err;
	long long before = test_now_ns();
	err = pthread_mutex_lock(m);
	__asm__ volatile("" ::"r"(test_now_ns() - before));
	return err;
}

static __attribute__((noinline)) int wrapped_unlock(pthread_mutex_t *m)
{
	int err = pthread_mutex_unlock(m);
	__asm__ volatile("");
	return err;
}

static pthread_mutex_t many[4096];
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;

enum { ONE_MUTEX, MANY_MUTEXES, READ_LOCK, SEMAPHORE, SYSCALL, CALLS };
static const char *const call_name[CALLS] = { "lock + unlock of a free mutex", "the same, one of 4096",
	"read lock + unlock", "semaphore post + wait", "syscall(SYS_getppid)" };

#define TIMES 10000
#define LOOP(body)                         \
	for (int i = 0; i < TIMES; i++) {  \
		body;                      \
	}

static inline pthread_mutex_t *any(unsigned *x)
{
	*x = *x * 1664525 + 1013904223;
	return &many[*x >> 20];
}

/* ns of one */
static double call(int which, bool wrapped)
{
	unsigned x = 1;
	long long before = test_now_ns();
	pthread_mutex_t *m = many;
	switch (which + CALLS * (wrapped && which <= MANY_MUTEXES)) {
	case ONE_MUTEX: LOOP(pthread_mutex_lock(m); pthread_mutex_unlock(m)) break;
	case ONE_MUTEX + CALLS: LOOP(wrapped_lock(m); wrapped_unlock(m)) break;
	case MANY_MUTEXES: LOOP(m = any(&x); pthread_mutex_lock(m); pthread_mutex_unlock(m)) break;
	case MANY_MUTEXES + CALLS: LOOP(m = any(&x); wrapped_lock(m); wrapped_unlock(m)) break;
	case READ_LOCK: LOOP(pthread_rwlock_rdlock(&rwlock); pthread_rwlock_unlock(&rwlock)) break;
	case SEMAPHORE: LOOP(sem_post(&sem); sem_wait(&sem)) break;
	case SYSCALL: LOOP(syscall(SYS_getppid)) break;
	}
	return (double)(test_now_ns() - before) / TIMES;
}

/* ---- a lock that two threads want ---- */

struct load {
	int hold, out;
	bool wrapped;
	pthread_barrier_t begin;
	long long until;
	unsigned long ops;
};
static struct load load;
static pthread_mutex_t wanted = PTHREAD_MUTEX_INITIALIZER;
static unsigned long state;

static inline unsigned long spin(unsigned long x, int n)
{
	for (int i = 0; i < n; i++)
		x = x * 6364136223846793005ul + 1442695040888963407ul;
	__asm__ volatile("" : "+r"(x));
	return x;
}

static void *contender(void *arg)
{
	unsigned long n = 0, x = (unsigned long)arg;
	pthread_barrier_wait(&load.begin);
	do {
		for (int i = 0; i < 64; i++) {
			load.wrapped ? wrapped_lock(&wanted) : pthread_mutex_lock(&wanted);
			state = spin(state, load.hold);
			load.wrapped ? wrapped_unlock(&wanted) : pthread_mutex_unlock(&wanted);
			x = spin(x, load.out);
		}
		n += 64;
	} while (test_now_ns() < load.until);
	__atomic_add_fetch(&load.ops, n, __ATOMIC_SEQ_CST);
	return NULL;
}

static long long cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Millions of holdings in a second, by two threads in 6 ms; 0: with but one processor to run on, they did not meet. */
static double burst(bool wrapped, int hold, int out)
{
	pthread_t t[2];
	load.hold = hold;
	load.out = out;
	load.wrapped = wrapped;
	load.ops = 0;
	pthread_barrier_init(&load.begin, NULL, 2);
	long long before = test_now_ns(), used = cpu_ns();
	load.until = before + 6000000;
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, contender, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	double took = (double)(test_now_ns() - before);
	bool met = (double)(cpu_ns() - used) > 1.25 * took || hold == 0;
	return met ? (double)load.ops * 1e3 / took : 0;
}

static double one(int v, int which, int hold, int out)
{
	double got = 0;
	if (which < CALLS)
		return call(which, v == WRAPPED);
	for (int i = 0; i < 4 && got == 0; i++)
		got = burst(v == WRAPPED, hold, out);
	return got;
}

/* ---- a process that never has the service ---- */

struct question {
	int which, hold, out;
};
static int to_plain[2], from_plain[2];

static void *stay(void *arg)
{
	pause();
	return NULL;
}

static void answer(void)
{
	struct question q;
	pthread_t other;
	/* libc's locks know whether there are threads. */
	pthread_create(&other, NULL, stay, NULL);
	while (read(to_plain[0], &q, sizeof q) == sizeof q) {
		double got = one(PLAIN, q.which, q.hold, q.out);
		if (write(from_plain[1], &got, sizeof got) != sizeof got)
			break;
	}
	_exit(0);
}

static double measure(int v, int which, int hold, int out)
{
	struct question q = { which, hold, out };
	double got = 0;
	use(v);
	if (v != PLAIN)
		return one(v, which, hold, out);
	if (write(to_plain[1], &q, sizeof q) != sizeof q || read(from_plain[0], &got, sizeof got) != sizeof got)
		exit(1);
	return got;
}

/* ---- in turn ---- */

#define MOST 4096
static double value[VARIANTS][MOST];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double at(double *v, int n, double share)
{
	qsort(v, (size_t)n, sizeof *v, compare);
	return v[(int)(share * (n - 1))];
}

static void uncontended(int rounds, int which)
{
	int n = 0, times = 8;
	for (int r = 0; r < rounds && n + times <= MOST; r++, n += times)
		for (int k = 0; k < VARIANTS; k++)
			for (int i = 0; i < times; i++)
				value[(k + r) % VARIANTS][n + i] = measure((k + r) % VARIANTS, which, 0, 0);
	printf("%s: ns (least, difference, median)\n", call_name[which]);
	double plain = at(value[PLAIN], n, 0.02);
	for (int v = 0; v < VARIANTS; v++) {
		double least = at(value[v], n, 0.02);
		printf("  %-26s %7.2f %+6.2f %8.2f\n", variant[v].name, least, least - plain, at(value[v], n, 0.5));
	}
}

static void contended(int rounds, int hold, int out)
{
	int met[VARIANTS] = { 0 };
	for (int r = 0; r < rounds && r < MOST; r++) {
		for (int k = 0; k < VARIANTS; k++) {
			int v = (k + r) % VARIANTS;
			double now = measure(v, CALLS, hold, out);
			if (now > 0)
				value[v][met[v]++] = now;
		}
	}
	printf("two threads, %d in, %d out: median of millions a second, the bursts in which they met\n", hold, out);
	double plain = met[PLAIN] ? at(value[PLAIN], met[PLAIN], 0.5) : 0;
	for (int v = 0; v < VARIANTS; v++) {
		double median = met[v] ? at(value[v], met[v], 0.5) : 0;
		printf("  %-26s %7.3f  %+6.1f %%  %6d\n", variant[v].name, median,
		       plain > 0 ? 100 * (median / plain - 1) : 0, met[v]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 60;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sem_init(&sem, 0, 0);
	if (pipe(to_plain) != 0 || pipe(from_plain) != 0)
		return 1;
	if (fork() == 0) {
		close(to_plain[1]);
		answer();
	}
	peek_start();
	for (int which = 0; which < CALLS; which++)
		uncontended(rounds, which);
	contended(4 * rounds, 0, 0);
	contended(4 * rounds, 50, 400);
	contended(4 * rounds, 1000, 3000);
	pprofd_stop();
	return test_failures != 0;
}
