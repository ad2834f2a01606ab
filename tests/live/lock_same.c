/*
 * Mutexes of every kind and read-write locks answer as they do without hooks: results, errno, dead owners, refusals,
 * time-outs.
 */
#include <semaphore.h>

#include "same.h"

struct helper {
	pthread_t t;
	int (*step)(void *arg), (*end)(void *arg);
	void *arg;
	sem_t done, go;
	int result;
};

static void *helper_thread(void *arg)
{
	struct helper *h = arg;
	h->result = h->step(h->arg);
	sem_post(&h->done);
	sem_wait(&h->go);
	return (void *)(long)(h->end ? h->end(h->arg) : 0);
}

/* Run step(arg) on another thread, which then stays until helper_end(). Its result. */
static int helper(struct helper *h, int (*step)(void *), void *arg)
{
	*h = (struct helper){ .step = step, .arg = arg };
	sem_init(&h->done, 0, 0);
	sem_init(&h->go, 0, 0);
	pthread_create(&h->t, NULL, helper_thread, h);
	while (sem_wait(&h->done) != 0)
		continue;
	return h->result;
}

static void helper_end(struct helper *h)
{
	sem_post(&h->go);
	pthread_join(h->t, NULL);
}

static int lock_it(void *m)
{
	return pthread_mutex_lock(m);
}

static int unlock_it(void *m)
{
	return pthread_mutex_unlock(m);
}

static int has_it;

static void *lock_wait_unlock(void *m)
{
	long err = pthread_mutex_lock(m);
	__atomic_store_n(&has_it, 1, __ATOMIC_SEQ_CST);
	usleep(10000);
	return (void *)(err * 1000 + pthread_mutex_unlock(m));
}

static void one_mutex(int type, int robust, int protocol, int shared)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	struct helper h;
	struct timespec soon;
	out += sprintf(out, "- mutex type %d robust %d protocol %d shared %d\n", type, robust, protocol, shared);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, type);
	pthread_mutexattr_setrobust(&a, robust);
	pthread_mutexattr_setprotocol(&a, protocol);
	pthread_mutexattr_setpshared(&a, shared);
	pthread_mutex_init(&m, &a);
	TELL(pthread_mutex_lock(&m));
	TELL(pthread_mutex_unlock(&m));
	if (type != PTHREAD_MUTEX_NORMAL && type != PTHREAD_MUTEX_ADAPTIVE_NP)
		TELL(pthread_mutex_unlock(&m));
	TELL(pthread_mutex_lock(&m));
	soon = in_ms(CLOCK_REALTIME, 3);
	TELL(pthread_mutex_timedlock(&m, &soon));
	if (type == PTHREAD_MUTEX_RECURSIVE) {
		TELL(pthread_mutex_lock(&m));
		TELL(pthread_mutex_unlock(&m));
		TELL(pthread_mutex_unlock(&m));
	}
	if (type == PTHREAD_MUTEX_ERRORCHECK)
		TELL(pthread_mutex_lock(&m));
	if (type != PTHREAD_MUTEX_NORMAL && type != PTHREAD_MUTEX_ADAPTIVE_NP) {
		TELL(helper(&h, unlock_it, &m));
		helper_end(&h);
	}
	TELL(pthread_mutex_unlock(&m));
	TELL(helper(&h, lock_it, &m));
	soon = in_ms(CLOCK_REALTIME, 3);
	TELL(pthread_mutex_timedlock(&m, &soon));
	soon = in_ms(CLOCK_MONOTONIC, 3);
	TELL(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &soon));
	TELL(pthread_mutex_clocklock(&m, CLOCK_PROCESS_CPUTIME_ID, &soon));
	soon.tv_nsec = -1;
	TELL(pthread_mutex_timedlock(&m, &soon));
	TELL(pthread_mutex_trylock(&m));
	helper_end(&h); /* ends with the lock held */
	if (robust) {
		TELL(pthread_mutex_lock(&m));
		TELL(pthread_mutex_consistent(&m));
		TELL(pthread_mutex_unlock(&m));
		TELL(helper(&h, lock_it, &m));
		helper_end(&h);
		TELL(pthread_mutex_lock(&m));
		TELL(pthread_mutex_unlock(&m));
		TELL(pthread_mutex_lock(&m));
		TELL(pthread_mutex_unlock(&m));
		TELL(pthread_mutex_destroy(&m));
		pthread_mutex_init(&m, &a);
		/* Its owner dies while others wait. */
		TELL(helper(&h, lock_it, &m));
		sem_post(&h.go);
		TELL(pthread_mutex_lock(&m) != 0);
		pthread_join(h.t, NULL);
		TELL(pthread_mutex_unlock(&m));
	}
	pthread_mutex_init(&m, &a);
	pthread_t t;
	void *result = NULL;
	__atomic_store_n(&has_it, 0, __ATOMIC_SEQ_CST);
	pthread_create(&t, NULL, lock_wait_unlock, &m);
	OK(WITHIN(5000, __atomic_load_n(&has_it, __ATOMIC_SEQ_CST)));
	TELL(pthread_mutex_lock(&m));
	TELL(pthread_mutex_unlock(&m));
	TELL(pthread_join(t, &result));
	TELL(result);
	TELL(pthread_mutex_destroy(&m));
}

