/* One object's rules by address: built from its .eh_frame, then never changed. */
#ifndef PD_UNWIND_TABLE_H
#define PD_UNWIND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Rows are sorted by address; a row holds until the next one. Code is cut into blocks of 1 KiB: rows
 * first[b] .. first[b + 1] - 1 start in block b, so 16 bits of the address are enough in a row.
 */
struct pd_table {
	uint64_t lo, hi; /* code covered */
	uint32_t rows, blocks;
	const uint32_t *first;
	const uint16_t *pc; /* low bits of where the row starts */
	const uint16_t *rule;
};

/* What the object's program headers tell, as addresses in the process. */
struct pd_table_source {
	uint64_t text_lo, text_hi;  /* all its executable segments */
	uint64_t hdr, hdr_len;      /* .eh_frame_hdr; len 0 = none, then: */
	uint64_t eh, eh_len;        /* .eh_frame; len 0 = none */
	const struct pd_span *load; /* readable segments */
	size_t loads;
};

struct pd_span {
	uint64_t lo, hi;
};

/* A table from pd_pages_take, or NULL: nothing to build from, or no memory. Ordinary threads, one at a time. */
struct pd_table *pd_table_build(const struct pd_table_source *from);
/* Number of the rule at an address. Signal-safe. */
uint16_t pd_table_rule(const struct pd_table *t, uint64_t pc);

#endif
