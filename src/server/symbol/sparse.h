/*
 * The debug sections of a file as an ELF file in memory, for libelf: as large as they are, but only where somebody
 * asked is there anything, all else reads as 0. So nothing of a file is mapped, and little of it kept.
 */
#ifndef PD_SERVER_SYMBOL_SPARSE_H
#define PD_SERVER_SYMBOL_SPARSE_H

#include "server/symbol/elf.h"

#define PD_SPARSE_PARTS (PD_SEC_RNGLISTS + 1) /* the sections of libdw are the first of enum pd_sec */

struct pd_sparse {
	struct pd_sparse_part {
		const struct pd_elf *e;
		const struct pd_section *s;
		uint64_t skip; /* of the section, at its beginning */
		uint64_t size;
		uint64_t at; /* in the image */
	} part[PD_SPARSE_PARTS];
	uint8_t *base;
	size_t size;
	uint8_t *have; /* a bit for each page */
	size_t filled; /* bytes */
};

/* Plan the image of a file; parts may then be changed for those of another file. */
void pd_sparse_plan(struct pd_sparse *m, const struct pd_elf *e);
/* Make it, empty. False = no memory. Close also what was only planned. */
bool pd_sparse_make(struct pd_sparse *m);
void pd_sparse_close(struct pd_sparse *m);
/* Have n bytes of a section in it (cut to the section) until the next trim. Returns where they begin. */
const uint8_t *pd_sparse_need(struct pd_sparse *m, enum pd_sec sec, uint64_t off, uint64_t n);
/* The same, of the section that holds p. */
void pd_sparse_need_at(struct pd_sparse *m, const char *p, uint64_t n);
/* The text that libdw says to be at p, without filling the image. False: not in it, or not ended within n bytes. */
bool pd_sparse_text(const struct pd_sparse *m, const char *p, char *buf, size_t n);
/* Empty it if more than `max` bytes are filled. */
void pd_sparse_trim(struct pd_sparse *m, size_t max);

#endif
