/* A cursor over bytes that never leaves them: reading past the end sets `bad` and gives 0. */
#ifndef PD_UNWIND_BYTES_H
#define PD_UNWIND_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pd_bytes {
	const unsigned char *p, *end;
	bool bad;
};

static inline const unsigned char *pd_skip(struct pd_bytes *b, uint64_t n)
{
	if (b->bad || n > (uint64_t)(b->end - b->p)) {
		b->bad = true;
		return NULL;
	}
	const unsigned char *at = b->p;
	b->p += n;
	return at;
}

/* n bytes, least significant first */
static inline uint64_t pd_fixed(struct pd_bytes *b, unsigned n)
{
	const unsigned char *at = pd_skip(b, n);
	uint64_t v = 0;
	for (unsigned i = 0; at && i < n; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

/* LEB128 with any number of bytes; bits past 64 are lost. */
static inline uint64_t pd_leb(struct pd_bytes *b, bool is_signed)
{
	uint64_t v = 0;
	unsigned shift = 0;
	for (;;) {
		unsigned char c = (unsigned char)pd_fixed(b, 1);
		if (b->bad)
			return 0;
		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
		if (c & 0x80)
			continue;
		if (is_signed && shift < 64 && (c & 0x40))
			v |= ~(uint64_t)0 << shift;
		return v;
	}
}

static inline uint64_t pd_uleb(struct pd_bytes *b)
{
	return pd_leb(b, false);
}

static inline int64_t pd_sleb(struct pd_bytes *b)
{
	return (int64_t)pd_leb(b, true);
}

#endif
