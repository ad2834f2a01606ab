/* Section headers, read from the file. Knows ELF; must not know what sections are for. */
#include "agent/unwind/elffile.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/unwind/pages.h"

static bool read_at(int fd, uint64_t at, void *to, size_t n)
{
	return at < INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* n bytes of the file in new pages, NULL when it does not have them */
static void *take_part(int fd, uint64_t at, size_t n)
{
	enum { PART_MAX = 16 << 20 };
	void *p = n && n <= PART_MAX ? pd_pages_take(n) : NULL;
	if (p && !read_at(fd, at, p, n)) {
		pd_pages_give(p);
		return NULL;
	}
	return p;
}

static bool same_object(int fd, const Elf64_Ehdr *eh, const struct pd_object *o)
{
	size_t n = o->phs * sizeof(*o->ph);
	if (eh->e_phnum != o->phs || eh->e_phentsize != sizeof(*o->ph))
		return false;
	void *ph = take_part(fd, eh->e_phoff, n);
	bool same = ph && memcmp(ph, o->ph, n) == 0;
	pd_pages_give(ph);
	return same;
}

static bool find_section(int fd, const Elf64_Ehdr *eh, const char *name, uint64_t *addr, uint64_t *len)
{
	bool found = false;
	size_t name_size = strlen(name) + 1;
	Elf64_Shdr *sh = take_part(fd, eh->e_shoff, eh->e_shnum * sizeof(*sh));
	uint64_t names_len = sh ? sh[eh->e_shstrndx].sh_size : 0;
	char *names = sh ? take_part(fd, sh[eh->e_shstrndx].sh_offset, names_len) : NULL;
	for (size_t i = 0; names && i < eh->e_shnum && !found; i++) {
		uint64_t at = sh[i].sh_name;
		if (!(sh[i].sh_flags & SHF_ALLOC) || name_size > names_len || at > names_len - name_size)
			continue;
		found = memcmp(names + at, name, name_size) == 0;
		*addr = sh[i].sh_addr;
		*len = sh[i].sh_size;
	}
	pd_pages_give(names);
	pd_pages_give(sh);
	return found;
}

bool pd_elf_section(const char *path, const struct pd_object *o, const char *name, uint64_t *addr, uint64_t *len)
{
	Elf64_Ehdr eh;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool found = read_at(fd, 0, &eh, sizeof(eh)) && memcmp(eh.e_ident, ELFMAG, SELFMAG) == 0 &&
	             eh.e_shentsize == sizeof(Elf64_Shdr) && eh.e_shstrndx < eh.e_shnum && same_object(fd, &eh, o) &&
	             find_section(fd, &eh, name, addr, len);
	close(fd);
	return found;
}
