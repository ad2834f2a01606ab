/* Names of files, joined and cleaned as text only: nothing is looked up. */
#ifndef PD_SERVER_SYMBOL_PATH_H
#define PD_SERVER_SYMBOL_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define PD_PATH 8192

/* base/dir/name, where an absolute part makes those before it void; without "//", "." and "..". What is relative
 * stays relative. False = does not fit. */
bool pd_path_join(char out[PD_PATH], const char *base, const char *dir, const char *name);
/* Behind the last slash. */
const char *pd_path_last(const char *path);

#endif
