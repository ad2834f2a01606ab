/* Call frame programs: hand-made ones with a known outcome, cut short and corrupted ones that must do no harm. */
#include "agent/unwind/ehframe.h"
#include "test.h"

struct rows {
	unsigned n;
	uint64_t pc[64];
	struct pd_rule rule[64];
};

static void take(void *arg, uint64_t pc, const struct pd_rule *rule)
{
	struct rows *r = arg;
	if (r->n < 64) {
		r->pc[r->n] = pc;
		r->rule[r->n] = *rule;
	}
	r->n++;
}

enum { CODE = 0x10000, BASE = 0x40000 };

/* A section of one CIE and one FDE with the given programs; pointers absolute, code alignment 1, data alignment -8. */
struct made {
	unsigned char bytes[600];
	size_t len;
	uint64_t fde;
};

static void put(struct made *m, const void *p, size_t n)
{
	memcpy(m->bytes + m->len, p, n);
	m->len += n;
}

static void put4(struct made *m, uint32_t v)
{
	put(m, &v, 4);
}

static void put8(struct made *m, uint64_t v)
{
	put(m, &v, 8);
}

static void make(struct made *m, const char *augmentation, const void *cie_program, size_t cie_n,
                 const void *program, size_t n, uint64_t range)
{
	m->len = 0;
	put4(m, 0);
	put4(m, 0);
	put(m, "\1", 1);
	put(m, augmentation, strlen(augmentation) + 1);
	put(m, "\1\x78\x10", 3); /* 1, -8, register 16 */
	if (*augmentation == 'z')
		put(m, "\1\0", 2);
	put(m, cie_program, cie_n);
	uint32_t len = (uint32_t)m->len - 4;
	memcpy(m->bytes, &len, 4);
	m->fde = BASE + m->len;
	size_t at = m->len;
	put4(m, 0);
	put4(m, (uint32_t)at + 4);
	put8(m, CODE);
	put8(m, range);
	if (*augmentation == 'z')
		put(m, "", 1);
	put(m, program, n);
	len = (uint32_t)(m->len - at - 4);
	memcpy(m->bytes + at, &len, 4);
	put4(m, 0);
}

static bool run(const struct made *m, struct rows *rows)
{
	struct pd_section eh = { .at = m->bytes, .addr = BASE, .len = m->len };
	struct pd_cie cie;
	struct pd_fde fde;
	struct pd_frame_state start;
	rows->n = 0;
	uint64_t at = pd_cie_of(&eh, m->fde);
	if (!at || !pd_cie(&eh, at, &cie) || !pd_fde(&eh, m->fde, &cie, &fde))
		return false;
	pd_cfa_start(&cie, &start);
	pd_cfa_rows(&cie, &start, &fde, take, rows);
	return true;
}

static const char START[] = "\x0c\7\x08\x90\1"; /* CFA rsp + 8, ra at CFA - 8 */
#define RUN(program, range) (make(&m, "zR", START, 5, program, sizeof(program) - 1, range), run(&m, &r))

static struct made m;
static struct rows r;

static bool loc_is(struct pd_loc l, enum pd_how how, unsigned reg, int off)
{
	return l.how == how && l.reg == reg && l.off == off;
}

static void common(void)
{
	/* push %rbp; mov %rsp,%rbp; ... leave; ret */
	OK(RUN("\x41\x0e\x10\x86\2\x43\x0d\6\x50\xc6\x0c\7\x08", 0x20));
	EQ(r.n, 4);
	EQ(r.pc[0], CODE);
	EQ(r.pc[1], CODE + 1);
	EQ(r.pc[2], CODE + 4);
	EQ(r.pc[3], CODE + 20);
	OK(loc_is(r.rule[0].cfa, PD_VAL, PD_RSP, 8) && r.rule[0].fp.how == PD_SAME);
	OK(loc_is(r.rule[1].cfa, PD_VAL, PD_RSP, 16) && loc_is(r.rule[1].fp, PD_AT, PD_CFA, -16));
	OK(loc_is(r.rule[2].cfa, PD_VAL, PD_RBP, 16) && loc_is(r.rule[2].ra, PD_AT, PD_CFA, -8));
	OK(loc_is(r.rule[3].cfa, PD_VAL, PD_RSP, 8) && r.rule[3].fp.how == PD_SAME);
	OK(r.rule[3].sp.how == PD_SAME && r.rule[3].signal == 0);
}