static void mutexes(void)
{
	static const int type[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
		PTHREAD_MUTEX_ADAPTIVE_NP };
	for (int i = 0; i < 4; i++)
		for (int robust = 0; robust < 2; robust++)
			for (int protocol = PTHREAD_PRIO_NONE; protocol <= PTHREAD_PRIO_PROTECT; protocol++)
				for (int shared = 0; shared < 2; shared++)
					/* A robust one with a ceiling is refused by glibc. */
					if (!robust || protocol != PTHREAD_PRIO_PROTECT)
						one_mutex(type[i], robust, protocol, shared);
}

static int read_it(void *l)
{
	return pthread_rwlock_rdlock(l);
}

static int write_it(void *l)
{
	return pthread_rwlock_wrlock(l);
}

static int release_it(void *l)
{
	return pthread_rwlock_unlock(l);
}

static void rwlocks(void)
{
	for (int kind = PTHREAD_RWLOCK_PREFER_READER_NP; kind <= PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP; kind++) {
		pthread_rwlockattr_t a;
		pthread_rwlock_t l;
		struct helper h;
		out += sprintf(out, "- rwlock kind %d\n", kind);
		pthread_rwlockattr_init(&a);
		pthread_rwlockattr_setkind_np(&a, kind);
		pthread_rwlock_init(&l, &a);
		for (int by = 0; by < 2; by++) {
			TELL(helper(&h, by ? write_it : read_it, &l));
			struct timespec soon = in_ms(CLOCK_REALTIME, 3), mono = in_ms(CLOCK_MONOTONIC, 3);
			TELL(pthread_rwlock_timedwrlock(&l, &soon));
			TELL(pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, &mono));
			int rd = pthread_rwlock_timedrdlock(&l, &soon);
			TELL(rd);
			if (rd == 0)
				TELL(pthread_rwlock_unlock(&l));
			rd = pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, &mono);
			TELL(rd);
			if (rd == 0)
				TELL(pthread_rwlock_unlock(&l));
			TELL(pthread_rwlock_clockrdlock(&l, CLOCK_TAI, &mono));
			h.end = release_it;
			helper_end(&h);
		}
		TELL(pthread_rwlock_wrlock(&l));
		TELL(pthread_rwlock_wrlock(&l));
		TELL(pthread_rwlock_rdlock(&l));
		TELL(pthread_rwlock_unlock(&l));
		TELL(pthread_rwlock_rdlock(&l));
		TELL(pthread_rwlock_unlock(&l));
		TELL(pthread_rwlock_destroy(&l));
	}
}

static void all_cases(void)
{
	mutexes();
	rwlocks();
}

int main(void)
{
	peek_start();
	same_in_all_states(all_cases);
	OK(peek_sum(PD_BLOCK, NULL, NULL, "pthread_mutex_timedlock").ns > 1e6);
	OK(peek_sum(PD_BLOCK, NULL, NULL, "pthread_mutex_clocklock").ns > 1e6);
	OK(peek_sum(PD_BLOCK, NULL, NULL, "pthread_rwlock_timedwrlock").ns > 1e6);
	OK(peek_sum(PD_MUTEX, NULL, NULL, "pthread_mutex_unlock").ns > 1e6);
	pprofd_stop();
	DONE();
}
