/* 4 GB pass through the heap in pieces of some 2 MB, and 200 MB of them stay. "leak": 300 MB more that nobody frees. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVE (200u << 20)
#define CHURN (4ull << 30)
#define SLOTS (LIVE / PIECE)
#define PIECE (2u << 20)

static char *slot[SLOTS];

/* Sizes around PIECE whose sum over all slots is LIVE. */
static size_t size_of(size_t i)
{
	size_t off = i / 2 % 27 * (32u << 10);
	return i % 2 ? PIECE + off : PIECE - off;
}

static char *filled(size_t n)
{
	char *p = malloc(n);
	if (!p)
		abort();
	return memset(p, 1, n);
}

__attribute__((noinline)) static void refill_cache(void)
{
	uint64_t allocated = 0;
	for (size_t i = 0; allocated < CHURN; i = (i + 1) % SLOTS) {
		free(slot[i]);
		slot[i] = filled(size_of(i));
		allocated += size_of(i);
	}
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	refill_cache();
	if (argc > 1 && strcmp(argv[1], "leak") == 0)
		slot[0] = filled(300u << 20);
	puts("filled");
	fflush(stdout);
	pause();
}
