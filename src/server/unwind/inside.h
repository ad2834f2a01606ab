/* Between the files of this room; nobody else includes it. */
#ifndef PD_SERVER_UNWIND_INSIDE_H
#define PD_SERVER_UNWIND_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"

/* Where one module lies in memory, and its sorted table of functions. */
struct pd_image {
	bool looked, good;
	uint64_t lo, hi;     /* of all its segments */
	uint64_t hdr;        /* address of .eh_frame_hdr, which the table's offsets count from */
	uint64_t table, len; /* the table's address and bytes */
};

#define PD_PAGE 4096u
#define PD_PAGES 64u

/* Memory of modules, read page by page in a way that survives their unloading. Zeroed = empty. */
struct pd_pages {
	uint64_t at[PD_PAGES]; /* address + 1; 0 = nothing */
	unsigned char data[PD_PAGES][PD_PAGE];
};

/* Copy n bytes at `from`; false when they cannot be read. */
bool pd_pages_read(struct pd_pages *p, uint64_t from, void *to, size_t n);

/* Find out about a module once. False when it has no table that can be used. */
bool pd_image_look(struct pd_image *image, struct pd_pages *p, const struct pd_module *m);

#endif
