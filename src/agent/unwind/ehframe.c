/* Records of .eh_frame and the search table of .eh_frame_hdr. Knows no rules: only where things are. */
#include "agent/unwind/ehframe.h"

enum { ENC_OMIT = 0xff, ENC_INDIRECT = 0x80, ENC_PCREL = 0x10, ENC_DATAREL = 0x30, ENC_ALIGNED = 0x50 };

static struct pd_bytes bytes_from(const struct pd_section *s, uint64_t offset)
{
	if (offset > s->len)
		return (struct pd_bytes){ .p = s->at, .end = s->at, .bad = true };
	return (struct pd_bytes){ .p = s->at + offset, .end = s->at + s->len };
}

/* Bytes a value of the encoding takes, 0 = it varies or is not known */
static unsigned enc_width(unsigned char enc)
{
	static const unsigned char width[16] = { [0x0] = 8, [0x2] = 2, [0x3] = 4,  [0x4] = 8,
		                                 [0x8] = 8, [0xa] = 2, [0xb] = 4, [0xc] = 8 };
	return width[enc & 15];
}

uint64_t pd_encoded(struct pd_bytes *b, unsigned char enc, const struct pd_section *in, uint64_t data_base)
{
	uint64_t here = in->addr + (uint64_t)(b->p - in->at);
	unsigned width = enc_width(enc);
	uint64_t v;
	if (enc & ENC_INDIRECT) {
		b->bad = true;
		return 0;
	}
	if (width) {
		v = pd_fixed(b, width);
		if ((enc & 8) && width < 8) {
			uint64_t sign = (uint64_t)1 << (width * 8 - 1);
			v = (v ^ sign) - sign;
		}
	} else if ((enc & 15) == 1 || (enc & 15) == 9) {
		v = pd_leb(b, enc & 8);
	} else {
		b->bad = true;
		return 0;
	}
	switch (enc & 0x70) {
	case 0: return v;
	case ENC_PCREL: return v + here;
	case ENC_DATAREL: return v + data_base;
	default: b->bad = true; return 0;
	}
}

bool pd_eh_index(const struct pd_section *hdr, struct pd_eh_index *out)
{
	struct pd_bytes b = bytes_from(hdr, 0);
	unsigned char version = (unsigned char)pd_fixed(&b, 1);
	unsigned char frame_enc = (unsigned char)pd_fixed(&b, 1);
	unsigned char count_enc = (unsigned char)pd_fixed(&b, 1);
	unsigned char table_enc = (unsigned char)pd_fixed(&b, 1);
	if (b.bad || version != 1 || frame_enc == ENC_OMIT)
		return false;
	*out = (struct pd_eh_index){ .section = *hdr, .enc = table_enc, .width = (unsigned char)enc_width(table_enc) };
	out->eh_frame = pd_encoded(&b, frame_enc, hdr, hdr->addr);
	if (b.bad)
		return false;
	if (count_enc == ENC_OMIT || table_enc == ENC_OMIT || !out->width)
		return true;
	uint64_t n = pd_encoded(&b, count_enc, hdr, hdr->addr);
	if (b.bad)
		return true;
	out->table = (uint64_t)(b.p - hdr->at);
	uint64_t room = (uint64_t)(b.end - b.p) / (2u * out->width);
	out->n = n < room ? n : room;
	return true;
}

bool pd_eh_entry(const struct pd_eh_index *index, uint64_t i, uint64_t *pc, uint64_t *fde)
{
	if (i >= index->n)
		return false;
	struct pd_bytes b = bytes_from(&index->section, index->table + i * 2 * index->width);
	*pc = pd_encoded(&b, index->enc, &index->section, index->section.addr);
	*fde = pd_encoded(&b, index->enc, &index->section, index->section.addr);
	return !b.bad;
}

