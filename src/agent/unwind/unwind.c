/* Opening, closing and keeping tables current. Knows loader, modules and snapshots; must not know how to walk. */
#include "agent/unwind/unwind.h"

#include <pthread.h>

#include "agent/unwind/loader.h"
#include "agent/unwind/modules.h"
#include "agent/unwind/pages.h"
#include "agent/unwind/rule.h"
#include "agent/unwind/snapshot.h"

static struct {
	pthread_mutex_t lock;
	bool open;
	bool stale;   /* the list is newer than what is published */
	bool removed; /* since the last publishing */
	struct pd_object_list list;
} unwind = { .lock = PTHREAD_MUTEX_INITIALIZER };

int pd_unwind_open(struct pd_budget *budget)
{
	pd_pages_open(budget);
	int err = pd_rules_open(budget);
	if (err)
		return err;
	err = pd_modules_open(budget);
	if (err) {
		pd_rules_close();
		return err;
	}
	unwind.open = true;
	return 0;
}

void pd_unwind_close(void)
{
	/* In a forked child the lock may be held by a thread that is no more. */
	pthread_mutex_init(&unwind.lock, NULL);
	if (!unwind.open)
		return;
	unwind.open = unwind.stale = unwind.removed = false;
	pd_ranges_close();
	/* Threads of the host may be in a hook of ours. One that does not get on is left the tables. */
	if (!pd_walks_end()) {
		unwind.list = (struct pd_object_list){ 0 };
		return;
	}
	pd_pages_reclaim(true);
	pd_loader_free(&unwind.list);
	pd_modules_close();
	pd_rules_close();
}

void pd_unwind_forked(void)
{
	/* Whatever the parent's threads were at: nothing of it is touched, and nothing is given back. */
	pthread_mutex_init(&unwind.lock, NULL);
	unwind.open = unwind.stale = unwind.removed = false;
	unwind.list = (struct pd_object_list){ 0 };
	pd_ranges_forget();
	pd_walks_forked();
}

static uint32_t collect(struct pd_range *range)
{
	const struct pd_module *const *list;
	size_t n = pd_modules_list(&list);
	uint32_t got = 0;
	for (size_t i = 0; i < n; i++) {
		const struct pd_module *m = list[i];
		if (!m->loaded)
			continue;
		uint32_t at = got++;
		for (; at && range[at - 1].lo > m->start; at--)
			range[at] = range[at - 1];
		range[at] = (struct pd_range){ m->start, m->end, pd_entry_of(m)->owner->table };
	}
	return got;
}

static bool publish(void)
{
	const struct pd_module *const *list;
	size_t n = pd_modules_list(&list);
	struct pd_range *range = pd_pages_take(n * sizeof(*range));
	if (!range)
		return false;
	int err = pd_ranges_publish(range, collect(range), unwind.removed);
	pd_pages_give(range);
	if (err)
		return false;
	unwind.stale = unwind.removed = false;
	pd_modules_retire();
	return true;
}

void pd_unwind_refresh(void)
{
	enum { TRIES = 3 }; /* the loader may go on while tables are made */
	pthread_mutex_lock(&unwind.lock);
	for (int i = 0; unwind.open && i < TRIES; i++) {
		int changed = pd_loader_list(&unwind.list);
		if (changed > 0) {
			unwind.stale = true;
			unwind.removed |= pd_modules_update(&unwind.list);
		}
		if (!unwind.stale || !publish())
			break;
	}
	pd_pages_reclaim(false);
	pthread_mutex_unlock(&unwind.lock);
}

uint32_t pd_unwind_epoch(void)
{
	return pd_modules_epoch();
}

uint32_t pd_unwind_generation(void)
{
	return pd_ranges_generation();
}

size_t pd_unwind_modules(const struct pd_module *const **list)
{
	return pd_modules_list(list);
}

void pd_unwind_stats(struct pd_unwind_stats *out)
{
	const struct pd_module *const *list;
	pthread_mutex_lock(&unwind.lock);
	*out = (struct pd_unwind_stats){ .rules = pd_rule_count(), .bytes = pd_pages_taken() };
	size_t n = pd_modules_list(&list);
	for (size_t i = 0; i < n; i++) {
		const struct pd_table *t = pd_entry_of(list[i])->table;
		if (!t)
			continue;
		out->tables++;
		out->rows += t->rows;
		out->text += t->hi - t->lo;
	}
	pthread_mutex_unlock(&unwind.lock);
}
