/*
 * Two locks with a known truth: a culprit holds one for known times while 1, 3 or 10 threads wait for it; the other is
 * never waited for. The waiters' own clocks say how long they waited. So for every kind of mutex, for a wait for a
 * condition that lets others in, and for readers that keep a writer waiting.
 */
#include "locks.h"

PLACE(culprit);
PLACE(culprit_two);
PLACE(innocent);
PLACE(waiter);
PLACE(condition);
PLACE(first_reader);
PLACE(last_reader);
PLACE(writer);

static pthread_mutex_t guilty = PTHREAD_MUTEX_INITIALIZER, calm = PTHREAD_MUTEX_INITIALIZER;
static int waiting, stop_calm;
static long long waited; /* from before the lock call until the culprit's unlock, over all */
static long long whole;  /* until the lock was had */
static long long unlocked_at;

PLACED(waiter) static void wait_for_it(void)
{
	long long before = test_now_ns();
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&guilty);
	long long after = test_now_ns();
	long long until = __atomic_load_n(&unlocked_at, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&guilty);
	__atomic_add_fetch(&waited, until - before, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&whole, after - before, __ATOMIC_SEQ_CST);
}

static void *wait_thread(void *arg)
{
	wait_for_it();
	return NULL;
}

static void hold(int ms)
{
	usleep((unsigned)ms * 1000);
	__atomic_store_n(&unlocked_at, test_now_ns(), __ATOMIC_SEQ_CST);
}

PLACED(culprit) static void hold_long(void)
{
	hold(60);
	pthread_mutex_unlock(&guilty);
	__asm__ volatile("");
}

PLACED(culprit_two) static void hold_short(void)
{
	hold(20);
	pthread_mutex_unlock(&guilty);
	__asm__ volatile("");
}

PLACED(innocent) static void *innocent_thread(void *arg)
{
	while (!__atomic_load_n(&stop_calm, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&calm);
		pthread_mutex_unlock(&calm);
	}
	return NULL;
}

/* n threads wait while `by` holds the lock. */
static void scene(int n, void (*by)(void))
{
	pthread_t t[10];
	waiting = 0;
	pthread_mutex_lock(&guilty);
	for (int i = 0; i < n; i++)
		pthread_create(&t[i], NULL, wait_thread, NULL);
	OK(WITHIN(2000, __atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == n));
	by();
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

struct sums {
	struct peek_sum one, two, waiter, block;
};

static struct sums look(void)
{
	struct sums s = {
		.one = peek_sum(PD_MUTEX, IN(culprit), "pthread_mutex_unlock"),
		.two = peek_sum(PD_MUTEX, IN(culprit_two), "pthread_mutex_unlock"),
		.waiter = peek_sum(PD_MUTEX, IN(waiter), "pthread_mutex_unlock"),
		.block = peek_sum(PD_BLOCK, IN(waiter), "pthread_mutex_lock"),
	};
	return s;
}

static void known_truth(int n)
{
	struct sums a = look();
	waited = whole = 0;
	scene(n, hold_long);
	long long first = waited;
	scene(n, hold_short);
	struct sums b = look();
	double one = peek_less(b.one, a.one).ns, two = peek_less(b.two, a.two).ns;
	NEAR(one, (double)first, 0.05);
	NEAR(two, (double)(waited - first), 0.05);
	NEAR(peek_less(b.one, a.one).waits, n, 0);
	NEAR(peek_less(b.block, a.block).ns, (double)whole, 0.05);
	NEAR(peek_less(b.block, a.block).waits, 2 * n, 0);
	/* Waiters are waited for only by those behind them, after the culprit has let go. */
	OK(peek_less(b.waiter, a.waiter).ns <= (double)(whole - waited) + 1e6);
	printf("%2d waiters: culprits %.1f and %.1f ms, waited %.1f and %.1f ms\n", n, one / 1e6, two / 1e6,
	       (double)first / 1e6, (double)(waited - first) / 1e6);
}

static void kind(int type, int robust, int protocol, int shared)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, type);
	pthread_mutexattr_setrobust(&a, robust);
	pthread_mutexattr_setprotocol(&a, protocol);
	pthread_mutexattr_setpshared(&a, shared);
	pthread_mutex_init(&guilty, &a);
	printf("type %d, robust %d, protocol %d, shared %d:\n", type, robust, protocol, shared);
	known_truth(3);
}

