/* Knows PLT stubs of x86-64 and the relocations of the slots they jump through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/symbol/name.h"
#include "server/symbol/table.h"

#define NAME_LEN 8192
#define STUBS_MAX 2000 /* in a batch: each is searched for among all relocations */

/* The stub around an address of a PLT section. */
struct stub {
	uint64_t start;
	uint8_t code[16];
	size_t n;
};

static bool stub_read(const struct pd_elf *e, const Elf64_Shdr *sh, uint64_t addr, struct stub *s)
{
	uint64_t size = sh->sh_entsize == 8 ? 8 : 16, at = (addr - sh->sh_addr) / size * size;
	s->start = sh->sh_addr + at;
	s->n = sh->sh_type == SHT_NOBITS ? 0 : pd_elf_read(e, sh->sh_offset + at, s->code, size);
	return s->n == size;
}

static bool reloc_read(const struct pd_elf *e, uint64_t index, Elf64_Rela *r)
{
	return pd_section_read(e, &e->sec[PD_SEC_RELA_PLT], index * sizeof(*r), r, sizeof(*r)) == sizeof(*r);
}

static bool reloc_find(const struct pd_elf *e, enum pd_sec sec, uint64_t slot, Elf64_Rela *r)
{
	Elf64_Rela some[256];
	size_t got;
	for (uint64_t at = 0; (got = pd_section_read(e, &e->sec[sec], at, some, sizeof(some))) > 0; at += got)
		for (size_t i = 0; i < got / sizeof(*r); i++) {
			*r = some[i];
			if (r->r_offset == slot)
				return true;
		}
	return false;
}

static bool stub_reloc(const struct pd_elf *e, const struct stub *s, Elf64_Rela *r)
{
	for (size_t i = 0; i + 6 <= s->n; i++) {
		int32_t disp;
		/* jmp *disp(%rip) */
		if (s->code[i] != 0xff || s->code[i + 1] != 0x25)
			continue;
		memcpy(&disp, s->code + i + 2, 4);
		uint64_t slot = s->start + i + 6 + (uint64_t)(int64_t)disp;
		return reloc_find(e, PD_SEC_RELA_PLT, slot, r) || reloc_find(e, PD_SEC_RELA_DYN, slot, r);
	}
	for (size_t i = 0; i + 5 <= s->n && i <= 4; i += 4) {
		uint32_t index;
		/* [endbr64] push $index; jmp to the first stub */
		if (s->code[i] != 0x68)
			continue;
		memcpy(&index, s->code + i + 1, 4);
		return reloc_read(e, index, r);
	}
	return false;
}

static bool symbol_name(const struct pd_elf *e, uint64_t index, char *buf, size_t n)
{
	Elf64_Sym sym;
	const struct pd_section *s = &e->sec[PD_SEC_DYNSYM];
	return index && pd_section_read(e, s, index * sizeof(sym), &sym, sizeof(sym)) == sizeof(sym) &&
	        pd_elf_string(e, e->sh[s->index].sh_link, sym.st_name, buf, n) && pd_name_sane(buf);
}

/* A slot filled by a resolver has no symbol: the resolver's name is the function's. */
static bool resolver_name(const struct pd_elf *e, const Elf64_Rela *r, char *buf, size_t n, struct pd_strings *strings)
{
	struct pd_named named = { .addr = (uint64_t)r->r_addend };
	if (ELF64_R_TYPE(r->r_info) != R_X86_64_IRELATIVE)
		return false;
	pd_table_lookup(e, PD_SEC_SYMTAB, &named, 1, strings);
	pd_table_lookup(e, PD_SEC_DYNSYM, &named, 1, strings);
	return named.name && snprintf(buf, n, "%s", named.name) < (int)n;
}

/* The name of the stub around an address: of the function, else of the section. */
static void stub_name(const struct pd_elf *e, const struct stub *s, const char *section, char *name, size_t n,
        struct pd_strings *strings)
{
	Elf64_Rela r;
	if (stub_reloc(e, s, &r) &&
	        (symbol_name(e, ELF64_R_SYM(r.r_info), name, n - 4) || resolver_name(e, &r, name, n - 4, strings)))
		strcat(name, "@plt");
	else
		snprintf(name, n, "%s", section);
}

void pd_plt_lookup(const struct pd_elf *e, struct pd_named *named, size_t n, struct pd_strings *strings)
{
	char section[24], name[NAME_LEN];
	struct stub s, last = { 0 };
	unsigned stubs = STUBS_MAX;
	for (size_t i = 0; i < n; i++) {
		const Elf64_Shdr *sh = pd_elf_code(e, named[i].addr);
		if (!sh)
			continue;
		pd_elf_section_name(e, (unsigned)(sh - e->sh), section, sizeof(section));
		if ((strncmp(section, ".plt", 4) != 0 && strcmp(section, ".iplt") != 0) ||
		        !stub_read(e, sh, named[i].addr, &s))
			continue;
		if (s.start != last.start) {
			if (!stubs--)
				return;
			stub_name(e, &s, section, name, sizeof(name), strings);
			last = s;
		}
		named[i].name = pd_strings_keep(strings, name);
		named[i].entry = s.start;
		named[i].exact = true;
	}
}
