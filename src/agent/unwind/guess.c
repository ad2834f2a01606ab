/* Steps where tables do not help: code without rules, and rules that turn out wrong. Signal-safe. */
#include "agent/unwind/frame.h"

enum { SCANNED = 64, STUB_LEN = 16 };

/* The frame that ra returns to, its sp and rbp */
static PD_RAW void go_to(struct pd_walk *w, uint64_t ra, uint64_t sp, uint64_t fp)
{
	w->r[PD_RIP] = ra;
	w->r[PD_RSP] = sp;
	w->r[PD_RBP] = fp;
	w->known = 1u << PD_RIP | 1u << PD_RSP | 1u << PD_RBP;
	w->interrupted = false;
	w->key = ra - 1;
}

/* What a call before a return address says of the code that is running. */
enum evidence {
	NO_CALL,
	OTHER,  /* it went elsewhere: the slot is left from before, or the callee jumped on to here */
	SILENT, /* it tells nothing: through a register */
	LEADS,  /* it went to a little before this code */
};

struct candidate {
	uint64_t ra, slot, target;
	enum evidence evidence;
	bool goes_on; /* it has a rule, by which a caller comes next */
};

/* Can a call that went to target have led to pc? It is a little behind, and a function has rules throughout or none. */
static PD_RAW bool leads_to(const struct pd_walk *w, uint64_t target, uint64_t pc)
{
	enum { NEAR = 1 << 16 };
	bool known;
	if (target > pc || pc - target >= (uint64_t)NEAR)
		return false;
	bool none = pd_rule_at(w->ranges, pc, &known) == PD_RULE_NONE;
	return none == (pd_rule_at(w->ranges, target, &known) == PD_RULE_NONE);
}

/* The value at a slot, when it can be a return address. */
static PD_RAW bool return_address(const struct pd_walk *w, uint64_t slot, bool anywhere, struct candidate *c)
{
	*c = (struct candidate){ .slot = slot };
	if (slot & 7 || !pd_in_view(&w->view, slot))
		return false;
	c->ra = pd_view_load(&w->view, slot);
	const struct pd_range *from = pd_range_of(w->ranges, c->ra - 1);
	if ((!from && !anywhere) || !pd_follows_call(c->ra, &c->target))
		return false;
	c->evidence = !c->target ? SILENT : OTHER;
	if (c->target && !leads_to(w, c->target, w->key)) {
		uint64_t through = pd_jumps_to(c->target);
		c->target = through ? through : c->target;
	}
	if (c->target && leads_to(w, c->target, w->key))
		c->evidence = LEADS;
	return true;
}

/* Code that has pushed nothing, as a stub: the return address is on top. Certain when that call went to just here. */
static PD_RAW bool by_top(struct pd_walk *w)
{
	struct candidate c;
	uint64_t sp = w->r[PD_RSP];
	if (!w->interrupted || !return_address(w, sp, false, &c) || c.evidence == OTHER)
		return false;
	if (!c.target || w->r[PD_RIP] - c.target >= STUB_LEN)
		w->guessed = true;
	go_to(w, c.ra, sp + 8, w->r[PD_RBP]);
	return true;
}

/* When the frame that this would lead to has a rule, a caller of it must come next. False = that is not so. */
static PD_RAW bool stands(const struct pd_walk *w, struct candidate *c)
{
	struct pd_walk next = *w;
	bool known;
	uint64_t target, unused;
	next.out = &unused;
	next.n = 1;
	go_to(&next, c->ra, c->slot + 8, w->r[PD_RBP]);
	uint16_t number = pd_rule_at(w->ranges, next.key, &known);
	if (number == PD_RULE_NONE)
		return true;
	enum pd_step step = pd_step_rule(&next, pd_rule(number));
	c->goes_on = step == PD_STEP_BOTTOM || (step == PD_STEP_OK && pd_follows_call(next.r[PD_RIP], &target) &&
	                                        (!target || leads_to(w, target, c->ra - 1)));
	return c->goes_on;
}

/* Whether b, from a higher slot, is to be believed rather than a. Of two calls that led here the one that went to the
 * nearest; none when what it called seems to be the function that a returns to, which called on. */
