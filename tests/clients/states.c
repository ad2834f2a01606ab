/*
 * A program in a chosen state, for tests of what its profiles look like then: states idle|busy|huge. Says "ready" when
 * it is there and ends with its standard input. Everything is done from leaf(), below a path of left() and right()
 * that spells a number: as many stacks as there are numbers.
 */
#include <pprofd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;
static void *_Atomic kept[4096];
static atomic_uint sum;
static atomic_bool threads_too;
static __thread bool resting, burning; /* what this thread does at each leaf, and nothing else */

static void *short_life(void *arg)
{
	return arg;
}

/* So that whoever holds the lock has somebody wait for it. */
static void *want(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&contended);
		pthread_mutex_unlock(&contended);
		for (volatile int i = 0; i < 200; i++)
			;
	}
	return arg;
}

static void burn(unsigned rounds)
{
	unsigned v = 1;
	for (unsigned i = 0; i < rounds; i++)
		v = v * 31 + i;
	atomic_fetch_add(&sum, v);
}

NOINLINE static void leaf(uint32_t number)
{
	while (resting)
		pause();
	burn(burning ? 30000 : 3000);
	if (burning)
		return;
	nanosleep(&(struct timespec){ .tv_nsec = 1 }, NULL);
	free(atomic_exchange(&kept[number % 4096], malloc(64 + number % 2048)));
	pthread_mutex_lock(&contended);
	burn(1000);
	pthread_mutex_unlock(&contended);
	if (atomic_load(&threads_too)) {
		pthread_t t;
		if (pthread_create(&t, NULL, short_life, NULL) == 0)
			pthread_join(t, NULL);
	}
}

/* Much memory for each stack. */
NOINLINE static void deeper(uint32_t number, unsigned frames)
{
	if (frames)
		deeper(number, frames - 1);
	else
		leaf(number);
	__asm__ volatile("# deeper");
}

static void descend(uint32_t number, unsigned bits);

NOINLINE static void left(uint32_t number, unsigned bits)
{
	descend(number, bits);
	__asm__ volatile("# left");
}

NOINLINE static void right(uint32_t number, unsigned bits)
{
	descend(number, bits);
	__asm__ volatile("# right");
}

static void descend(uint32_t number, unsigned bits)
{
	if (!bits)
		deeper(number, 30);
	else
		(number >> (bits - 1) & 1 ? right : left)(number, bits - 1);
	__asm__ volatile("# descend");
}

static unsigned bits;

static void *rest(void *number)
{
	resting = true;
	descend((uint32_t)(uintptr_t)number, bits);
	return NULL;
}

static void wander_from(void *from)
{
	for (uint32_t n = (uint32_t)(uintptr_t)from;; n++)
		descend(n * 2654435761u >> (32 - bits), bits);
}

static void *wander(void *from)
{
	const char *const labels[] = { "route", (uintptr_t)from ? "/caf\xc3\xa9 \"1\"" : "/", "who", "a;b\nc\xff" };
	pprofd_do(labels, 2, wander_from, from);
	return NULL;
}

static void *toil(void *arg)
{
	burning = true;
	wander_from(NULL);
	return arg;
}

static void get_busy(bool huge)
{
	pthread_t t;
	bits = huge ? 14 : 3;
	pthread_create(&t, NULL, want, NULL);
	atomic_store(&threads_too, true);
	for (uint32_t n = 0; n < 1u << bits; n++)
		descend(n, bits);
	atomic_store(&threads_too, false);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t, NULL, wander, (void *)i);
	if (huge)
		pthread_create(&t, NULL, toil, NULL);
	for (uintptr_t i = 0; i < (huge ? 300 : 3); i++)
		pthread_create(&t, NULL, rest, (void *)i);
}

int main(int argc, char **argv)
{
	char byte;
	const char *state = argc > 1 ? argv[1] : "";
	pprofd_start(NULL);
	if (strcmp(state, "idle") != 0)
		get_busy(strcmp(state, "huge") == 0);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
