/* The list of modules, past and present, and the epochs they hold for. Must not know walks or snapshots. */
#include "agent/unwind/modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "agent/unwind/elffile.h"
#include "agent/unwind/identity.h"
#include "agent/unwind/pages.h"
#include "base/atomic.h"

#define PAGE ((uint64_t)4096)
enum { PATH_ROOM = 4352, LOADS_MAX = 32 };

static struct {
	struct pd_arena arena; /* entries, strings, arrays of pointers */
	const struct pd_module **list;
	size_t n, room;
	uint32_t epoch;
	uint32_t pass;
} modules;

int pd_modules_open(struct pd_budget *budget)
{
	memset(&modules, 0, sizeof(modules));
	return pd_arena_open(&modules.arena, budget, (size_t)64 << 20);
}

void pd_modules_close(void)
{
	for (size_t i = 0; i < modules.n; i++)
		pd_pages_give(pd_entry_of(modules.list[i])->table);
	pd_arena_close(&modules.arena);
	memset(&modules, 0, sizeof(modules));
}

size_t pd_modules_list(const struct pd_module *const **list)
{
	size_t n = pd_load_acquire(&modules.n);
	*list = pd_load_acquire(&modules.list);
	return n;
}

uint32_t pd_modules_epoch(void)
{
	return pd_load_relaxed(&modules.epoch);
}

static const char *keep_string(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = pd_arena_take(&modules.arena, n);
	return p ? memcpy(p, s, n) : NULL;
}

static bool room_for_one(void)
{
	if (modules.n < modules.room)
		return true;
	size_t room = modules.room ? 2 * modules.room : 64;
	const struct pd_module **list = pd_arena_take(&modules.arena, room * sizeof(*list));
	if (!list)
		return false;
	if (modules.n)
		memcpy(list, modules.list, modules.n * sizeof(*list));
	pd_store_release(&modules.list, list);
	modules.room = room;
	return true;
}

static bool is_code(const Elf64_Phdr *ph)
{
	return ph->p_type == PT_LOAD && (ph->p_flags & PF_X) && ph->p_memsz;
}

/* The module that one executable segment would be, without strings. */
static struct pd_module segment(const struct pd_object *o, const Elf64_Phdr *ph, const struct pd_identity *id)
{
	struct pd_module m = { .bias = o->bias, .until = UINT32_MAX, .loaded = true };
	m.start = (o->bias + ph->p_vaddr) & ~(PAGE - 1);
	m.end = (o->bias + ph->p_vaddr + ph->p_memsz + PAGE - 1) & ~(PAGE - 1);
	m.offset = ph->p_offset & ~(PAGE - 1);
	memcpy(m.build_id, id->build_id, sizeof(m.build_id));
	m.build_id_len = id->build_id_len;
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	for (size_t i = 0; i < o->phs; i++)
		if (vdso && o->ph[i].p_type == PT_LOAD && vdso - (o->bias + o->ph[i].p_vaddr) < o->ph[i].p_memsz)
			m.is_vdso = true;
	return m;
}

