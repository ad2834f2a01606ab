/* A file on disk as a module that is not loaded. */
#ifndef PD_SYMBOL_TOOL_H
#define PD_SYMBOL_TOOL_H

#include <stdlib.h>
#include <string.h>

#include "server/symbol/elf.h"
#include "server/symbol/symbol.h"

/* Addresses are those of the file. With_id: only this build of it will do. */
static inline struct pd_module tool_module(const char *path, bool with_id)
{
	struct pd_module m = { .end = UINT64_MAX, .until = UINT32_MAX, .path = path };
	struct pd_elf e;
	if (with_id && !pd_elf_open(&e, path)) {
		memcpy(m.build_id, e.build_id, sizeof(m.build_id));
		m.build_id_len = e.build_id_len;
		pd_elf_close(&e);
	}
	return m;
}

/* Every step-th address of the code of a file; returns how many, at most max. */
static inline size_t tool_addresses(const char *path, uint64_t step, uint64_t *pc, size_t max)
{
	struct pd_elf e;
	size_t n = 0;
	if (pd_elf_open(&e, path))
		return 0;
	for (unsigned i = 0; i < e.nsh; i++)
		if (e.sh[i].sh_flags & SHF_EXECINSTR)
			for (uint64_t at = 0; at < e.sh[i].sh_size && n < max; at += step)
				pc[n++] = e.sh[i].sh_addr + at;
	pd_elf_close(&e);
	return n;
}

#endif
