/* As much CPU time in threads that live for a millisecond as in one that stays. The two are told apart by name. With a
 * second argument: so many threads that stay, but work for a millisecond now and then. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline))

static double cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile unsigned sum;

#define WORK(ms, step)                                     \
	double end = cpu() + (ms) / 1e3;                   \
	while (cpu() < end)                                \
		for (unsigned k = 0; k < (step); k++)      \
			sum += k

KEEP static void brief_first(void)
{
	WORK(0.5, 2000);
}

KEEP static void brief_second(void)
{
	WORK(0.5, 1999); /* or the two were one */
}

KEEP static void steady(void)
{
	WORK(1, 2000);
}

static void *brief(void *arg)
{
	brief_first();
	brief_second();
	return arg;
}

static void *seldom(void *arg)
{
	const struct timespec pause = { 0, 250000000 };
	for (;;) {
		brief(NULL);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		pthread_t t;
		for (int i = 0; i < atoi(argv[2]); i++)
			if (pthread_create(&t, NULL, seldom, NULL))
				return 1;
		sleep((unsigned)atoi(argv[1]));
		return 0;
	}
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	while (time(NULL) < end) {
		pthread_t t;
		if (pthread_create(&t, NULL, brief, NULL))
			return 1;
		pthread_join(t, NULL);
		steady();
	}
	return 0;
}
