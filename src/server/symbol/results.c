/* Knows a hash table whose old half can be let go. Must not know where results come from. */
#include "server/symbol/results.h"

#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct pd_results *c, uint32_t object, uint64_t addr)
{
	uint64_t h = (addr ^ (uint64_t)object << 48) * 0x9e3779b97f4a7c15ull;
	size_t k = (h ^ h >> 32) & (c->nslot - 1);
	while (c->slot[k].object && (c->slot[k].object != object || c->slot[k].addr != addr))
		k = (k + 1) & (c->nslot - 1);
	return k;
}

struct pd_result *pd_results_find(struct pd_results *c, uint32_t object, uint64_t addr)
{
	if (!c->nslot)
		return NULL;
	struct pd_result *r = &c->slot[place_of(c, object, addr)];
	if (!r->object)
		return NULL;
	r->used = c->round;
	return r;
}

static bool grow(struct pd_results *c)
{
	struct pd_results bigger = *c;
	bigger.nslot = c->nslot ? c->nslot * 2 : 256;
	bigger.slot = calloc(bigger.nslot, sizeof(*bigger.slot));
	if (!bigger.slot)
		return false;
	for (size_t i = 0; i < c->nslot; i++)
		if (c->slot[i].object)
			bigger.slot[place_of(&bigger, c->slot[i].object, c->slot[i].addr)] = c->slot[i];
	free(c->slot);
	*c = bigger;
	return true;
}

struct pd_result *pd_results_add(
        struct pd_results *c, uint32_t object, uint64_t addr, uint32_t n, struct pd_frame **frame)
{
	if (c->n * 3 >= c->nslot * 2 && !grow(c))
		return NULL;
	*frame = pd_strings_take(&c->strings, n * sizeof(**frame));
	if (!*frame)
		return NULL;
	struct pd_result *r = &c->slot[place_of(c, object, addr)];
	c->n += !r->object;
	*r = (struct pd_result){ .addr = addr, .object = object, .used = c->round, .n = n, .frame = *frame };
	return r;
}

size_t pd_results_bytes(const struct pd_results *c)
{
	return c->strings.bytes + c->nslot * sizeof(*c->slot);
}

static void copy(struct pd_results *to, const struct pd_result *r)
{
	struct pd_frame *frame;
	struct pd_result *new = pd_results_add(to, r->object, r->addr, r->n, &frame);
	if (!new)
		return;
	for (uint32_t i = 0; i < r->n; i++) {
		frame[i] = r->frame[i];
		frame[i].name = pd_strings_keep(&to->strings, r->frame[i].name);
		frame[i].system_name = pd_strings_keep(&to->strings, r->frame[i].system_name);
		frame[i].file = pd_strings_keep(&to->strings, r->frame[i].file);
	}
	new->entry = r->entry;
	new->placeholder = r->placeholder;
	to->unresolved += r->placeholder;
}

void pd_results_trim(struct pd_results *c, size_t cap)
{
	uint32_t last = c->round++;
	if (pd_results_bytes(c) <= cap)
		return;
	struct pd_results kept = { .round = last };
	for (size_t i = 0; i < c->nslot; i++)
		if (c->slot[i].object && c->slot[i].used == last)
			copy(&kept, &c->slot[i]);
	kept.round = c->round;
	pd_results_free(c);
	*c = kept;
	if (pd_results_bytes(c) <= cap)
		return;
	uint32_t round = c->round;
	pd_results_free(c);
	c->round = round;
}

void pd_results_free(struct pd_results *c)
{
	pd_strings_free(&c->strings);
	free(c->slot);
	*c = (struct pd_results){ 0 };
}
