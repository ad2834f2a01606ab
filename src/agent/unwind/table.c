/* Builds tables and looks things up in them. Knows .eh_frame; must not know modules, stacks or snapshots. */
#include "agent/unwind/table.h"

#include "agent/unwind/ehframe.h"
#include "agent/unwind/loader.h"
#include "agent/unwind/pages.h"

enum { BLOCK_BITS = 10, SMALL_GAP = 15 };

/* Rows as they come: offset of the start in the code << 16 | number of the rule. */
struct builder {
	const struct pd_section *eh;
	uint64_t *row;
	size_t n, room;
	bool full;          /* no memory for more */
	uint64_t lo, hi;    /* code that rows are for */
	uint64_t done;      /* rows are complete up to here */
	uint64_t fde_end;
};

static void add_row(struct builder *b, uint64_t pc, uint16_t rule)
{
	uint64_t off = pc - b->lo;
	if (b->n && (uint16_t)b->row[b->n - 1] == rule)
		return;
	if (b->n && b->row[b->n - 1] >> 16 == off) {
		b->row[b->n - 1] = off << 16 | rule;
		return;
	}
	if (b->n == b->room) {
		uint64_t *more = pd_pages_grow(b->row, 2 * b->room * sizeof(*more));
		if (!more) {
			b->full = true;
			return;
		}
		b->row = more;
		b->room *= 2;
	}
	b->row[b->n++] = off << 16 | rule;
}

/* From the place of an expression's bytes to its number. */
static void number_expression(const struct builder *b, struct pd_loc *l)
{
	if (l->how != PD_EXPR && l->how != PD_AT_EXPR)
		return;
	l->off = pd_text_number(b->eh->at + l->off, (size_t)l->more);
	l->more = 0;
	if (l->off == PD_RULE_NONE)
		l->how = PD_BAD;
}

static void take_row(void *arg, uint64_t pc, const struct pd_rule *rule)
{
	struct builder *b = arg;
	if (pc < b->done || pc >= b->fde_end)
		return;
	struct pd_rule numbered = *rule;
	number_expression(b, &numbered.cfa);
	number_expression(b, &numbered.ra);
	number_expression(b, &numbered.sp);
	number_expression(b, &numbered.fp);
	add_row(b, pc, pd_rule_number(&numbered));
}

/* CIEs lately used: linkers put one and the same far from most of its FDEs. */
struct cies {
	struct {
		struct pd_cie cie;
		struct pd_frame_state start;
	} known[4];
	unsigned next;
};

static unsigned find_cie(struct cies *cies, const struct pd_section *eh, uint64_t addr)
{
	unsigned i = 0;
	while (i < 4 && cies->known[i].cie.addr != addr)
		i++;
	if (i < 4)
		return i;
	i = cies->next++ % 4;
	if (pd_cie(eh, addr, &cies->known[i].cie))
		pd_cfa_start(&cies->known[i].cie, &cies->known[i].start);
	else
		cies->known[i].cie.addr = 0;
	return i;
}

/* Rows of the function whose FDE is at `at`; the next function starts at `limit`. */
static void add_function(struct builder *b, struct cies *cies, uint64_t at, uint64_t limit)
{
	uint64_t cie = pd_cie_of(b->eh, at);
	if (!cie)
		return;
	unsigned i = find_cie(cies, b->eh, cie);
	struct pd_fde fde;
	if (!cies->known[i].cie.addr || !pd_fde(b->eh, at, &cies->known[i].cie, &fde))
		return;
	if (fde.end > limit)
		fde.end = limit;
	if (fde.end > b->hi)
		fde.end = b->hi;
	if (fde.start < b->done || fde.start >= fde.end)
		return;
	if (fde.start - b->done > SMALL_GAP)
		add_row(b, b->done, PD_RULE_NONE);
	b->done = fde.start;
	b->fde_end = fde.end;
	pd_cfa_rows(&cies->known[i].cie, &cies->known[i].start, &fde, take_row, b);
	b->done = fde.end;
}

/* Where the functions' FDEs are, by address: the header's own search table, or one made by reading all. */
struct functions {
	struct pd_eh_index index;
	uint64_t *made; /* pairs of start, FDE; NULL = use the index */
	size_t n;
};

static bool function(const struct functions *f, size_t i, uint64_t *pc, uint64_t *fde)
{
	if (!f->made)
		return pd_eh_entry(&f->index, i, pc, fde);
	if (i >= f->n)
		return false;
	*pc = f->made[2 * i];
	*fde = f->made[2 * i + 1];
	return true;
}

static void sink(uint64_t *pair, size_t i, size_t n)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && pair[2 * child] < pair[2 * child + 2])
			child++;
		if (pair[2 * i] >= pair[2 * child])
			return;
		for (unsigned k = 0; k < 2; k++) {
			uint64_t swap = pair[2 * i + k];
			pair[2 * i + k] = pair[2 * child + k];
			pair[2 * child + k] = swap;
		}
	}
}

static void sort_pairs(uint64_t *pair, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sink(pair, i, n);
	for (size_t left = n; left-- > 1;) {
		for (unsigned k = 0; k < 2; k++) {
			uint64_t swap = pair[k];
			pair[k] = pair[2 * left + k];
			pair[2 * left + k] = swap;
		}
		sink(pair, 0, left);
	}
}

