/* Knows symbol tables and which of several symbols names an address. Must not know debug info. */
#include "server/symbol/table.h"

#include <stdlib.h>
#include <string.h>

#include "server/symbol/name.h"

#define NAME_LEN 16384
#define SYMBOLS 2730 /* read at a time */

struct search {
	const struct pd_elf *e;
	unsigned strings; /* section of the names */
	struct pd_named *named;
	size_t n;
	uint64_t fuel;  /* comparisons left */
	unsigned names; /* comparisons of names left: these are read from the file */
	char a[NAME_LEN], b[NAME_LEN];
	Elf64_Sym sym[SYMBOLS];
};

static size_t first_at(const struct search *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->named[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* How good a symbol is as a name of code; 0 = it is none. */
static uint8_t rank(const struct pd_elf *e, const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info), bind = ELF64_ST_BIND(sym->st_info);
	bool function = type == STT_FUNC || type == STT_GNU_IFUNC;
	if (!sym->st_name || sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE ||
	        (!function && type != STT_NOTYPE))
		return 0;
	if (sym->st_shndx >= e->nsh || !(e->sh[sym->st_shndx].sh_flags & SHF_EXECINSTR))
		return 0;
	return (uint8_t)(1 + (bind != STB_LOCAL) + 2 * function);
}

/* Is `a` the better of two symbols that both would do? The nearer start, then the better kind, then the better name. */
static bool better(struct search *s, const struct pd_hit *a, const struct pd_hit *b, const char *told)
{
	if (!b->rank || a->addr != b->addr)
		return !b->rank || a->addr > b->addr;
	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (!s->names || !pd_elf_string(s->e, s->strings, a->name, s->a, NAME_LEN))
		return false;
	s->names--;
	return !pd_elf_string(s->e, s->strings, b->name, s->b, NAME_LEN) || pd_name_better(s->a, s->b, told) > 0;
}

static void take(struct search *s, const Elf64_Sym *sym, uint8_t r)
{
	struct pd_hit hit = { sym->st_value, sym->st_size, sym->st_name, r };
	size_t i = first_at(s, hit.addr);
	if (i == s->n)
		return;
	if (better(s, &hit, &s->named[i].before, NULL))
		s->named[i].before = hit;
	for (; i < s->n && s->named[i].addr - hit.addr < hit.size && s->fuel; i++, s->fuel--)
		if (better(s, &hit, &s->named[i].cover, s->named[i].told))
			s->named[i].cover = hit;
}

static bool name_keep(struct search *s, struct pd_named *to, const struct pd_hit *hit, struct pd_strings *strings)
{
	if (!hit->rank || !pd_elf_string(s->e, s->strings, hit->name, s->a, NAME_LEN) || !pd_name_sane(s->a))
		return false;
	to->name = pd_strings_keep(strings, s->a);
	to->entry = hit->addr;
	return true;
}

static void finish(struct search *s, struct pd_strings *strings)
{
	struct pd_hit before = { 0 };
	for (size_t i = 0; i < s->n; i++) {
		struct pd_named *to = &s->named[i];
		if (to->before.rank && better(s, &to->before, &before, NULL))
			before = to->before;
		if (to->name)
			continue;
		if (name_keep(s, to, &to->cover, strings)) {
			to->exact = true;
			continue;
		}
		/* Hand-written code often has symbols without a size: these reach to the next symbol. */
		const Elf64_Shdr *code = pd_elf_code(s->e, to->addr);
		if (!before.size && code && before.addr >= code->sh_addr)
			name_keep(s, to, &before, strings);
	}
}

void pd_table_lookup(
        const struct pd_elf *e, enum pd_sec table, struct pd_named *named, size_t n, struct pd_strings *strings)
{
	const struct pd_section *sec = &e->sec[table];
	struct search *s = sec->size ? malloc(sizeof(*s)) : NULL;
	if (!s)
		return;
	s->e = e;
	s->strings = e->sh[sec->index].sh_link;
	s->named = named;
	s->n = n;
	s->fuel = (4u << 20) + 64 * (uint64_t)n;
	s->names = 65536;
	for (size_t i = 0; i < n; i++)
		named[i].cover = named[i].before = (struct pd_hit){ 0 };
	size_t got;
	for (uint64_t at = 0; (got = pd_section_read(e, sec, at, s->sym, sizeof(s->sym))) > 0; at += got)
		for (size_t i = 0; i < got / sizeof(s->sym[0]); i++) {
			uint8_t r = rank(e, &s->sym[i]);
			if (r)
				take(s, &s->sym[i], r);
		}
	finish(s, strings);
	free(s);
}
