/* Knows blocks of memory and a table of strings. Must not know what they are for. */
#include "server/symbol/strings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 65536u

struct pd_block {
	struct pd_block *next;
	size_t used, size;
	uint64_t data[];
};

void *pd_strings_take(struct pd_strings *s, size_t n)
{
	n = (n + 7) & ~(size_t)7;
	struct pd_block *b = s->block;
	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK / 4 ? n : BLOCK - sizeof(*b);
		b = malloc(sizeof(*b) + size);
		if (!b)
			return NULL;
		*b = (struct pd_block){ .size = size };
		s->bytes += sizeof(*b) + size;
		/* A block for one large thing goes behind the one still being filled. */
		if (s->block && size == n) {
			b->next = s->block->next;
			s->block->next = b;
		} else {
			b->next = s->block;
			s->block = b;
		}
	}
	void *p = (char *)b->data + b->used;
	b->used += n;
	return p;
}

static uint64_t hash(const char *text)
{
	uint64_t h = 14695981039346656037ull;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ull;
	return h ^ h >> 29;
}

static bool grow(struct pd_strings *s)
{
	size_t n = s->nslot ? s->nslot * 2 : 1024;
	const char **slot = calloc(n, sizeof(*slot));
	if (!slot)
		return false;
	for (size_t i = 0; i < s->nslot; i++) {
		if (!s->slot[i])
			continue;
		size_t k = hash(s->slot[i]) & (n - 1);
		while (slot[k])
			k = (k + 1) & (n - 1);
		slot[k] = s->slot[i];
	}
	free(s->slot);
	s->bytes += (n - s->nslot) * sizeof(*slot);
	s->slot = slot;
	s->nslot = n;
	return true;
}

const char *pd_strings_keep(struct pd_strings *s, const char *text)
{
	if (!*text)
		return "";
	if (s->nstring * 2 >= s->nslot && !grow(s))
		return "?";
	size_t k = hash(text) & (s->nslot - 1);
	while (s->slot[k]) {
		if (!strcmp(s->slot[k], text))
			return s->slot[k];
		k = (k + 1) & (s->nslot - 1);
	}
	size_t n = strlen(text) + 1;
	char *copy = pd_strings_take(s, n);
	if (!copy)
		return "?";
	memcpy(copy, text, n);
	s->slot[k] = copy;
	s->nstring++;
	return copy;
}

void pd_strings_free(struct pd_strings *s)
{
	for (struct pd_block *b = s->block, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(s->slot);
	*s = (struct pd_strings){ 0 };
}