static struct pd_entry *find(const struct pd_module *m, const char *name, uint64_t mark)
{
	for (size_t i = modules.n; i-- > 0;) {
		struct pd_entry *e = pd_entry_of(modules.list[i]);
		bool same_place = e->m.start == m->start && e->m.end == m->end && e->m.offset == m->offset;
		bool same_id = e->mark == mark && e->m.build_id_len == m->build_id_len &&
		               memcmp(e->m.build_id, m->build_id, sizeof(m->build_id)) == 0;
		if (same_place && same_id && e->m.until == UINT32_MAX && e->m.bias == m->bias &&
		    strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

/* Epochs of a new module: after those of whatever was at its addresses before. */
static void displace(struct pd_module *m, bool *raised)
{
	for (size_t i = 0; i < modules.n; i++) {
		struct pd_entry *e = pd_entry_of(modules.list[i]);
		if (e->m.start >= m->end || e->m.end <= m->start || e->m.loaded)
			continue;
		if (e->m.until == UINT32_MAX) {
			if (!*raised)
				pd_store_release(&modules.epoch, modules.epoch + 1);
			*raised = true;
			pd_store_relaxed(&e->m.until, modules.epoch - 1);
		}
		if (m->from < e->m.until + 1)
			m->from = e->m.until + 1;
	}
}

static const char *path_of(const struct pd_module *m, const char *name)
{
	char path[PATH_ROOM];
	if (m->is_vdso)
		return "[vdso]";
	/* The name of the file itself, as /proc/self/maps has it, not of a link to it. */
	if (*name == '/')
		return keep_string(realpath(name, path) ? path : name);
	if (pd_loader_path(m->start, path, sizeof(path)))
		return keep_string(path);
	return keep_string(name);
}

static struct pd_entry *add(const struct pd_object *o, struct pd_module *m, uint64_t mark, bool *raised)
{
	if (!room_for_one())
		return NULL;
	struct pd_entry *e = pd_arena_take(&modules.arena, sizeof(*e));
	const char *name = e ? keep_string(o->name) : NULL;
	m->path = name ? path_of(m, name) : NULL;
	if (!m->path)
		return NULL;
	displace(m, raised);
	*e = (struct pd_entry){ .m = *m, .name = name, .mark = mark };
	modules.list[modules.n] = &e->m;
	pd_store_release(&modules.n, modules.n + 1);
	return e;
}

static struct pd_table *make_table(const struct pd_object *o, const char *path)
{
	struct pd_span load[LOADS_MAX];
	struct pd_table_source from = { .text_lo = UINT64_MAX, .load = load };
	for (size_t i = 0; i < o->phs; i++) {
		const Elf64_Phdr *ph = &o->ph[i];
		struct pd_span at = { o->bias + ph->p_vaddr, o->bias + ph->p_vaddr + ph->p_memsz };
		if (ph->p_type == PT_GNU_EH_FRAME) {
			from.hdr = at.lo;
			from.hdr_len = ph->p_memsz;
		}
		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_R) && from.loads < LOADS_MAX)
			load[from.loads++] = (struct pd_span){ at.lo, at.lo + ph->p_filesz };
		if (!is_code(ph))
			continue;
		from.text_lo = at.lo < from.text_lo ? at.lo : from.text_lo;
		from.text_hi = at.hi > from.text_hi ? at.hi : from.text_hi;
	}
	/* static programs have no header for .eh_frame */
	if (!from.hdr_len && pd_elf_section(path, o, ".eh_frame", &from.eh, &from.eh_len))
		from.eh += o->bias;
	return pd_table_build(&from);
}

/* Entries of what the list holds and the entries know; they become part of this pass. */
static void mark_known(const struct pd_object *o)
{
	struct pd_identity id;
	pd_identify(o, &id);
	for (size_t i = 0; i < o->phs; i++) {
		if (!is_code(&o->ph[i]))
			continue;
		struct pd_module m = segment(o, &o->ph[i], &id);
		struct pd_entry *e = find(&m, o->name, id.mark);
		if (e)
			e->pass = modules.pass;
	}
}

static void add_unknown(const struct pd_object *o, bool *raised)
{
	struct pd_identity id;
	struct pd_entry *owner = NULL;
	pd_identify(o, &id);
	for (size_t i = 0; i < o->phs; i++) {
		if (!is_code(&o->ph[i]))
			continue;
		struct pd_module m = segment(o, &o->ph[i], &id);
		struct pd_entry *e = find(&m, o->name, id.mark);
		if (!e)
			e = add(o, &m, id.mark, raised);
		if (!e)
			continue;
		e->pass = modules.pass;
		pd_store_relaxed(&e->m.loaded, true);
		owner = owner ? owner : e;
		e->owner = owner;
	}
	if (owner && !owner->tried && !owner->table) {
		owner->tried = true;
		owner->table = make_table(o, owner->m.path);
	}
}

bool pd_modules_update(const struct pd_object_list *list)
{
	bool gone = false, raised = false;
	modules.pass++;
	for (size_t i = 0; i < list->n; i++)
		mark_known(&list->object[i]);
	for (size_t i = 0; i < modules.n; i++) {
		struct pd_entry *e = pd_entry_of(modules.list[i]);
		if (!e->m.loaded || e->pass == modules.pass)
			continue;
		pd_store_relaxed(&e->m.loaded, false);
		e->tried = false;
		gone = true;
	}
	for (size_t i = 0; i < list->n; i++)
		add_unknown(&list->object[i], &raised);
	return gone;
}

void pd_modules_retire(void)
{
	for (size_t i = 0; i < modules.n; i++) {
		struct pd_entry *e = pd_entry_of(modules.list[i]);
		if (e->m.loaded || !e->table)
			continue;
		pd_pages_retire(e->table);
		e->table = NULL;
	}
}
