/* Stacks by content, and rows of counters by key. Knows no sampler. */
#include "agent/stack/stack.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"

#define UNIT 16u /* an id is the offset in the arena in units of this */

struct stack {
	uint32_t next;
	uint32_t hash;
	uint32_t epoch;
	uint16_t n, flags;
	uint64_t pc[];
};

struct row {
	struct pd_key key;
	uint64_t value[4];
	uint32_t next;
};

static void *at(const struct pd_table *t, uint32_t id)
{
	return t->arena.base + (size_t)id * UNIT;
}

static uint32_t id_of(const struct pd_table *t, const void *p)
{
	return (uint32_t)((size_t)((const unsigned char *)p - t->arena.base) / UNIT);
}

int pd_table_open(struct pd_table *t, struct pd_budget *budget)
{
	*t = (struct pd_table){ 0 };
	/* Ids have 32 bits. */
	uint64_t reserve = budget->cap < (uint64_t)UNIT << 32 ? budget->cap : (uint64_t)UNIT << 32;
	int err = pd_arena_open(&t->arena, budget, (size_t)reserve);
	if (err)
		return err;
	uint32_t buckets = 1024;
	while (buckets < 65536 && buckets < budget->cap / 2048)
		buckets *= 2;
	/* The first unit is nobody's, the second stands for PD_STACK_OVERFLOW: no entry gets these ids. */
	pd_arena_take(&t->arena, 2 * UNIT);
	t->stack_bucket = pd_arena_take(&t->arena, buckets * sizeof(uint32_t));
	t->row_bucket = pd_arena_take(&t->arena, buckets * sizeof(uint32_t));
	t->mask = buckets - 1;
	if (t->stack_bucket && t->row_bucket)
		return 0;
	pd_arena_close(&t->arena);
	return -ENOMEM;
}

