/*
 * Sampled objects that are not freed yet, by address. Lock-free; nobody puts or takes one address while another does,
 * for between allocation and free it belongs to whoever calls the allocator.
 *
 *            put   take   take_all   open
 * put         -     -        -        X      X the caller must exclude
 * take        -     -        -        X
 * take_all    -     -        -        X
 */
#include "agent/sampler/heap.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PER_BUCKET 8
#define FIRST_BUCKETS 512u
#define LEVELS_MAX 16
#define TURNS 1000 /* given to another thread that makes room */

/* Free: address 0. Taken: address set; then `what`, which is taken out before the address is. All its bits are inverted:
 * leak detectors and garbage collectors that look through our memory, too, must not find the host's pointers there. */
struct place {
	uint64_t address, what;
};
static uint64_t inverted(const void *p)
{
	return ~(uint64_t)(uintptr_t)p;
}
struct bucket {
	_Alignas(64) struct place at[PER_BUCKET];
};
/* Each level has twice the buckets of the one before; an address may be in two buckets of each level. */
static struct level {
	struct bucket *bucket;
	uint32_t bits; /* log2 of the number of buckets */
} level[LEVELS_MAX];
static uint32_t levels;
static uint32_t growing;
static struct bucket first[FIRST_BUCKETS];
static struct pd_arena arena;
static bool used;

/*
 * In the high half of each word is a number that every put raises. Whoever takes the last sample of a bit away clears
 * the bit by exchanging the word it read before it found none left: when a put came in between, the number is
 * another.
 */
uint64_t pd_live_hint[PD_LIVE_WORDS];
#define RAISE ((uint64_t)1 << 32)
static uint16_t samples_at[PD_LIVE_WORDS][32]; /* behind each bit; UINT16_MAX = that many, or more: stays set */

static void hint(uint64_t address)
{
	address = ~address;
	uint64_t *word = &pd_live_hint[address >> 12 & (PD_LIVE_WORDS - 1)], bit = address >> 4 & 31;
	uint16_t *n = &samples_at[address >> 12 & (PD_LIVE_WORDS - 1)][bit], was = pd_load_relaxed(n);
	while (was != UINT16_MAX && !pd_cas_acq_rel(n, &was, (uint16_t)(was + 1)))
		continue;
	uint64_t w = pd_load_relaxed(word);
	while (!pd_cas_acq_rel(word, &w, (w | (uint64_t)1 << bit) + RAISE))
		continue;
}

static void unhint(uint64_t address)
{
	address = ~address;
	uint64_t *word = &pd_live_hint[address >> 12 & (PD_LIVE_WORDS - 1)], bit = address >> 4 & 31;
	uint16_t *n = &samples_at[address >> 12 & (PD_LIVE_WORDS - 1)][bit], was = pd_load_relaxed(n);
	while (was != UINT16_MAX && was && !pd_cas_acq_rel(n, &was, (uint16_t)(was - 1)))
		continue;
	if (was != 1)
		return;
	uint64_t w = pd_load_acquire(word);
	while (pd_load_acquire(n) == 0 && !pd_cas_acq_rel(word, &w, w & ~((uint64_t)1 << bit)))
		continue;
}

static struct bucket *bucket_of(const struct level *l, uint64_t address, int which)
{
	uint64_t h = (address >> 4) * (which ? 0xd6e8feb86659fd93u : 0x9e3779b97f4a7c15u);
	return &l->bucket[h >> (64 - l->bits)];
}

/* The place that holds the address, or NULL. *room: a free place seen on the way, if any. */
static struct place *find(uint64_t address, struct place **room)
{
	uint32_t n = pd_load_acquire(&levels);
	*room = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct place *free_at[2];
		size_t free_in[2];
		for (int which = 0; which < 2; which++) {
			struct bucket *b = bucket_of(&level[i], address, which);
			free_in[which] = 0;
			for (int k = 0; k < PER_BUCKET; k++) {
				uint64_t there = pd_load_acquire(&b->at[k].address);
				if (there == address)
					return &b->at[k];
				if (there)
					continue;
				free_at[which] = &b->at[k];
				free_in[which]++;
			}
		}
		/* The emptier one, so that both fill up alike. */
		int which = free_in[1] > free_in[0];
		if (!*room && free_in[which])
			*room = free_at[which];
	}
	return NULL;
}

