/* The same work per request, after pauses of 1/N s on average: decode() 2/3, reply() 1/3. Requests are counted in a
 * file. "slow": reply() takes three times as long. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void burn(unsigned n)
{
	uint64_t x = 1;
	for (unsigned i = 0; i < n; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

__attribute__((noinline)) static void decode(void)
{
	burn(8000000);
	__asm__ volatile("");
}

__attribute__((noinline)) static void reply(int slow)
{
	burn(slow ? 12000000 : 4000000);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	long rate = atol(argv[1]);
	int slow = argc > 3 && strcmp(argv[3], "slow") == 0;
	int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0)
		return 1;
	volatile uint64_t *requests = mmap(NULL, sizeof *requests, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (requests == MAP_FAILED)
		return 1;
	for (;;) {
		decode();
		reply(slow);
		++*requests;
		/* Requests come when they like, not in step with the kernel's clock. */
		struct timespec pause = { .tv_nsec = (long)(drand48() * 2e9 / (double)rate) };
		nanosleep(&pause, NULL);
	}
}
