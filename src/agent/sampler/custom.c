/*
 * Profiles of the program's own: the keys it has added and not yet removed, each under the stack that added it. Knows
 * keys and stacks; must not know what names mean. For ordinary threads: locks are short, and no memory comes from
 * malloc, which may be the program's.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/sampler/walk.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"

#define BUCKETS 16384u /* a multiple of STRIPES, so that a bucket has one lock */
#define STRIPES 64u
#define ROOM 8 /* this part of the memory limit is for keys */

/* A key that is in. */
struct entry {
	uint64_t key;
	uint32_t next; /* in its bucket or the stripe's free list; an id is the offset in units of 16 bytes, 0 = none */
	uint32_t row;
	uint32_t profile;
};

struct profile {
	char name[PD_CUSTOM_NAME];
	uint64_t live, added, overflow, no_room; /* atomic; the last three since the service was started */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards making profiles, and opening the tables */
static struct profile profile[PD_CUSTOMS];
static uint32_t profiles; /* atomic; never less */

static uint32_t on, users; /* atomic: calls are let in, and are in */
static struct pd_budget *budget;
static uint32_t opened; /* atomic */
static struct pd_table table; /* key.size of a row: profile + 1 */
static struct pd_arena arena;
static uint32_t *bucket;
static struct stripe {
	pthread_mutex_t lock;
	uint32_t free;
} stripe[STRIPES];

static struct entry *at(uint32_t id)
{
	return (struct entry *)(void *)(arena.base + (size_t)id * 16);
}

/* ---- names ---- */

static int find(const char *name)
{
	uint32_t n = pd_load_acquire(&profiles);
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(profile[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

int pd_custom_new(const char *name)
{
	pthread_mutex_lock(&lock);
	uint32_t i = profiles;
	int err = find(name) >= 0 ? -EEXIST : i == PD_CUSTOMS ? -ENOSPC : 0;
	if (!err) {
		strcpy(profile[i].name, name);
		pd_store_release(&profiles, i + 1);
	}
	pthread_mutex_unlock(&lock);
	return err ? err : (int)i;
}

/* ---- keys ---- */

static int open_tables(void)
{
	if (pd_load_acquire(&opened))
		return 0;
	pthread_mutex_lock(&lock);
	int err = opened ? 0 : pd_table_open(&table, budget);
	if (!err && !opened) {
		err = pd_arena_open(&arena, budget, (size_t)(budget->cap / ROOM));
		if (!err) {
			pd_arena_take(&arena, 16); /* nobody's: no entry has the id 0 */
			bucket = pd_arena_take(&arena, BUCKETS * sizeof *bucket);
			err = bucket ? 0 : -ENOMEM;
		}
		if (err)
			pd_arena_close(&arena);
		if (err)
			pd_table_close(&table);
	}
	for (size_t i = 0; i < STRIPES && !err && !opened; i++) {
		pthread_mutex_init(&stripe[i].lock, NULL);
		stripe[i].free = 0;
	}
	if (!err)
		pd_store_release(&opened, 1);
	pthread_mutex_unlock(&lock);
	return err;
}

static uint32_t *bucket_of(uint32_t p, uint64_t key, struct stripe **s)
{
	uint64_t h = (key ^ (uint64_t)p << 57) * 0x9e3779b97f4a7c15u;
	uint32_t i = (uint32_t)(h >> 40) % BUCKETS;
	*s = &stripe[i % STRIPES];
	return &bucket[i];
}

/* The link that leads to the key's entry, or the last one of the list. The stripe is locked. */
static uint32_t *link_to(uint32_t *link, uint32_t p, uint64_t key)
{
	while (*link && (at(*link)->key != key || at(*link)->profile != p))
		link = &at(*link)->next;
	return link;
}

/* The stripe is locked. 0 = no room. */
static uint32_t new_entry(struct stripe *s)
{
	uint32_t id = s->free;
	if (id) {
		s->free = at(id)->next;
		return id;
	}
	void *p = pd_arena_take(&arena, sizeof(struct entry));
	return p ? (uint32_t)((size_t)((unsigned char *)p - arena.base) / 16) : 0;
}

/* The row of the caller's stack; its last `skip` calls are left out. */
static uint32_t row_of(uint32_t p, const void *const *frame, unsigned skip)
{
	uint64_t pc[PD_SAMPLE_FRAMES];
	enum pd_walk_end end;
	size_t n = pd_sample_caller(pd_thread_here(), frame, NULL, pc, PD_SAMPLE_FRAMES, &end);
	size_t from = skip < n ? skip : n;
	uint32_t flags = end == PD_END_BOTTOM ? 0 : PD_TRUNCATED;
	struct pd_key key = { .size = p + 1 };
	key.stack = pd_table_stack(&table, pc + from, (uint32_t)(n - from), pd_unwind_epoch(), flags);
	uint32_t row = pd_table_row(&table, &key);
	if (!row || key.stack == PD_STACK_OVERFLOW)
		pd_add_relaxed(&profile[p].overflow, 1);
	key.stack = PD_STACK_OVERFLOW;
	return row ? row : pd_table_row(&table, &key);
}

static int insert(uint32_t p, uint64_t key, uint32_t row)
{
	static const int64_t one = 1;
	struct stripe *s;
	uint32_t *first = bucket_of(p, key, &s);
	pthread_mutex_lock(&s->lock);
	uint32_t *link = link_to(first, p, key), id = 0;
	int err = *link ? -EEXIST : (id = new_entry(s)) ? 0 : -ENOMEM;
	if (!err) {
		*at(id) = (struct entry){ .key = key, .row = row, .profile = p };
		*link = id;
		pd_table_count(&table, row, &one, 1);
		pd_add_relaxed(&profile[p].live, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* Let the caller in unless the service is off; leave() follows 0. */
static int enter(int p)
{
	if (p < 0 || (uint32_t)p >= pd_load_acquire(&profiles))
		return -EINVAL;
	pd_add_seqcst(&users, 1);
	if (pd_load_seqcst(&on))
		return 0;
	pd_sub_release(&users, 1);
	return -ENOTCONN;
}

static void leave(void)
{
	pd_sub_release(&users, 1);
}

int pd_custom_add(int p, uint64_t key, const void *const *frame, unsigned skip)
{
	int err = enter(p);
	if (err)
		return err;
	err = open_tables();
	uint32_t row = err ? 0 : row_of((uint32_t)p, frame, skip);
	if (!err)
		err = row ? insert((uint32_t)p, key, row) : -ENOMEM;
	if (err == -ENOMEM)
		pd_add_relaxed(&profile[p].no_room, 1);
	else if (!err)
		pd_add_relaxed(&profile[p].added, 1);
	leave();
	return err;
}

int pd_custom_remove(int p, uint64_t key)
{
	static const int64_t less = -1;
	int err = enter(p);
	if (err)
		return err;
	err = -ENOENT;
	if (pd_load_acquire(&opened)) {
		struct stripe *s;
		uint32_t *first = bucket_of((uint32_t)p, key, &s);
		pthread_mutex_lock(&s->lock);
		uint32_t *link = link_to(first, (uint32_t)p, key), id = *link;
		if (id) {
			*link = at(id)->next;
			pd_table_count(&table, at(id)->row, &less, 1);
			at(id)->next = s->free;
			s->free = id;
			pd_add_relaxed(&profile[p].live, -1);
			err = 0;
		}
		pthread_mutex_unlock(&s->lock);
	}
	leave();
	return err;
}

int64_t pd_custom_count(int p)
{
	if (p < 0 || (uint32_t)p >= pd_load_acquire(&profiles))
		return -EINVAL;
	return (int64_t)pd_load_relaxed(&profile[p].live);
}

/* ---- for the server ---- */

size_t pd_customs(struct pd_custom *out, size_t max)
{
	size_t n = pd_load_acquire(&profiles);
	for (size_t i = 0; i < n && i < max; i++)
		out[i] = (struct pd_custom){ profile[i].name, pd_load_relaxed(&profile[i].live) };
	return n < max ? n : max;
}

int pd_custom_snapshot(size_t i, struct pd_snapshot *out)
{
	struct profile *p = &profile[i];
	int err = pd_snapshot_rows(&table, out);
	if (err)
		return err;
	size_t n = 0;
	for (size_t k = 0; k < out->n; k++) {
		if (out->row[k].key.size != i + 1)
			continue;
		out->row[n] = out->row[k];
		out->row[n++].key.size = 0;
	}
	out->n = n;
	out->counters.recorded = pd_load_relaxed(&p->added);
	out->counters.overflow = pd_load_relaxed(&p->overflow);
	out->counters.dropped[PD_DROP_MEMORY] = pd_load_relaxed(&p->no_room);
	out->counters.ticks = out->counters.recorded + out->counters.dropped[PD_DROP_MEMORY];
	return 0;
}

bool pd_custom_stack(uint32_t id, struct pd_stack *out)
{
	return pd_table_stack_get(&table, id, out);
}

/* ---- with the service ---- */

void pd_custom_on(struct pd_budget *b)
{
	budget = b;
	pd_store_seqcst(&on, 1);
}

static void forget(void)
{
	for (size_t i = 0; i < PD_CUSTOMS; i++)
		profile[i].live = profile[i].added = profile[i].overflow = profile[i].no_room = 0;
	memset(&table, 0, sizeof table);
	memset(&arena, 0, sizeof arena);
	opened = 0;
}

void pd_custom_off(void)
{
	struct timespec pause = { 0, 50000 };
	pd_store_seqcst(&on, 0);
	/* Calls are short; one that a debugger holds is not waited for, and keeps its memory. */
	for (int i = 0; i < 4000 && pd_load_seqcst(&users); i++)
		nanosleep(&pause, NULL);
	if (!pd_load_seqcst(&users)) {
		pd_arena_close(&arena);
		if (table.arena.base)
			pd_table_close(&table);
	}
	forget();
}

void pd_custom_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	on = users = 0;
	/* The pages stay mapped, unused. */
	forget();
}
