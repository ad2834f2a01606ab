/*
 * Addresses to functions, inlined frames, files and lines, from ELF symbol tables and DWARF. Files are read in
 * pieces and never mapped: one that is cut or rewritten cannot crash the program, a large one takes little memory.
 * One thread at a time (the worker's). Files are found by build id, debuglink and beside the binary.
 */
#ifndef PD_SERVER_SYMBOL_H
#define PD_SERVER_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"

struct pd_symbols;

struct pd_frame {
	const char *name;        /* demangled, for people; never "" */
	const char *system_name; /* as in the symbol table */
	const char *file;        /* absolute where the debug info tells the directory; "" = not known */
	uint32_t line;           /* 0 = not known */
	uint32_t start_line;     /* of the function's declaration; 0 = not known */
	bool inlined;            /* into the next frame of the answer */
};

/* What is known of one address. */
struct pd_symbol {
	const struct pd_frame *frame; /* innermost inlined first; the last is the real function */
	size_t n;                     /* at least 1 */
	uint64_t entry;               /* address of the real function's first byte; 0 = not known */
	/* No symbol covers the address: only "libfoo.so+0x1234", that is the function's start, or where it is not known
	 * the address. */
	bool placeholder;
};

/* A cache that keeps at most about `cap` bytes of its own and of open debug files. NULL = out of memory. */
struct pd_symbols *pd_symbols_open(size_t cap);
void pd_symbols_close(struct pd_symbols *s);

/* Look up n addresses ahead of need, so that resolving is quick. Stops early when *cancel becomes true (may be
 * NULL). */
void pd_symbols_prepare(struct pd_symbols *s, const struct pd_module *const *modules, size_t nmodules,
        const uint64_t *pc, size_t n, uint32_t epoch, const bool *cancel);

/* The module an address belonged to at that epoch, or NULL. */
const struct pd_module *pd_module_find(const struct pd_module *const *modules, size_t n, uint64_t pc, uint32_t epoch);

/* What is known of pc, an address in `m` (NULL = no module: placeholder "0x1234"). Never fails: a placeholder at least.
 * Valid until the next pd_symbols_trim or _close. */
void pd_symbols_resolve(struct pd_symbols *s, const struct pd_module *m, uint64_t pc, struct pd_symbol *out);

/* Drop the least used until below the cap. Call between requests. */
void pd_symbols_trim(struct pd_symbols *s);

struct pd_symbols_stats {
	size_t bytes, modules, addresses, unresolved;
	uint64_t files_refused; /* damaged, or of another build id */
};
void pd_symbols_stats(const struct pd_symbols *s, struct pd_symbols_stats *out);

/* Demangle a C++, Rust or D symbol in the style of pprof: no parameters, no return type, template arguments kept.
 * A malloc'ed string, or NULL when it is no mangled name. */
char *pd_demangle(const char *symbol);

#endif
