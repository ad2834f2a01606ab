/*
 * Sampling switched on and off, the service stopped and started, and children forked, while 16 threads want locks of
 * every sort: nobody is lost, nothing is let in twice, and children find working locks and no service.
 */
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "same.h"

#define THREADS 16

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int stop, tokens;
static unsigned long by_mutex, by_writers, expected[2];
static int inside_mutex, inside_write, inside_read;

static void in_mutex(void)
{
	pthread_mutex_lock(&mutex);
	EQ(inside_mutex++, 0);
	by_mutex++;
	inside_mutex--;
	pthread_mutex_unlock(&mutex);
	__atomic_add_fetch(&expected[0], 1, __ATOMIC_RELAXED);
}

static void in_rwlock(unsigned i)
{
	if (i % 4) {
		pthread_rwlock_rdlock(&rwlock);
		__atomic_add_fetch(&inside_read, 1, __ATOMIC_SEQ_CST);
		EQ(__atomic_load_n(&inside_write, __ATOMIC_SEQ_CST), 0);
		__atomic_sub_fetch(&inside_read, 1, __ATOMIC_SEQ_CST);
	} else {
		pthread_rwlock_wrlock(&rwlock);
		__atomic_add_fetch(&inside_write, 1, __ATOMIC_SEQ_CST);
		EQ(__atomic_load_n(&inside_read, __ATOMIC_SEQ_CST), 0);
		by_writers++;
		__atomic_sub_fetch(&inside_write, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&expected[1], 1, __ATOMIC_RELAXED);
	}
	pthread_rwlock_unlock(&rwlock);
}

static void pass_token(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec = (until.tv_nsec + 2000000) % 1000000000;
	pthread_mutex_lock(&cond_mutex);
	if (tokens) {
		tokens--;
	} else {
		tokens++;
		pthread_cond_signal(&cond);
		pthread_cond_timedwait(&cond, &cond_mutex, &until);
	}
	pthread_mutex_unlock(&cond_mutex);
	sem_wait(&sem);
	usleep(1);
	sem_post(&sem);
}

static void *contender(void *arg)
{
	unsigned long seed = (unsigned long)arg;
	for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		seed = seed * 6364136223846793005ul + 1;
		in_mutex();
		in_rwlock((unsigned)(seed >> 40));
		if (i % 16 == 0)
			pass_token();
	}
	return NULL;
}

/* A child has its parent's hooks, and locks that nobody holds. */
static void fork_one(void)
{
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	pid_t pid = fork();
	/* It counts those that wait for it, which a child does not have. */
	if (pid == 0)
		pthread_rwlock_init(&rwlock, NULL);
	else
		pthread_rwlock_unlock(&rwlock);
	pthread_mutex_unlock(&mutex);
	if (pid == 0) {
		uint64_t v;
		alarm(20);
		for (unsigned i = 0; i < 100; i++) {
			in_mutex();
			in_rwlock(i);
		}
		pthread_mutex_lock(&mutex);
		struct timespec until = { 1, 0 };
		int err = pthread_mutex_timedlock(&mutex, &until);
		_exit(test_failures || err != ETIMEDOUT || pprofd_rate_get("block_rate", &v) != -ENOTCONN);
	}
	int status = -1;
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
}

static void *wait_long(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* Waits that begin with the hooks in place and end when there is no service, or another one. */
static void across_a_stop(bool again)
{
	pthread_t t[4];
	peek_start();
	rates(1, 1);
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, wait_long, NULL);
	usleep(20000);
	if (again)
		rates(0, 0);
	pprofd_stop();
	usleep(5000);
	if (again) {
		peek_start();
		rates(1, 1);
	}
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	if (again) {
		/* What began before is not counted by the new one, or in full. */
		OK(peek_sum(PD_BLOCK, NULL, NULL, "pthread_mutex_lock").ns < 4 * 5e9);
		pprofd_stop();
	}
}

int main(void)
{
	pthread_t t[THREADS];
	alarm(100);
	sem_init(&sem, 0, 2);
	peek_start();
	rates(0, 0);
	slots();
	pprofd_stop();
	fork_one();
	/* What is bound at the first call is bound then. */
	in_mutex(), in_rwlock(0), in_rwlock(1), pass_token();
	stop = 1;
	pthread_create(&t[0], NULL, contender, NULL);
	pthread_join(t[0], NULL);
	stop = 0;
	across_a_stop(false);
	across_a_stop(true);
	uint64_t before = slots();
	peek_start();
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, contender, (void *)(i + 1));
	for (int i = 0; i < 120; i++) {
		rates(i % 2 ? 0 : 1 + 1000u * (unsigned)(i % 3), i % 2 ? 0 : 1 + 10u * (unsigned)(i % 3));
		usleep(5000);
		if (i % 8 == 6)
			fork_one();
		if (i % 16 == 6)
			OK(peek_sum(PD_BLOCK, NULL, NULL, NULL).rows > 0);
		if (i % 30 == 28) {
			EQ(pprofd_stop(), 0);
			usleep(2000);
			peek_start();
		}
	}
	rates(1, 1);
	pprofd_stop();
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	OK(slots() == before);
	EQ(by_mutex, expected[0]);
	EQ(by_writers, expected[1]);
	printf("%lu and %lu holdings\n", by_mutex, by_writers);
	DONE();
}
