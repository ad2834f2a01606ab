/* Knows the index of .eh_frame and the addresses in its records, as linkers for x86-64 write them. */
#include <string.h>

#include "server/symbol/table.h"

enum { PCREL_4 = 0x1b, UNSIGNED_4 = 0x03, DATAREL_4 = 0x3b }; /* how values are written */

struct header {
	uint8_t version, frame_enc, count_enc, table_enc;
	int32_t frame;
	uint32_t count;
};

/* Both count from the start of the index. */
struct entry {
	int32_t start, record;
};

struct record {
	uint32_t length, cie;
	int32_t start; /* counts from here */
	uint32_t size;
};

static bool entry_read(const struct pd_elf *e, uint64_t i, struct entry *to)
{
	return pd_section_read(e, &e->sec[PD_SEC_EH_INDEX], sizeof(struct header) + i * sizeof(*to), to, sizeof(*to)) ==
	        sizeof(*to);
}

uint64_t pd_function_start(const struct pd_elf *e, uint64_t addr)
{
	const struct pd_section *index = &e->sec[PD_SEC_EH_INDEX], *frame = &e->sec[PD_SEC_EH_FRAME];
	struct header h;
	struct entry at;
	struct record r;
	if (!frame->size || pd_section_read(e, index, 0, &h, sizeof(h)) != sizeof(h) || h.version != 1 ||
	        h.frame_enc != PCREL_4 || h.count_enc != UNSIGNED_4 || h.table_enc != DATAREL_4)
		return 0;
	uint64_t base = e->sh[index->index].sh_addr, records = e->sh[frame->index].sh_addr;
	uint64_t lo = 0, hi = h.count;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (!entry_read(e, mid, &at))
			return 0;
		if (base + (uint64_t)(int64_t)at.start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || !entry_read(e, lo - 1, &at))
		return 0;
	uint64_t start = base + (uint64_t)(int64_t)at.start, record = base + (uint64_t)(int64_t)at.record;
	if (pd_section_read(e, frame, record - records, &r, sizeof(r)) != sizeof(r))
		return 0;
	/* The record must agree, which also says that it is written in the usual way. */
	bool agrees = record + offsetof(struct record, start) + (uint64_t)(int64_t)r.start == start;
	return agrees && addr - start < r.size ? start : 0;
}
