/* The memory of one dump: a single mapping, filled from the front by all workers at once. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/sampler/dump.h"
#include "base/atomic.h"

#define PER_THREAD ((size_t)1536) /* frames of a stack that is like no other */
#define STACKS_MAX ((size_t)32 << 20)
#define SLACK (STACKS_MAX + ((size_t)32 << 20))

int pd_store_open(struct pd_store *s, size_t n)
{
	size_t slots = 64;
	while (slots < 2 * n)
		slots *= 2;
	size_t len = n * (sizeof(struct pd_thread_rec) + PER_THREAD) + slots * sizeof *s->shared + SLACK;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	*s = (struct pd_store){ .base = p, .len = len, .shared_mask = slots - 1 };
	s->shared = pd_store_take(s, slots * sizeof *s->shared);
	return 0;
}

void *pd_store_take(struct pd_store *s, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	size_t at = pd_load_relaxed(&s->used);
	do {
		if (n > s->len - at)
			return NULL;
	} while (!pd_cas_acq_rel(&s->used, &at, at + n));
	return s->base + at;
}

static uint64_t hash(const uint64_t *pc, size_t n)
{
	uint64_t h = n;
	for (size_t i = 0; i < n; i++) {
		h = (h ^ pc[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

const uint64_t *pd_store_frames(struct pd_store *s, const uint64_t *pc, size_t n)
{
	uint64_t *mine = NULL;
	for (uint64_t at = hash(pc, n), i = 0; i <= s->shared_mask; i++, at++) {
		const uint64_t **slot = &s->shared[at & s->shared_mask];
		const uint64_t *there = pd_load_acquire(slot);
		if (!there && !mine) {
			mine = pd_store_take(s, (n + 1) * sizeof *pc);
			if (!mine)
				return NULL;
			mine[0] = n;
			memcpy(mine + 1, pc, n * sizeof *pc);
		}
		if (!there && pd_cas_acq_rel(slot, &there, mine))
			return mine + 1;
		if (there[0] == n && memcmp(there + 1, pc, n * sizeof *pc) == 0)
			return there + 1;
	}
	return NULL;
}

void pd_store_unfinished(struct pd_store *s, struct pd_thread_rec *rec, const struct pd_regs *regs,
                         const struct pd_view *view)
{
	size_t len = view->hi - view->lo;
	if (pd_add_relaxed(&s->stacks, len) + len > STACKS_MAX)
		return;
	unsigned char *stack = pd_store_take(s, len);
	uint64_t *r = pd_store_take(s, sizeof regs->r);
	if (!stack || !r)
		return;
	memcpy(stack, view->at, len);
	memcpy(r, regs->r, sizeof regs->r);
	rec->regs = r;
	rec->stack = stack;
	rec->stack_lo = view->lo;
	rec->stack_len = len;
}
