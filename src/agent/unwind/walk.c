/* pd_walk: the loop for the common rules, and what to do where it stops. Signal-safe. */
#include "agent/unwind/memo.h"
#include "agent/unwind/pages.h"

static uint64_t unknown;

uint64_t pd_unwind_unknown(void)
{
	return pd_load_relaxed(&unknown);
}

enum stop { STOP_SLOW, STOP_FULL, STOP_BOTTOM };

static inline void leave_at(struct pd_walk *w, size_t n, uint64_t sp, uint64_t fp, uint64_t key)
{
	w->n = n;
	w->r[PD_RSP] = sp;
	w->r[PD_RBP] = fp;
	w->key = key;
}

/* Go on while rules are hot and values sane. STOP_SLOW: the current frame is for the full rule to judge. */
static PD_RAW enum stop walk_hot(struct pd_walk *w, struct pd_recall *m)
{
	const struct pd_ranges *const ranges = w->ranges;
	const uint64_t lo = w->view.lo, last = w->view.hi - lo - 8;
	const unsigned char *const at = w->view.at;
	const bool keep = m->on;
	uint64_t sp = w->r[PD_RSP], fp = w->r[PD_RBP], key = w->key;
	uint64_t *const out = w->out;
	const size_t first = w->n, max = w->max;
	enum stop stop = STOP_SLOW;
	size_t n = first;
	if (w->view.hi < lo + 8)
		return STOP_SLOW;
	for (;;) {
		uint32_t code = pd_code_at(ranges, key);
		if ((code & 3) >= PD_CODE_COLD)
			break;
		uint64_t cfa = ((code & 3) == PD_CODE_FP ? fp : sp) + (code >> 9 << 3);
		uint64_t slot = code >> 2 & 127;
		uint64_t ra_at = cfa - 8 - lo, fp_at = cfa - 8 * slot - lo;
		if (ra_at > last || fp_at > last || cfa & 7 || cfa <= sp)
			break;
		uint64_t ra = *(const pd_raw_u64 *)(at + ra_at);
		if ((ra - 1) >> 47)
			break;
		if (n == max) {
			stop = STOP_FULL;
			break;
		}
		w->caller_of_sp = sp;
		w->caller_of_fp = fp;
		fp = slot == 1 ? fp : *(const pd_raw_u64 *)(at + fp_at);
		sp = cfa;
		key = ra - 1;
		out[n++] = key;
		if (!keep)
			continue;
		uint64_t pc = ra | slot << PD_MEMO_SLOT;
		if (!m->on)
			continue;
		bool met = m->old && pd_recall_knows(m, pc, sp, fp);
		pd_recall_keep(m, pc, sp, fp);
		if (!met || !m->old)
			continue;
		leave_at(w, n, sp, fp, key);
		if (pd_recall_meet(m, w))
			return STOP_BOTTOM;
		n = w->n;
		sp = w->r[PD_RSP];
		fp = w->r[PD_RBP];
		key = w->key;
	}
	leave_at(w, n, sp, fp, key);
	if (n > first) {
		w->interrupted = false;
		w->r[PD_RIP] = key + 1;
		w->known = 1u << PD_RSP | 1u << PD_RBP | 1u << PD_RIP;
	}
	return stop;
}

/* The current frame is in no module and no call led there: it was a wrong step. Back to the frame before. */
static PD_RAW void step_back(struct pd_walk *w, bool exact)
{
	w->n--;
	w->interrupted = exact && w->n == 1;
	w->key = w->out[w->n - 1];
	w->r[PD_RIP] = w->interrupted ? w->key : w->key + 1;
	w->r[PD_RSP] = w->caller_of_sp;
	w->r[PD_RBP] = w->caller_of_fp;
}

