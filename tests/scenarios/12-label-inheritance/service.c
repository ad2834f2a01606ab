/* A handler that answers under a label, with the help of two threads made for the request; one thread that is older
 * than any request; and one made during the first request that is not for it and opts out. "apart": no thread
 * inherits. */
#include <pprofd.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

static void burn(uint64_t x)
{
	for (unsigned i = 0; i < 5000000; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

__attribute__((noinline)) static void *shard(void *arg)
{
	for (int i = 0; i < 4; i++)
		burn(1);
	return arg;
}

__attribute__((noinline)) static void merge(void)
{
	burn(2);
	__asm__ volatile("");
}

__attribute__((noinline)) static void *compact(void *arg)
{
	for (;;)
		burn(3);
	return arg;
}

__attribute__((noinline)) static void *refresh_cache(void *arg)
{
	for (;;)
		burn(4);
	return arg;
}

static void answer(void)
{
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, shard, NULL);
	merge();
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	pthread_t t;
	pthread_create(&t, NULL, compact, NULL);
	if (argc > 1 && strcmp(argv[1], "apart") == 0)
		pprofd_labels_inherit(0);
	for (int request = 0;; request++) {
		pprofd_labels_push("route", "/report");
		if (!request) {
			pprofd_labels_clear();
			pthread_create(&t, NULL, refresh_cache, NULL);
			pprofd_labels_pop();
		}
		answer();
		pprofd_labels_pop();
	}
}
