/* Runs call frame programs into rules, one per range of addresses. Pure; see ehframe.h. */
#include "agent/unwind/ehframe.h"

#include <string.h>

enum { REMEMBERED = 16, TRACKED = 8, RA = 7, RSP = 2, RBP = 1, NOT_TRACKED = 0xff };

/* DWARF register -> place in pd_frame_state.reg */
#define NOT NOT_TRACKED
static const uint8_t place_of[PD_NREGS] = { NOT, NOT, NOT, 0, NOT, NOT, RBP, RSP, NOT, NOT, NOT, NOT, 3, 4, 5, 6, RA };
#undef NOT

enum action {
	UNKNOWN, NOP, SET_LOC, ADVANCE, OFFSET, RESTORE, UNDEFINED, SAME_VALUE, REGISTER, REMEMBER, RESTORE_STATE,
	DEF_CFA, DEF_CFA_REGISTER, DEF_CFA_OFFSET, DEF_CFA_EXPRESSION, EXPRESSION, VAL_OFFSET, VAL_EXPRESSION,
};

/*
 * Operands: 1 2 4 = so many bytes, u = unsigned LEB, s = signed LEB; f and n = unsigned LEB times the data
 * alignment, n negated; F = signed LEB times the data alignment; a = encoded address, b = counted block.
 */
static const struct {
	unsigned char action;
	char in[2];
} ops[64] = {
	[0x00] = { NOP, "" },
	[0x01] = { SET_LOC, "a" },
	[0x02] = { ADVANCE, "1" },
	[0x03] = { ADVANCE, "2" },
	[0x04] = { ADVANCE, "4" },
	[0x05] = { OFFSET, "uf" },
	[0x06] = { RESTORE, "u" },
	[0x07] = { UNDEFINED, "u" },
	[0x08] = { SAME_VALUE, "u" },
	[0x09] = { REGISTER, "uu" },
	[0x0a] = { REMEMBER, "" },
	[0x0b] = { RESTORE_STATE, "" },
	[0x0c] = { DEF_CFA, "uu" },
	[0x0d] = { DEF_CFA_REGISTER, "u" },
	[0x0e] = { DEF_CFA_OFFSET, "u" },
	[0x0f] = { DEF_CFA_EXPRESSION, "b" },
	[0x10] = { EXPRESSION, "ub" },
	[0x11] = { OFFSET, "uF" },
	[0x12] = { DEF_CFA, "uF" },
	[0x13] = { DEF_CFA_OFFSET, "F" },
	[0x14] = { VAL_OFFSET, "uf" },
	[0x15] = { VAL_OFFSET, "uF" },
	[0x16] = { VAL_EXPRESSION, "ub" },
	[0x2e] = { NOP, "u" },
	[0x2f] = { OFFSET, "un" },
};

struct run {
	const struct pd_cie *cie;
	const struct pd_frame_state *first; /* what RESTORE goes back to; NULL in the CIE's own program */
	struct pd_frame_state now;
	struct pd_frame_state kept[REMEMBERED];
	unsigned n_kept;
	uint64_t pc, end;
	pd_row_fn *row;
	void *arg;
};

struct operands {
	uint64_t v[2];
	const unsigned char *block;
	uint64_t block_len;
};

static uint64_t operand(struct pd_bytes *b, char type, const struct pd_cie *cie, struct operands *o)
{
	uint64_t align = (uint64_t)cie->data_align;
	switch (type) {
	case '1':
	case '2':
	case '4': return pd_fixed(b, (unsigned)(type - '0'));
	case 'u': return pd_uleb(b);
	case 'f': return pd_uleb(b) * align;
	case 'n': return 0 - pd_uleb(b) * align;
	case 'F': return (uint64_t)pd_sleb(b) * align;
	case 'a': return pd_encoded(b, cie->fde_enc, cie->section, 0);
	case 'b':
		o->block_len = pd_uleb(b);
		o->block = pd_skip(b, o->block_len);
		return 0;
	default: return 0;
	}
}

static struct pd_loc location(enum pd_how how, uint64_t reg, uint64_t off)
{
	bool fits = (reg < PD_NREGS || reg == PD_CFA) && (int64_t)off == (int32_t)off;
	if (!fits)
		return (struct pd_loc){ .how = PD_BAD };
	return (struct pd_loc){ .how = (uint8_t)how, .reg = (uint8_t)reg, .off = (int32_t)off };
}

static struct pd_loc computed(const struct run *r, const struct operands *o)
{
	struct pd_loc l = pd_expression(o->block, o->block_len);
	if (l.how != PD_EXPR)
		return l;
	ptrdiff_t off = o->block - r->cie->section->at;
	if (off != (int32_t)off || o->block_len > INT16_MAX)
		return (struct pd_loc){ .how = PD_BAD };
	l.off = (int32_t)off;
	l.more = (int16_t)o->block_len;
	return l;
}

static struct pd_loc saved_at(const struct run *r, const struct operands *o)
{
	struct pd_loc l = computed(r, o);
	if (l.how == PD_VAL)
		l.how = PD_AT;
	else if (l.how == PD_EXPR)
		l.how = PD_AT_EXPR;
	else
		l.how = PD_BAD;
	return l;
}

