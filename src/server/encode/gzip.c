/* One gzip member without time, name or system in its header. Knows zlib; must not know what it packs. */
#include <zlib.h>

#include "server/encode/inside.h"

/* Past this level a profile gets a few percent smaller and takes several times as long. */
#define LEVEL 1

void pd_gzip(struct pd_buf *out, const void *data, size_t len)
{
	z_stream z = { .next_in = (Bytef *)data };
	gz_header header = { .os = 255 };
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		out->failed = true;
		return;
	}
	deflateSetHeader(&z, &header);
	unsigned char chunk[16 << 10];
	int rc = Z_OK;
	while (rc != Z_STREAM_END && !out->failed) {
		/* avail_in has 32 bits. */
		size_t part = len < (1u << 30) ? len : 1u << 30;
		if (!z.avail_in) {
			z.avail_in = (uInt)part;
			len -= part;
		}
		z.next_out = chunk;
		z.avail_out = sizeof chunk;
		rc = deflate(&z, len ? Z_NO_FLUSH : Z_FINISH);
		pd_buf_add(out, chunk, sizeof chunk - z.avail_out);
	}
	deflateEnd(&z);
}
