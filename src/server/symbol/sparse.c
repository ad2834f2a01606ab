/* Knows how to make an ELF file of sections that are filled piece by piece. Must not know what they contain. */
#include "server/symbol/sparse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define WHOLE_MAX (64ull << 30)

static const char *const names[PD_SPARSE_PARTS] = {
	[PD_SEC_INFO] = ".debug_info",
	[PD_SEC_ABBREV] = ".debug_abbrev",
	[PD_SEC_LINE] = ".debug_line",
	[PD_SEC_LINE_STR] = ".debug_line_str",
	[PD_SEC_STR] = ".debug_str",
	[PD_SEC_STR_OFFSETS] = ".debug_str_offsets",
	[PD_SEC_ADDR] = ".debug_addr",
	[PD_SEC_RANGES] = ".debug_ranges",
	[PD_SEC_RNGLISTS] = ".debug_rnglists",
};

/* What stands in the first page. */
struct head {
	Elf64_Ehdr eh;
	Elf64_Shdr sh[PD_SPARSE_PARTS + 2]; /* the first is empty, the last that of `name` */
	char name[PD_SPARSE_PARTS + 2][20];
};

void pd_sparse_plan(struct pd_sparse *m, const struct pd_elf *e)
{
	*m = (struct pd_sparse){ 0 };
	for (int i = 0; i < PD_SPARSE_PARTS; i++)
		m->part[i] = (struct pd_sparse_part){ .e = e, .s = &e->sec[i], .size = e->sec[i].size };
}

static void head_write(const struct pd_sparse *m)
{
	struct head *h = (struct head *)m->base;
	h->eh = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shoff = offsetof(struct head, sh),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = PD_SPARSE_PARTS + 2,
		.e_shstrndx = PD_SPARSE_PARTS + 1,
	};
	for (unsigned i = 1; i < PD_SPARSE_PARTS + 2; i++) {
		bool last = i > PD_SPARSE_PARTS;
		const struct pd_sparse_part *p = &m->part[i - 1];
		strcpy(h->name[i], last ? ".shstrtab" : names[i - 1]);
		h->sh[i] = (Elf64_Shdr){
			.sh_name = (Elf64_Word)(i * sizeof(h->name[0])),
			.sh_type = last ? SHT_STRTAB : p->size ? SHT_PROGBITS : SHT_NOBITS,
			.sh_offset = last ? offsetof(struct head, name) : p->at,
			.sh_size = last ? sizeof(h->name) : p->size,
			.sh_addralign = 1,
		};
	}
}

bool pd_sparse_make(struct pd_sparse *m)
{
	uint64_t at = PAGE;
	for (int i = 0; i < PD_SPARSE_PARTS && at < WHOLE_MAX; i++) {
		m->part[i].at = at;
		/* At least one byte behind each stays 0. */
		at += m->part[i].size < WHOLE_MAX ? (m->part[i].size + PAGE) & ~(uint64_t)(PAGE - 1)
		                                       : WHOLE_MAX;
	}
	if (at >= WHOLE_MAX)
		return false;
	m->have = calloc(1, at / PAGE / 8 + 1);
	void *p = !m->have ? MAP_FAILED
	                   : mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	/* A large page would be filled for each small piece. */
	madvise(p, at, MADV_NOHUGEPAGE);
	madvise(p, at, MADV_DONTDUMP);
	m->base = p;
	m->size = at;
	head_write(m);
	return true;
}

void pd_sparse_close(struct pd_sparse *m)
{
	if (m->base)
		munmap(m->base, m->size);
	free(m->have);
	m->base = NULL;
	m->have = NULL;
}

static bool has(const struct pd_sparse *m, uint64_t page)
{
	return m->have[page / 8] & 1u << page % 8;
}

const uint8_t *pd_sparse_need(struct pd_sparse *m, enum pd_sec sec, uint64_t off, uint64_t n)
{
	const struct pd_sparse_part *p = &m->part[sec];
	if (off > p->size)
		off = p->size;
	if (n > p->size - off)
		n = p->size - off;
	uint64_t page = (p->at + off) / PAGE, end = (p->at + off + n + PAGE - 1) / PAGE;
	while (n && page < end) {
		uint64_t from = page;
		while (page < end && !has(m, page)) {
			m->have[page / 8] |= (uint8_t)(1u << page % 8);
			page++;
		}
		uint64_t in = from * PAGE - p->at, bytes = (page - from) * PAGE;
		if (bytes && in < p->size)
			pd_section_read(p->e, p->s, p->skip + in, m->base + from * PAGE,
			        bytes < p->size - in ? bytes : p->size - in);
		m->filled += bytes;
		while (page < end && has(m, page))
			page++;
	}
	return m->base + p->at + off;
}

/* The section that p, a pointer of libdw, is in, and where; PD_SPARSE_PARTS = none. */
static enum pd_sec part_of(const struct pd_sparse *m, const char *p, uint64_t *off)
{
	uint64_t at = (uint64_t)((const uint8_t *)p - m->base);
	unsigned i = 0;
	while (i < PD_SPARSE_PARTS && (at < m->part[i].at || at - m->part[i].at >= m->part[i].size))
		i++;
	*off = i < PD_SPARSE_PARTS ? at - m->part[i].at : 0;
	return i;
}

void pd_sparse_need_at(struct pd_sparse *m, const char *p, uint64_t n)
{
	uint64_t off;
	enum pd_sec sec = part_of(m, p, &off);
	if (sec < PD_SPARSE_PARTS)
		pd_sparse_need(m, sec, off, n);
}

bool pd_sparse_text(const struct pd_sparse *m, const char *p, char *buf, size_t n)
{
	uint64_t off;
	enum pd_sec sec = part_of(m, p, &off);
	if (sec == PD_SPARSE_PARTS)
		return false;
	const struct pd_sparse_part *q = &m->part[sec];
	return pd_section_string(q->e, q->s, q->skip + off, buf, n);
}

void pd_sparse_trim(struct pd_sparse *m, size_t max)
{
	if (m->filled <= max)
		return;
	madvise(m->base + PAGE, m->size - PAGE, MADV_DONTNEED);
	memset(m->have, 0, m->size / PAGE / 8 + 1);
	m->filled = 0;
}
