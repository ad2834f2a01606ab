/* Capped memory that is handed out in a bump and given back as a whole: no malloc, usable in a handler. */
#ifndef PD_BASE_ARENA_H
#define PD_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A budget is shared by arenas: bytes taken may not pass the cap. One arena is one reserved range of
 * address space (PROT_NONE, MAP_NORESERVE) whose pages are opened in steps, so addresses never move.
 */
struct pd_budget {
	uint64_t cap;   /* bytes; 0 = nothing may be taken */
	uint64_t taken; /* bytes opened by all arenas of this budget */
	struct pd_budget *outer; /* what is taken is taken from this one, too; NULL = none */
};

struct pd_arena {
	struct pd_budget *budget;
	unsigned char *base;
	size_t reserved; /* bytes of address space */
	size_t opened;   /* bytes readable and writable, a multiple of the step */
	size_t used;
};

/* Reserve `reserve` bytes of address space. 0 or -ENOMEM. Not for handlers. */
int pd_arena_open(struct pd_arena *a, struct pd_budget *budget, size_t reserve);

/* n zeroed bytes aligned to 16, or NULL: over the cap, or out of memory. Signal-safe and lock-free:
 * mprotect at most once for each step that others open meanwhile. */
void *pd_arena_take(struct pd_arena *a, size_t n);

/* Give all of it back; nobody may use any of it any more. Not for handlers. */
void pd_arena_close(struct pd_arena *a);

#endif
