/* Knows how a skeleton unit and its .dwo file, or its part of a .dwp file, belong together. */
#include <stdio.h>

#include "server/symbol/dwarf.h"
#include "server/symbol/path.h"

struct split {
	struct pd_dwarf d;
	uint64_t id;
	uint64_t unit; /* offset of the first entry of the unit with that id; 0 = none */
};

static bool id_of(Dwarf_Die *root, uint64_t *id)
{
	return !dwarf_cu_info(root->cu, NULL, NULL, NULL, NULL, id, NULL, NULL);
}

static void unit_seen(void *arg, Dwarf_Die *root)
{
	struct split *s = arg;
	uint64_t id;
	if (!s->unit && dwarf_tag(root) == DW_TAG_compile_unit && id_of(root, &id) && id == s->id)
		s->unit = dwarf_dieoffset(root);
}

/* What a split unit refers to in the binary comes into its image. */
static void lend(struct pd_dwarf *to, const struct pd_dwarf *from, enum pd_sec sec, uint64_t skip)
{
	struct pd_sparse_part *p = &to->image.part[sec];
	*p = from->image.part[sec];
	p->skip = skip < p->size ? skip : p->size;
	p->size -= p->skip;
}

static bool path_of(struct pd_dwarf *d, Dwarf_Die *root, char path[PD_PATH])
{
	char name[1024], dir[1024];
	if (!pd_die_text(d, root, DW_AT_dwo_name, name, sizeof(name)) &&
	        !pd_die_text(d, root, DW_AT_GNU_dwo_name, name, sizeof(name)))
		return false;
	if (!pd_die_text(d, root, DW_AT_comp_dir, dir, sizeof(dir)))
		dir[0] = 0;
	return pd_path_join(path, dir, "", name) && path[0] == '/';
}

/* The index of a .dwp file: a hash table of the units' ids, and for each unit where its part of each section is. */
struct index {
	const struct pd_elf *e;
	uint16_t version; /* 2 of GNU, or 5 */
	uint32_t columns, units, slots;
};

static bool index_read(const struct index *x, uint64_t off, void *to, size_t n)
{
	return pd_section_read(x->e, &x->e->sec[PD_SEC_CU_INDEX], off, to, n) == n;
}

static bool index_open(struct index *x, const struct pd_elf *e)
{
	x->e = e;
	uint32_t columns[3];
	if (!index_read(x, 0, &x->version, 2) || !index_read(x, 4, columns, sizeof(columns)))
		return false;
	x->columns = columns[0];
	x->units = columns[1];
	x->slots = columns[2];
	return (x->version == 2 || x->version == 5) && x->columns <= 8 && x->slots && !(x->slots & (x->slots - 1));
}

/* Number of the row of a unit, from 1 on; 0 = there is none. */
static uint32_t index_row(const struct index *x, uint64_t id)
{
	enum { PROBES_MAX = 1 << 16 };
	uint32_t mask = x->slots - 1, at = (uint32_t)id & mask, step = ((uint32_t)(id >> 32) & mask) | 1, row = 0;
	for (uint32_t i = 0; i < x->slots && i < PROBES_MAX; i++, at = (at + step) & mask) {
		uint64_t seen;
		if (!index_read(x, 16 + 8 * (uint64_t)at, &seen, 8) ||
		        !index_read(x, 16 + 8 * (uint64_t)x->slots + 4 * (uint64_t)at, &row, 4) || !row)
			return 0;
		if (seen == id)
			return row <= x->units ? row : 0;
	}
	return 0;
}

/* Leave of each section only the unit's part. */
static bool part_take(struct pd_dwarf *d, const struct pd_elf *e, uint64_t id)
{
	static const enum pd_sec kinds[2][9] = {
		{ [1] = PD_SEC_INFO, [3] = PD_SEC_ABBREV, [6] = PD_SEC_STR_OFFSETS },
		{ [1] = PD_SEC_INFO, [3] = PD_SEC_ABBREV, [6] = PD_SEC_STR_OFFSETS, [8] = PD_SEC_RNGLISTS },
	};
	struct index x = { 0 };
	uint32_t kind[8], off[8], size[8];
	uint32_t row = index_open(&x, e) ? index_row(&x, id) : 0;
	uint64_t table = 16 + 12 * (uint64_t)x.slots, line = 4 * (uint64_t)x.columns;
	if (!row || !index_read(&x, table, kind, line) || !index_read(&x, table + row * line, off, line) ||
	        !index_read(&x, table + (x.units + (uint64_t)row) * line, size, line))
		return false;
	for (uint32_t i = 0; i < x.columns; i++) {
		enum pd_sec sec = kind[i] < 9 ? kinds[x.version == 5][kind[i]] : 0;
		struct pd_sparse_part *p = &d->image.part[sec];
		if ((sec == PD_SEC_INFO && kind[i] != 1) || off[i] > p->size || size[i] > p->size - off[i])
			continue;
		p->skip = off[i];
		p->size = size[i];
	}
	return true;
}

/* The file with a unit's debug info: its own, or the one of all units of the binary. */
static bool file_open(struct pd_dwarf *d, Dwarf_Die *root, struct pd_elf *e, bool *all)
{
	char path[PD_PATH];
	*all = false;
	if (path_of(d, root, path) && !pd_elf_dwo(e, path))
		return true;
	*all = true;
	return d->binary && snprintf(path, sizeof(path), "%s.dwp", d->binary) < (int)sizeof(path) &&
	        !pd_elf_dwo(e, path);
}

bool pd_split_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n)
{
	struct split s = { 0 };
	struct pd_elf e;
	Dwarf_Die unit;
	bool all;
	/* Only a skeleton has an id. */
	if (!id_of(root, &s.id) || !s.id || !file_open(d, root, &e, &all))
		return false;
	bool done = false;
	if (pd_dwarf_open(&s.d, &e, d->strings) && (!all || part_take(&s.d, &e, s.id))) {
		uint64_t addr = pd_die_number(root, DW_AT_addr_base);
		lend(&s.d, d, PD_SEC_ADDR, addr ? addr : pd_die_number(root, DW_AT_GNU_addr_base));
		lend(&s.d, d, PD_SEC_RANGES, pd_die_number(root, DW_AT_GNU_ranges_base));
		s.d.alt = d->alt;
		s.d.split = true;
		if (!dwarf_lowpc(root, &s.d.base) && dwarf_highpc(root, &s.d.high))
			s.d.base = 0;
		if (pd_units_read(&s.d, unit_seen, &s) && s.unit && dwarf_offdie(s.d.dw, s.unit, &unit) &&
		        pd_unit_need(&s.d, &unit)) {
			s.d.whole = unit.cu;
			pd_scope_walk(&s.d, &unit, place, n);
			done = true;
		}
	}
	pd_dwarf_close(&s.d);
	pd_elf_close(&e);
	return done;
}
