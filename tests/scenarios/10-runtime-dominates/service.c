/* Builds an index: of its own work tokenize() does 2/3 and rank() 1/3, but most of the time goes into making room.
 * What stays in use is few large tables, by grow_table(), and many small nodes, by add_node(). "swapped": rank() does
 * 2/3. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NODES 100000
#define TABLES 16
#define TABLE (1u << 20)

static struct node {
	struct node *next;
	char key[40];
} *volatile node[NODES];
static char *volatile table[TABLES];
static volatile uint64_t sink;

/* n steps of some four cycles each, one after the other */
static inline void steps(unsigned n, uint64_t x)
{
	for (unsigned i = 0; i < n; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
	sink = x;
}

__attribute__((noinline)) static void tokenize(unsigned n)
{
	steps(n, 1);
}

__attribute__((noinline)) static void rank(unsigned n)
{
	steps(n, 2);
}

__attribute__((noinline)) static void add_node(size_t i)
{
	free(node[i]);
	node[i] = malloc(sizeof *node[i]);
	if (!node[i])
		abort();
}

/* Copied into fresh pages, as a table that has to grow is. */
__attribute__((noinline)) static void grow_table(size_t i)
{
	char *old = table[i], *new = malloc(TABLE);
	if (!new)
		abort();
	memcpy(new, old, TABLE);
	table[i] = new;
	free(old);
}

__attribute__((noinline)) static void build_index(size_t round, int swapped)
{
	for (size_t i = 0; i < 5000; i++)
		add_node((round * 5000 + i) % NODES);
	for (size_t i = 0; i < 40; i++)
		grow_table(i % TABLES);
	tokenize(swapped ? 5000000 : 10000000);
	rank(swapped ? 10000000 : 5000000);
}

int main(int argc, char **argv)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	for (size_t i = 0; i < TABLES; i++)
		table[i] = calloc(1, TABLE);
	for (size_t i = 0; i < NODES; i++)
		add_node(i);
	for (size_t round = 0;; round++)
		build_index(round, argc > 1 && strcmp(argv[1], "swapped") == 0);
}
