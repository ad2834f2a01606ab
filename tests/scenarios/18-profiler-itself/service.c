/* A tiny service; with "spin" its time goes to a function that bears the profiler's name, as a careless profiler's own
 * work would. */
#include <stdint.h>
#include <string.h>
#include <time.h>

static volatile uint64_t sink;

__attribute__((noinline)) static void pprofd_like_work(void)
{
	for (unsigned i = 0; i < 100000; i++)
		sink = sink * 0x9e3779b97f4a7c15u + i;
}

__attribute__((noinline)) static void serve_one(void)
{
	for (unsigned i = 0; i < 100000; i++)
		sink = sink * 0xbf58476d1ce4e5b9u + i;
}

int main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	for (;;) {
		serve_one();
		if (argc > 1 && strcmp(argv[1], "spin") == 0)
			pprofd_like_work();
		nanosleep(&pause, NULL);
	}
}