static void states(void)
{
	/* remember twice, restore twice: the CFA comes back, too */
	OK(RUN("\x41\x0e\x10\x0a\x41\x0e\x20\x83\3\x0a\x41\x0e\x30\x41\x0b\x41\x0b", 0x20));
	EQ(r.n, 6);
	EQ(r.rule[3].cfa.off, 0x30);
	EQ(r.rule[4].cfa.off, 0x20);
	EQ(r.rule[4].saved[0], -3);
	EQ(r.rule[5].cfa.off, 0x10);
	EQ(r.rule[5].saved[0], 0);
	/* restoring what was never remembered: not to be understood from there on */
	OK(RUN("\x41\x0e\x10\x41\x0b\x41\x0e\x20", 0x20));
	EQ(r.n, 3);
	EQ(r.rule[2].cfa.how, PD_BAD);
	/* more levels than anyone uses */
	OK(RUN("\x41\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a", 0x20));
	EQ(r.rule[r.n - 1].cfa.how, PD_BAD);
}

static void registers(void)
{
	OK(RUN("\x07\x10", 8)); /* ra undefined */
	EQ(r.rule[0].ra.how, PD_UNDEF);
	OK(RUN("\x09\x10\2\x09\6\x09\x09\7\x08", 8)); /* ra in rcx, rbp in r9, rsp in r8 */
	OK(loc_is(r.rule[0].ra, PD_VAL, 2, 0) && loc_is(r.rule[0].fp, PD_VAL, 9, 0));
	OK(loc_is(r.rule[0].sp, PD_VAL, 8, 0));
	OK(RUN("\x09\6\x11", 8)); /* rbp in xmm0 */
	EQ(r.rule[0].fp.how, PD_BAD);
	OK(RUN("\x0d\x0a", 8)); /* CFA by r10 */
	OK(loc_is(r.rule[0].cfa, PD_VAL, 10, 8));
	OK(RUN("\x11\6\x7e", 8)); /* offset_extended_sf: -2 * -8 */
	OK(loc_is(r.rule[0].fp, PD_AT, PD_CFA, 16));
	OK(RUN("\x12\6\x7e", 8)); /* def_cfa_sf */
	OK(loc_is(r.rule[0].cfa, PD_VAL, PD_RBP, 16));
	OK(RUN("\x2f\6\2", 8)); /* negative_offset_extended */
	OK(loc_is(r.rule[0].fp, PD_AT, PD_CFA, 16));
	OK(RUN("\x14\6\2", 8)); /* val_offset */
	OK(loc_is(r.rule[0].fp, PD_VAL, PD_CFA, -16));
	OK(RUN("\x8c\3\x8f\4\x86\2\x08\6", 8)); /* r12 and r15 saved; rbp saved and then the same */
	EQ(r.rule[0].saved[1], -3);
	EQ(r.rule[0].saved[4], -4);
	EQ(r.rule[0].fp.how, PD_SAME);
}

static void expressions(void)
{
	OK(RUN("\x0f\3\x76\x78\6", 8)); /* CFA = memory[rbp - 8] */
	OK(loc_is(r.rule[0].cfa, PD_AT, PD_RBP, -8) && r.rule[0].cfa.more == 0);
	OK(RUN("\x0f\5\x77\x08\6\x23\x08", 8)); /* CFA = memory[rsp + 8] + 8 */
	OK(loc_is(r.rule[0].cfa, PD_AT, PD_RSP, 8) && r.rule[0].cfa.more == 8);
	OK(RUN("\x10\6\2\x76\0", 8)); /* rbp saved at rbp */
	OK(loc_is(r.rule[0].fp, PD_AT, PD_RBP, 0));
	OK(RUN("\x16\6\2\x77\x10", 8)); /* rbp = rsp + 16 */
	OK(loc_is(r.rule[0].fp, PD_VAL, PD_RSP, 16));
	static const char plt[] = "\x0f\x0b\x77\x08\x80\0\x3f\x1a\x3b\x2a\x33\x24\x22";
	OK(RUN("\x0f\x0b\x77\x08\x80\0\x3f\x1a\x3b\x2a\x33\x24\x22", 8));
	EQ(r.rule[0].cfa.how, PD_EXPR);
	EQ(r.rule[0].cfa.more, 11);
	OK(memcmp(m.bytes + r.rule[0].cfa.off, plt + 2, 11) == 0);
	/* an offset means nothing to a CFA that is an expression */
	OK(RUN("\x0f\3\x76\x78\6\x0e\x10", 8));
	EQ(r.rule[0].cfa.how, PD_BAD);
}

