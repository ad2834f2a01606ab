/* Memory for tables: whole pages charged to the budget, given back only when no walk can be using them. */
#ifndef PD_UNWIND_PAGES_H
#define PD_UNWIND_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Ordinary threads, one at a time, except where it says signal-safe. */

void pd_pages_open(struct pd_budget *budget);
/* n zeroed bytes aligned to 64, or NULL: over the budget, or out of memory. */
void *pd_pages_take(size_t n);
/* The same bytes in a larger place, NULL (and the old place is still there) when that cannot be. */
void *pd_pages_grow(void *p, size_t n);
void pd_pages_give(void *p);
/* Bytes charged now. */
size_t pd_pages_taken(void);

/* A walk is between these two; hint spreads threads over counters. Signal-safe. */
uint32_t *pd_walk_enter(uint64_t hint);
void pd_walk_leave(uint32_t *counter);

/* Wait until every walk that may have found what was unpublished before has ended; false: one still goes on after 200 ms. */
bool pd_walks_end(void);
/* In a forked child: those under way were of threads that are no more. */
void pd_walks_forked(void);

/* To be given back once every walk that may have found it has ended; it must be unpublished already. */
void pd_pages_retire(void *p);
/* Give back what was retired and is free of walks by now; all = without asking. */
void pd_pages_reclaim(bool all);

#endif
