/* Walks with the memory of the last one give what walks without it give; and no registers lead a walk astray. */
#include <signal.h>
#include <ucontext.h>

#include "walk_kit.h"

enum { MAX = 128 };

static struct pd_budget budget = { .cap = 64 << 20 };
static struct pd_view all; /* the stack */
static uint64_t pc[MAX];
static size_t n;
static enum pd_walk_end end;

static struct pd_memo memo;
static unsigned differed, recursions;

static void on_compare(int sig, siginfo_t *info, void *context)
{
	struct pd_regs regs;
	uint64_t with[MAX];
	enum pd_walk_end end_with;
	pd_regs_from_context(context, &regs);
	n = pd_walk(&regs, true, &all, NULL, NULL, pc, MAX, &end);
	size_t n_with = pd_walk(&regs, true, &all, NULL, &memo, with, MAX, &end_with);
	recursions++;
	differed += n != n_with || end != end_with || memcmp(pc, with, n * sizeof(*pc)) != 0;
}

static __attribute__((noinline)) unsigned tree(unsigned depth, unsigned shape)
{
	volatile unsigned pad[4] = { shape };
	if (depth == 0 || shape % 11 == 3) {
		raise(SIGURG);
		return 1;
	}
	unsigned a = tree(depth - 1, shape * 7 + 1);
	unsigned b = shape & 4 ? tree(depth / 2, shape * 5 + pad[0] % 3) : 0;
	return a + b + pad[1];
}

static void memos(void)
{
	struct sigaction sa = { .sa_sigaction = on_compare, .sa_flags = SA_SIGINFO };
	sigaction(SIGURG, &sa, NULL);
	for (unsigned i = 1; i < 90; i += 4)
		tree(i, i * 2654435761u >> 9);
	OK(recursions > 200);
	EQ(differed, 0);
	/* a stack that changed under the same leaf: what was remembered must not be believed */
	struct pd_regs regs = { .only_sp = false };
	ucontext_t u;
	getcontext(&u);
	pd_regs_from_context(&u, &regs);
	uint64_t lo = regs.r[7] - 128, len = all.hi - lo;
	unsigned char *copy = malloc(len);
	copy_stack(copy, lo, len);
	struct pd_view v = { .lo = lo, .hi = all.hi, .at = copy };
	memset(&memo, 0, sizeof(memo));
	n = pd_walk(&regs, false, &v, NULL, &memo, pc, MAX, &end);
	EQ(end, PD_END_BOTTOM);
	OK(memo.n >= 2);
	if (memo.n < 2)
		return;
	uint64_t *ra = (uint64_t *)(copy + (memo.cfa[1] - 8 - lo));
	*ra = 0;
	n = pd_walk(&regs, false, &v, NULL, &memo, pc, MAX, &end);
	EQ(n, 2);
	free(copy);
}

/* Whatever is in the registers: bounded, no fault. */
static void nonsense(void)
{
	uint64_t seed = 42, top = (uint64_t)&seed;
	for (unsigned i = 0; i < 20000; i++) {
		struct pd_regs regs = { .only_sp = i % 5 == 0 };
		for (unsigned k = 0; k < PD_NREGS; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			regs.r[k] = seed >> (seed >> 58);
			if (seed >> 20 & 1)
				regs.r[k] = top + (seed >> 40) % 4096;
		}
		if (i & 1)
			regs.r[16] = (uint64_t)&nonsense + (seed >> 33) % 512;
		if (i & 2)
			regs.r[16] = (uint64_t)&qsort - 4096 + (seed >> 33) % 16384;
		n = pd_walk(&regs, i & 4, &all, NULL, i & 8 ? &memo : NULL, pc, MAX, &end);
		OK(n >= 1 && n <= MAX);
	}
}

int main(int argc, char **argv)
{
	all = stack_of(pthread_self());
	EQ(pd_unwind_open(&budget), 0);
	pd_unwind_refresh();
	memos();
	memset(&memo, 0, sizeof memo);
	nonsense();
	pd_unwind_close();
	EQ(budget.taken, 0);
	DONE();
}
