/*
 * Stacks and label sets as small ids, and tables of counters over them. Lock-free and signal-safe to add to;
 * nothing is removed until the whole table is closed.
 */
#ifndef PD_AGENT_STACK_H
#define PD_AGENT_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/arena.h"

/*
 *            add/add   add/read   close
 * add           -         -         X        - free   X the caller must exclude
 * read          -         -         X
 * Entries are pushed on a bucket's list by one compare-and-swap and never removed or moved, so no ABA.
 */
struct pd_table {
	struct pd_arena arena;
	uint32_t *stack_bucket, *row_bucket; /* ids of the first entry, 0 = none */
	uint32_t mask;
	uint32_t stacks, rows; /* how many there are */
};

/* A table that may grow to the budget's cap. 0 or -errno. Not for handlers. */
int pd_table_open(struct pd_table *t, struct pd_budget *budget);
void pd_table_close(struct pd_table *t);

/* Id of a stack (n frames, leaf first), PD_STACK_OVERFLOW when there is no room. Signal-safe. */
uint32_t pd_table_stack(struct pd_table *t, const uint64_t *pc, uint32_t n, uint32_t epoch, uint32_t flags);
/* False when id is none of the table's. */
bool pd_table_stack_get(const struct pd_table *t, uint32_t id, struct pd_stack *out);

/* Id of the row of that key, made when needed; 0 = no room. Signal-safe. */
uint32_t pd_table_row(struct pd_table *t, const struct pd_key *key);
/* The same, but 0 when there is no such row yet. Signal-safe. */
uint32_t pd_table_row_known(const struct pd_table *t, const struct pd_key *key);
/* Add to the counters of a row. Signal-safe. */
void pd_table_count(struct pd_table *t, uint32_t row, const int64_t *value, int nvalues);
/* The row's key and its values as they are now. Signal-safe. */
void pd_table_read(const struct pd_table *t, uint32_t row, struct pd_row *out);
/* Both in one. 1: done. 0: no room, the row of (PD_STACK_OVERFLOW, 0, 0, rate) took it. -1: nor is there such a row;
 * nothing was added. Signal-safe. */
int pd_table_add(struct pd_table *t, const struct pd_key *key, const int64_t *value, int nvalues);
/* Make the overflow row for `rate` ahead. 0 or -ENOMEM. */
int pd_table_reserve(struct pd_table *t, uint64_t rate);

/* Call fn for each row. */
void pd_table_rows(const struct pd_table *t, void (*fn)(const struct pd_row *row, void *arg), void *arg);

/* ---- label sets: immutable, equal sets have equal ids, 0 = the empty set ---- */

int pd_labels_on(struct pd_budget *budget);
/* The set `base` with key=value added (an equal key replaced). 0 or -E2BIG / -ENOMEM. Signal-safe. */
int pd_labels_with(uint32_t base, const char *key, const char *value, uint32_t *out);
/* Sets that were wanted and not made because memory was used up. */
uint64_t pd_labels_refused(void);
/* Labels sorted by key; returns how many. Stays valid. */
size_t pd_labels_get(uint32_t id, const struct pd_label **out);

#endif
