/* 12 000 parked threads on some 50 stacks, or as many as the argument says: nearly all wait for work, 49 for something
 * of their own. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static sem_t never, ready;

__attribute__((noinline)) static void wait_for_work(void)
{
	sem_post(&ready);
	for (;;)
		sem_wait(&never);
}

__attribute__((noinline)) static void own_wait(unsigned depth)
{
	if (depth)
		own_wait(depth - 1);
	else
		wait_for_work();
	__asm__ volatile("");
}

static void *park(void *arg)
{
	own_wait((unsigned)(size_t)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? (size_t)atoi(argv[1]) : 12000;
	pthread_attr_t attr;
	sem_init(&never, 0, 0);
	sem_init(&ready, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (size_t i = 1; i < n; i++) {
		pthread_t t;
		if (pthread_create(&t, &attr, park, (void *)(i < 50 ? i : 0)) != 0)
			return 1;
	}
	for (size_t i = 1; i < n; i++)
		sem_wait(&ready);
	puts("parked");
	fflush(stdout);
	pause();
}
