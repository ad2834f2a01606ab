/* See pages.h. Knows mmap and the count of walks under way; must not know what is stored. */
#include "agent/unwind/pages.h"

#include <sys/mman.h>
#include <time.h>

#include "base/atomic.h"

enum { COUNTERS = 64, LINE = 64 };

struct head {
	size_t bytes; /* of the mapping */
	struct head *next;
	uint64_t waits; /* bit i: counter i has not been seen at 0 since this was retired */
};

static struct {
	struct pd_budget *budget;
	size_t taken;
	struct head *retired;
} pages;

static struct {
	_Alignas(LINE) uint32_t walks;
} counters[COUNTERS];

_Static_assert(sizeof(struct head) <= LINE, "the head fits before the bytes handed out");

static struct head *head_of(void *p)
{
	return (struct head *)((unsigned char *)p - LINE);
}

static size_t mapping_len(size_t n)
{
	return (n + LINE + 4095) & ~(size_t)4095;
}

static bool charge(size_t n)
{
	if (pd_add_relaxed(&pages.budget->taken, n) + n > pages.budget->cap) {
		pd_sub_release(&pages.budget->taken, n);
		return false;
	}
	pages.taken += n;
	return true;
}

static void discharge(size_t n)
{
	pd_sub_release(&pages.budget->taken, n);
	pages.taken -= n;
}

void pd_pages_open(struct pd_budget *budget)
{
	pages.budget = budget;
	pages.taken = 0;
	pages.retired = NULL;
}

void pd_walks_forked(void)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		pd_store_relaxed(&counters[i].walks, 0);
}

void *pd_pages_take(size_t n)
{
	size_t len = mapping_len(n);
	if (len < n || !charge(len))
		return NULL;
	struct head *h = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED) {
		discharge(len);
		return NULL;
	}
	h->bytes = len;
	return (unsigned char *)h + LINE;
}

void *pd_pages_grow(void *p, size_t n)
{
	struct head *h = head_of(p);
	size_t old = h->bytes, len = mapping_len(n);
	if (len <= old)
		return p;
	if (!charge(len - old))
		return NULL;
	h = mremap(h, old, len, MREMAP_MAYMOVE);
	if (h == MAP_FAILED) {
		discharge(len - old);
		return NULL;
	}
	h->bytes = len;
	return (unsigned char *)h + LINE;
}

void pd_pages_give(void *p)
{
	if (!p)
		return;
	struct head *h = head_of(p);
	discharge(h->bytes);
	munmap(h, h->bytes);
}

size_t pd_pages_taken(void)
{
	return pages.taken;
}

/* The increment is ordered before the walk's look at what is published: a counter seen at 0 after something was
 * unpublished has no walk left that found it. */
uint32_t *pd_walk_enter(uint64_t hint)
{
	uint32_t *counter = &counters[(hint >> 12) * 0x9e3779b97f4a7c15u >> 58].walks;
	pd_add_seqcst(counter, 1);
	return counter;
}

void pd_walk_leave(uint32_t *counter)
{
	pd_sub_release(counter, 1);
}

static uint64_t idle_counters(void)
{
	uint64_t idle = 0;
	for (unsigned i = 0; i < COUNTERS; i++)
		if (pd_load_seqcst(&counters[i].walks) == 0)
			idle |= (uint64_t)1 << i;
	return idle;
}

bool pd_walks_end(void)
{
	uint64_t waits = ~(uint64_t)0;
	for (int i = 0; i < 200 && (waits &= ~idle_counters()); i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	return !waits;
}

void pd_pages_retire(void *p)
{
	if (!p)
		return;
	struct head *h = head_of(p);
	h->waits = ~(uint64_t)0;
	h->next = pages.retired;
	pages.retired = h;
}

void pd_pages_reclaim(bool all)
{
	if (!pages.retired)
		return;
	uint64_t idle = idle_counters();
	for (struct head **at = &pages.retired; *at;) {
		struct head *h = *at;
		h->waits &= ~idle;
		if (h->waits && !all) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		pd_pages_give((unsigned char *)h + LINE);
	}
}
