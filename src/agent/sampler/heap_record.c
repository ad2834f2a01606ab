/* What hooks count: sampled allocations by stack, size and labels, and their ends. Knows no allocator. */
#include "agent/sampler/heap.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/os/os.h"
#include "agent/sampler/walk.h"
#include "base/time.h"

#define TIME_EACH 16 /* of so many samples, one is timed */
#define SHORT_FRAMES 48
#define STACK_NEEDED 3072 /* bytes; a sample takes up to 2200 */

struct pd_heap pd_heap;

/* What is remembered of a sample: the id of its row, or a scaled one's size and the number of its rate. */
#define SCALED ((uint64_t)1 << 63)
#define RATE_SHIFT 48
#define RATES_MAX 255
static uint64_t rates[RATES_MAX]; /* each rate that a scaled sample had */

/* Threads that use the table, spread so that they do not meet. */
static struct {
	_Alignas(64) uint32_t n;
} inside[16];

static uint32_t *enter(void)
{
	uint32_t *mine = &inside[((uintptr_t)__builtin_frame_address(0) >> 12) * 0x9e3779b97f4a7c15u >> 60].n;
	pd_add_seqcst(mine, 1);
	return mine;
}

static void leave(uint32_t *mine)
{
	pd_sub_release(mine, 1);
}

bool pd_heap_quiet(void)
{
	for (int i = 0; i < 1000; i++) {
		uint32_t busy = 0;
		for (size_t k = 0; k < sizeof inside / sizeof *inside; k++)
			busy |= pd_load_seqcst(&inside[k].n);
		if (!busy)
			return true;
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
	}
	return false;
}

void pd_heap_record_forked(void)
{
	memset(inside, 0, sizeof inside);
	memset(&pd_heap, 0, sizeof pd_heap); /* the parent's pages stay mapped, unused */
}

static uint64_t number_of_rate(uint64_t rate)
{
	for (uint64_t i = 0; i < RATES_MAX; i++) {
		uint64_t there = pd_load_relaxed(&rates[i]);
		if (there == rate || (!there && (pd_cas_acq_rel(&rates[i], &there, rate) || there == rate)))
			return i;
	}
	return RATES_MAX;
}

static uint32_t stack_id(const uint64_t *pc, size_t n, bool truncated)
{
	return pd_table_stack(&pd_heap.table, pc, (uint32_t)n, pd_unwind_epoch(), truncated ? PD_TRUNCATED : 0);
}

/* Each size seen makes a row, and a service that runs for weeks may see millions: when half of the memory is used,
 * sizes that are new are rounded to five binary digits, up or down by chance so that the mean is true. At rate 1 all
 * stay exact. */
