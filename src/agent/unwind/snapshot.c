/* See snapshot.h. Knows publishing and the cache; must not know where ranges and tables come from. */
#include "agent/unwind/snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/unwind/pages.h"

enum { WORDS = 8192, WORDS_BIG = 32768, BIG_TEXT = 50 << 20 };

static struct pd_ranges *published;
static uint32_t generation;

const struct pd_ranges *pd_ranges_now(void)
{
	return pd_load_seqcst(&published);
}

uint32_t pd_ranges_generation(void)
{
	return pd_load_relaxed(&generation);
}

int pd_ranges_publish(const struct pd_range *range, uint32_t n, bool removed)
{
	struct pd_ranges *old = published;
	struct pd_ranges *s = pd_pages_take(sizeof(*s) + n * sizeof(*range));
	if (!s)
		return -ENOMEM;
	uint64_t text = 0;
	for (uint32_t i = 0; i < n; i++)
		text += range[i].hi - range[i].lo;
	uint64_t words = text > BIG_TEXT ? WORDS_BIG : WORDS;
	bool keep = old && !removed && old->mask + 1 == words;
	s->cache = keep ? old->cache : pd_pages_take(words * sizeof(*s->cache));
	if (!s->cache) {
		pd_pages_give(s);
		return -ENOMEM;
	}
	s->mask = words - 1;
	s->generation = generation + 1;
	s->n = n;
	memcpy(s->range, range, n * sizeof(*range));
	pd_store_seqcst(&published, s);
	pd_store_relaxed(&generation, s->generation);
	if (old && !keep)
		pd_pages_retire(old->cache);
	pd_pages_retire(old);
	return 0;
}

void pd_ranges_close(void)
{
	struct pd_ranges *s = published;
	pd_store_seqcst(&published, NULL);
	if (s) {
		pd_pages_retire(s->cache);
		pd_pages_retire(s);
	}
}

void pd_ranges_forget(void)
{
	pd_store_seqcst(&published, NULL);
}

const struct pd_range *pd_range_of(const struct pd_ranges *s, uint64_t pc)
{
	uint32_t lo = 0, hi = s->n;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (s->range[mid].lo <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && pc < s->range[lo - 1].hi ? &s->range[lo - 1] : NULL;
}

uint16_t pd_rule_at(const struct pd_ranges *s, uint64_t pc, bool *known)
{
	const struct pd_range *r = pd_range_of(s, pc);
	*known = r;
	return r && r->table ? pd_table_rule(r->table, pc) : PD_RULE_NONE;
}

uint32_t pd_code_missed(const struct pd_ranges *s, uint64_t pc)
{
	bool known;
	uint16_t number = pd_rule_at(s, pc, &known);
	if (!known)
		return PD_CODE_UNKNOWN;
	uint32_t code = pd_rule_code(number);
	pd_store_relaxed(pd_cache_word(s, pc), pc >> PD_CACHE_LOW << PD_CODE_BITS | code);
	return code;
}
