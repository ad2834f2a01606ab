/* A running thread's answer to the dump, in its handler: its registers and stack into the slot the signal carries. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/sampler/dump.h"
#include "base/atomic.h"

uint32_t pd_ask_answers;

/* In place when the bounds of the stack are known, else from a copy of what can be read. */
static void walk(struct pd_thread *t, struct pd_ask *a)
{
	uint64_t sp = a->regs.r[PD_REG_RSP];
	uint64_t lo = t ? pd_load_relaxed(&t->stack_lo) : 0, hi = t ? pd_load_acquire(&t->stack_hi) : 0;
	struct pd_view whole = { lo, hi, (const unsigned char *)lo }; /* NOLINT */
	if (sp >= lo && sp < hi) {
		struct pd_view view = { sp, hi, (const unsigned char *)sp }; /* NOLINT */
		a->n = (uint32_t)pd_walk(&a->regs, true, &view, NULL, NULL, a->pc, PD_ASK_FRAMES, &a->end);
		return;
	}
	if (t && !hi)
		pd_store_relaxed(&t->sp_seen, sp);
	ssize_t got = pd_peek(a->copy, sp, sizeof a->copy);
	a->view = (struct pd_view){ sp, sp + (got > 0 ? (uint64_t)got : 0), a->copy };
	const struct pd_view *beyond = hi ? &whole : NULL;
	a->n = (uint32_t)pd_walk(&a->regs, true, &a->view, beyond, NULL, a->pc, PD_ASK_FRAMES, &a->end);
}

/*
 * The asker turns WAITING into FREE when it waits no longer, and may then ask somebody else by this slot; the number
 * in `turn` is another one then, so the exchange below fails for a handler that comes late.
 */
void pd_dump_tick(struct pd_signal_target *target, int overrun, void *ucontext)
{
	struct pd_ask *a = (struct pd_ask *)(void *)target;
	uint64_t turn = pd_load_acquire(&a->turn);
	if ((turn & PD_ASK_STATE) != PD_ASK_WAITING || pd_load_relaxed(&a->tid) != (int)syscall(SYS_gettid))
		return;
	if (!pd_cas_acq_rel(&a->turn, &turn, (turn & ~(uint64_t)PD_ASK_STATE) | PD_ASK_FILLING))
		return;
	a->n = 0;
	a->view = (struct pd_view){ 0 };
	a->end = PD_END_LOST;
	if (ucontext) {
		pd_regs_from_context(ucontext, &a->regs);
		walk(pd_thread_adopt(), a);
	}
	pd_store_release(&a->turn, (turn & ~(uint64_t)PD_ASK_STATE) | PD_ASK_DONE);
	pd_add_acq_rel(&pd_ask_answers, 1);
	syscall(SYS_futex, &pd_ask_answers, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