/* One step from the current frame by whatever helps. */
static PD_RAW enum pd_step step_slow(struct pd_walk *w, bool exact)
{
	bool known, first = w->n == 1;
	uint64_t target;
	uint16_t number = pd_rule_at(w->ranges, w->key, &known);
	if (!known) {
		pd_add_relaxed(&unknown, 1);
		if (!first && !w->interrupted && !pd_follows_call(w->r[PD_RIP], &target))
			step_back(w, exact);
		return pd_step_guess(w);
	}
	uint64_t sp = w->r[PD_RSP], fp = w->r[PD_RBP], pc = w->r[PD_RIP];
	bool called = !w->interrupted;
	enum pd_step step = pd_step_rule(w, pd_rule(number));
	bool ends = step == PD_STEP_VIEW || (step == PD_STEP_OK && w->r[PD_RIP] == 0);
	if (step == PD_STEP_WRONG)
		step = pd_step_guess(w);
	else if (ends && called && pd_landing_at(pc) == PD_LANDING_CONTEXT)
		step = pd_step_landed(w, pc);
	w->caller_of_sp = sp;
	w->caller_of_fp = fp;
	return step;
}

/* *again: the walk met a rule for a register it had not followed. */
static PD_RAW enum pd_walk_end walk(struct pd_walk *w, bool exact, struct pd_recall *m, bool *bottom_by_rule,
                                    bool *again)
{
	*again = *bottom_by_rule = false;
	for (;;) {
		enum stop stop = w->follow_all ? STOP_SLOW : walk_hot(w, m);
		if (stop == STOP_FULL)
			return PD_END_FULL;
		if (stop == STOP_BOTTOM) {
			*bottom_by_rule = true;
			return PD_END_BOTTOM;
		}
		bool first = w->n == 1;
		enum pd_step step = step_slow(w, exact);
		if (step == PD_STEP_REGISTER) {
			*again = true;
			return PD_END_LOST;
		}
		if (step == PD_STEP_VIEW)
			return PD_END_VIEW;
		if (step == PD_STEP_WRONG)
			return PD_END_LOST;
		*bottom_by_rule = step == PD_STEP_BOTTOM;
		/* Where a thread starts is no guess, whatever led there; a 0 may be. */
		if (step == PD_STEP_BOTTOM || step == PD_STEP_LANDED)
			return PD_END_BOTTOM;
		if (w->r[PD_RIP] == 0)
			return w->guessed ? PD_END_LOST : PD_END_BOTTOM;
		if (w->n == w->max)
			return PD_END_FULL;
		w->out[w->n++] = w->key;
		if (!m->on)
			continue;
		if (first && !w->guessed && w->r[PD_RIP] <= PD_MEMO_PC)
			pd_recall_keep(m, w->r[PD_RIP] | (uint64_t)1 << PD_MEMO_SLOT, w->r[PD_RSP], w->r[PD_RBP]);
		else
			m->on = false;
	}
}

static PD_RAW void start(struct pd_walk *w, const struct pd_regs *regs, bool exact)
{
	for (unsigned i = 0; i < PD_NREGS; i++)
		w->r[i] = regs->r[i];
	w->known = (1u << PD_NREGS) - 1;
	if (regs->only_sp) {
		w->known = 1u << PD_RSP | 1u << PD_RIP;
		w->r[PD_RBP] = PD_FP_UNKNOWN;
	}
	w->only_sp = regs->only_sp;
	w->guessed = false;
	w->interrupted = exact;
	w->key = exact ? regs->r[PD_RIP] : regs->r[PD_RIP] - 1;
	w->out[0] = w->key;
	w->n = 1;
}

PD_RAW size_t pd_walk(const struct pd_regs *regs, bool exact, const struct pd_view *view, const struct pd_view *outer,
                      struct pd_memo *memo, uint64_t *pc, size_t max, enum pd_walk_end *end)
{
	struct pd_walk w;
	struct pd_recall m;
	bool by_rule, again;
	uint32_t *counter = pd_walk_enter(regs->r[PD_RSP]);
	w.ranges = pd_ranges_now();
	w.out = pc;
	w.max = max;
	w.follow_all = false;
	w.view = *view;
	w.outer = outer;
	start(&w, regs, exact);
	*end = PD_END_LOST;
	if (w.ranges) {
		pd_recall_start(&m, memo, w.ranges->generation);
		*end = walk(&w, exact, &m, &by_rule, &again);
		if (again) {
			w.follow_all = true;
			w.view = *view;
			w.outer = outer;
			m.on = false;
			start(&w, regs, exact);
			*end = walk(&w, exact, &m, &by_rule, &again);
		}
		pd_recall_end(&m, w.ranges->generation, by_rule);
	}
	pd_walk_leave(counter);
	return w.n;
}
