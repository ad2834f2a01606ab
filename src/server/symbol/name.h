/* From the names linkers use to those people read. */
#ifndef PD_SERVER_SYMBOL_NAME_H
#define PD_SERVER_SYMBOL_NAME_H

#include <stdbool.h>

#include "server/symbol/strings.h"

/* How a symbol is shown: demangled, without its version and what compilers put behind clones. Never "". */
const char *pd_name_shown(struct pd_strings *strings, const char *symbol);
/* Of two names of one address, whether `a` is the better one: 1, 0 = equal or -1. `told`: the debug info's; may be
 * NULL. */
int pd_name_better(const char *a, const char *b, const char *told);
/* Can it be a name? No: control characters, or nothing. */
bool pd_name_sane(const char *name);

#endif