/* A record's bytes after its length field; false at the section's end mark or on nonsense. */
static bool record(const struct pd_section *eh, uint64_t addr, struct pd_bytes *out, unsigned *id_len)
{
	if (addr < eh->addr)
		return false;
	struct pd_bytes b = bytes_from(eh, addr - eh->addr);
	uint64_t len = pd_fixed(&b, 4);
	*id_len = 4;
	if (len == 0xffffffff) {
		len = pd_fixed(&b, 8);
		*id_len = 8;
	}
	if (b.bad || len < *id_len || len > (uint64_t)(b.end - b.p))
		return false;
	*out = (struct pd_bytes){ .p = b.p, .end = b.p + len };
	return true;
}

uint64_t pd_eh_next(const struct pd_section *eh, uint64_t addr, bool *is_cie)
{
	struct pd_bytes b;
	unsigned id_len;
	if (!record(eh, addr, &b, &id_len))
		return 0;
	uint64_t next = eh->addr + (uint64_t)(b.end - eh->at);
	*is_cie = pd_fixed(&b, id_len) == 0;
	return next;
}

/* The part of a CIE that the augmentation string describes. */
static bool augmentation(struct pd_bytes *b, const char *letters, struct pd_cie *out)
{
	if (*letters == 0)
		return true;
	if (*letters != 'z')
		return false;
	out->sized = true;
	uint64_t n = pd_uleb(b);
	const unsigned char *at = pd_skip(b, n);
	if (!at)
		return false;
	struct pd_bytes data = { .p = at, .end = at + n };
	for (letters++; *letters; letters++) {
		unsigned char enc;
		switch (*letters) {
		case 'R': out->fde_enc = (unsigned char)pd_fixed(&data, 1); break;
		case 'L': pd_fixed(&data, 1); break;
		case 'S': out->signal = true; break;
		case 'P':
			enc = (unsigned char)pd_fixed(&data, 1);
			if (enc == ENC_ALIGNED)
				return false;
			/* the value is not needed: whatever it is relative to, its length is the same */
			pd_encoded(&data, enc & 15, out->section, 0);
			break;
		default: return !data.bad; /* the rest is skipped as a whole */
		}
	}
	return !data.bad;
}

bool pd_cie(const struct pd_section *eh, uint64_t addr, struct pd_cie *out)
{
	struct pd_bytes b;
	unsigned id_len;
	if (!record(eh, addr, &b, &id_len) || pd_fixed(&b, id_len) != 0)
		return false;
	*out = (struct pd_cie){ .addr = addr, .section = eh };
	unsigned version = (unsigned)pd_fixed(&b, 1);
	if (version != 1 && version != 3 && version != 4)
		return false;
	char letters[16];
	unsigned n = 0;
	do {
		letters[n] = (char)pd_fixed(&b, 1);
	} while (!b.bad && letters[n] && ++n < sizeof(letters));
	if (b.bad || n == sizeof(letters))
		return false;
	if (version == 4 && (pd_fixed(&b, 1) != 8 || pd_fixed(&b, 1) != 0))
		return false;
	out->code_align = pd_uleb(&b);
	out->data_align = pd_sleb(&b);
	uint64_t ra = version == 1 ? pd_fixed(&b, 1) : pd_uleb(&b);
	if (b.bad || ra != PD_RIP || !augmentation(&b, letters, out))
		return false;
	out->program = b;
	return true;
}

uint64_t pd_cie_of(const struct pd_section *eh, uint64_t addr)
{
	struct pd_bytes b;
	unsigned id_len;
	if (!record(eh, addr, &b, &id_len))
		return 0;
	uint64_t here = eh->addr + (uint64_t)(b.p - eh->at);
	uint64_t back = pd_fixed(&b, id_len);
	return back && back <= here - eh->addr ? here - back : 0;
}

bool pd_fde(const struct pd_section *eh, uint64_t addr, const struct pd_cie *cie, struct pd_fde *out)
{
	struct pd_bytes b;
	unsigned id_len;
	if (!record(eh, addr, &b, &id_len))
		return false;
	pd_skip(&b, id_len);
	out->start = pd_encoded(&b, cie->fde_enc, eh, 0);
	uint64_t range = pd_encoded(&b, cie->fde_enc & 15, eh, 0);
	out->end = out->start + range;
	if (cie->sized)
		pd_skip(&b, pd_uleb(&b));
	out->program = b;
	return !b.bad && out->end > out->start;
}
