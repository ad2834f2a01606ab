/* Which objects are and were loaded. Ordinary threads, one at a time. */
#ifndef PD_UNWIND_MODULES_H
#define PD_UNWIND_MODULES_H

#include "agent/unwind/loader.h"
#include "agent/unwind/table.h"
#include "agent/unwind/unwind.h"
#include "base/arena.h"

/* A module and what belongs to it. Entries are made once and stay. */
struct pd_entry {
	struct pd_module m;     /* first, so that the list of modules is one of entries too */
	const char *name;       /* as the loader knows it */
	uint64_t mark;          /* tells apart objects without a build id that came from one path */
	struct pd_entry *owner; /* entry of the object's first executable segment; it holds the table */
	struct pd_table *table; /* NULL = none */
	bool tried;             /* to make a table since it was loaded */
	uint32_t pass;          /* the last listing it was in */
};

int pd_modules_open(struct pd_budget *budget);
void pd_modules_close(void);

/* Make entries and tables say what the list says. True when some address means something else, or nothing, now; the
 * tables of what is gone are still there for the walks under way. */
bool pd_modules_update(const struct pd_object_list *list);
/* Let go of the tables of what is gone, which must not be published any more. */
void pd_modules_retire(void);
/* All of them, in the order they were first seen. The array stays valid. */
size_t pd_modules_list(const struct pd_module *const **list);
uint32_t pd_modules_epoch(void);

static inline struct pd_entry *pd_entry_of(const struct pd_module *m)
{
	return (struct pd_entry *)m;
}

#endif
