/* A small function that the compiler puts into its caller: 3/4 of the time is mix()'s, the rest is spread()'s,
 * in turns that are long beside the time between two samples. */
#include <stdint.h>

static volatile uint64_t sink;

static uint64_t mix(uint64_t x)
{
	for (int i = 0; i < 18000000; i++)
		x = (x ^ x >> 29) * 0x9e3779b97f4a7c15u;
	return x;
}

__attribute__((noinline)) static uint64_t spread(uint64_t x)
{
	for (int i = 0; i < 6000000; i++)
		x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
	return x;
}

__attribute__((noinline)) static void handle_request(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sink += spread(mix(i));
}

int main(void)
{
	for (;;)
		handle_request(100);
}
