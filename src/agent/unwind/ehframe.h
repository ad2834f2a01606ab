/*
 * .eh_frame and its index, from bytes that may hold anything. Pure: no memory but what is passed, no state.
 * Addresses are those the sections have in the process; bytes are read from copies.
 */
#ifndef PD_UNWIND_EHFRAME_H
#define PD_UNWIND_EHFRAME_H

#include "agent/unwind/bytes.h"
#include "agent/unwind/rule.h"

struct pd_section {
	const unsigned char *at; /* copy of the bytes */
	uint64_t addr;           /* where they are in the process */
	uint64_t len;
};

/* .eh_frame_hdr */
struct pd_eh_index {
	struct pd_section section;
	uint64_t eh_frame;   /* address of .eh_frame */
	uint64_t n;          /* entries of the search table; 0 = it has none */
	uint64_t table;      /* offset of the first */
	unsigned char enc;
	unsigned char width; /* bytes per value, two values per entry */
};

/* True when the header is one we can read. */
bool pd_eh_index(const struct pd_section *hdr, struct pd_eh_index *out);
/* Start of the function and address of its FDE. */
bool pd_eh_entry(const struct pd_eh_index *index, uint64_t i, uint64_t *pc, uint64_t *fde);

struct pd_cie {
	uint64_t addr; /* 0 = none */
	uint64_t code_align;
	int64_t data_align;
	unsigned char fde_enc;
	bool signal, sized; /* augmentation: S, z */
	struct pd_bytes program;
	const struct pd_section *section;
};

struct pd_fde {
	uint64_t start, end;
	struct pd_bytes program;
};

/* Address of the CIE that the FDE at addr refers to; 0 = no FDE there. */
uint64_t pd_cie_of(const struct pd_section *eh, uint64_t addr);
/* Parse the CIE; section eh must live as long as *out. */
bool pd_cie(const struct pd_section *eh, uint64_t addr, struct pd_cie *out);
/* Parse the FDE at addr, of that CIE. */
bool pd_fde(const struct pd_section *eh, uint64_t addr, const struct pd_cie *cie, struct pd_fde *out);

/* Address of the record after the one at addr, *is_cie its sort; 0 = the section ends here. */
uint64_t pd_eh_next(const struct pd_section *eh, uint64_t addr, bool *is_cie);

/* A value in one of the DW_EH_PE encodings; bad is set for those that need more than the section's address. */
uint64_t pd_encoded(struct pd_bytes *b, unsigned char enc, const struct pd_section *in, uint64_t data_base);

/* ---- the programs ---- */

/* Called in address order, the first time with the start of the FDE. In PD_EXPR and PD_AT_EXPR, `off` is the offset of
 * the expression in its section, `more` its length. */
typedef void pd_row_fn(void *arg, uint64_t pc, const struct pd_rule *rule);

/* State of a CIE's own program, run once per CIE. */
struct pd_frame_state {
	struct pd_loc cfa;
	struct pd_loc reg[8]; /* rbx rbp rsp r12 r13 r14 r15 ra */
};

void pd_cfa_start(const struct pd_cie *cie, struct pd_frame_state *out);
/* What cannot be expressed becomes a rule with cfa PD_BAD for the rest of the function or until restored. */
void pd_cfa_rows(const struct pd_cie *cie, const struct pd_frame_state *start, const struct pd_fde *fde,
                 pd_row_fn *row, void *arg);

/* A DWARF expression as a location: the value it computes. Those that are not a register, a number and one load are
 * PD_EXPR; where their bytes are is told by the caller. */
struct pd_loc pd_expression(const unsigned char *at, size_t n);

#endif
