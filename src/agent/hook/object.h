/* What hooks need of one loaded object. Between the files of this room. Only inside dl_iterate_phdr. */
#ifndef PD_HOOK_OBJECT_H
#define PD_HOOK_OBJECT_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pd_object {
	const struct dl_phdr_info *info;
	ElfW(Addr) base;
	const ElfW(Sym) *sym;
	const char *str;
	const ElfW(Rela) *rela[2]; /* data, then PLT */
	size_t nrela[2];
	size_t nrelative; /* the first of rela[0] that are about no symbol; all the others may be about one */
	const uint32_t *hash;     /* DT_GNU_HASH; NULL = none */
	const ElfW(Half) *version; /* DT_VERSYM; NULL = none */
	const ElfW(Verneed) *needed; /* DT_VERNEED; NULL = none */
	ElfW(Addr) relro, relro_end;
	const char *name;
};

/* False when it has no symbols. */
bool pd_object_read(const struct dl_phdr_info *info, struct pd_object *o);
/* libc and the loader keep their own calls, but where a hook says otherwise; ours must not come back to us. */
enum pd_alone { PD_ALONE_NO, PD_ALONE_LIBC, PD_ALONE_YES };
enum pd_alone pd_object_alone(const struct pd_object *o);
/* Is the address in a segment that holds code? */
bool pd_object_executable(const struct pd_object *o, const void *p);
bool pd_object_holds(const struct pd_object *o, const void *p);
/* The function of that name that the object defines for all, in its default version; NULL = none. */
void *pd_object_function(const struct pd_object *o, const char *name);

/* Does the object ask for another version of its symbol than this one (NULL = any will do)? */
bool pd_object_asks_other(const struct pd_object *o, size_t sym, const char *version);

/* Does it define that symbol itself? */
static inline bool pd_object_defines(const struct pd_object *o, size_t sym)
{
	return o->sym[sym].st_shndx != SHN_UNDEF;
}

/* As dlsym(RTLD_DEFAULT), or dlvsym for a version that is not NULL, but never the PLT entry that stands for a
 * function in a program at a fixed address: that one is put into *stub (NULL = there is none). pd_loader_lock is
 * held. */
void *pd_hook_find(const char *name, const char *version, void **stub);

#endif
