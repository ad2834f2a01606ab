/* Finds the unwind table of a loaded module in its memory. Knows ELF headers and .eh_frame_hdr; no walking. */
#include <elf.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/unwind/inside.h"

/* The only encodings linkers write: 4 bytes relative to here, 4 bytes, 4 bytes relative to the header. */
static const unsigned char ENCODINGS[4] = { 1, 0x1b, 0x03, 0x3b };

static bool read_page(uint64_t at, unsigned char *to)
{
	struct iovec local = { to, PD_PAGE }, remote = { (void *)at, PD_PAGE }; /* NOLINT: may be unmapped */
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == PD_PAGE;
}

bool pd_pages_read(struct pd_pages *p, uint64_t from, void *to, size_t n)
{
	unsigned char *out = to;
	while (n) {
		uint64_t page = from & ~(uint64_t)(PD_PAGE - 1);
		size_t slot = page / PD_PAGE % PD_PAGES, in = from - page;
		size_t len = PD_PAGE - in < n ? PD_PAGE - in : n;
		if (p->at[slot] != page + 1) {
			p->at[slot] = 0;
			if (!read_page(page, p->data[slot]))
				return false;
			p->at[slot] = page + 1;
		}
		memcpy(out, p->data[slot] + in, len);
		out += len;
		from += len;
		n -= len;
	}
	return true;
}

static bool read_table(struct pd_image *image, struct pd_pages *p)
{
	unsigned char enc[4];
	uint32_t count;
	if (!pd_pages_read(p, image->hdr, enc, sizeof enc) || memcmp(enc, ENCODINGS, sizeof enc) != 0)
		return false;
	if (!pd_pages_read(p, image->hdr + 8, &count, sizeof count))
		return false;
	image->table = image->hdr + 12;
	image->len = 8 * (uint64_t)count;
	return image->table + image->len <= image->hi;
}

/* Read the program headers of the ELF header at `base`; true when they are those of m. */
static bool read_headers(struct pd_image *image, struct pd_pages *p, const struct pd_module *m, uint64_t base)
{
	Elf64_Ehdr eh;
	bool holds = false;
	if (!pd_pages_read(p, base, &eh, sizeof eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	*image = (struct pd_image){ .looked = true, .lo = UINT64_MAX };
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;
		if (!pd_pages_read(p, base + eh.e_phoff + i * sizeof ph, &ph, sizeof ph))
			return false;
		uint64_t at = m->bias + ph.p_vaddr;
		if (ph.p_type == PT_GNU_EH_FRAME)
			image->hdr = at;
		if (ph.p_type != PT_LOAD)
			continue;
		image->lo = at < image->lo ? at : image->lo;
		image->hi = at + ph.p_memsz > image->hi ? at + ph.p_memsz : image->hi;
		if (m->start < at + ph.p_memsz && m->end > at)
			holds = true;
	}
	return holds && image->hdr > image->lo && image->hdr < image->hi;
}

bool pd_image_look(struct pd_image *image, struct pd_pages *p, const struct pd_module *m)
{
	if (image->looked)
		return image->good;
	image->looked = true;
	/* The file's first bytes are mapped at virtual address 0, or as far before the code as they are in the file. */
	image->good = (read_headers(image, p, m, m->bias) || read_headers(image, p, m, m->start - m->offset)) &&
	              read_table(image, p);
	return image->good;
}