void pd_table_close(struct pd_table *t)
{
	pd_arena_close(&t->arena);
	*t = (struct pd_table){ 0 };
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static bool same_frames(const struct stack *s, const uint64_t *pc, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (s->pc[i] != pc[i])
			return false;
	return true;
}

static uint32_t find_stack(const struct pd_table *t, uint32_t id, uint32_t stop, uint32_t hash, const uint64_t *pc,
                           uint32_t n, uint32_t epoch, uint32_t flags)
{
	for (; id != stop; ) {
		const struct stack *s = at(t, id);
		if (s->hash == hash && s->n == n && s->epoch == epoch && s->flags == flags && same_frames(s, pc, n))
			return id;
		id = s->next;
	}
	return 0;
}

uint32_t pd_table_stack(struct pd_table *t, const uint64_t *pc, uint32_t n, uint32_t epoch, uint32_t flags)
{
	uint64_t h = mix(n, (uint64_t)epoch << 32 | flags);
	for (uint32_t i = 0; i < n; i++)
		h = mix(h, pc[i]);
	uint32_t hash = (uint32_t)(h ^ h >> 32), *bucket = &t->stack_bucket[hash & t->mask];
	uint32_t head = pd_load_acquire(bucket);
	uint32_t id = find_stack(t, head, 0, hash, pc, n, epoch, flags);
	if (id)
		return id;
	struct stack *s = n <= UINT16_MAX ? pd_arena_take(&t->arena, sizeof *s + n * sizeof *pc) : NULL;
	if (!s)
		return PD_STACK_OVERFLOW;
	s->hash = hash;
	s->epoch = epoch;
	s->n = (uint16_t)n;
	s->flags = (uint16_t)flags;
	for (uint32_t i = 0; i < n; i++)
		s->pc[i] = pc[i];
	for (;;) {
		s->next = head;
		uint32_t was = head;
		if (pd_cas_acq_rel(bucket, &head, id_of(t, s)))
			break;
		/* Others came first: what they put before `was` may be the same stack. */
		id = find_stack(t, head, was, hash, pc, n, epoch, flags);
		if (id)
			return id;
	}
	pd_add_relaxed(&t->stacks, 1);
	return id_of(t, s);
}

bool pd_table_stack_get(const struct pd_table *t, uint32_t id, struct pd_stack *out)
{
	if (id <= PD_STACK_OVERFLOW || !t->arena.base || (size_t)id * UNIT >= pd_load_relaxed(&t->arena.used))
		return false;
	const struct stack *s = at(t, id);
	*out = (struct pd_stack){ .pc = s->pc, .n = s->n, .epoch = s->epoch, .flags = s->flags };
	return true;
}

static bool same_key(const struct pd_key *a, const struct pd_key *b)
{
	return a->stack == b->stack && a->labels == b->labels && a->size == b->size && a->rate == b->rate;
}

static uint32_t find_row(const struct pd_table *t, uint32_t id, uint32_t stop, const struct pd_key *key)
{
	while (id != stop) {
		const struct row *r = at(t, id);
		if (same_key(&r->key, key))
			return id;
		id = r->next;
	}
	return 0;
}

static uint32_t *row_bucket(const struct pd_table *t, const struct pd_key *key)
{
	uint64_t h = mix(mix(mix(key->stack, key->labels), key->size), key->rate);
	return &t->row_bucket[(uint32_t)(h ^ h >> 32) & t->mask];
}

uint32_t pd_table_row_known(const struct pd_table *t, const struct pd_key *key)
{
	return find_row(t, pd_load_acquire(row_bucket(t, key)), 0, key);
}

uint32_t pd_table_row(struct pd_table *t, const struct pd_key *key)
{
	uint32_t *bucket = row_bucket(t, key), head = pd_load_acquire(bucket);
	uint32_t id = find_row(t, head, 0, key);
	if (id)
		return id;
	struct row *mine = pd_arena_take(&t->arena, sizeof *mine);
	if (!mine)
		return 0;
	mine->key = *key;
	for (;;) {
		mine->next = head;
		uint32_t was = head;
		if (pd_cas_acq_rel(bucket, &head, id_of(t, mine)))
			break;
		id = find_row(t, head, was, key);
		if (id)
			return id;
	}
	pd_add_relaxed(&t->rows, 1);
	return id_of(t, mine);
}

void pd_table_count(struct pd_table *t, uint32_t row, const int64_t *value, int nvalues)
{
	struct row *r = at(t, row);
	for (int i = 0; i < nvalues; i++)
		if (value[i])
			pd_add_relaxed(&r->value[i], (uint64_t)value[i]);
}

void pd_table_read(const struct pd_table *t, uint32_t row, struct pd_row *out)
{
	const struct row *r = at(t, row);
	out->key = r->key;
	for (int i = 0; i < 4; i++)
		out->value[i] = (int64_t)pd_load_relaxed(&r->value[i]);
}

int pd_table_reserve(struct pd_table *t, uint64_t rate)
{
	return pd_table_row(t, &(struct pd_key){ .stack = PD_STACK_OVERFLOW, .rate = rate }) ? 0 : -ENOMEM;
}

int pd_table_add(struct pd_table *t, const struct pd_key *key, const int64_t *value, int nvalues)
{
	uint32_t row = pd_table_row(t, key);
	bool room = row != 0;
	if (!room)
		row = pd_table_row(t, &(struct pd_key){ .stack = PD_STACK_OVERFLOW, .rate = key->rate });
	if (row)
		pd_table_count(t, row, value, nvalues);
	return row ? room : -1;
}

void pd_table_rows(const struct pd_table *t, void (*fn)(const struct pd_row *row, void *arg), void *arg)
{
	for (uint32_t b = 0; t->arena.base && b <= t->mask; b++) {
		for (uint32_t id = pd_load_acquire(&t->row_bucket[b]); id;) {
			struct pd_row out;
			pd_table_read(t, id, &out);
			fn(&out, arg);
			id = ((const struct row *)at(t, id))->next;
		}
	}
}