static void round_size(struct pd_key *key, const void *p)
{
	const struct pd_table *t = &pd_heap.table;
	if (key->size < 32 || key->rate <= 1 || pd_load_relaxed(&t->arena.used) < t->arena.budget->cap / 2 ||
	    pd_table_row_known(t, key))
		return;
	uint64_t unit = (uint64_t)1 << (59 - __builtin_clzll(key->size)), over = key->size & (unit - 1);
	uint64_t chance = ((uint64_t)(uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 20 & (unit - 1);
	key->size += chance < over ? unit - over : -over;
}

/* By the thread's scratch memory; it is in use when a handler of the host allocates in the middle of a sample. */
static uint32_t caller(struct pd_thread *t, const void *const *frame, bool *truncated)
{
	struct pd_scratch *s = t->scratch;
	enum pd_walk_end end;
	size_t n = pd_sample_caller(t, frame, &s->memo, s->pc, PD_SAMPLE_FRAMES, &end);
	*truncated = end != PD_END_BOTTOM;
	return stack_id(s->pc, n, *truncated);
}

static __attribute__((noinline)) uint32_t caller_short(struct pd_thread *t, const void *const *frame, bool *truncated)
{
	uint64_t pc[SHORT_FRAMES];
	enum pd_walk_end end;
	size_t n = pd_sample_caller(t, frame, NULL, pc, SHORT_FRAMES, &end);
	*truncated = end != PD_END_BOTTOM;
	return stack_id(pc, n, *truncated);
}

static void count_gone(const void *p, uint64_t what)
{
	int64_t gone[4] = { 0 };
	uint32_t row = (uint32_t)what;
	if (what & SCALED) {
		row = pd_heap.overflow_row;
		pd_heap_scale(what & (((uint64_t)1 << RATE_SHIFT) - 1), rates[what >> RATE_SHIFT & 255], (uint64_t)(uintptr_t)p,
		              &gone[2], &gone[3]);
	} else {
		struct pd_row r;
		pd_table_read(&pd_heap.table, row, &r);
		gone[2] = 1;
		gone[3] = (int64_t)r.key.size;
	}
	pd_table_count(&pd_heap.table, row, gone, 4);
}

/* Count the allocation; what is to be remembered of it, or 0. */
static uint64_t count_taken(struct pd_key *key, const void *p)
{
	uint64_t size = key->size;
	round_size(key, p);
	uint32_t row = key->stack == PD_STACK_OVERFLOW ? 0 : pd_table_row(&pd_heap.table, key);
	if (row) {
		pd_table_count(&pd_heap.table, row, (const int64_t[]){ 1, (int64_t)key->size }, 2);
		return row;
	}
	int64_t scaled[2];
	uint64_t rate = number_of_rate(key->rate);
	if (rate == RATES_MAX) {
		pd_add_relaxed(&pd_heap.count.dropped[PD_DROP_MEMORY], 1);
		return 0;
	}
	pd_heap_scale(size, key->rate, (uint64_t)(uintptr_t)p, &scaled[0], &scaled[1]);
	pd_table_count(&pd_heap.table, pd_heap.overflow_row, scaled, 2);
	pd_add_relaxed(&pd_heap.count.overflow, 1);
	return SCALED | rate << RATE_SHIFT | size;
}

static void remember(const void *p, uint64_t what)
{
	uint64_t stale;
	if (!pd_live_put(p, what, &stale)) {
		pd_add_relaxed(&pd_heap.untracked, 1);
		count_gone(p, what);
	} else if (stale) {
		pd_add_relaxed(&pd_heap.healed, 1);
		count_gone(p, stale);
	}
}

/* Is there room for a sample below the hook's frame? Threads may have small stacks, and handlers smaller ones. */
static bool has_room(const struct pd_thread *t, const void *const *frame)
{
	uint64_t sp = (uint64_t)(uintptr_t)frame, lo = t ? pd_load_relaxed(&t->stack_lo) : 0;
	if (t && sp >= lo && sp < pd_load_relaxed(&t->stack_hi)) /* that of the first thread grows */
		return sp - lo >= STACK_NEEDED || pd_load_relaxed(&t->tid) == (int)syscall(SYS_getpid);
	stack_t alt = { .ss_flags = 0 };
	return syscall(SYS_sigaltstack, 0ul, &alt) != 0 || !(alt.ss_flags & SS_ONSTACK) ||
	       sp - (uint64_t)(uintptr_t)alt.ss_sp >= STACK_NEEDED;
}

static void record(uint64_t rate, const void *p, size_t n, const void *const *frame)
{
	struct pd_thread *t = pd_thread_adopt();
	bool truncated;
	if (!has_room(t, frame)) {
		pd_add_relaxed(&pd_heap.count.dropped[PD_DROP_STACK], 1);
		return;
	}
	struct pd_key key = { .size = n ? n : 1, .rate = rate };
	if (t && !t->busy) {
		t->busy = 1;
		pd_fence_signal();
		key.stack = caller(t, frame, &truncated);
		pd_fence_signal();
		t->busy = 0;
	} else {
		key.stack = caller_short(t, frame, &truncated);
	}
	if (!t || pd_load_relaxed(&t->sp_seen))
		pd_store_relaxed(&pd_heap.strangers, 1);
	key.labels = t ? pd_load_relaxed(&t->labels) : 0;
	uint64_t what = count_taken(&key, p);
	if (!what)
		return;
	pd_add_relaxed(&pd_heap.count.recorded, 1);
	if (truncated && !(what & SCALED))
		pd_add_relaxed(&pd_heap.count.truncated, 1);
	remember(p, what);
}

/* The doors of the slow paths. malloc works on a stack that is not aligned as it should be, and code that comes with
 * one is not to find out here. */
#define REALIGN __attribute__((force_align_arg_pointer))

REALIGN void pd_heap_took(uint64_t rate, const void *p, size_t n, const void *const *frame)
{
	uint32_t *mine = enter();
	if (pd_load_seqcst(&pd_heap.open)) {
		bool timed = pd_add_relaxed(&pd_heap.count.ticks, 1) % TIME_EACH == 0;
		int64_t start = timed ? pd_mono_ns() : 0;
		record(rate, p, n, frame);
		if (timed)
			pd_add_relaxed(&pd_heap.count.self_ns, (uint64_t)(pd_mono_ns() - start) * TIME_EACH);
	}
	leave(mine);
}

REALIGN void pd_heap_gone(const void *p, uint64_t what)
{
	uint32_t *mine = enter();
	if (pd_load_seqcst(&pd_heap.open))
		count_gone(p, what);
	leave(mine);
}

REALIGN void pd_heap_freed(const void *p)
{
	uint64_t what = pd_live_take(p);
	if (what)
		pd_heap_gone(p, what);
}

REALIGN void pd_heap_back(const void *p, uint64_t what)
{
	uint32_t *mine = enter();
	if (pd_load_seqcst(&pd_heap.open))
		remember(p, what);
	leave(mine);
}
