/* Knows which module an address belonged to at a time. Must not know files. */
#include "base/atomic.h"
#include "server/symbol/symbol.h"

/* Where the page of an address was found last. Only a hint, checked before it is believed. */
#define HINTS 1024
static uint32_t hint[HINTS];

static bool holds(const struct pd_module *m, uint64_t pc, uint32_t epoch)
{
	return pc >= m->start && pc < m->end && epoch >= m->from && epoch <= m->until;
}

const struct pd_module *pd_module_find(const struct pd_module *const *modules, size_t n, uint64_t pc, uint32_t epoch)
{
	uint32_t *h = &hint[(pc >> 12) % HINTS];
	uint32_t last = pd_load_relaxed(h);
	if (last < n && holds(modules[last], pc, epoch))
		return modules[last];
	for (size_t i = 0; i < n; i++) {
		if (!holds(modules[i], pc, epoch))
			continue;
		pd_store_relaxed(h, (uint32_t)i);
		return modules[i];
	}
	return NULL;
}