static void ends(void)
{
	OK(RUN("\x41\x0e\x10", 8));
	EQ(r.n, 2);
	OK(RUN("\x41\x0e\x10\xff", 8)); /* restore of a register that is not followed: nothing */
	EQ(r.rule[1].cfa.off, 16);
	OK(RUN("\x41\x0e\x10\x3f\x41\x0e\x20", 8)); /* an unknown instruction */
	EQ(r.rule[r.n - 1].cfa.how, PD_BAD);
	OK(RUN("\x41\x0e\x10\x41\x0e", 8)); /* cut in its last operand */
	EQ(r.rule[r.n - 1].cfa.how, PD_BAD);
	OK(RUN("\x7f\x0e\x10", 8)); /* goes past the function's end */
	EQ(r.n, 1);
	OK(RUN("\4\xff\xff\xff\xff\x0e\x10", 8));
	EQ(r.n, 1);
	OK(RUN("\x0e\xff\xff\xff\xff\xff\1", 8)); /* an offset past 32 bits */
	EQ(r.rule[0].cfa.how, PD_BAD);
	OK(!RUN("", 0));
	make(&m, "zRS", START, 5, "", 0, 8);
	OK(run(&m, &r) && r.rule[0].signal == 1);
	make(&m, "", START, 5, "\x41\x0e\x10", 3, 8);
	OK(run(&m, &r) && r.n == 2);
	make(&m, "eh", START, 5, "", 0, 8); /* an augmentation whose length is not told */
	OK(!run(&m, &r));
}

static uint64_t seed = 88172645463325252u;

static unsigned random_byte(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 24) & 0xff;
}

/* Bytes in memory of their own exact size, so that a sanitizer sees any read past them. */
static void hostile(void)
{
	static const char program[] =
		"\x41\x0e\x10\x86\2\x0a\x43\x0d\6\x0f\x0b\x77\x08\x80\0\x3f\x1a\x3b\x2a\x33\x24\x22\x50\x0b"
		"\x10\6\2\x76\0\x41\x16\x10\3\x77\x08\6\x41\x0c\7\x08";
	make(&m, "zR", START, 5, program, sizeof(program) - 1, 0x40);
	OK(run(&m, &r) && r.n > 3);
	struct made whole = m;
	unsigned understood = 0;
	for (unsigned i = 0; i < 60000; i++) {
		struct made *cut = malloc(sizeof(*cut));
		*cut = whole;
		for (unsigned k = random_byte() % 4; k > 0; k--)
			cut->bytes[random_byte() * 256u % whole.len] ^= (unsigned char)(1u << random_byte() % 8);
		for (unsigned k = random_byte() % 3; k > 0; k--)
			cut->bytes[(random_byte() | random_byte() << 8) % whole.len] = (unsigned char)random_byte();
		if (i % 3 == 0)
			cut->len = (random_byte() | random_byte() << 8) % whole.len;
		unsigned char *exact = malloc(cut->len + 1);
		memcpy(exact, cut->bytes, cut->len);
		struct pd_section eh = { .at = exact, .addr = BASE, .len = cut->len };
		struct pd_cie cie;
		struct pd_fde fde;
		struct pd_frame_state start;
		uint64_t at = pd_cie_of(&eh, cut->fde);
		r.n = 0;
		if (at && pd_cie(&eh, at, &cie) && pd_fde(&eh, cut->fde, &cie, &fde)) {
			pd_cfa_start(&cie, &start);
			pd_cfa_rows(&cie, &start, &fde, take, &r);
			understood++;
			for (unsigned k = 1; k < r.n && k < 64; k++)
				OK(r.pc[k] > r.pc[k - 1] && r.pc[k] < fde.end);
		}
		free(exact);
		free(cut);
	}
	OK(understood > 1000);
}

static void header(void)
{
	static const unsigned char good[] = { 1, 0x1b, 3, 0x3b, 0xf4, 0xff, 0, 0, 2, 0, 0, 0,
		                              0, 1, 0, 0, 0, 2, 0, 0, 0x10, 1, 0, 0, 0x20, 2, 0, 0 };
	struct pd_section s = { .at = good, .addr = BASE, .len = sizeof(good) };
	struct pd_eh_index index;
	uint64_t pc, fde;
	OK(pd_eh_index(&s, &index));
	EQ(index.n, 2);
	EQ(index.eh_frame, BASE + 4 + 0xfff4);
	OK(pd_eh_entry(&index, 1, &pc, &fde));
	EQ(pc, BASE + 0x110);
	EQ(fde, BASE + 0x220);
	OK(!pd_eh_entry(&index, 2, &pc, &fde));
	for (size_t n = 0; n < sizeof(good); n++) {
		unsigned char *exact = malloc(n + 1);
		memcpy(exact, good, n);
		struct pd_section cut = { .at = exact, .addr = BASE, .len = n };
		if (pd_eh_index(&cut, &index))
			OK(index.n <= (n < 12 ? 0 : (n - 12) / 8));
		free(exact);
	}
	unsigned char no_table[] = { 1, 0x1b, 0xff, 0xff, 0, 1, 0, 0 };
	struct pd_section bare = { .at = no_table, .addr = BASE, .len = sizeof(no_table) };
	OK(pd_eh_index(&bare, &index) && index.n == 0 && index.eh_frame == BASE + 4 + 0x100);
	no_table[0] = 2;
	OK(!pd_eh_index(&bare, &index));
}

int main(void)
{
	common();
	states();
	registers();
	expressions();
	ends();
	hostile();
	header();
	DONE();
}
