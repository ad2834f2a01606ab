/* Two locks: two threads share one, five the other, each held for a few milliseconds at a time. two.go is the same. */
#include <pprofd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t few = PTHREAD_MUTEX_INITIALIZER, many = PTHREAD_MUTEX_INITIALIZER;
static time_t end;

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ 0, ms * 1000000l }, NULL);
}

__attribute__((noinline)) void HoldFew(void)
{
	pthread_mutex_lock(&few);
	pause_ms(4);
	pthread_mutex_unlock(&few);
	__asm__ volatile("");
}

__attribute__((noinline)) void HoldMany(void)
{
	pthread_mutex_lock(&many);
	pause_ms(4);
	pthread_mutex_unlock(&many);
	__asm__ volatile("");
}

static void *worker(void *arg)
{
	void (*hold)(void) = arg ? HoldMany : HoldFew;
	while (time(NULL) < end) {
		hold();
		pause_ms(1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[7];
	end = time(NULL) + atoi(argv[1]);
	for (long i = 0; i < 7; i++)
		pthread_create(&t[i], NULL, worker, (void *)(long)(i >= 2));
	for (int i = 0; i < 7; i++)
		pthread_join(t[i], NULL);
	FILE *f[2] = { fopen(argv[2], "w"), fopen(argv[3], "w") };
	pprofd_write("mutex", 0, fileno(f[0]));
	pprofd_write("block", 0, fileno(f[1]));
	return 0;
}
