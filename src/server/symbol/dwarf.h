/*
 * Functions, inlined calls and lines of a batch of addresses of one file, by libdw over an image of the file that is
 * filled as far as libdw is going to read. Nothing of a file is kept between batches. Damaged data ends the reading
 * of its unit.
 */
#ifndef PD_SERVER_SYMBOL_DWARF_H
#define PD_SERVER_SYMBOL_DWARF_H

#include <dwarf.h>
#include <elfutils/libdw.h>

#include "server/symbol/sparse.h"
#include "server/symbol/strings.h"

struct pd_function {
	const char *name;    /* for people, demangled; NULL = not known */
	const char *system;  /* the linkage name, else the plain one; NULL = not known */
	uint32_t line;       /* of the declaration; 0 = not known */
	uint64_t file_index; /* of the declaration, in the line table of its unit */
};

/* A function that was running, and where in it. */
struct pd_call {
	struct pd_function fn;
	const char *file; /* "" = not known */
	uint64_t file_index;
	uint32_t line;
};

struct pd_place {
	uint64_t addr;
	/* Found in the debug info: */
	struct pd_call *call; /* malloc'ed, leaf first; the last is the real function. NULL: see `file` */
	unsigned n;
	uint64_t low;     /* the real function's first address */
	const char *file; /* of the line table; "" = not known */
	uint32_t line;
	/* While searching: */
	uint64_t unit; /* offset of its first entry; 0 = none */
	int32_t leaf;
	uint64_t span;
};

#define PD_FUNCTIONS 1024

struct pd_function_memo {
	uint64_t die; /* 0 = empty */
	struct pd_function f;
};

struct pd_dwarf {
	struct pd_dwarf *alt; /* shared debug info (.gnu_debugaltlink), or NULL */
	struct pd_strings *strings;
	const bool *cancel;
	const char *binary;  /* path of the binary; NULL = not known */
	uint64_t fuel;       /* entries that may still be read */
	bool split;           /* the file is a .dwo */
	uint64_t base, high; /* of a split unit of one piece: what its ranges are counted from, and their end */
	struct pd_sparse image;
	Elf *elf;
	Dwarf *dw;
	Dwarf_CU *whole; /* the unit that is filled whole */
	size_t grown;    /* bytes that libdw has taken, about */
	struct pd_function_memo *memo;
};

/* Begin and end the reading of a file. False = no memory. */
bool pd_dwarf_open(struct pd_dwarf *d, const struct pd_elf *e, struct pd_strings *strings);
void pd_dwarf_close(struct pd_dwarf *d);

/* Look up n places, ordered by address. Frees nothing: `call` of each is the caller's. */
void pd_dwarf_lookup(struct pd_dwarf *d, struct pd_place *place, size_t n);

/* --- between the files of the reader --- */

/* One step of work; false when there was too much of it or nobody waits any more. */
static inline bool pd_fuel(struct pd_dwarf *d)
{
	return d->fuel && --d->fuel;
}

/* Let libdw begin (again), and give each unit's first entry to fn (may be NULL). */
typedef void pd_unit_fn(void *arg, Dwarf_Die *root);
bool pd_units_read(struct pd_dwarf *d, pd_unit_fn *fn, void *arg);
/* Have an entry of any unit, or the whole of its unit. False = too large. */
void pd_die_need(struct pd_dwarf *d, Dwarf_Die *die);
bool pd_unit_need(struct pd_dwarf *d, Dwarf_Die *die);

/* Of an entry's attribute: the number, or 0; the text, false = none, or longer; the entry referred to. */
uint64_t pd_die_number(Dwarf_Die *die, unsigned at);
bool pd_die_text(struct pd_dwarf *d, Dwarf_Die *die, unsigned at, char *buf, size_t n);
bool pd_die_ref(struct pd_dwarf *d, Dwarf_Die *die, unsigned at, Dwarf_Die *to);

/* Step to the next sibling; false = there is none, or too much was read. */
bool pd_die_next(struct pd_dwarf *d, Dwarf_Die *die);

typedef void pd_range_fn(void *arg, uint64_t lo, uint64_t hi);
/* Each address range of an entry; dead ones (dropped by the linker) are left out. */
void pd_die_ranges(struct pd_dwarf *d, Dwarf_Die *die, pd_range_fn *fn, void *arg);

/* Index of the first of n places, ordered by address, at or after addr. */
size_t pd_place_first(struct pd_place *const *place, size_t n, uint64_t addr);

/* Fill in the calls of the places of one unit, but for their files and the line of the first. */
void pd_scope_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n);
/* The same from the unit's .dwo file; false = there is none. */
bool pd_split_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n);
/* The function an entry stands for; at most `depth` functions within one another are named. */
struct pd_function pd_function_get(struct pd_dwarf *d, Dwarf_Die *die, unsigned depth);
/* Fill in file and line, the files of all calls too. */
void pd_line_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n);

#endif
