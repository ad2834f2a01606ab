/* DWARF expressions, run where the registers are: bounded in stack, steps and memory. Signal-safe. */
#include "agent/unwind/bytes.h"
#include "agent/unwind/frame.h"

enum { DEPTH = 8, STEPS = 64 };

enum {
	OP_DEREF = 0x06, OP_CONST1U = 0x08, OP_CONSTS = 0x11, OP_DUP = 0x12, OP_DROP, OP_OVER, OP_PICK, OP_SWAP, OP_ROT,
	OP_ABS = 0x19, OP_AND, OP_DIV, OP_MINUS, OP_MOD, OP_MUL, OP_NEG, OP_NOT, OP_OR, OP_PLUS, OP_PLUS_UCONST, OP_SHL,
	OP_SHR, OP_SHRA, OP_XOR, OP_BRA, OP_EQ, OP_GE, OP_GT, OP_LE, OP_LT, OP_NE, OP_SKIP, OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f, OP_BREG0 = 0x70, OP_BREG31 = 0x8f, OP_BREGX = 0x92, OP_NOP = 0x96,
};

struct machine {
	const struct pd_walk *w;
	struct pd_bytes b;
	const unsigned char *first;
	uint64_t stack[DEPTH];
	unsigned n;
	enum pd_result result;
};

static PD_RAW void push(struct machine *m, uint64_t v)
{
	if (m->n == DEPTH)
		m->result = PD_NONSENSE;
	else
		m->stack[m->n++] = v;
}

/* The i-th value from the top stays; 0 and an error when there is none. */
static PD_RAW uint64_t peek(struct machine *m, unsigned i)
{
	if (i < m->n)
		return m->stack[m->n - 1 - i];
	m->result = PD_NONSENSE;
	return 0;
}

static PD_RAW uint64_t pop(struct machine *m)
{
	uint64_t v = peek(m, 0);
	m->n -= m->n > 0;
	return v;
}

static PD_RAW void push_register(struct machine *m, uint64_t reg, int64_t off)
{
	if (reg >= PD_NREGS)
		m->result = PD_NONSENSE;
	else if (!(m->w->known >> reg & 1))
		m->result = PD_NOT_FOLLOWED;
	else
		push(m, m->w->r[reg] + (uint64_t)off);
}

static PD_RAW void push_constant(struct machine *m, unsigned op)
{
	unsigned size = 1u << ((op - OP_CONST1U) / 2); /* const1u const1s const2u ... const8s constu consts */
	if (size > 8) {
		push(m, pd_leb(&m->b, op == OP_CONSTS));
		return;
	}
	uint64_t v = pd_fixed(&m->b, size), sign = (uint64_t)1 << (size * 8 - 1);
	push(m, op & 1 ? (v ^ sign) - sign : v);
}

static PD_RAW void deref(struct machine *m)
{
	uint64_t at = pop(m);
	if (m->result != PD_GOT)
		return;
	if (pd_in_view(&m->w->view, at))
		push(m, pd_view_load(&m->w->view, at));
	else
		m->result = PD_OUTSIDE;
}

static PD_RAW uint64_t of_one(struct machine *m, unsigned op, uint64_t a)
{
	switch (op) {
	case OP_ABS: return (int64_t)a < 0 ? 0 - a : a;
	case OP_NEG: return 0 - a;
	case OP_NOT: return ~a;
	default: return a + pd_uleb(&m->b); /* OP_PLUS_UCONST */
	}
}

static PD_RAW uint64_t of_two(struct machine *m, unsigned op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;
	switch (op) {
	case OP_AND: return a & b;
	case OP_MINUS: return a - b;
	case OP_MUL: return a * b;
	case OP_OR: return a | b;
	case OP_PLUS: return a + b;
	case OP_SHL: return b < 64 ? a << b : 0;
	case OP_SHR: return b < 64 ? a >> b : 0;
	case OP_SHRA: return (uint64_t)(sa >> (b < 64 ? b : 63));
	case OP_XOR: return a ^ b;
	case OP_EQ: return a == b;
	case OP_GE: return sa >= sb;
	case OP_GT: return sa > sb;
	case OP_LE: return sa <= sb;
	case OP_LT: return sa < sb;
	case OP_NE: return a != b;
	default: m->result = PD_NONSENSE; return 0;
	}
}

static PD_RAW void jump(struct machine *m, bool taken)
{
	int64_t by = (int16_t)pd_fixed(&m->b, 2);
	if (!taken)
		return;
	if (by < m->first - m->b.p || by > m->b.end - m->b.p)
		m->result = PD_NONSENSE;
	else
		m->b.p += by;
}

static PD_RAW void rearrange(struct machine *m, unsigned op)
{
	uint64_t a, b, c;
	switch (op) {
	case OP_DUP: push(m, peek(m, 0)); return;
	case OP_DROP: pop(m); return;
	case OP_OVER: push(m, peek(m, 1)); return;
	case OP_PICK: push(m, peek(m, (unsigned)pd_fixed(&m->b, 1))); return;
	case OP_SWAP:
		a = pop(m);
		b = pop(m);
		push(m, a);
		push(m, b);
		return;
	default: /* OP_ROT */
		a = pop(m);
		b = pop(m);
		c = pop(m);
		push(m, a);
		push(m, c);
		push(m, b);
	}
}

static PD_RAW void one(struct machine *m)
{
	unsigned op = (unsigned)pd_fixed(&m->b, 1);
	if (op >= OP_LIT0 && op <= OP_LIT31) {
		push(m, op - OP_LIT0);
	} else if (op >= OP_BREG0 && op <= OP_BREG31) {
		push_register(m, op - OP_BREG0, pd_sleb(&m->b));
	} else if (op == OP_BREGX) {
		uint64_t reg = pd_uleb(&m->b);
		push_register(m, reg, pd_sleb(&m->b));
	} else if (op >= OP_CONST1U && op <= OP_CONSTS) {
		push_constant(m, op);
	} else if (op >= OP_DUP && op <= OP_ROT) {
		rearrange(m, op);
	} else if (op == OP_DEREF) {
		deref(m);
	} else if (op == OP_SKIP || op == OP_BRA) {
		jump(m, op == OP_SKIP || pop(m) != 0);
	} else if (op == OP_ABS || op == OP_NEG || op == OP_NOT || op == OP_PLUS_UCONST) {
		push(m, of_one(m, op, pop(m)));
	} else if (op >= OP_AND && op <= OP_NE) {
		uint64_t b = pop(m), a = pop(m);
		push(m, of_two(m, op, a, b));
	} else if (op != OP_NOP) {
		m->result = PD_NONSENSE;
	}
}

PD_RAW enum pd_result pd_eval(const struct pd_walk *w, uint16_t n, const uint64_t *cfa, uint64_t *v)
{
	const struct pd_text *text = pd_text(n);
	struct machine m;
	m.w = w;
	m.b.p = m.first = text->at;
	m.b.end = text->at + text->len;
	m.b.bad = false;
	m.n = 0;
	m.result = PD_GOT;
	if (cfa)
		push(&m, *cfa);
	for (unsigned i = 0; m.result == PD_GOT && m.b.p < m.b.end; i++) {
		if (i == STEPS)
			return PD_NONSENSE;
		one(&m);
		if (m.b.bad)
			return PD_NONSENSE;
	}
	*v = pop(&m);
	return m.result;
}
