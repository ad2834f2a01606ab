/* The cache: what was found for each address of each binary. */
#ifndef PD_SERVER_SYMBOL_RESULTS_H
#define PD_SERVER_SYMBOL_RESULTS_H

#include "server/symbol/strings.h"
#include "server/symbol/symbol.h"

struct pd_result {
	uint64_t addr;   /* as in the file */
	uint32_t object; /* 1.., 0 = empty slot */
	uint32_t used;   /* round of the last use */
	uint32_t n;
	bool placeholder;
	uint64_t entry; /* as in the file; 0 = not known */
	const struct pd_frame *frame;
};

struct pd_results {
	struct pd_strings strings; /* frames live there too */
	struct pd_result *slot;
	size_t nslot, n, unresolved;
	uint32_t round;
};

/* What is known of an address, or NULL. Valid until the next add. */
struct pd_result *pd_results_find(struct pd_results *c, uint32_t object, uint64_t addr);
/* A new one, to be filled, with room for n frames; NULL = no memory. */
struct pd_result *pd_results_add(
        struct pd_results *c, uint32_t object, uint64_t addr, uint32_t n, struct pd_frame **frame);
size_t pd_results_bytes(const struct pd_results *c);
/* Keep only what was used in the last round (nothing, if that is too much too). Starts a new round. */
void pd_results_trim(struct pd_results *c, size_t cap);
void pd_results_free(struct pd_results *c);

#endif
