/* Which memory a walk may read: the thread's own stack, or a copy. Knows no sampler. */
#include "agent/sampler/walk.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"

enum { RBP = 6, RSP = 7, RIP = 16 };

/* Copies of stacks whose bounds are not known, one per sample under way; a word of the mask says which are taken. */
#define COPIES 8
#define COPY_BYTES 16384u
#define STACK_GAP ((uint64_t)64 << 20) /* the kernel keeps more than that free below the first thread's stack */
#define RED_ZONE 128 /* below sp, which code may use without moving it */
static unsigned char copy[COPIES][COPY_BYTES];
static uint32_t copies_taken;

static int take_copy(void)
{
	uint32_t taken = pd_load_relaxed(&copies_taken);
	for (;;) {
		uint32_t free_bits = ~taken & ((1u << COPIES) - 1);
		if (!free_bits)
			return -1;
		int i = __builtin_ctz(free_bits);
		if (pd_cas_acq_rel(&copies_taken, &taken, taken | 1u << i))
			return i;
	}
}

static void give_copy(int i)
{
	pd_sub_release(&copies_taken, 1u << i);
}

static void view_of_thread(const struct pd_thread *t, struct pd_view *v)
{
	uint64_t lo = t ? pd_load_relaxed(&t->stack_lo) : 0, hi = t ? pd_load_acquire(&t->stack_hi) : 0;
	*v = (struct pd_view){ .lo = lo, .hi = hi, .at = (const unsigned char *)lo }; /* NOLINT */
}

size_t pd_sample_walk(struct pd_thread *t, const struct pd_regs *regs, bool exact, struct pd_memo *memo, uint64_t *pc,
                      size_t max, enum pd_walk_end *end)
{
	struct pd_view whole, view;
	uint64_t sp = regs->r[RSP];
	view_of_thread(t, &whole);
	if (sp >= whole.lo && sp < whole.hi)
		return pd_walk(regs, exact, &whole, NULL, memo, pc, max, end);
	/* The first thread's stack grows. Farther below it are others, of coroutines for one. */
	bool grown = sp < whole.lo && whole.lo - sp < STACK_GAP;
	if (t && (!whole.hi || (grown && pd_load_relaxed(&t->tid) == (int)syscall(SYS_getpid))))
		pd_store_relaxed(&t->sp_seen, sp);
	int i = take_copy();
	uint64_t lo = sp - RED_ZONE;
	ssize_t got = i < 0 ? 0 : pd_peek(copy[i], lo, COPY_BYTES);
	view = (struct pd_view){ .lo = lo, .hi = lo + (got > 0 ? (uint64_t)got : 0), .at = copy[i < 0 ? 0 : i] };
	size_t n = pd_walk(regs, exact, &view, whole.hi ? &whole : NULL, NULL, pc, max, end);
	if (i >= 0)
		give_copy(i);
	return n;
}

size_t pd_sample_caller(struct pd_thread *t, const void *const *frame, struct pd_memo *memo, uint64_t *pc, size_t max,
                        enum pd_walk_end *end)
{
	struct pd_regs regs = { .only_sp = false };
	regs.r[RBP] = (uint64_t)(uintptr_t)frame[0];
	regs.r[RSP] = (uint64_t)(uintptr_t)(frame + 2);
	regs.r[RIP] = (uint64_t)(uintptr_t)frame[1];
	return pd_sample_walk(t, &regs, false, memo, pc, max, end);
}