static void make_functions(struct functions *f, const struct pd_section *eh)
{
	size_t room = 512;
	struct cies cies = { .next = 0 };
	f->made = pd_pages_take(room * 16);
	bool is_cie;
	for (uint64_t at = eh->addr, next; f->made && (next = pd_eh_next(eh, at, &is_cie)); at = next) {
		struct pd_fde fde;
		uint64_t cie = is_cie ? 0 : pd_cie_of(eh, at);
		if (!cie)
			continue;
		unsigned i = find_cie(&cies, eh, cie);
		if (!cies.known[i].cie.addr || !pd_fde(eh, at, &cies.known[i].cie, &fde))
			continue;
		if (f->n == room) {
			uint64_t *more = pd_pages_grow(f->made, room * 32);
			if (!more)
				break;
			f->made = more;
			room *= 2;
		}
		f->made[2 * f->n] = fde.start;
		f->made[2 * f->n++ + 1] = at;
	}
	if (f->made)
		sort_pairs(f->made, f->n);
}

static struct pd_table *finish(const struct builder *b)
{
	uint32_t blocks = (uint32_t)((b->hi - b->lo + (1u << BLOCK_BITS) - 1) >> BLOCK_BITS);
	size_t first_at = (sizeof(struct pd_table) + 63) & ~(size_t)63;
	size_t pc_at = first_at + (blocks + 1) * sizeof(uint32_t);
	size_t rule_at = pc_at + b->n * sizeof(uint16_t);
	unsigned char *p = pd_pages_take(rule_at + b->n * sizeof(uint16_t));
	if (!p)
		return NULL;
	struct pd_table *t = (struct pd_table *)p;
	uint32_t *first = (uint32_t *)(p + first_at);
	uint16_t *pc = (uint16_t *)(p + pc_at), *rule = (uint16_t *)(p + rule_at);
	uint32_t block = 0;
	for (size_t i = 0; i < b->n; i++) {
		uint64_t off = b->row[i] >> 16;
		while (block <= off >> BLOCK_BITS)
			first[block++] = (uint32_t)i;
		pc[i] = (uint16_t)off;
		rule[i] = (uint16_t)b->row[i];
	}
	while (block <= blocks)
		first[block++] = (uint32_t)b->n;
	*t = (struct pd_table){ .lo = b->lo, .hi = b->hi, .rows = (uint32_t)b->n, .blocks = blocks,
		                .first = first, .pc = pc, .rule = rule };
	return t;
}

static struct pd_table *build(const struct functions *f, const struct pd_section *eh,
                              const struct pd_table_source *from)
{
	struct builder b = { .eh = eh, .lo = from->text_lo, .hi = from->text_hi, .done = from->text_lo, .room = 4096 };
	b.row = pd_pages_take(b.room * sizeof(*b.row));
	if (!b.row)
		return NULL;
	struct cies cies = { .next = 0 };
	uint64_t pc, fde, next_pc, next_fde;
	bool more = function(f, 0, &pc, &fde);
	for (size_t i = 1; more && !b.full; i++) {
		more = function(f, i, &next_pc, &next_fde);
		add_function(&b, &cies, fde, more ? next_pc : b.hi);
		pc = next_pc;
		fde = next_fde;
	}
	if (b.done < b.hi)
		add_row(&b, b.done, PD_RULE_NONE);
	struct pd_table *t = b.full ? NULL : finish(&b);
	pd_pages_give(b.row);
	return t;
}

/* .eh_frame ends no one says where; the segment it is in does. */
static uint64_t readable_to(const struct pd_table_source *from, uint64_t addr)
{
	for (size_t i = 0; i < from->loads; i++)
		if (addr >= from->load[i].lo && addr < from->load[i].hi)
			return from->load[i].hi;
	return addr;
}

/* A copy of the section, with the length it may have at most; at NULL: there is none. */
static struct pd_section copy_section(const struct pd_table_source *from, uint64_t addr, uint64_t len)
{
	enum { SECTION_MAX = 512 << 20 };
	uint64_t room = readable_to(from, addr) - addr;
	struct pd_section s = { .addr = addr, .len = len < room ? len : room };
	if (s.len && s.len <= SECTION_MAX)
		s.at = pd_loader_copy(addr, s.len);
	return s;
}

struct pd_table *pd_table_build(const struct pd_table_source *from)
{
	struct pd_table *t = NULL;
	struct functions f = { .made = NULL };
	struct pd_section hdr = { .at = NULL }, eh;
	uint64_t eh_addr = from->eh, eh_len = from->eh_len;
	if (from->text_hi <= from->text_lo || from->text_hi - from->text_lo > (uint64_t)UINT32_MAX << 8)
		return NULL;
	if (from->hdr_len) {
		hdr = copy_section(from, from->hdr, from->hdr_len);
		if (!hdr.at || !pd_eh_index(&hdr, &f.index)) {
			pd_pages_give((void *)hdr.at);
			return NULL;
		}
		eh_addr = f.index.eh_frame;
		eh_len = UINT64_MAX;
	}
	eh = copy_section(from, eh_addr, eh_len);
	if (eh.at && !f.index.n)
		make_functions(&f, &eh);
	if (eh.at && (f.index.n || f.n))
		t = build(&f, &eh, from);
	pd_pages_give(f.made);
	pd_pages_give((void *)eh.at);
	pd_pages_give((void *)hdr.at);
	return t;
}

uint16_t pd_table_rule(const struct pd_table *t, uint64_t pc)
{
	if (pc < t->lo || pc >= t->hi)
		return PD_RULE_NONE; /* ranges are whole pages */
	uint64_t off = pc - t->lo;
	uint32_t block = (uint32_t)(off >> BLOCK_BITS);
	uint32_t lo = t->first[block], hi = t->first[block + 1];
	/* the last row that starts at or before pc: row lo - 1, or one of [lo, hi) */
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (t->pc[mid] <= (uint16_t)off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? t->rule[lo - 1] : PD_RULE_NONE;
}
