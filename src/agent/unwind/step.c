/* One step by a full rule: the rare kinds, and all of them when every register is followed. Signal-safe. */
#include "agent/unwind/frame.h"

/* The switch to the outer view, when addr is there and not here. */
static PD_RAW bool reachable(struct pd_walk *w, uint64_t addr)
{
	if (pd_in_view(&w->view, addr))
		return true;
	if (!w->outer || !pd_in_view(w->outer, addr))
		return false;
	w->view = *w->outer;
	w->outer = NULL;
	return true;
}

static PD_RAW enum pd_result load(struct pd_walk *w, uint64_t addr, uint64_t *v)
{
	if (!pd_in_view(&w->view, addr))
		return PD_OUTSIDE;
	*v = pd_view_load(&w->view, addr);
	return PD_GOT;
}

/* Value of a location other than PD_SAME, PD_UNDEF, PD_BAD; cfa NULL: it is the CFA. */
static PD_RAW enum pd_result value(struct pd_walk *w, const struct pd_loc *l, const uint64_t *cfa, uint64_t *v)
{
	if (l->how == PD_EXPR || l->how == PD_AT_EXPR) {
		enum pd_result r = pd_eval(w, (uint16_t)l->off, cfa, v);
		return r != PD_GOT || l->how == PD_EXPR ? r : load(w, *v, v);
	}
	if (l->reg != PD_CFA && !(w->known >> l->reg & 1))
		return PD_NOT_FOLLOWED;
	*v = (l->reg == PD_CFA ? *cfa : w->r[l->reg]) + (uint64_t)(int64_t)l->off;
	if (l->how == PD_VAL)
		return PD_GOT;
	enum pd_result r = load(w, *v, v);
	*v += (uint64_t)(int64_t)l->more;
	return r;
}

/* All registers as the kernel saved them: the signal frame's CFA is found through the saved sp, which follows the
 * ucontext that sp points to. */
static PD_RAW bool is_kernel_frame(const struct pd_rule *rule)
{
	return rule->signal && rule->cfa.how == PD_AT && rule->cfa.reg == PD_RSP && rule->cfa.more == 0 &&
	       rule->cfa.off == pd_context_offset[PD_RSP];
}

static PD_RAW enum pd_step leave_signal(struct pd_walk *w)
{
	uint64_t at = w->r[PD_RSP];
	if (!pd_in_view(&w->view, at) || w->view.hi - at < PD_CONTEXT_LEN)
		return PD_STEP_VIEW;
	const struct pd_view from = w->view;
	uint64_t sp = pd_view_load(&from, at + pd_context_offset[PD_RSP]);
	if (sp & 7 || !reachable(w, sp))
		return sp & 7 ? PD_STEP_WRONG : PD_STEP_VIEW;
	if (!w->interrupted)
		w->out[w->n - 1] = w->r[PD_RIP];
	for (unsigned i = 0; i < PD_NREGS; i++)
		w->r[i] = pd_view_load(&from, at + pd_context_offset[i]);
	w->known = (1u << PD_NREGS) - 1;
	w->key = w->r[PD_RIP];
	w->interrupted = true;
	w->only_sp = false;
	return PD_STEP_OK;
}

/* rbx and r12..r15 as the caller has them; what is not known is marked so. */
static PD_RAW void restore_saved(struct pd_walk *w, const struct pd_rule *rule, uint64_t cfa)
{
	for (unsigned i = 0; i < PD_SAVED; i++) {
		uint8_t reg = pd_saved_reg[i];
		if (rule->saved[i] == 0)
			continue;
		uint64_t at = cfa + 8 * (uint64_t)(int64_t)rule->saved[i];
		if (rule->saved[i] != PD_SAVED_LOST && load(w, at, &w->r[reg]) == PD_GOT)
			w->known |= 1u << reg;
		else
			w->known &= ~(1u << reg);
	}
}

static PD_RAW enum pd_step failed(const struct pd_walk *w, enum pd_result r)
{
	if (r == PD_OUTSIDE)
		return PD_STEP_VIEW;
	return r == PD_NONSENSE || w->only_sp || w->follow_all ? PD_STEP_WRONG : PD_STEP_REGISTER;
}

/*
 * rbp of the caller. Compilers let the rule for a saved rbp stand after it was popped: at an interrupted instruction, a
 * slot that is not inside the frame (red zone included) or cannot be read means that the register has it.
 */
static PD_RAW enum pd_result caller_fp(struct pd_walk *w, const struct pd_rule *rule, uint64_t cfa, uint64_t *fp)
{
	enum { RED_ZONE = 128 };
	const struct pd_loc *l = &rule->fp;
	uint64_t sp = w->r[PD_RSP];
	*fp = w->r[PD_RBP];
	if (l->how == PD_SAME)
		return PD_GOT;
	if (l->how == PD_UNDEF || l->how == PD_BAD) {
		*fp = PD_FP_UNKNOWN;
		return PD_GOT;
	}
	if (w->interrupted && l->how == PD_AT && (l->reg == PD_CFA || l->reg == PD_RBP)) {
		uint64_t slot = (l->reg == PD_CFA ? cfa : *fp) + (uint64_t)(int64_t)l->off;
		bool inside = slot + RED_ZONE >= sp && slot < cfa;
		if (!inside || !pd_in_view(&w->view, slot))
			return PD_GOT;
	}
	return value(w, l, &cfa, fp);
}

PD_RAW enum pd_step pd_step_rule(struct pd_walk *w, const struct pd_rule *rule)
{
	uint64_t cfa, ra, sp, fp;
	if (rule->ra.how == PD_UNDEF)
		return PD_STEP_BOTTOM;
	if (rule->cfa.how == PD_BAD || rule->ra.how == PD_BAD)
		return PD_STEP_WRONG;
	if (is_kernel_frame(rule))
		return leave_signal(w);
	enum pd_result r = value(w, &rule->cfa, NULL, &cfa);
	if (r != PD_GOT)
		return failed(w, r);
	sp = cfa;
	if (cfa & 7)
		return PD_STEP_WRONG;
	/* What is saved relative to the CFA is on the CFA's stack, which may be another one. */
	if (cfa - 8 < w->view.lo || cfa > w->view.hi)
		if (!reachable(w, cfa - 8) && rule->ra.how == PD_AT && rule->ra.reg == PD_CFA)
			return PD_STEP_VIEW;
	r = rule->ra.how == PD_SAME ? PD_NOT_FOLLOWED : value(w, &rule->ra, &cfa, &ra);
	if (r == PD_GOT)
		r = caller_fp(w, rule, cfa, &fp);
	if (r == PD_GOT && rule->sp.how != PD_SAME)
		r = value(w, &rule->sp, &cfa, &sp);
	if (r != PD_GOT)
		return failed(w, r);
	bool still = sp == w->r[PD_RSP] && w->interrupted;
	bool other_stack = w->r[PD_RSP] < w->view.lo || w->r[PD_RSP] >= w->view.hi;
	if (sp & 7 || (sp <= w->r[PD_RSP] && !still && !other_stack))
		return PD_STEP_WRONG;
	restore_saved(w, rule, cfa);
	w->known &= 1u << PD_RBX | 0xfu << PD_R12;
	w->known |= 1u << PD_RSP | 1u << PD_RBP | 1u << PD_RIP;
	w->r[PD_RSP] = sp;
	w->r[PD_RBP] = fp;
	w->r[PD_RIP] = ra;
	w->interrupted = rule->signal;
	w->key = rule->signal ? ra : ra - 1;
	return PD_STEP_OK;
}
