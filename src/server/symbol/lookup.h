/* One batch: all that the files of a module tell about some addresses of it. */
#ifndef PD_SERVER_SYMBOL_LOOKUP_H
#define PD_SERVER_SYMBOL_LOOKUP_H

#include "server/symbol/results.h"

/* Look up n addresses of the module's file (ascending, no two alike) and put every one into the cache.
 * Returns files refused, or -ECANCELED with nothing put there. */
int pd_lookup(struct pd_results *cache, uint32_t object, const struct pd_module *m, const uint64_t *addr, size_t n,
        const bool *cancel);
/* An address of which nothing is to be known. */
void pd_lookup_placeholder(struct pd_results *cache, uint32_t object, const struct pd_module *m, uint64_t addr);

#endif