PLACED(condition) static void hold_by_condition(void)
{
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct timespec until;
	hold(30);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += until.tv_nsec >= 950000000;
	until.tv_nsec = (until.tv_nsec + 50000000) % 1000000000;
	/* Lets the others in, and has it again in the end. */
	pthread_cond_timedwait(&never, &guilty, &until);
	pthread_mutex_unlock(&guilty);
	__asm__ volatile("");
}

static void condition(void)
{
	waited = 0;
	scene(3, hold_by_condition);
	NEAR(peek_sum(PD_MUTEX, IN(condition), "pthread_cond_timedwait").ns, (double)waited, 0.05);
	OK(peek_sum(PD_BLOCK, IN(condition), "pthread_cond_timedwait").ns > 40e6);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static int readers, first_may_go;

PLACED(first_reader) static void *first_reader(void *arg)
{
	pthread_rwlock_rdlock(&rw);
	__atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&first_may_go, __ATOMIC_SEQ_CST))
		usleep(1000);
	pthread_rwlock_unlock(&rw);
	return NULL;
}

PLACED(last_reader) static void last_reader(void)
{
	pthread_t t;
	pthread_rwlock_rdlock(&rw);
	pthread_create(&t, NULL, first_reader, NULL);
	OK(WITHIN(2000, __atomic_load_n(&readers, __ATOMIC_SEQ_CST) == 1));
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(20000);
	__atomic_store_n(&first_may_go, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	usleep(20000);
	__atomic_store_n(&unlocked_at, test_now_ns(), __ATOMIC_SEQ_CST);
	pthread_rwlock_unlock(&rw);
}

PLACED(writer) static void *writer(void *arg)
{
	OK(WITHIN(2000, __atomic_load_n(&readers, __ATOMIC_SEQ_CST) == 1));
	long long before = test_now_ns();
	__atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
	pthread_rwlock_wrlock(&rw);
	whole = test_now_ns() - before;
	waited = __atomic_load_n(&unlocked_at, __ATOMIC_SEQ_CST) - before;
	pthread_rwlock_unlock(&rw);
	return NULL;
}

/* A writer waits for readers: the last of them keeps it waiting, not the others. */
static void rwlock(void)
{
	pthread_t t;
	waiting = 0;
	pthread_create(&t, NULL, writer, NULL);
	last_reader();
	pthread_join(t, NULL);
	NEAR(peek_sum(PD_MUTEX, IN(last_reader), "pthread_rwlock_unlock").ns, (double)waited, 0.05);
	EQ(peek_sum(PD_MUTEX, IN(first_reader), NULL).rows, 0);
	NEAR(peek_sum(PD_BLOCK, IN(writer), "pthread_rwlock_wrlock").ns, (double)whole, 0.05);
	EQ(peek_sum(PD_BLOCK, IN(first_reader), "pthread_rwlock_rdlock").rows, 0);
}

int main(void)
{
	peek_start();
	peek_rate("block_rate", 1);
	peek_rate("mutex_fraction", 1);
	pthread_t t;
	pthread_create(&t, NULL, innocent_thread, NULL);
	known_truth(1);
	known_truth(3);
	known_truth(10);
	kind(PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_NONE, 0);
	kind(PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_NONE, 1);
	kind(PTHREAD_MUTEX_ADAPTIVE_NP, 0, PTHREAD_PRIO_NONE, 0);
	kind(PTHREAD_MUTEX_NORMAL, 1, PTHREAD_PRIO_NONE, 0);
	kind(PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT, 0);
	kind(PTHREAD_MUTEX_RECURSIVE, 1, PTHREAD_PRIO_INHERIT, 1);
	condition();
	rwlock();
	__atomic_store_n(&stop_calm, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	EQ(peek_sum(PD_MUTEX, IN(innocent), NULL).rows, 0);
	EQ(peek_sum(PD_BLOCK, IN(innocent), NULL).rows, 0);
	pprofd_stop();
	DONE();
}
