/* route() does next to nothing itself: it calls render() for 3/4 of the time and audit() for 1/4, each
 * for long beside the time between two samples. */
#include <stdint.h>
#include <string.h>

static volatile uint64_t sink;

/* n steps of some four cycles each, one after the other */
static inline void steps(unsigned n)
{
	uint64_t x = sink;
	for (unsigned i = 0; i < n; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
	sink = x;
}

__attribute__((noinline)) static void render(unsigned n)
{
	steps(3 * n);
}

__attribute__((noinline)) static void audit(unsigned n)
{
	steps(n);
}

/* With "hot": the time is route()'s own. */
__attribute__((noinline)) static void route(int hot)
{
	if (hot)
		steps(30000000);
	render(hot ? 0 : 7500000);
	audit(hot ? 0 : 7500000);
	sink++;
}

int main(int argc, char **argv)
{
	for (;;)
		route(argc > 1 && strcmp(argv[1], "hot") == 0);
}
