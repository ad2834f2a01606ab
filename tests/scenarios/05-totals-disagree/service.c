/* A few small things stay in use: 2000 sessions of 300 bytes and 1000 buffers of 700. As many others come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile kept[3000];

__attribute__((noinline)) static void open_session(size_t i)
{
	kept[i] = malloc(300);
	__asm__ volatile("");
}

__attribute__((noinline)) static void make_buffer(size_t i)
{
	kept[i] = malloc(700);
	__asm__ volatile("");
}

__attribute__((noinline)) static void answer_ping(void)
{
	void *volatile p = malloc(100);
	free(p);
}

int main(void)
{
	for (size_t i = 0; i < 1000; i++) {
		open_session(3 * i);
		open_session(3 * i + 1);
		make_buffer(3 * i + 2);
		for (int k = 0; k < 3; k++)
			answer_ping();
	}
	puts("filled");
	fflush(stdout);
	pause();
}
