/* One function does 80 % of the work and one the rest, whatever they are called in this build. */
#include <stdint.h>

#ifdef REBUILT
#define parse parse_v2
#define store store_v2
#endif

static volatile uint64_t sink;

__attribute__((noinline)) static void parse(void)
{
	for (unsigned i = 0; i < 9000000; i++)
		sink = sink * 0x9e3779b97f4a7c15u + i;
}

__attribute__((noinline)) static void store(void)
{
	for (unsigned i = 0; i < 2250000; i++)
		sink = sink * 0xbf58476d1ce4e5b9u + i;
}

int main(void)
{
	for (;;) {
		parse();
		store();
	}
}
