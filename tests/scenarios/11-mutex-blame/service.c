/* Three threads take turns in update_totals(), which sleeps with the lock in its hand; another lock is taken as often,
 * and never waited for. When all is done the program tells how long the threads have waited, by their own clocks.
 * "both": they keep the other lock as long. The empty asm keeps calls from becoming jumps, which leave no caller. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t totals = PTHREAD_MUTEX_INITIALIZER, journal = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t begin;
static long long waited_ns;
static int both;

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void work_ms(long ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000 };
	nanosleep(&t, NULL);
}

__attribute__((noinline)) static void update_totals(void)
{
	long long since = now_ns();
	pthread_mutex_lock(&totals);
	__atomic_fetch_add(&waited_ns, now_ns() - since, __ATOMIC_RELAXED);
	work_ms(30);
	pthread_mutex_unlock(&totals);
	__asm__ volatile("");
}

__attribute__((noinline)) static void write_journal(void)
{
	static pthread_mutex_t own[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
	static __thread int me;
	static int threads;
	if (!me)
		me = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	pthread_mutex_t *lock = both ? &journal : &own[me - 1];
	pthread_mutex_lock(lock);
	if (both)
		work_ms(30);
	pthread_mutex_unlock(lock);
	__asm__ volatile("");
}

__attribute__((noinline)) static void handle_read(void)
{
	update_totals();
	write_journal();
	__asm__ volatile("# read");
}

__attribute__((noinline)) static void handle_write(void)
{
	update_totals();
	write_journal();
	__asm__ volatile("# write");
}

static void *client(void *arg)
{
	pthread_barrier_wait(&begin);
	for (int i = 0; i < 20; i++)
		i % 4 ? handle_read() : handle_write();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[3];
	both = argc > 1 && strcmp(argv[1], "both") == 0;
	pthread_barrier_init(&begin, NULL, 3);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, client, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("waited %lld ns\n", waited_ns);
	fflush(stdout);
	pause();
}
