/* Knows the layout of an ELF file. Must not know which file belongs to which module, nor what sections contain. */
#include "server/symbol/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECTIONS 65536u

static const struct {
	const char *name;
	enum pd_sec sec;
} names[] = {
	{ ".debug_info", PD_SEC_INFO },
	{ ".debug_abbrev", PD_SEC_ABBREV },
	{ ".debug_line", PD_SEC_LINE },
	{ ".debug_line_str", PD_SEC_LINE_STR },
	{ ".debug_str", PD_SEC_STR },
	{ ".debug_str_offsets", PD_SEC_STR_OFFSETS },
	{ ".debug_addr", PD_SEC_ADDR },
	{ ".debug_ranges", PD_SEC_RANGES },
	{ ".debug_rnglists", PD_SEC_RNGLISTS },
	{ ".symtab", PD_SEC_SYMTAB },
	{ ".dynsym", PD_SEC_DYNSYM },
	{ ".rela.plt", PD_SEC_RELA_PLT },
	{ ".rela.dyn", PD_SEC_RELA_DYN },
	{ ".gnu_debugdata", PD_SEC_DEBUGDATA },
	{ ".gnu_debuglink", PD_SEC_DEBUGLINK },
	{ ".gnu_debugaltlink", PD_SEC_ALTLINK },
	{ ".note.gnu.build-id", PD_SEC_BUILD_ID },
	{ ".eh_frame_hdr", PD_SEC_EH_INDEX },
	{ ".eh_frame", PD_SEC_EH_FRAME },
	{ ".debug_cu_index", PD_SEC_CU_INDEX },
};

