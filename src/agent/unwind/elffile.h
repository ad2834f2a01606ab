/* What of an object is told by its file only. Ordinary threads. */
#ifndef PD_UNWIND_ELFFILE_H
#define PD_UNWIND_ELFFILE_H

#include "agent/unwind/loader.h"

/* Address (without bias) and length of a loaded section of the file the object came from; false when it
 * has none such, or is another file by now. */
bool pd_elf_section(const char *path, const struct pd_object *o, const char *name, uint64_t *addr, uint64_t *len);

#endif
