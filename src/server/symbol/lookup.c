/* Knows how symbol tables and debug info together make frames. Must not know how either is read. */
#include "server/symbol/lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "server/symbol/dwarf.h"
#include "server/symbol/find.h"
#include "server/symbol/name.h"
#include "server/symbol/path.h"
#include "server/symbol/table.h"

#define BATCH 4096 /* addresses at a time: bounds the memory that searching takes */

static const char *placeholder_name(struct pd_strings *strings, const struct pd_module *m, uint64_t addr)
{
	char name[PD_PATH];
	if (!m)
		snprintf(name, sizeof(name), "0x%lx", (unsigned long)addr);
	else
		snprintf(name, sizeof(name), "%.4000s+0x%lx", m->path[0] ? pd_path_last(m->path) : "[anon]",
		        (unsigned long)addr);
	return pd_strings_keep(strings, name);
}

static void one_frame(struct pd_results *cache, uint32_t object, uint64_t addr, uint64_t entry,
        const struct pd_frame *f, bool placeholder)
{
	struct pd_frame *to;
	struct pd_result *r = pd_results_add(cache, object, addr, 1, &to);
	if (!r)
		return;
	*to = *f;
	r->entry = entry;
	r->placeholder = placeholder;
	cache->unresolved += placeholder;
}

void pd_lookup_placeholder(struct pd_results *cache, uint32_t object, const struct pd_module *m, uint64_t addr)
{
	const char *name = placeholder_name(&cache->strings, m, addr);
	struct pd_frame f = { .name = name, .system_name = name, .file = "" };
	one_frame(cache, object, addr, 0, &f, true);
}

/* The symbol names the real function, for it says what code is there; debug info fills in the rest. */
static void result_put(struct pd_results *cache, uint32_t object, const struct pd_module *m, const struct pd_elf *e,
        const struct pd_place *p, const struct pd_named *named)
{
	struct pd_strings *strings = &cache->strings;
	bool symbol = named->name && (named->exact || !p->n || !p->call[p->n - 1].fn.name);
	const char *system = symbol ? named->name : p->n ? p->call[p->n - 1].fn.system : NULL;
	if (!p->n || !system) {
		/* All places in a function of no name are to have one name. */
		uint64_t entry = system ? named->entry : pd_function_start(e, p->addr);
		const char *name = system ? pd_name_shown(strings, system)
		                          : placeholder_name(strings, m, entry ? entry : p->addr);
		struct pd_frame f = { name, system ? system : name, p->file, p->line, 0, false };
		one_frame(cache, object, p->addr, entry, &f, !system);
		return;
	}
	struct pd_frame *to;
	struct pd_result *r = pd_results_add(cache, object, p->addr, p->n, &to);
	if (!r)
		return;
	r->entry = symbol ? named->entry : p->low;
	const char *told = p->call[p->n - 1].fn.system, *shown = symbol ? pd_name_shown(strings, system) : NULL;
	for (unsigned i = 0; i < p->n; i++) {
		const struct pd_call *c = &p->call[i];
		bool inlined = i + 1 < p->n;
		const char *plain = c->fn.name ? c->fn.name : "inlined";
		to[i] = (struct pd_frame){ plain, c->fn.system ? c->fn.system : plain, c->file, c->line, c->fn.line,
			inlined };
		/* A function inlined into itself, as a part of it may be, has one name. */
		if (symbol && (!inlined || (told && c->fn.system && !strcmp(c->fn.system, told)))) {
			to[i].system_name = system;
			to[i].name = shown;
		}
	}
}

static void symbols_lookup(const struct pd_files *f, struct pd_named *named, size_t n, struct pd_strings *strings)
{
	pd_plt_lookup(&f->main, named, n, strings);
	const struct pd_elf *full = f->main.sec[PD_SEC_SYMTAB].size ? &f->main : &f->debug;
	pd_table_lookup(full, PD_SEC_SYMTAB, named, n, strings);
	pd_table_lookup(&f->main, PD_SEC_DYNSYM, named, n, strings);
	pd_table_lookup(&f->mini, PD_SEC_SYMTAB, named, n, strings);
}

static void dwarf_lookup(const struct pd_module *m, const struct pd_files *f, struct pd_place *place, size_t n,
        struct pd_strings *strings, const bool *cancel)
{
	const struct pd_elf *e = pd_files_dwarf(f);
	struct pd_dwarf d, alt = { 0 };
	if (!e)
		return;
	if (pd_dwarf_open(&d, e, strings)) {
		d.cancel = cancel;
		d.binary = m->path;
		if (f->alt.sec[PD_SEC_INFO].size && pd_dwarf_open(&alt, &f->alt, strings))
			d.alt = &alt;
		pd_dwarf_lookup(&d, place, n);
	}
	pd_dwarf_close(&alt);
	pd_dwarf_close(&d);
}

static bool cancelled(const bool *cancel)
{
	return cancel && pd_load_relaxed(cancel);
}

static int batch(struct pd_results *cache, uint32_t object, const struct pd_module *m, const struct pd_files *f,
        const uint64_t *addr, size_t n, const bool *cancel)
{
	int rc = -ECANCELED;
	struct pd_place *place = calloc(n, sizeof(*place));
	struct pd_named *named = calloc(n, sizeof(*named));
	if (!place || !named)
		goto out;
	for (size_t i = 0; i < n; i++) {
		place[i] = (struct pd_place){ .addr = addr[i], .file = "" };
		named[i].addr = addr[i];
	}
	dwarf_lookup(m, f, place, n, &cache->strings, cancel);
	for (size_t i = 0; i < n; i++)
		named[i].told = place[i].n ? place[i].call[place[i].n - 1].fn.system : NULL;
	if (!cancelled(cancel))
		symbols_lookup(f, named, n, &cache->strings);
	/* A file that is being written over reads as a mixture of both: believe none of it. */
	bool mixed = pd_files_changed(f);
	for (size_t i = 0; i < n && !cancelled(cancel); i++) {
		if (mixed)
			pd_lookup_placeholder(cache, object, m, addr[i]);
		else
			result_put(cache, object, m, &f->main, &place[i], &named[i]);
		rc = mixed;
	}
	for (size_t i = 0; i < n; i++)
		free(place[i].call);
out:
	free(place);
	free(named);
	return rc;
}

int pd_lookup(struct pd_results *cache, uint32_t object, const struct pd_module *m, const uint64_t *addr, size_t n,
        const bool *cancel)
{
	struct pd_files f;
	int refused = 0;
	if (!pd_files_open(&f, m)) {
		for (size_t i = 0; i < n; i++)
			pd_lookup_placeholder(cache, object, m, addr[i]);
		return (int)f.refused;
	}
	for (size_t i = 0; i < n; i += BATCH) {
		int rc = batch(cache, object, m, &f, addr + i, n - i < BATCH ? n - i : BATCH, cancel);
		if (rc < 0) {
			refused = rc;
			break;
		}
		refused += rc;
	}
	if (refused >= 0)
		refused += (int)f.refused;
	pd_files_close(&f);
	return refused;
}