size_t pd_elf_read(const struct pd_elf *e, uint64_t off, void *buf, size_t n)
{
	if (off >= e->size)
		return 0;
	if (n > e->size - off)
		n = e->size - off;
	if (e->mem) {
		memcpy(buf, e->mem + off, n);
		return n;
	}
	size_t done = 0;
	while (done < n) {
		ssize_t r = pread(e->fd, (char *)buf + done, n - done, (off_t)(off + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	return done;
}

size_t pd_section_read(const struct pd_elf *e, const struct pd_section *s, uint64_t off, void *buf, size_t n)
{
	if (off >= s->size)
		return 0;
	if (n > s->size - off)
		n = s->size - off;
	return s->z ? pd_inflate_read(s->z, e, off, buf, n) : pd_elf_read(e, s->off + off, buf, n);
}

uint8_t *pd_section_load(const struct pd_elf *e, const struct pd_section *s, size_t max)
{
	if (!s->size || s->size > max)
		return NULL;
	uint8_t *p = malloc(s->size + 1);
	if (!p)
		return NULL;
	if (pd_section_read(e, s, 0, p, s->size) != s->size) {
		free(p);
		return NULL;
	}
	p[s->size] = 0;
	return p;
}

static bool within(const struct pd_elf *e, const Elf64_Shdr *sh)
{
	return sh->sh_type != SHT_NOBITS && sh->sh_offset < e->size && sh->sh_size <= e->size - sh->sh_offset;
}

bool pd_section_string(const struct pd_elf *e, const struct pd_section *s, uint64_t off, char *buf, size_t n)
{
	/* Most are short: a first small read. */
	for (size_t want = n < 128 ? n : 128;; want = n) {
		size_t got = pd_section_read(e, s, off, buf, want);
		if (memchr(buf, 0, got))
			return true;
		if (want == n || got < want)
			return false;
	}
}

bool pd_elf_string(const struct pd_elf *e, unsigned index, uint64_t off, char *buf, size_t n)
{
	if (index >= e->nsh || !within(e, &e->sh[index]))
		return false;
	struct pd_section s = { .size = e->sh[index].sh_size, .off = e->sh[index].sh_offset };
	return pd_section_string(e, &s, off, buf, n);
}

void pd_elf_section_name(const struct pd_elf *e, unsigned index, char *buf, size_t n)
{
	if (index >= e->nsh || !pd_elf_string(e, e->eh.e_shstrndx, e->sh[index].sh_name, buf, n))
		buf[0] = 0;
}

const Elf64_Shdr *pd_elf_code(const struct pd_elf *e, uint64_t addr)
{
	for (unsigned i = 1; i < e->nsh; i++) {
		const Elf64_Shdr *sh = &e->sh[i];
		if (sh->sh_flags & SHF_EXECINSTR && addr >= sh->sh_addr && addr - sh->sh_addr < sh->sh_size)
			return sh;
	}
	return NULL;
}

/* Sizes that a zlib stream of `stored` bytes can never reach are lies. */
static void compressed(struct pd_elf *e, struct pd_section *s, size_t header, uint64_t size)
{
	uint64_t stored = s->stored - header;
	s->size = 0;
	if (!size || size / 1040 > stored + 64)
		return;
	s->z = pd_inflate_open(e, s->off + header, stored, size);
	if (s->z)
		s->size = size;
}

static void section_add(struct pd_elf *e, unsigned index, enum pd_sec sec, bool old_zlib)
{
	const Elf64_Shdr *sh = &e->sh[index];
	struct pd_section *s = &e->sec[sec];
	if (s->size || !within(e, sh))
		return;
	*s = (struct pd_section){ .size = sh->sh_size, .off = sh->sh_offset, .stored = sh->sh_size, .index = index };
	if (old_zlib) {
		uint64_t be;
		char head[12];
		if (pd_elf_read(e, s->off, head, 12) == 12 && !memcmp(head, "ZLIB", 4)) {
			memcpy(&be, head + 4, 8);
			compressed(e, s, 12, __builtin_bswap64(be));
		} else {
			s->size = 0;
		}
	} else if (sh->sh_flags & SHF_COMPRESSED) {
		Elf64_Chdr ch;
		bool ok = pd_elf_read(e, s->off, &ch, sizeof(ch)) == sizeof(ch) && s->size > sizeof(ch);
		if (ok && ch.ch_type == ELFCOMPRESS_ZLIB)
			compressed(e, s, sizeof(ch), ch.ch_size);
		else
			s->size = 0;
	}
}

static void sections_find(struct pd_elf *e)
{
	for (unsigned i = 1; i < e->nsh; i++) {
		char name[40], *n = name;
		pd_elf_section_name(e, i, name, sizeof(name));
		bool old_zlib = !strncmp(name, ".zdebug", 7);
		if (old_zlib)
			*++n = '.';
		if (e->dwo) {
			char *dwo = strstr(n, ".dwo");
			if (dwo)
				*dwo = 0;
			else if (strcmp(n, ".debug_cu_index") != 0)
				continue;
		}
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (!strcmp(n, names[k].name))
				section_add(e, i, names[k].sec, old_zlib);
	}
}

static bool note_build_id(struct pd_elf *e, uint64_t off, uint64_t size)
{
	for (uint64_t at = 0; size >= sizeof(Elf64_Nhdr) && at <= size - sizeof(Elf64_Nhdr);) {
		struct {
			Elf64_Nhdr h;
			uint8_t data[4 + sizeof(e->build_id)];
		} n;
		size_t got = pd_elf_read(e, off + at, &n, sizeof(n));
		if (got < sizeof(n.h))
			return false;
		if (n.h.n_type == NT_GNU_BUILD_ID && n.h.n_namesz == 4 && n.h.n_descsz <= sizeof(e->build_id) &&
		        got >= sizeof(n.h) + 4 + n.h.n_descsz && !memcmp(n.data, "GNU", 4)) {
			memcpy(e->build_id, n.data + 4, n.h.n_descsz);
			e->build_id_len = (uint8_t)n.h.n_descsz;
			return n.h.n_descsz > 0;
		}
		at += sizeof(n.h) + (((uint64_t)n.h.n_namesz + 3) & ~3ull) + (((uint64_t)n.h.n_descsz + 3) & ~3ull);
	}
	return false;
}

static void build_id_find(struct pd_elf *e)
{
	const struct pd_section *s = &e->sec[PD_SEC_BUILD_ID];
	if (s->size && note_build_id(e, s->off, s->size))
		return;
	/* Debug files keep the program headers of the binary, whose offsets mean nothing in them. */
	for (unsigned i = 0; i < e->eh.e_phnum && i < 512 && e->eh.e_phentsize == sizeof(Elf64_Phdr); i++) {
		Elf64_Phdr ph;
		if (pd_elf_read(e, e->eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph)) != sizeof(ph))
			return;
		if (ph.p_type == PT_NOTE && ph.p_filesz <= 65536 && note_build_id(e, ph.p_offset, ph.p_filesz))
			return;
	}
}

static int headers_read(struct pd_elf *e)
{
	Elf64_Ehdr *h = &e->eh;
	if (pd_elf_read(e, 0, h, sizeof(*h)) != sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) ||
	        h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
		return -ENOEXEC;
	if (h->e_shoff && h->e_shentsize == sizeof(Elf64_Shdr)) {
		Elf64_Shdr first;
		if (pd_elf_read(e, h->e_shoff, &first, sizeof(first)) == sizeof(first)) {
			e->nsh = h->e_shnum ? h->e_shnum : first.sh_size < MAX_SECTIONS ? (unsigned)first.sh_size : 0;
			if (h->e_shstrndx == SHN_XINDEX)
				h->e_shstrndx = (Elf64_Half)first.sh_link;
		}
	}
	if (e->nsh) {
		e->sh = calloc(e->nsh, sizeof(Elf64_Shdr));
		if (!e->sh)
			return -ENOMEM;
		size_t got = pd_elf_read(e, h->e_shoff, e->sh, e->nsh * sizeof(Elf64_Shdr));
		e->nsh = (unsigned)(got / sizeof(Elf64_Shdr));
		sections_find(e);
	}
	build_id_find(e);
	return 0;
}

static int opened(struct pd_elf *e)
{
	int rc = headers_read(e);
	if (rc)
		pd_elf_close(e);
	return rc;
}

static int file_open(struct pd_elf *e, const char *path)
{
	/* Opening a device may do something; and a path may become a fifo meanwhile. */
	if (stat(path, &e->st))
		return -errno;
	if (!S_ISREG(e->st.st_mode))
		return -ENOEXEC;
	e->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (e->fd < 0)
		return -errno;
	if (fstat(e->fd, &e->st) || !S_ISREG(e->st.st_mode)) {
		pd_elf_close(e);
		return -ENOEXEC;
	}
	e->size = (uint64_t)e->st.st_size;
	return opened(e);
}

int pd_elf_open(struct pd_elf *e, const char *path)
{
	*e = (struct pd_elf){ .fd = -1 };
	return file_open(e, path);
}

int pd_elf_dwo(struct pd_elf *e, const char *path)
{
	*e = (struct pd_elf){ .fd = -1, .dwo = true };
	return file_open(e, path);
}

int pd_elf_memory(struct pd_elf *e, uint8_t *mem, size_t n)
{
	*e = (struct pd_elf){ .fd = -1, .mem = mem, .size = n };
	return opened(e);
}

void pd_elf_close(struct pd_elf *e)
{
	if (e->fd >= 0)
		close(e->fd);
	for (int i = 0; i < PD_SECS; i++)
		pd_inflate_close(e->sec[i].z);
	free(e->sh);
	free(e->mem);
	*e = (struct pd_elf){ .fd = -1 };
}

bool pd_elf_changed(const struct pd_elf *e)
{
	struct stat st;
	if (e->fd < 0)
		return false;
	return fstat(e->fd, &st) || st.st_size != e->st.st_size || st.st_mtim.tv_sec != e->st.st_mtim.tv_sec ||
	        st.st_mtim.tv_nsec != e->st.st_mtim.tv_nsec;
}
