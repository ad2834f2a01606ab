/* Knows units, their address ranges, and what of a file libdw needs. Must not know functions or lines. */
#include "server/symbol/dwarf.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"

#define FUEL_MIN (8u << 20)
#define FUEL_MAX (600u << 20)
#define UNIT_MAX (32u << 20)
#define FILLED_MAX (4u << 20)
#define GROWN_MAX (6u << 20)
#define GROWN_UNIT (32u << 10) /* its abbreviations */
/* Bytes that are enough of: */
#define ENTRY 4096           /* one entry, or list of ranges */
#define ABBREVS (64u << 10)  /* a unit's abbreviations */
#define TABLE (512u << 10)   /* a unit's part in a table */
#define UNIT_LIST (1u << 20) /* a unit's list of ranges */

bool pd_dwarf_open(struct pd_dwarf *d, const struct pd_elf *e, struct pd_strings *strings)
{
	*d = (struct pd_dwarf){ .strings = strings };
	uint64_t work = e->sec[PD_SEC_INFO].size;
	d->fuel = work > FUEL_MAX ? FUEL_MAX : FUEL_MIN + work;
	d->memo = calloc(PD_FUNCTIONS, sizeof(*d->memo));
	pd_sparse_plan(&d->image, e);
	return d->memo;
}

static void end(struct pd_dwarf *d)
{
	dwarf_end(d->dw);
	elf_end(d->elf);
	d->dw = NULL;
	d->elf = NULL;
	d->whole = NULL;
	d->grown = 0;
}

void pd_dwarf_close(struct pd_dwarf *d)
{
	end(d);
	pd_sparse_close(&d->image);
	free(d->memo);
	*d = (struct pd_dwarf){ 0 };
}

static bool begin(struct pd_dwarf *d)
{
	struct pd_sparse *m = &d->image;
	end(d);
	elf_version(EV_CURRENT);
	if (!m->base && !pd_sparse_make(m))
		return false;
	/* It looks for the end of the last string. */
	pd_sparse_need(m, PD_SEC_STR, m->part[PD_SEC_STR].size - 1, 1);
	pd_sparse_need(m, PD_SEC_LINE_STR, m->part[PD_SEC_LINE_STR].size - 1, 1);
	d->elf = elf_memory((char *)m->base, m->size);
	d->dw = d->elf ? dwarf_begin_elf(d->elf, DWARF_C_READ, NULL) : NULL;
	return d->dw;
}

struct header {
	uint64_t end, abbrev;
};

/* Have the header and the first entry of the unit at an offset. False = no unit. */
static bool header_need(struct pd_dwarf *d, uint64_t off, struct header *h)
{
	struct pd_sparse *m = &d->image;
	uint64_t size = m->part[PD_SEC_INFO].size;
	if (off >= size || size - off < 24)
		return false;
	const uint8_t *p = pd_sparse_need(m, PD_SEC_INFO, off, ENTRY);
	unsigned wide = 4;
	uint64_t length = 0;
	memcpy(&length, p, 4);
	if (length == UINT32_MAX) {
		wide = 8;
		memcpy(&length, p + 4, 8);
		p += 8;
	}
	if (length > size - off)
		return false;
	h->end = off + (wide == 8 ? 12 : 4) + length;
	h->abbrev = 0;
	memcpy(&h->abbrev, p + 6 + (p[4] >= 5 ? 2 : 0), wide);
	pd_sparse_need(m, PD_SEC_ABBREV, h->abbrev, ABBREVS);
	return true;
}

