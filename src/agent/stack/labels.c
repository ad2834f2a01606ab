/* Label sets, interned: a set is made once, and equal sets have one id. */
#include "agent/stack/stack.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"

#define BUCKETS 4096u
#define KEY_MAX 64u
#define VALUE_MAX 256u
#define SET_MAX 16u

struct set {
	uint32_t next; /* id of the next set in the bucket; an id is the offset in units of 16 bytes */
	uint32_t hash;
	uint32_t n;
	struct pd_label label[];
};

static struct pd_arena arena; /* opened once; ids stay good over stop and start */
static uint32_t *bucket;
static uint64_t refused; /* sets there was no room for */

int pd_labels_on(struct pd_budget *budget)
{
	if (arena.base)
		return 0;
	int err = pd_arena_open(&arena, budget, (size_t)(budget->cap / 4));
	if (err)
		return err;
	pd_arena_take(&arena, 16); /* id 0 is the empty set */
	bucket = pd_arena_take(&arena, BUCKETS * sizeof *bucket);
	if (bucket)
		return 0;
	pd_arena_close(&arena);
	return -ENOMEM;
}

static uint64_t hash_text(uint64_t h, const char *s, size_t n)
{
	uint64_t word;
	h ^= n;
	for (; n >= sizeof word; s += sizeof word, n -= sizeof word) {
		memcpy(&word, s, sizeof word);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	word = 0;
	for (size_t i = 0; i < n; i++)
		word = word << 8 | (unsigned char)s[i];
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* A set's hash is the sum of these: one label more or less is one addition. */
static uint32_t hash_label(const char *key, size_t key_len, const char *value, size_t value_len)
{
	return (uint32_t)(hash_text(hash_text(0, key, key_len), value, value_len) >> 16);
}

static const struct set *set_of(uint32_t id)
{
	return (const struct set *)(const void *)(arena.base + (size_t)id * 16);
}

size_t pd_labels_get(uint32_t id, const struct pd_label **out)
{
	if (!id || !arena.base || (size_t)id * 16 >= pd_load_relaxed(&arena.used))
		return 0;
	*out = set_of(id)->label;
	return set_of(id)->n;
}

/* Most labels are those of the set that this one was made from, and lie where that one's lie. */
static bool same_text(const char *a, const char *b)
{
	return a == b || strcmp(a, b) == 0;
}

static uint32_t find(uint32_t id, uint32_t hash, const struct pd_label *label, uint32_t n)
{
	while (id) {
		const struct set *s = set_of(id);
		uint32_t i = 0;
		while (s->hash == hash && s->n == n && i < n && same_text(s->label[i].key, label[i].key) &&
		       same_text(s->label[i].value, label[i].value))
			i++;
		if (i == n && s->n == n && s->hash == hash)
			return id;
		id = s->next;
	}
	return 0;
}

/* Bytes that keeping s takes: none when it is kept already, as part of another set. */
static size_t room_for(const char *s)
{
	uintptr_t at = (uintptr_t)s - (uintptr_t)arena.base;
	return at < arena.reserved ? 0 : strlen(s) + 1;
}

static const char *keep(char **to, const char *s)
{
	size_t n = room_for(s);
	if (!n)
		return s;
	char *start = *to;
	*to += n;
	return memcpy(start, s, n);
}

/* Store a new set; new strings are copied behind it. 0 = no room. */
static uint32_t store(uint32_t hash, const struct pd_label *label, uint32_t n)
{
	size_t text = 0;
	for (uint32_t i = 0; i < n; i++)
		text += room_for(label[i].key) + room_for(label[i].value);
	struct set *s = pd_arena_take(&arena, sizeof *s + n * sizeof *label + text);
	if (!s)
		return 0;
	char *to = (char *)&s->label[n];
	for (uint32_t i = 0; i < n; i++)
		s->label[i] = (struct pd_label){ keep(&to, label[i].key), keep(&to, label[i].value) };
	s->hash = hash;
	s->n = n;
	uint32_t id = (uint32_t)((size_t)((unsigned char *)s - arena.base) / 16);
	uint32_t *head = &bucket[hash % BUCKETS], was = pd_load_acquire(head);
	for (;;) {
		uint32_t same = find(was, hash, label, n);
		if (same)
			return same;
		s->next = was;
		if (pd_cas_acq_rel(head, &was, id))
			return id;
	}
}

int pd_labels_with(uint32_t base, const char *key, const char *value, uint32_t *out)
{
	struct pd_label set[SET_MAX + 1];
	const struct pd_label *old = NULL;
	*out = base;
	if (!bucket)
		return -ENOMEM;
	size_t key_len = strnlen(key, KEY_MAX + 1), value_len = strnlen(value, VALUE_MAX + 1);
	if (!key_len || key_len > KEY_MAX || value_len > VALUE_MAX)
		return -E2BIG;
	size_t have = pd_labels_get(base, &old);
	uint32_t n = 0, i = 0, hash = have ? set_of(base)->hash : 0;
	while (i < have && strcmp(old[i].key, key) < 0)
		set[n++] = old[i++];
	set[n++] = (struct pd_label){ key, value };
	hash += hash_label(key, key_len, value, value_len);
	if (i < have && strcmp(old[i].key, key) == 0) {
		hash -= hash_label(key, key_len, old[i].value, strlen(old[i].value));
		i++;
	}
	while (i < have)
		set[n++] = old[i++];
	if (n > SET_MAX)
		return -E2BIG;
	uint32_t id = find(pd_load_acquire(&bucket[hash % BUCKETS]), hash, set, n);
	if (!id)
		id = store(hash, set, n);
	if (!id) {
		pd_add_relaxed(&refused, 1);
		return -ENOMEM;
	}
	*out = id;
	return 0;
}

uint64_t pd_labels_refused(void)
{
	return pd_load_relaxed(&refused);
}
