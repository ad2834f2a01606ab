/*
 * When to sample: each byte allocated is hit with the same small chance, so the distance between hits is exponential.
 * Integers only: a hook must not touch the host's floating point flags. Knows no table.
 */
#include "agent/sampler/heap.h"

#include <time.h>
#include <unistd.h>

#include "agent/os/os.h"

#define LN2 2977044471u     /* ln 2 * 2^32 */
#define LOG2_E 6196328018u  /* 2^32 / ln 2 */
#define ROOT 0xff4ecb59511ec8a5u /* 2^64 * 2^(-1/256) */
#define STEPS 256
#define PARKED ((uint64_t)1 << 40) /* until a thread without samples asks again */

__thread struct pd_heap_countdown pd_heap_countdown;
uint64_t pd_heap_floor = PARKED; /* that of *now, where the hooks find it */

struct interval {
	uint64_t floor, rate;
};
/* A thread may look at an interval a moment after it was replaced. */
#define KEPT 64
static struct interval intervals[KEPT] = { { .floor = PARKED } };
static const struct interval *now = intervals;
static uint32_t turn;
static uint64_t seeds;

static uint32_t log2_of[STEPS + 1]; /* log2(1 + i / STEPS) * 2^32; the last one is short of 1 by 2^-32 */
static uint32_t exp2_of[STEPS + 1]; /* 2^(-i / STEPS) * 2^32; the first one is short of 1 by 2^-32 */

/* One bit of the logarithm per squaring. */
static uint32_t log2_bits(uint64_t m)
{
	uint32_t bits = 0;
	for (int i = 0; i < 32; i++) {
		unsigned __int128 square = (unsigned __int128)m * m; /* m: [2^63, 2^64) */
		bool carry = square >> 127;
		bits = bits << 1 | carry;
		m = (uint64_t)(square >> (carry ? 64 : 63));
	}
	return bits;
}

static void make_tables(void)
{
	uint64_t power = UINT64_MAX;
	for (unsigned i = 0; i <= STEPS; i++) {
		log2_of[i] = i < STEPS ? log2_bits((uint64_t)(STEPS + i) << 55) : UINT32_MAX;
		exp2_of[i] = (uint32_t)(power >> 32);
		power = (uint64_t)((unsigned __int128)power * ROOT >> 64);
	}
}

/* Between two entries of a table, `at` in units of 2^-32. */
static uint32_t between(const uint32_t *table, uint32_t at)
{
	uint32_t i = at >> 24, part = at << 8;
	int64_t step = (int64_t)table[i + 1] - table[i];
	return (uint32_t)(table[i] + (step * part >> 32));
}

static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t random64(struct pd_heap_countdown *c)
{
	uint64_t x = c->random;
	while (!x)
		x = scramble(pd_add_relaxed(&seeds, 0x9e3779b97f4a7c15u));
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	c->random = x;
	return x * 0x2545f4914f6cdd1du;
}

/* -ln(u) * rate, rounded down, for a random u in (0, 1). */
static uint64_t draw(struct pd_heap_countdown *c, uint64_t rate)
{
	if (rate <= 1)
		return rate ? 0 : PARKED;
	uint64_t x = random64(c) | 1;
	int zeros = __builtin_clzll(x);
	x <<= zeros;
	uint64_t minus_log2 = ((uint64_t)(zeros + 1) << 32) - between(log2_of, (uint32_t)(x >> 31));
	uint64_t minus_ln = (uint64_t)((unsigned __int128)minus_log2 * LN2 >> 32);
	return (uint64_t)((unsigned __int128)minus_ln * rate >> 32);
}

uint64_t pd_heap_due(size_t n)
{
	struct pd_heap_countdown *c = &pd_heap_countdown;
	uint64_t size = n ? n : 1, left = c->left;
	const struct interval *i = pd_load_acquire(&now);
	/* No such object can be; and what the profiler itself allocates is not the host's. */
	if (size > INT64_MAX || pd_own_work())
		return 0;
	if (left < i->floor)
		left = i->floor + draw(c, i->rate);
	if (left - i->floor >= size) {
		c->left = left - size;
		return 0;
	}
	c->left = i->floor + draw(c, i->rate);
	return i->rate;
}

void pd_heap_set_interval(uint64_t rate)
{
	const struct interval *old = now;
	struct interval *i = &intervals[++turn % KEPT];
	if (!log2_of[1])
		make_tables();
	if (!seeds) {
		struct timespec ts;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		seeds = (uint64_t)ts.tv_nsec << 20 ^ (uint64_t)getpid();
	}
	/* No interval is longer than 64 ln 2 times the mean. */
	i->floor = old->floor + (old->rate > 1 ? 45 * old->rate : PARKED) + 1;
	i->rate = rate;
	pd_store_release(&now, i);
	pd_store_release(&pd_heap_floor, i->floor);
}

/* 1 / (1 - exp(-size / rate)) * 2^20 */
static uint64_t factor(uint64_t size, uint64_t rate)
{
	if (rate <= 1 || size / rate >= 40)
		return 1u << 20;
	if (size < rate / 64)
		return (rate << 20) / size + (1u << 19) + (size << 20) / rate / 12;
	uint64_t ratio = (uint64_t)(((unsigned __int128)size << 32) / rate);
	uint64_t power = (uint64_t)((unsigned __int128)ratio * LOG2_E >> 32);
	uint64_t left_out = (uint64_t)between(exp2_of, (uint32_t)power) >> (power >> 32);
	return ((uint64_t)1 << 52) / (((uint64_t)1 << 32) - left_out);
}

void pd_heap_scale(uint64_t size, uint64_t rate, uint64_t salt, int64_t *objects, int64_t *bytes)
{
	uint64_t f = factor(size, rate), part = scramble(salt ^ size) & ((1u << 20) - 1);
	*objects = (int64_t)((f + part) >> 20);
	*bytes = (int64_t)(((unsigned __int128)f * size + part) >> 20);
}
