/* Two threads that burn the same: a handler under a label and a worker without. "labels" puts the label on. */
#include <pprofd.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

static void burn(uint64_t x)
{
	for (unsigned i = 0; i < 1000000; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

__attribute__((noinline)) static void handle(void)
{
	burn(1);
	__asm__ volatile("");
}

__attribute__((noinline)) static void compact(void)
{
	burn(2);
	__asm__ volatile("");
}

static void *worker(void *arg)
{
	for (;;)
		compact();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int everywhere = argc > 1 && strcmp(argv[1], "everywhere") == 0;
	if (everywhere)
		pprofd_labels_push("route", "/json");
	pthread_create(&t, NULL, worker, NULL);
	if (argc > 1 && !everywhere)
		pprofd_labels_push("route", "/json");
	for (;;)
		handle();
}
