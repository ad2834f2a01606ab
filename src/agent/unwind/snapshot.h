/* What walks look at: all executable ranges with their tables, and a cache in front. Published as a whole. */
#ifndef PD_UNWIND_SNAPSHOT_H
#define PD_UNWIND_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/unwind/machine.h"
#include "agent/unwind/rule.h"
#include "agent/unwind/table.h"
#include "base/atomic.h"

struct pd_range {
	uint64_t lo, hi;
	const struct pd_table *table; /* NULL = code without one */
};

struct pd_ranges {
	/* Words of the cache: high bits of the address << PD_CODE_BITS | code. Never holds an answer of a
	 * table that is not in this snapshot any more. */
	uint64_t *cache;
	uint64_t mask; /* words - 1 */
	uint32_t generation;
	uint32_t n;
	struct pd_range range[];
};

/* The published one, NULL = none; hold it between pd_walk_enter and pd_walk_leave. Signal-safe. */
const struct pd_ranges *pd_ranges_now(void);

/* Publish ranges, sorted by lo. `removed`: some address does not mean what it meant in the last one. 0 or -errno. */
int pd_ranges_publish(const struct pd_range *range, uint32_t n, bool removed);
void pd_ranges_close(void);
/* Unpublish without giving anything back. */
void pd_ranges_forget(void);
uint32_t pd_ranges_generation(void);

/* The range an address is in, NULL = none. Signal-safe. */
const struct pd_range *pd_range_of(const struct pd_ranges *s, uint64_t pc);
/* Number of the rule by the tables alone; *known = false: the address is in no module. Signal-safe. */
uint16_t pd_rule_at(const struct pd_ranges *s, uint64_t pc, bool *known);
/* Code for an address that the cache does not have, and remember it. Signal-safe. */
uint32_t pd_code_missed(const struct pd_ranges *s, uint64_t pc);

/* The low bits of an address can be told from the index and the high bits, so a word need not hold them. */
enum { PD_CACHE_LOW = 13 };
_Static_assert(47 - PD_CACHE_LOW + PD_CODE_BITS <= 64, "the high bits of an address and a code fit a word");

static inline PD_RAW uint64_t *pd_cache_word(const struct pd_ranges *s, uint64_t pc)
{
	return &s->cache[(pc ^ pc >> PD_CACHE_LOW ^ pc >> (2 * PD_CACHE_LOW)) & s->mask];
}

/* The code for an address, PD_CODE_UNKNOWN when it is in no module. */
static inline PD_RAW uint32_t pd_code_at(const struct pd_ranges *s, uint64_t pc)
{
	uint64_t word = pd_load_relaxed(pd_cache_word(s, pc));
	if (__builtin_expect(word >> PD_CODE_BITS == pc >> PD_CACHE_LOW, 1))
		return (uint32_t)word & ((1u << PD_CODE_BITS) - 1);
	return pd_code_missed(s, pc);
}

#endif
