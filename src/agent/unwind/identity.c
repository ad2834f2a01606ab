/* Build ids from the notes in memory, and a stand-in for them. Knows program headers only. */
#include "agent/unwind/identity.h"

#include <string.h>

#include "agent/unwind/bytes.h"

enum { LOOKED_AT = 4096 };

static size_t align_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static bool find_build_id(struct pd_bytes notes, size_t align, struct pd_identity *out)
{
	while (notes.p < notes.end) {
		size_t name_len = pd_fixed(&notes, 4), len = pd_fixed(&notes, 4);
		uint64_t type = pd_fixed(&notes, 4);
		const unsigned char *name = pd_skip(&notes, align_up(name_len, align));
		const unsigned char *id = pd_skip(&notes, len);
		if (notes.bad)
			return false;
		if (type == NT_GNU_BUILD_ID && name_len == 4 && memcmp(name, "GNU", 4) == 0 && len) {
			out->build_id_len = (uint8_t)(len < sizeof(out->build_id) ? len : sizeof(out->build_id));
			memcpy(out->build_id, id, out->build_id_len);
			return true;
		}
		size_t pad = align_up(len, align) - len;
		if (pad > (size_t)(notes.end - notes.p))
			return false;
		pd_skip(&notes, pad);
	}
	return false;
}

void pd_identify(const struct pd_object *o, struct pd_identity *out)
{
	unsigned char bytes[LOOKED_AT];
	*out = (struct pd_identity){ .mark = 0 };
	for (size_t i = 0; i < o->phs; i++) {
		const Elf64_Phdr *ph = &o->ph[i];
		size_t n = ph->p_memsz < LOOKED_AT ? ph->p_memsz : LOOKED_AT;
		if (ph->p_type != PT_NOTE || !pd_loader_read(o->bias + ph->p_vaddr, bytes, n))
			continue;
		struct pd_bytes notes = { .p = bytes, .end = bytes + n };
		if (find_build_id(notes, ph->p_align == 8 ? 8 : 4, out))
			return;
	}
	for (size_t i = 0; i < o->phs; i++) {
		const Elf64_Phdr *ph = &o->ph[i];
		size_t n = ph->p_memsz < LOOKED_AT ? ph->p_memsz : LOOKED_AT;
		if (ph->p_type != PT_GNU_EH_FRAME || !pd_loader_read(o->bias + ph->p_vaddr, bytes, n))
			continue;
		out->mark = 1;
		for (size_t k = 0; k < n; k++)
			out->mark = (out->mark ^ bytes[k]) * 0x100000001b3u;
	}
}
