/* A library that allocates through its slots, through a variable that the loader has filled in, and through a copy. */
#include <stdlib.h>

void *lib_malloc(size_t n);
void lib_free(void *p);
void *lib_zeroed(size_t n);
void *lib_aligned(size_t n);
void *lib_early(size_t n);
void lib_copy(void);
void *lib_copied(size_t n);

static void *(*volatile early)(size_t) = malloc;
static void *(*volatile copied)(size_t);

__attribute__((noinline)) void *lib_malloc(size_t n)
{
	void *volatile p = malloc(n);
	return p;
}

__attribute__((noinline)) void lib_free(void *p)
{
	free(p);
}

__attribute__((noinline)) void *lib_early(size_t n)
{
	void *volatile p = early(n);
	return p;
}

__attribute__((noinline)) void *lib_zeroed(size_t n)
{
	void *volatile p = calloc(n, 1);
	return p;
}

/* Its address comes from a slot among the data, which the loader closes. */
__attribute__((noinline)) void *lib_aligned(size_t n)
{
	void *(*volatile f)(size_t, size_t) = aligned_alloc;
	void *volatile p = f(16, n);
	return p;
}

void lib_copy(void)
{
	copied = early;
}

__attribute__((noinline)) void *lib_copied(size_t n)
{
	void *volatile p = copied(n);
	return p;
}