static PD_RAW bool likelier(const struct pd_walk *w, const struct candidate *a, const struct candidate *b)
{
	if (b->evidence == LEADS && a->evidence == LEADS)
		return b->target > a->target;
	if (a->goes_on)
		return b->evidence == LEADS && a->evidence == OTHER;
	if (a->evidence == SILENT && b->target <= a->ra && a->ra <= w->r[PD_RIP])
		return false;
	return b->evidence > a->evidence;
}

/* The likeliest return address from sp up to `end`; false = there is none. */
static PD_RAW bool scan(const struct pd_walk *w, uint64_t end, struct candidate *best)
{
	*best = (struct candidate){ .evidence = NO_CALL };
	for (uint64_t slot = w->r[PD_RSP]; slot < end; slot += 8) {
		struct candidate c;
		if (!return_address(w, slot, false, &c) || (c.evidence != LEADS && !stands(w, &c)))
			continue;
		if (best->evidence == NO_CALL || likelier(w, best, &c))
			*best = c;
	}
	return best->evidence != NO_CALL;
}

static PD_RAW bool by_fp(struct pd_walk *w)
{
	struct candidate c, nearer;
	uint64_t fp = w->r[PD_RBP], sp = w->r[PD_RSP];
	if (fp < sp || !return_address(w, fp + 8, true, &c))
		return false;
	w->guessed = true;
	/* A function that has not set up its frame leaves the caller's there. */
	uint64_t end = fp - sp < 8 * SCANNED ? fp : sp + 8 * SCANNED;
	bool found = c.evidence != SILENT && scan(w, end, &nearer);
	if (found && (c.evidence == OTHER ? nearer.evidence > OTHER : nearer.evidence == LEADS && nearer.target > c.target))
		go_to(w, nearer.ra, nearer.slot + 8, fp);
	else
		go_to(w, c.ra, fp + 16, pd_view_load(&w->view, fp));
	return true;
}

static PD_RAW bool by_scan(struct pd_walk *w)
{
	struct candidate c;
	if (!scan(w, w->r[PD_RSP] + 8 * SCANNED, &c))
		return false;
	w->guessed = true;
	go_to(w, c.ra, c.slot + 8, w->r[PD_RBP]);
	return true;
}

PD_RAW enum pd_step pd_step_landed(struct pd_walk *w, uint64_t pc)
{
	w->out[w->n - 1] = pc;
	return PD_STEP_LANDED;
}

/* The kernel's signal frame under a return address, known by its code alone. */
static PD_RAW bool by_landing(struct pd_walk *w, enum pd_step *step)
{
	static const struct pd_rule kernel = {
		.cfa = { .how = PD_AT, .reg = PD_RSP, .off = 160 }, .ra = { .how = PD_VAL, .reg = PD_CFA }, .signal = 1
	};
	if (w->interrupted)
		return false;
	enum pd_landing at = pd_landing_at(w->r[PD_RIP]);
	if (at == PD_LANDING_NONE)
		return false;
	*step = at == PD_LANDING_CONTEXT ? pd_step_landed(w, w->r[PD_RIP]) : pd_step_rule(w, &kernel);
	return true;
}

/* The stack as the kernel made it for a new program: argc, argv with a NULL after it, pointing further up. */
static PD_RAW bool at_program_start(const struct pd_walk *w)
{
	enum { ARGS_MAX = 1 << 20 };
	uint64_t sp = w->r[PD_RSP];
	if (w->interrupted || sp & 15 || !pd_in_view(&w->view, sp))
		return false;
	uint64_t argc = pd_view_load(&w->view, sp);
	if (argc == 0 || argc > ARGS_MAX || !pd_in_view(&w->view, sp + 8 * (argc + 1)))
		return false;
	uint64_t first = pd_view_load(&w->view, sp + 8);
	return first > sp + 8 * argc && first < w->view.hi && pd_view_load(&w->view, sp + 8 * (argc + 1)) == 0;
}

PD_RAW enum pd_step pd_step_guess(struct pd_walk *w)
{
	enum pd_step step;
	if (by_landing(w, &step))
		return step;
	if (at_program_start(w))
		return PD_STEP_LANDED;
	if (w->only_sp && w->r[PD_RBP] == PD_FP_UNKNOWN)
		return PD_STEP_WRONG;
	return by_top(w) || by_fp(w) || by_scan(w) ? PD_STEP_OK : PD_STEP_WRONG;
}
