/* dl_iterate_phdr and reads of this process's memory. Knows nothing of what the objects hold. */
#include "agent/unwind/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "agent/os/os.h"
#include "agent/unwind/machine.h"
#include "agent/unwind/pages.h"

/* One pass over the loader's list, which it keeps locked: only copies into room made before. */
struct pass {
	struct pd_object_list *list;
	bool vdso;           /* seen */
	size_t objects, phs, chars; /* needed */
	size_t room_objects, room_phs, room_chars;
	Elf64_Phdr *ph;
	char *name;
};

static void add_object(struct pass *p, uint64_t bias, const char *name, const Elf64_Phdr *ph, size_t phs)
{
	size_t chars = strlen(name) + 1;
	bool fits = p->objects < p->room_objects && p->phs + phs <= p->room_phs && p->chars + chars <= p->room_chars;
	if (fits) {
		Elf64_Phdr *to = p->ph + p->phs;
		char *to_name = p->name + p->chars;
		memcpy(to, ph, phs * sizeof(*ph));
		memcpy(to_name, name, chars);
		p->list->object[p->objects] = (struct pd_object){ .bias = bias, .name = to_name, .ph = to, .phs = phs };
	}
	p->objects++;
	p->phs += phs;
	p->chars += chars;
}

static bool has_counters(size_t size)
{
	return size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(unsigned long long);
}

static int take_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pass *p = arg;
	if (p->objects == 0 && has_counters(size)) {
		p->list->adds = info->dlpi_adds;
		p->list->subs = info->dlpi_subs;
	}
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		if (ph->p_type == PT_LOAD && vdso - (info->dlpi_addr + ph->p_vaddr) < ph->p_memsz)
			p->vdso = true;
	}
	add_object(p, info->dlpi_addr, info->dlpi_name ? info->dlpi_name : "", info->dlpi_phdr, info->dlpi_phnum);
	return 0;
}

/* Static programs may not list the kernel's object. */
static void add_vdso(struct pass *p)
{
	uint64_t at = getauxval(AT_SYSINFO_EHDR);
	if (!at || p->vdso)
		return;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)at;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(at + eh->e_phoff);
	for (size_t i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		add_object(p, at + ph[i].p_offset - ph[i].p_vaddr, "[vdso]", ph, eh->e_phnum);
		return;
	}
}

/* The first object tells the counters. */
static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct pd_object_list *list = arg;
	return has_counters(size) && list->adds == info->dlpi_adds && list->subs == info->dlpi_subs ? 1 : 2;
}

static bool unchanged(struct pd_object_list *list)
{
	pd_loader_lock();
	bool same = list->memory && dl_iterate_phdr(look, list) == 1;
	pd_loader_unlock();
	return same;
}

int pd_loader_list(struct pd_object_list *list)
{
	if (unchanged(list))
		return 0;
	size_t objects = 32, phs = 32 * 12, chars = 4096;
	for (;;) {
		size_t ph_at = objects * sizeof(struct pd_object), name_at = ph_at + phs * sizeof(Elf64_Phdr);
		unsigned char *memory = pd_pages_take(name_at + chars);
		if (!memory)
			return -ENOMEM;
		struct pd_object_list fresh = { .object = (struct pd_object *)memory };
		struct pass p = { .list = &fresh, .room_objects = objects, .room_phs = phs };
		p.room_chars = chars;
		p.ph = (Elf64_Phdr *)(memory + ph_at);
		p.name = (char *)memory + name_at;
		pd_loader_lock();
		dl_iterate_phdr(take_object, &p);
		pd_loader_unlock();
		add_vdso(&p);
		if (p.objects <= objects && p.phs <= phs && p.chars <= chars) {
			pd_pages_give(list->memory);
			fresh.n = p.objects;
			fresh.memory = memory;
			*list = fresh;
			return 1;
		}
		pd_pages_give(memory);
		objects = p.objects + 8;
		phs = p.phs + 96;
		chars = p.chars + 1024;
	}
}

void pd_loader_free(struct pd_object_list *list)
{
	pd_pages_give(list->memory);
	*list = (struct pd_object_list){ 0 };
}

struct locked_read {
	uint64_t addr;
	void *to;
	size_t n;
};

/* While the loader is locked, what it lists is mapped. */
static int read_locked(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct locked_read *r = arg;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uint64_t off = r->addr - (info->dlpi_addr + ph->p_vaddr);
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_R) || off >= ph->p_memsz || r->n > ph->p_memsz - off)
			continue;
		memcpy(r->to, (const void *)r->addr, r->n);
		return 1;
	}
	return 0;
}

bool pd_loader_read(uint64_t addr, void *to, size_t n)
{
	if (pd_read_self(addr, to, n))
		return true;
	if (pd_read_self_works())
		return false;
	struct locked_read r = { .addr = addr, .to = to, .n = n };
	pd_loader_lock();
	bool done = dl_iterate_phdr(read_locked, &r) == 1;
	pd_loader_unlock();
	return done;
}

unsigned char *pd_loader_copy(uint64_t addr, size_t n)
{
	unsigned char *p = pd_pages_take(n);
	if (p && pd_loader_read(addr, p, n))
		return p;
	pd_pages_give(p);
	return NULL;
}

/* Lines of /proc/self/maps as they come out of reads. */
static bool mapped_file(char *line, uint64_t addr, char *to, size_t room)
{
	char *dash, *after;
	uint64_t lo = strtoull(line, &dash, 16);
	if (*dash != '-')
		return false;
	uint64_t hi = strtoull(dash + 1, &after, 16);
	const char *path = strchr(after, '/');
	if (addr < lo || addr >= hi || !path)
		return false;
	size_t len = strlen(path);
	static const char gone[] = " (deleted)";
	size_t gone_len = sizeof(gone) - 1;
	if (len > gone_len && strcmp(path + len - gone_len, gone) == 0)
		len -= gone_len;
	if (len >= room)
		return false;
	memcpy(to, path, len);
	to[len] = 0;
	return true;
}

bool pd_loader_path(uint64_t addr, char *to, size_t room)
{
	enum { ROOM = 8192 };
	char *buf = pd_pages_take(ROOM + 1);
	int fd = buf ? open("/proc/self/maps", O_RDONLY | O_CLOEXEC) : -1;
	bool found = false;
	size_t have = 0;
	ssize_t got;
	while (fd >= 0 && !found && (got = read(fd, buf + have, ROOM - have)) > 0) {
		have += (size_t)got;
		buf[have] = 0;
		char *line = buf;
		for (char *end; !found && (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			found = mapped_file(line, addr, to, room);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == ROOM)
			have = 0; /* a line longer than any path */
	}
	if (fd >= 0)
		close(fd);
	pd_pages_give(buf);
	return found;
}
