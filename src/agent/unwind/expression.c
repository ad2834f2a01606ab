/* Tells the common shapes of DWARF expressions. What all others mean is for eval.c. */
#include "agent/unwind/ehframe.h"

struct pd_loc pd_expression(const unsigned char *at, size_t n)
{
	enum { DEREF = 0x06, PLUS_UCONST = 0x23, BREG0 = 0x70 };
	struct pd_loc other = { .how = PD_EXPR }, out = { .how = PD_VAL };
	struct pd_bytes b = { .p = at, .end = at + n };
	unsigned reg = (unsigned)pd_fixed(&b, 1) - BREG0;
	int64_t off = pd_sleb(&b);
	if (b.bad || reg >= PD_NREGS || off != (int32_t)off)
		return other;
	out.reg = (uint8_t)reg;
	out.off = (int32_t)off;
	if (b.p == b.end)
		return out;
	out.how = PD_AT;
	if (pd_fixed(&b, 1) != DEREF)
		return other;
	if (b.p == b.end)
		return out;
	bool plus = pd_fixed(&b, 1) == PLUS_UCONST;
	uint64_t more = pd_uleb(&b);
	if (!plus || b.bad || b.p != b.end || more > INT16_MAX)
		return other;
	out.more = (int16_t)more;
	return out;
}