/* Have the tables that a unit's values are indices of. */
static void tables_need(struct pd_dwarf *d, Dwarf_Die *root)
{
	static const struct {
		unsigned at;
		enum pd_sec sec;
	} tables[] = {
		{ DW_AT_str_offsets_base, PD_SEC_STR_OFFSETS },
		{ DW_AT_addr_base, PD_SEC_ADDR },
		{ DW_AT_GNU_addr_base, PD_SEC_ADDR },
		{ DW_AT_rnglists_base, PD_SEC_RNGLISTS },
	};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		uint64_t base = pd_die_number(root, tables[i].at);
		if (base)
			pd_sparse_need(&d->image, tables[i].sec, base > 16 ? base - 16 : 0, TABLE);
	}
	/* A split unit's tables begin where their sections do. */
	if (d->split) {
		pd_sparse_need(&d->image, PD_SEC_STR_OFFSETS, 0, TABLE);
		pd_sparse_need(&d->image, PD_SEC_ADDR, 0, TABLE);
		pd_sparse_need(&d->image, PD_SEC_RNGLISTS, 0, TABLE);
	}
}

bool pd_units_read(struct pd_dwarf *d, pd_unit_fn *fn, void *arg)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die root;
	struct header h;
	if (!begin(d))
		return false;
	for (uint64_t off = 0; header_need(d, off, &h) && pd_fuel(d); off = h.end) {
		if (dwarf_get_units(d->dw, cu, &cu, NULL, NULL, &root, NULL))
			break;
		if (fn) {
			tables_need(d, &root);
			fn(arg, &root);
		}
		pd_sparse_trim(&d->image, FILLED_MAX);
	}
	if (d->alt && d->alt->dw)
		dwarf_setalt(d->dw, d->alt->dw);
	return true;
}

/* The reader of the file an entry is in. */
static struct pd_dwarf *owner(struct pd_dwarf *d, Dwarf_Die *die)
{
	return d->alt && d->alt->dw == dwarf_cu_getdwarf(die->cu) ? d->alt : d;
}

void pd_die_need(struct pd_dwarf *d, Dwarf_Die *die)
{
	struct header h;
	Dwarf_Die root;
	d = owner(d, die);
	if (die->cu == d->whole)
		return;
	dwarf_cu_die(die->cu, &root, NULL, NULL, NULL, NULL, NULL, NULL);
	header_need(d, dwarf_dieoffset(&root) - dwarf_cuoffset(&root), &h);
	tables_need(d, &root);
	pd_sparse_need(&d->image, PD_SEC_INFO, dwarf_dieoffset(die), ENTRY);
}

bool pd_unit_need(struct pd_dwarf *d, Dwarf_Die *die)
{
	struct header h;
	d = owner(d, die);
	pd_die_need(d, die);
	uint64_t off = dwarf_dieoffset(die) - dwarf_cuoffset(die);
	if (!header_need(d, off, &h) || h.end - off > UNIT_MAX)
		return false;
	pd_sparse_need(&d->image, PD_SEC_INFO, off, h.end - off);
	return true;
}

uint64_t pd_die_number(Dwarf_Die *die, unsigned at)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	return dwarf_attr(die, at, &a) && !dwarf_formudata(&a, &v) ? v : 0;
}

bool pd_die_text(struct pd_dwarf *d, Dwarf_Die *die, unsigned at, char *buf, size_t n)
{
	Dwarf_Attribute a;
	const char *p = dwarf_attr(die, at, &a) ? dwarf_formstring(&a) : NULL;
	if (!p)
		return false;
	d = owner(d, die);
	return (pd_sparse_text(&d->image, p, buf, n) || (d->alt && pd_sparse_text(&d->alt->image, p, buf, n))) && buf[0];
}

bool pd_die_ref(struct pd_dwarf *d, Dwarf_Die *die, unsigned at, Dwarf_Die *to)
{
	Dwarf_Attribute a;
	if (!dwarf_attr(die, at, &a) || !dwarf_formref_die(&a, to))
		return false;
	pd_die_need(d, to);
	return true;
}

bool pd_die_next(struct pd_dwarf *d, Dwarf_Die *die)
{
	const char *at = die->addr;
	/* In damaged data one may lead back. */
	return pd_fuel(d) && !dwarf_siblingof(die, die) && (const char *)die->addr > at;
}

/* What linkers write over addresses of code they dropped. */
static bool dead(uint64_t lo)
{
	return lo == 0 || lo >= UINT64_MAX - 1;
}

