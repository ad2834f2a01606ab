/* Loaded objects read from their dynamic sections: where things lie, and which functions they define. */
#include "agent/hook/object.h"

#include <dlfcn.h>
#include <string.h>

static const void *pointer(const struct pd_object *o, ElfW(Addr) v)
{
	/* glibc has relocated these in place, but not in the vdso. */
	return (const void *)(v < o->base ? v + o->base : v); /* NOLINT */
}

bool pd_object_read(const struct dl_phdr_info *info, struct pd_object *o)
{
	*o = (struct pd_object){ .info = info, .base = info->dlpi_addr, .name = info->dlpi_name };
	const ElfW(Dyn) *dyn = NULL;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type == PT_DYNAMIC)
			dyn = (const ElfW(Dyn) *)(info->dlpi_addr + ph->p_vaddr); /* NOLINT */
		if (ph->p_type == PT_GNU_RELRO) {
			o->relro = info->dlpi_addr + ph->p_vaddr;
			o->relro_end = o->relro + ph->p_memsz;
		}
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		switch (dyn->d_tag) {
		case DT_SYMTAB: o->sym = pointer(o, dyn->d_un.d_ptr); break;
		case DT_STRTAB: o->str = pointer(o, dyn->d_un.d_ptr); break;
		case DT_RELA: o->rela[0] = pointer(o, dyn->d_un.d_ptr); break;
		case DT_RELASZ: o->nrela[0] = dyn->d_un.d_val / sizeof(ElfW(Rela)); break;
		case DT_RELACOUNT: o->nrelative = dyn->d_un.d_val; break;
		case DT_JMPREL: o->rela[1] = pointer(o, dyn->d_un.d_ptr); break;
		case DT_PLTRELSZ: o->nrela[1] = dyn->d_un.d_val / sizeof(ElfW(Rela)); break;
		case DT_GNU_HASH: o->hash = pointer(o, dyn->d_un.d_ptr); break;
		case DT_VERNEED: o->needed = pointer(o, dyn->d_un.d_ptr); break;
		case DT_VERSYM: o->version = pointer(o, dyn->d_un.d_ptr); break;
		default: break;
		}
	}
	return o->sym && o->str;
}

static const ElfW(Phdr) *segment(const struct pd_object *o, const void *p)
{
	for (int i = 0; i < o->info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &o->info->dlpi_phdr[i];
		if (ph->p_type == PT_LOAD && (uintptr_t)p - (o->base + ph->p_vaddr) < ph->p_memsz)
			return ph;
	}
	return NULL;
}

bool pd_object_holds(const struct pd_object *o, const void *p)
{
	return segment(o, p) != NULL;
}

bool pd_object_executable(const struct pd_object *o, const void *p)
{
	const ElfW(Phdr) *ph = segment(o, p);
	return ph && ph->p_flags & PF_X;
}

enum pd_alone pd_object_alone(const struct pd_object *o)
{
	static const struct {
		const char *name;
		enum pd_alone alone;
	} by_name[] = {
		{ "libc.so.6", PD_ALONE_LIBC },
		{ "ld-linux-x86-64.so.2", PD_ALONE_YES },
		{ "libpprofd-server.so", PD_ALONE_YES },
		{ "linux-vdso.so.1", PD_ALONE_YES },
	};
	const char *base = strrchr(o->name, '/');
	base = base ? base + 1 : o->name;
	for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
		if (strcmp(base, by_name[i].name) == 0)
			return by_name[i].alone;
	/* The library itself, but not a program it is linked into. */
	return o->name[0] && pd_object_holds(o, (const void *)&pd_object_alone) ? PD_ALONE_YES : PD_ALONE_NO;
}

/* Layout of the table: https://sourceware.org/legacy-ml/binutils/2006-10/msg00377.html */
void *pd_object_function(const struct pd_object *o, const char *name)
{
	if (!o->hash || !o->hash[0])
		return NULL;
	uint32_t nbuckets = o->hash[0], first = o->hash[1], words = o->hash[2], h = 5381;
	for (const char *p = name; *p; p++)
		h = h * 33 + (unsigned char)*p;
	const uint32_t *bucket = o->hash + 4 + words * (sizeof(ElfW(Addr)) / 4), *chain = bucket + nbuckets;
	uint32_t i = bucket[h % nbuckets];
	if (i < first)
		return NULL;
	for (;; i++) {
		const ElfW(Sym) *s = &o->sym[i];
		bool hidden = o->version && o->version[i] & 0x8000;
		if ((chain[i - first] | 1) == (h | 1) && s->st_shndx != SHN_UNDEF && !hidden &&
		    ELF64_ST_TYPE(s->st_info) == STT_FUNC && strcmp(o->str + s->st_name, name) == 0)
			return (void *)(o->base + s->st_value); /* NOLINT */
		if (chain[i - first] & 1)
			return NULL;
	}
}

bool pd_object_asks_other(const struct pd_object *o, size_t sym, const char *version)
{
	if (!version || !o->version || !o->needed)
		return false;
	ElfW(Half) want = o->version[sym] & 0x7fff;
	for (const ElfW(Verneed) *need = o->needed;;) {
		const ElfW(Vernaux) *aux = (const void *)((const char *)need + need->vn_aux); /* NOLINT */
		for (unsigned i = 0; i < need->vn_cnt; i++) {
			if (aux->vna_other == want)
				return strcmp(o->str + aux->vna_name, version) != 0;
			aux = (const void *)((const char *)aux + aux->vna_next); /* NOLINT */
		}
		if (!need->vn_next)
			return false;
		need = (const void *)((const char *)need + need->vn_next); /* NOLINT */
	}
}

struct find {
	const char *name;
	void *symbol, *function;
	bool in_program; /* the symbol lies in the program */
};

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct find *f = arg;
	struct pd_object o;
	bool program = !f->in_program && info->dlpi_name[0] == 0;
	if (!pd_object_read(info, &o))
		return 0;
	if (program) {
		f->in_program = pd_object_holds(&o, f->symbol);
		if (!f->in_program)
			return 1;
	}
	/* In the order in which the loader searches those that were there from the start. */
	f->function = pd_object_function(&o, f->name);
	return f->function != NULL;
}

void *pd_hook_find(const char *name, const char *version, void **stub)
{
	/* dlsym() finds the oldest version in some releases of glibc. */
	struct find f = { .name = name, .symbol = version ? dlvsym(RTLD_DEFAULT, name, version) : NULL };
	if (!f.symbol)
		f.symbol = dlsym(RTLD_DEFAULT, name);
	*stub = NULL;
	if (!f.symbol)
		return NULL;
	dl_iterate_phdr(look, &f);
	if (!f.in_program || f.function == f.symbol || !f.function)
		return f.symbol;
	*stub = f.symbol;
	return f.function;
}
