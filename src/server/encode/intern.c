/* A hash table of byte strings that only grows. Knows nothing of what the keys mean. */
#include <stdlib.h>
#include <string.h>

#include "server/encode/inside.h"

static uint64_t hash_of(const unsigned char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static const struct pd_interned *key_of(const struct pd_intern *t, size_t id)
{
	return &((const struct pd_interned *)(const void *)t->keys.data)[id];
}

/* The slot where a key is, or is to be put. */
static size_t *find(const struct pd_intern *t, uint64_t hash, const void *key, size_t len)
{
	for (size_t i = hash & (t->nslots - 1);; i = (i + 1) & (t->nslots - 1)) {
		if (!t->slot[i])
			return &t->slot[i];
		const struct pd_interned *k = key_of(t, t->slot[i] - 1);
		if (k->hash == hash && k->len == len && memcmp(t->bytes.data + k->at, key, len) == 0)
			return &t->slot[i];
	}
}

static bool grow(struct pd_intern *t)
{
	size_t nslots = t->nslots ? t->nslots * 2 : 256;
	size_t *slot = calloc(nslots, sizeof *slot);
	if (!slot)
		return false;
	for (size_t id = 0; id < t->n; id++) {
		size_t i = key_of(t, id)->hash & (nslots - 1);
		while (slot[i])
			i = (i + 1) & (nslots - 1);
		slot[i] = id + 1;
	}
	free(t->slot);
	t->slot = slot;
	t->nslots = nslots;
	return true;
}

size_t pd_intern(struct pd_intern *t, const void *key, size_t len, bool *fresh)
{
	*fresh = false;
	if (t->n >= t->nslots / 2 && !t->failed && !grow(t))
		t->failed = true;
	if (t->failed)
		return 0;
	uint64_t hash = hash_of(key, len);
	size_t *slot = find(t, hash, key, len);
	if (*slot)
		return *slot - 1;
	struct pd_interned k = { t->bytes.len, len, hash };
	pd_buf_add(&t->bytes, key, len);
	pd_buf_add(&t->keys, &k, sizeof k);
	if (t->bytes.failed || t->keys.failed) {
		t->failed = true;
		return 0;
	}
	*fresh = true;
	*slot = ++t->n;
	return t->n - 1;
}

void pd_intern_free(struct pd_intern *t)
{
	pd_buf_free(&t->bytes);
	pd_buf_free(&t->keys);
	free(t->slot);
	*t = (struct pd_intern){ 0 };
}