static bool list_need(struct pd_dwarf *d, Dwarf_Die *die, uint64_t n)
{
	if (!dwarf_hasattr(die, DW_AT_ranges))
		return false;
	uint64_t off = pd_die_number(die, DW_AT_ranges);
	pd_sparse_need(&d->image, PD_SEC_RANGES, off, n);
	pd_sparse_need(&d->image, PD_SEC_RNGLISTS, off, n);
	return true;
}

void pd_die_ranges(struct pd_dwarf *d, Dwarf_Die *die, pd_range_fn *fn, void *arg)
{
	Dwarf_Addr base, lo, hi;
	ptrdiff_t next = 0;
	bool list = list_need(d, die, ENTRY);
	while ((next = dwarf_ranges(die, next, &base, &lo, &hi)) > 0 && pd_fuel(d)) {
		/* Alone a split unit does not know where it starts. */
		if (list && d->base && d->base + hi <= d->high) {
			lo += d->base;
			hi += d->base;
		}
		if (!dead(lo) && lo < hi)
			fn(arg, lo, hi);
	}
}

size_t pd_place_first(struct pd_place *const *place, size_t n, uint64_t addr)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (place[mid]->addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct assign {
	struct pd_dwarf *d;
	struct pd_place **place;
	size_t n;
	uint64_t unit;
};

/* Where ranges of units overlap, the narrowest is the true one. */
static void assign_range(void *arg, uint64_t lo, uint64_t hi)
{
	struct assign *a = arg;
	for (size_t i = pd_place_first(a->place, a->n, lo); i < a->n && a->place[i]->addr < hi; i++) {
		struct pd_place *p = a->place[i];
		if (!pd_fuel(a->d))
			return;
		if (p->unit && p->span <= hi - lo)
			continue;
		p->unit = a->unit;
		p->span = hi - lo;
	}
}

static void assign_unit(void *arg, Dwarf_Die *root)
{
	struct assign *a = arg;
	a->unit = dwarf_dieoffset(root);
	list_need(a->d, root, UNIT_LIST);
	pd_die_ranges(a->d, root, assign_range, a);
}

static int by_unit(const void *a, const void *b)
{
	const struct pd_place *x = *(struct pd_place *const *)a, *y = *(struct pd_place *const *)b;
	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void unit_lookup(struct pd_dwarf *d, uint64_t unit, struct pd_place **place, size_t n)
{
	Dwarf_Die root;
	if (d->grown > GROWN_MAX && !pd_units_read(d, NULL, NULL))
		return;
	if (!dwarf_offdie(d->dw, unit, &root))
		return;
	for (size_t i = 0; i < n; i++) {
		place[i]->leaf = -1;
		place[i]->span = UINT64_MAX;
	}
	if (pd_unit_need(d, &root)) {
		d->whole = root.cu;
		d->grown += GROWN_UNIT;
		if (!pd_split_walk(d, &root, place, n))
			pd_scope_walk(d, &root, place, n);
	}
	pd_line_walk(d, &root, place, n);
	d->whole = NULL;
	pd_sparse_trim(&d->image, FILLED_MAX);
}

void pd_dwarf_lookup(struct pd_dwarf *d, struct pd_place *place, size_t n)
{
	struct pd_place **by = malloc(n * sizeof(*by));
	if (!by)
		return;
	for (size_t i = 0; i < n; i++) {
		by[i] = &place[i];
		place[i].unit = 0;
	}
	struct assign a = { .d = d, .place = by, .n = n };
	if (d->alt && d->alt != d)
		pd_units_read(d->alt, NULL, NULL);
	bool known = pd_units_read(d, assign_unit, &a);
	if (known)
		qsort(by, n, sizeof(*by), by_unit);
	for (size_t i = 0, k; known && d->dw && i < n; i = k) {
		for (k = i + 1; k < n && by[k]->unit == by[i]->unit; k++)
			continue;
		if (d->cancel && pd_load_relaxed(d->cancel))
			break;
		if (by[i]->unit)
			unit_lookup(d, by[i]->unit, by + i, k - i);
	}
	free(by);
}
