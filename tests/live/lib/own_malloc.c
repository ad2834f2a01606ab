/* An allocator whose functions call each other by name, as many small ones do: nothing is ever given back. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 16 /* the size, before each object */
static _Alignas(64) char room[32 << 20];
static size_t used;

void *memalign(size_t align, size_t n)
{
	if (n > sizeof room || align > sizeof room) {
		errno = ENOMEM;
		return NULL;
	}
	size_t all = n + HEAD + align + 16, at = __atomic_fetch_add(&used, all & ~(size_t)15, __ATOMIC_RELAXED);
	if (at + all > sizeof room) {
		errno = ENOMEM;
		return NULL;
	}
	char *p = (char *)(((uintptr_t)room + at + HEAD + align - 1) & -align);
	memcpy(p - HEAD, &n, sizeof n);
	return p;
}

void *malloc(size_t n)
{
	return memalign(16, n);
}

void free(void *p)
{
}

void *calloc(size_t n, size_t each)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, each, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	char *p = malloc(bytes);
	for (size_t i = 0; p && i < bytes; i++)
		((volatile char *)p)[i] = 0;
	return p;
}

void *realloc(void *p, size_t n)
{
	size_t old = 0;
	if (p)
		memcpy(&old, (char *)p - HEAD, sizeof old);
	void *q = malloc(n);
	if (p && q) {
		memcpy(q, p, old < n ? old : n);
		free(p);
	}
	return q;
}

void *reallocarray(void *p, size_t n, size_t each)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, each, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

void *valloc(size_t n)
{
	return memalign(4096, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
	if (align < sizeof(void *) || align & (align - 1))
		return EINVAL;
	void *p = memalign(align, n);
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

size_t malloc_usable_size(void *p)
{
	size_t n = 0;
	if (p)
		memcpy(&n, (char *)p - HEAD, sizeof n);
	return n;
}
