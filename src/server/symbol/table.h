/* Symbol tables and PLT stubs for a batch of addresses of one file, streaming. */
#ifndef PD_SERVER_SYMBOL_TABLE_H
#define PD_SERVER_SYMBOL_TABLE_H

#include "server/symbol/elf.h"
#include "server/symbol/strings.h"

/* The symbol that covers an address. */
struct pd_named {
	uint64_t addr;
	const char *told; /* by the debug info: which one, if a function has several; NULL = not known */
	const char *name; /* NULL = none */
	uint64_t entry;
	bool exact; /* the symbol has a size that covers addr; else it is only the nearest before */
	/* While searching: */
	struct pd_hit {
		uint64_t addr, size;
		uint32_t name;
		uint8_t rank; /* 0 = none */
	} cover, before;
};

/* Look n addresses (ordered) up in .symtab, or .dynsym. Those with a name already are left as they are. */
void pd_table_lookup(
        const struct pd_elf *e, enum pd_sec table, struct pd_named *named, size_t n, struct pd_strings *strings);
/* Name those in a PLT for the function it leads to: "malloc@plt". */
void pd_plt_lookup(const struct pd_elf *e, struct pd_named *named, size_t n, struct pd_strings *strings);
/* First address of the function around an address, by what is there for unwinding; 0 = not known. */
uint64_t pd_function_start(const struct pd_elf *e, uint64_t addr);

#endif
