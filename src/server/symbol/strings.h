/* Memory that is given back as a whole, and strings kept once in it. */
#ifndef PD_SERVER_SYMBOL_STRINGS_H
#define PD_SERVER_SYMBOL_STRINGS_H

#include <stddef.h>
#include <stdint.h>

struct pd_block;

struct pd_strings {
	struct pd_block *block;
	const char **slot; /* hash table of the strings */
	size_t nslot, nstring;
	size_t bytes; /* all memory taken */
};

/* n bytes, aligned to 8; NULL = no memory. They never move. */
void *pd_strings_take(struct pd_strings *s, size_t n);
/* The one copy of a string; without memory "?". */
const char *pd_strings_keep(struct pd_strings *s, const char *text);
void pd_strings_free(struct pd_strings *s);

#endif