/* One more level, made by one thread; false when there is no memory, or another one does not get done with it. */
static bool grow(uint32_t seen)
{
	uint32_t nobody = 0;
	for (int i = 0; i < TURNS && pd_load_acquire(&levels) == seen; i++) {
		nobody = 0;
		if (!pd_cas_acq_rel(&growing, &nobody, 1)) {
			syscall(SYS_sched_yield);
			continue;
		}
		bool done = pd_load_acquire(&levels) != seen;
		if (!done && seen && seen < LEVELS_MAX) {
			uint32_t bits = level[seen - 1].bits + 1;
			unsigned char *p = pd_arena_take(&arena, (sizeof(struct bucket) << bits) + 64);
			done = p != NULL;
			if (done) {
				level[seen] = (struct level){ (struct bucket *)(void *)(p + (64 - (uintptr_t)p % 64)), bits };
				pd_store_release(&levels, seen + 1);
			}
		}
		pd_store_release(&growing, 0);
		return done;
	}
	return pd_load_acquire(&levels) != seen;
}

bool pd_live_put(const void *p, uint64_t what, uint64_t *stale)
{
	uint64_t address = inverted(p);
	struct place *room;
	*stale = 0;
	for (;;) {
		uint32_t seen = pd_load_acquire(&levels);
		struct place *there = find(address, &room);
		if (there) {
			*stale = pd_xchg_acq_rel(&there->what, what);
			return true;
		}
		uint64_t none = 0;
		if (room && pd_cas_acq_rel(&room->address, &none, address)) {
			hint(address);
			pd_store_release(&room->what, what);
			return true;
		}
		if (!room && !grow(seen))
			return false;
	}
}

/* Take what is in a place that holds the address. */
static uint64_t take_out(struct place *there, uint64_t address)
{
	uint64_t what = pd_xchg_acq_rel(&there->what, 0), mine = address;
	if (what && pd_cas_acq_rel(&there->address, &mine, 0))
		unhint(address);
	return what;
}

uint64_t pd_live_take(const void *p)
{
	struct place *room, *there = p ? find(inverted(p), &room) : NULL; /* free(NULL) is no sample */
	return there ? take_out(there, inverted(p)) : 0;
}

static void each(void (*fn)(struct place *p, void *arg), void *arg)
{
	uint32_t n = pd_load_acquire(&levels);
	for (uint32_t i = 0; i < n; i++)
		for (size_t b = 0; b < (size_t)1 << level[i].bits; b++)
			for (int k = 0; k < PER_BUCKET; k++)
				if (pd_load_acquire(&level[i].bucket[b].at[k].address))
					fn(&level[i].bucket[b].at[k], arg);
}

struct taker {
	void (*fn)(const void *p, uint64_t what);
};

static void take_one(struct place *p, void *arg)
{
	const struct taker *t = arg;
	uint64_t address = pd_load_acquire(&p->address), what = address ? take_out(p, address) : 0;
	if (what)
		t->fn((const void *)~address, what); /* NOLINT */
}

void pd_live_take_all(void (*fn)(const void *p, uint64_t what))
{
	struct taker t = { fn };
	each(take_one, &t);
}

int pd_live_open(struct pd_budget *budget)
{
	/* Levels once made are kept, whatever happens; in a forked child they are the parent's. */
	if (!arena.base) {
		int err = pd_arena_open(&arena, budget, (size_t)budget->cap);
		if (err)
			return err;
		level[0] = (struct level){ first, 9 };
		levels = 1;
	}
	growing = 0;
	if (!used) { /* nor touched */
		used = true;
		return 0;
	}
	memset(pd_live_hint, 0, sizeof pd_live_hint);
	memset(samples_at, 0, sizeof samples_at);
	for (uint32_t i = 0; i < levels; i++)
		memset(level[i].bucket, 0, sizeof(struct bucket) << level[i].bits);
	return 0;
}

void pd_live_forked(void)
{
	memset(pd_live_hint, 0, sizeof pd_live_hint);
	arena = (struct pd_arena){ 0 };
	levels = 0;
}

static void count_one(struct place *p, void *arg)
{
	++*(size_t *)arg;
}

void pd_live_stats(struct pd_live_stats *out)
{
	*out = (struct pd_live_stats){ 0 };
	each(count_one, &out->live);
	uint32_t n = pd_load_acquire(&levels);
	for (uint32_t i = 0; i < n; i++)
		out->places += (size_t)PER_BUCKET << level[i].bits;
	out->bytes = out->places * sizeof(struct place) + sizeof samples_at + sizeof pd_live_hint;
}
