#include <stdint.h>

static volatile uint64_t sink;

static inline uint64_t step(uint64_t x)
{
	return (x ^ x >> 27) * 0x94d049bb133111ebu;
}

__attribute__((noinline)) static void crunch(void)
{
	for (unsigned i = 0; i < 10000; i++)
		sink = step(sink) + i;
}

int main(void)
{
	for (;;)
		crunch();
}
