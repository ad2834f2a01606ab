/* All allocations of the requests come from one place, keep_field(). "shared": one in two from another, log_line(). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 400

static char *field[FIELDS];
static uint64_t seed = 1;

static size_t next_size(void)
{
	seed = seed * 0x9e3779b97f4a7c15u + 1;
	return 1100 + (seed >> 40) % 6000;
}

__attribute__((noinline)) static char *keep_field(void)
{
	char *p = malloc(next_size());
	if (p)
		*p = 'x';
	return p;
}

__attribute__((noinline)) static char *log_line(void)
{
	char *p = malloc(next_size());
	if (p)
		*p = 'y';
	return p;
}

__attribute__((noinline)) static void drop_fields(void)
{
	for (size_t i = 0; i < FIELDS; i++)
		free(field[i * 7 % FIELDS]);
	__asm__ volatile("");
}

__attribute__((noinline)) static void handle_request(int shared)
{
	for (size_t i = 0; i < FIELDS; i++)
		field[i] = shared && i % 2 ? log_line() : keep_field();
	drop_fields();
}

int main(int argc, char **argv)
{
	int shared = argc > 1 && strcmp(argv[1], "shared") == 0;
	for (;;)
		handle_request(shared);
}
