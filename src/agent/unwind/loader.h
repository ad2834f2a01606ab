/* What the dynamic loader has loaded, and copies of its memory. Ordinary threads, one at a time. */
#ifndef PD_UNWIND_LOADER_H
#define PD_UNWIND_LOADER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One loaded ELF object. Pointers lead into the list it is in. */
struct pd_object {
	uint64_t bias;
	const char *name; /* as the loader knows it; "" = the program itself */
	const Elf64_Phdr *ph;
	size_t phs;
};

struct pd_object_list {
	unsigned long long adds, subs; /* the loader's counters for this list */
	size_t n;
	struct pd_object *object;
	void *memory;
};

/* 1: *list is new. 0: nothing has changed since the counters in *list, which is left alone. -errno. */
int pd_loader_list(struct pd_object_list *list);
void pd_loader_free(struct pd_object_list *list);

/* Copy n bytes at addr to `to`; false when they are not there (any more). */
bool pd_loader_read(uint64_t addr, void *to, size_t n);
/* The same into new memory from pd_pages_take. */
unsigned char *pd_loader_copy(uint64_t addr, size_t n);

/* Path of the file mapped at addr, without " (deleted)". False when there is none, or no room. */
bool pd_loader_path(uint64_t addr, char *to, size_t room);

#endif
