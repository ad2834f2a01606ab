/* Bump allocation over one reserved range. Knows mmap; must not know what is stored. */
#include "base/arena.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"

#define STEP ((size_t)256 << 10)

int pd_arena_open(struct pd_arena *a, struct pd_budget *budget, size_t reserve)
{
	reserve = (reserve + STEP - 1) / STEP * STEP;
	void *p = mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	*a = (struct pd_arena){ .budget = budget, .base = p, .reserved = reserve };
	return 0;
}

static void give_back(struct pd_budget *b, uint64_t n)
{
	for (; b; b = b->outer)
		pd_sub_release(&b->taken, n);
}

/* False, and nothing is taken, when a cap is in the way. */
static bool charge(struct pd_budget *first, uint64_t n)
{
	for (struct pd_budget *b = first; b; b = b->outer) {
		if (pd_add_relaxed(&b->taken, n) + n <= b->cap)
			continue;
		for (struct pd_budget *done = first; done != b->outer; done = done->outer)
			pd_sub_release(&done->taken, n);
		return false;
	}
	return true;
}

/* Open pages until `need` bytes from the start are usable. False when that may not or cannot be. Threads that do so at
 * the same time all open them, which changes nothing, and one of them pays. */
static bool open_pages(struct pd_arena *a, size_t need)
{
	size_t opened = pd_load_acquire(&a->opened), want = (need + STEP - 1) / STEP * STEP;
	if (want > a->reserved)
		return false;
	while (opened < need) {
		uint64_t more = want - opened;
		if (!charge(a->budget, more))
			return pd_load_acquire(&a->opened) >= need;
		bool ok = mprotect(a->base + opened, more, PROT_READ | PROT_WRITE) == 0;
		if (ok && pd_cas_acq_rel(&a->opened, &opened, want))
			return true;
		give_back(a->budget, more);
		if (!ok)
			return pd_load_acquire(&a->opened) >= need;
	}
	return true;
}

void *pd_arena_take(struct pd_arena *a, size_t n)
{
	int saved = errno;
	n = (n + 15) & ~(size_t)15;
	void *p = NULL;
	size_t at = pd_load_relaxed(&a->used);
	for (;;) {
		if (n > a->reserved || at > a->reserved - n)
			break;
		if (at + n > pd_load_acquire(&a->opened) && !open_pages(a, at + n))
			break;
		if (pd_cas_acq_rel(&a->used, &at, at + n)) {
			p = a->base + at;
			break;
		}
	}
	errno = saved;
	return p;
}

void pd_arena_close(struct pd_arena *a)
{
	if (!a->base)
		return;
	munmap(a->base, a->reserved);
	give_back(a->budget, a->opened);
	*a = (struct pd_arena){ 0 };
}
