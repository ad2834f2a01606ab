/* Knows how .gnu_debugdata is packed: an ELF file with only a .symtab, in xz. */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "server/symbol/elf.h"

#define PACKED_MAX (8u << 20)
#define UNPACKED_MAX (48u << 20)
#define DECODER_MAX (80u << 20)

int pd_elf_mini(const struct pd_elf *main, struct pd_elf *mini)
{
	*mini = (struct pd_elf){ .fd = -1 };
	const struct pd_section *s = &main->sec[PD_SEC_DEBUGDATA];
	uint8_t *packed = pd_section_load(main, s, PACKED_MAX);
	if (!packed)
		return -ENOENT;
	size_t cap = s->size * 4, out = 0;
	uint8_t *data = NULL;
	lzma_ret rc = LZMA_BUF_ERROR;
	while (rc == LZMA_BUF_ERROR && cap < UNPACKED_MAX) {
		cap *= 2;
		free(data);
		data = malloc(cap);
		if (!data)
			break;
		uint64_t limit = DECODER_MAX;
		size_t in = 0;
		out = 0;
		rc = lzma_stream_buffer_decode(&limit, 0, NULL, packed, &in, s->size, data, &out, cap);
	}
	free(packed);
	if (rc != LZMA_OK) {
		free(data);
		return -EBADMSG;
	}
	return pd_elf_memory(mini, data, out);
}
