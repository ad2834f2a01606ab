/*
 * Binaries and debug info made up by a fuzzer. Without one: each file named, or this program itself, whole and with
 * bytes altered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/symbol/dwarf.h"
#include "server/symbol/table.h"

#define PLACES 128

static void dwarf(const struct pd_elf *e, const uint64_t *pc, size_t n, struct pd_strings *strings)
{
	struct pd_place place[PLACES];
	struct pd_dwarf d;
	for (size_t i = 0; i < n; i++)
		place[i] = (struct pd_place){ .addr = pc[i], .file = "" };
	if (pd_dwarf_open(&d, e, strings)) {
		/* Its own shared debug info: nothing else is at hand, and it must end all the same. */
		d.alt = &d;
		if (d.fuel > 1 << 20)
			d.fuel = 1 << 20;
		pd_dwarf_lookup(&d, place, n);
	}
	for (size_t i = 0; i < n; i++)
		free(place[i].call);
	pd_dwarf_close(&d);
}

static void symbols(const struct pd_elf *e, const uint64_t *pc, size_t n, struct pd_strings *strings)
{
	struct pd_named named[PLACES] = { 0 };
	struct pd_elf mini;
	for (size_t i = 0; i < n; i++)
		named[i].addr = pc[i];
	pd_plt_lookup(e, named, n, strings);
	pd_table_lookup(e, PD_SEC_SYMTAB, named, n, strings);
	pd_table_lookup(e, PD_SEC_DYNSYM, named, n, strings);
	if (!pd_elf_mini(e, &mini)) {
		pd_table_lookup(&mini, PD_SEC_SYMTAB, named, n, strings);
		pd_elf_close(&mini);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pd_strings strings = { 0 };
	struct pd_elf e;
	uint64_t pc[PLACES];
	uint8_t *copy = malloc(n + 1);
	if (!copy)
		return 0;
	memcpy(copy, data, n);
	if (pd_elf_memory(&e, copy, n))
		return 0;
	uint64_t from = 0x1000, step = 5;
	for (unsigned i = 0; i < e.nsh; i++)
		if (e.sh[i].sh_flags & SHF_EXECINSTR && e.sh[i].sh_size / PLACES >= step) {
			from = e.sh[i].sh_addr;
			step = e.sh[i].sh_size / PLACES;
		}
	size_t npc = 0;
	while (npc < PLACES && from + npc * step >= from) {
		pc[npc] = from + npc * step;
		npc++;
	}
	symbols(&e, pc, npc, &strings);
	dwarf(&e, pc, npc, &strings);
	pd_elf_close(&e);
	pd_strings_free(&strings);
	return 0;
}

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
static int file_try(const char *path)
{
	static uint32_t seed = 1;
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END))
		return 1;
	size_t n = (size_t)ftell(f);
	uint8_t *data = malloc(n + 1);
	rewind(f);
	if (!data || fread(data, 1, n, f) != n)
		return 1;
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	for (int i = 0; n && i < 50; i++) {
		for (int k = 0; k < 20; k++) {
			seed = seed * 1664525u + 1013904223u;
			data[seed % n] = (uint8_t)(seed >> 24);
		}
		LLVMFuzzerTestOneInput(data, n);
	}
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = argc < 2 ? file_try("/proc/self/exe") : 0;
	for (int i = 1; i < argc; i++)
		failed |= file_try(argv[i]);
	return failed;
}
#endif