static void emit(struct run *r, uint64_t from)
{
	struct pd_rule rule;
	memset(&rule, 0, sizeof(rule));
	const struct pd_loc *reg = r->now.reg;
	rule.cfa = r->now.cfa;
	rule.ra = reg[RA];
	rule.sp = reg[RSP];
	rule.fp = reg[RBP];
	if (rule.sp.how == PD_VAL && rule.sp.reg == PD_CFA && rule.sp.off == 0)
		rule.sp = (struct pd_loc){ .how = PD_SAME };
	rule.signal = r->cie->signal;
	static const uint8_t place[PD_SAVED] = { 0, 3, 4, 5, 6 };
	for (unsigned i = 0; i < PD_SAVED; i++) {
		const struct pd_loc *l = &reg[place[i]];
		if (l->how == PD_SAME)
			continue;
		bool simple = l->how == PD_AT && l->reg == PD_CFA && !l->more && l->off % 8 == 0 && l->off &&
		              l->off > 8 * PD_SAVED_LOST && l->off < 8 * INT16_MAX;
		rule.saved[i] = simple ? (int16_t)(l->off / 8) : PD_SAVED_LOST;
	}
	r->row(r->arg, from, &rule);
}

/* False when the program is to end here. */
static bool advance(struct run *r, uint64_t to)
{
	if (!r->row || to < r->pc)
		return false;
	if (to > r->pc)
		emit(r, r->pc);
	r->pc = to;
	return to < r->end;
}

static bool set_reg(struct run *r, const struct operands *o, enum action action)
{
	if (o->v[0] >= PD_NREGS || place_of[o->v[0]] == NOT_TRACKED)
		return true;
	unsigned place = place_of[o->v[0]];
	struct pd_loc *reg = &r->now.reg[place];
	switch (action) {
	case OFFSET: *reg = location(PD_AT, PD_CFA, o->v[1]); break;
	case VAL_OFFSET: *reg = location(PD_VAL, PD_CFA, o->v[1]); break;
	case REGISTER: *reg = location(PD_VAL, o->v[1] == PD_CFA ? NOT_TRACKED : o->v[1], 0); break;
	case UNDEFINED: *reg = (struct pd_loc){ .how = PD_UNDEF }; break;
	case SAME_VALUE: *reg = (struct pd_loc){ .how = PD_SAME }; break;
	case EXPRESSION: *reg = saved_at(r, o); break;
	case VAL_EXPRESSION: *reg = computed(r, o); break;
	default: /* RESTORE */
		if (!r->first)
			return false;
		*reg = r->first->reg[place];
	}
	return true;
}

static void set_cfa(struct run *r, const struct operands *o, enum action action)
{
	struct pd_loc *cfa = &r->now.cfa;
	if (action == DEF_CFA)
		*cfa = location(PD_VAL, o->v[0], o->v[1]);
	else if (action == DEF_CFA_EXPRESSION)
		*cfa = computed(r, o);
	else if (cfa->how != PD_VAL)
		*cfa = (struct pd_loc){ .how = PD_BAD };
	else if (action == DEF_CFA_REGISTER)
		*cfa = location(PD_VAL, o->v[0], (uint64_t)(int64_t)cfa->off);
	else
		*cfa = location(PD_VAL, cfa->reg, o->v[0]);
	if (cfa->reg == PD_CFA)
		cfa->how = PD_BAD;
}

/* False when the program is to end: done, or not to be understood from here on. */
static bool act(struct run *r, enum action action, const struct operands *o)
{
	switch (action) {
	case UNKNOWN: return false;
	case NOP: return true;
	case SET_LOC: return advance(r, o->v[0]);
	case ADVANCE: {
		uint64_t left = r->end - r->pc, by;
		if (__builtin_mul_overflow(o->v[0], r->cie->code_align, &by) || by > left)
			by = left;
		return advance(r, r->pc + by);
	}
	case REMEMBER:
		if (r->n_kept == REMEMBERED)
			return false;
		r->kept[r->n_kept++] = r->now;
		return true;
	case RESTORE_STATE:
		if (r->n_kept == 0)
			return false;
		r->now = r->kept[--r->n_kept];
		return true;
	case DEF_CFA:
	case DEF_CFA_REGISTER:
	case DEF_CFA_OFFSET:
	case DEF_CFA_EXPRESSION: set_cfa(r, o, action); return true;
	default: return set_reg(r, o, action);
	}
}

/* False when it ended before its last byte, other than by reaching the end of the code. */
static bool run(struct run *r, struct pd_bytes b)
{
	while (b.p < b.end) {
		unsigned op = (unsigned)pd_fixed(&b, 1);
		struct operands o = { .v = { op & 0x3f, 0 } };
		enum action action;
		if (op >> 6) {
			action = op >> 6 == 1 ? ADVANCE : op >> 6 == 2 ? OFFSET : RESTORE;
			if (action == OFFSET)
				o.v[1] = operand(&b, 'f', r->cie, &o);
		} else {
			action = ops[op].action;
			for (unsigned i = 0; i < 2 && ops[op].in[i]; i++)
				o.v[i] = operand(&b, ops[op].in[i], r->cie, &o);
		}
		if (b.bad || !act(r, action, &o))
			return r->row && r->pc >= r->end;
	}
	return true;
}

void pd_cfa_start(const struct pd_cie *cie, struct pd_frame_state *out)
{
	struct run r = { .cie = cie };
	r.now.cfa.how = PD_BAD;
	r.now.reg[RA].how = PD_BAD;
	if (!run(&r, cie->program))
		r.now.cfa.how = PD_BAD;
	*out = r.now;
}

void pd_cfa_rows(const struct pd_cie *cie, const struct pd_frame_state *start, const struct pd_fde *fde,
                 pd_row_fn *row, void *arg)
{
	struct run r = { .cie = cie, .first = start, .now = *start, .pc = fde->start, .end = fde->end };
	r.row = row;
	r.arg = arg;
	if (!run(&r, fde->program))
		r.now.cfa.how = PD_BAD;
	if (r.pc < r.end)
		emit(&r, r.pc);
}
