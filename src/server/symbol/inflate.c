/* Knows zlib streams, and how to begin in their middle. Must not know what they contain. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/symbol/elf.h"

#define INPUT 16384
#define POINTS 48            /* a checkpoint takes about 40 KiB */
#define STEP (512u << 10)    /* at least so many bytes between two */
#define WHOLE_MAX (8u << 20) /* kept as one piece */
#define CHUNK 16384          /* else in pieces, for what is read once is read again */
#define CHUNKS 128

struct point {
	z_stream z;
	uint64_t in, out; /* offsets behind what the stream has taken and given */
	bool set;
};

struct pd_inflate {
	uint64_t off, stored, size;
	uint64_t step;
	struct point now;
	struct point point[POINTS];
	uint8_t *whole;
	struct chunk {
		uint8_t *data;
		uint64_t at;
		size_t n;
	} chunk[CHUNKS];
	uint8_t input[INPUT];
};

static void point_end(struct point *p)
{
	if (p->set)
		inflateEnd(&p->z);
	p->set = false;
}

static bool point_copy(struct point *to, struct point *from)
{
	point_end(to);
	to->in = from->in - from->z.avail_in;
	to->out = from->out;
	to->set = inflateCopy(&to->z, &from->z) == Z_OK;
	to->z.avail_in = 0;
	return to->set;
}

struct pd_inflate *pd_inflate_open(const struct pd_elf *e, uint64_t off, uint64_t stored, uint64_t size)
{
	struct pd_inflate *z = calloc(1, sizeof(*z));
	if (!z)
		return NULL;
	z->off = off;
	z->stored = stored;
	z->size = size;
	z->step = size / POINTS + 1 > STEP ? size / POINTS + 1 : STEP;
	return z;
}

void pd_inflate_close(struct pd_inflate *z)
{
	if (!z)
		return;
	point_end(&z->now);
	for (int i = 0; i < POINTS; i++)
		point_end(&z->point[i]);
	for (int i = 0; i < CHUNKS; i++)
		free(z->chunk[i].data);
	free(z->whole);
	free(z);
}

/* Give up to n bytes from where the stream stands; returns how many. */
static size_t give(struct pd_inflate *z, const struct pd_elf *e, uint8_t *buf, size_t n)
{
	struct point *p = &z->now;
	p->z.next_out = buf;
	p->z.avail_out = (uInt)n;
	while (p->z.avail_out) {
		if (!p->z.avail_in) {
			uint64_t left = z->stored - p->in;
			size_t got = pd_elf_read(e, z->off + p->in, z->input, left < INPUT ? left : INPUT);
			if (!got)
				break;
			p->in += got;
			p->z.next_in = z->input;
			p->z.avail_in = (uInt)got;
		}
		int rc = inflate(&p->z, Z_NO_FLUSH);
		if (rc != Z_OK)
			break;
	}
	size_t given = n - p->z.avail_out;
	p->out += given;
	return given;
}

/* Stand at the last checkpoint at or before `at`, unless already nearer. */
static bool rewind_to(struct pd_inflate *z, uint64_t at)
{
	struct point *best = NULL;
	for (int i = 0; i < POINTS; i++)
		if (z->point[i].set && z->point[i].out <= at && (!best || z->point[i].out > best->out))
			best = &z->point[i];
	if (z->now.set && z->now.out <= at && (!best || best->out <= z->now.out))
		return true;
	if (best)
		return point_copy(&z->now, best);
	point_end(&z->now);
	z->now = (struct point){ 0 };
	z->now.set = inflateInit(&z->now.z) == Z_OK;
	return z->now.set;
}

static size_t inflate_at(struct pd_inflate *z, const struct pd_elf *e, uint64_t at, uint8_t *buf, size_t n)
{
	uint8_t waste[8192];
	if (!rewind_to(z, at))
		return 0;
	while (z->now.out < at) {
		uint64_t k = z->now.out / z->step;
		if (k < POINTS && !z->point[k].set)
			point_copy(&z->point[k], &z->now);
		uint64_t left = at - z->now.out;
		size_t want = left < sizeof(waste) ? left : sizeof(waste);
		if (give(z, e, waste, want) != want)
			return 0;
	}
	return give(z, e, buf, n);
}

/* The piece that holds an offset. */
static const struct chunk *chunk_get(struct pd_inflate *z, const struct pd_elf *e, uint64_t at)
{
	struct chunk *c = &z->chunk[at / CHUNK % CHUNKS];
	at -= at % CHUNK;
	if (c->data && c->at == at)
		return c;
	if (!c->data)
		c->data = malloc(CHUNK);
	if (!c->data)
		return NULL;
	c->at = at;
	c->n = inflate_at(z, e, at, c->data, z->size - at < CHUNK ? z->size - at : CHUNK);
	return c;
}

size_t pd_inflate_read(struct pd_inflate *z, const struct pd_elf *e, uint64_t at, void *buf, size_t n)
{
	if (!z->whole && z->size <= WHOLE_MAX) {
		z->whole = malloc(z->size);
		if (z->whole)
			z->size = inflate_at(z, e, 0, z->whole, z->size);
	}
	if (at >= z->size)
		return 0;
	if (n > z->size - at)
		n = z->size - at;
	if (z->whole) {
		memcpy(buf, z->whole + at, n);
		return n;
	}
	size_t done = 0;
	while (done < n) {
		const struct chunk *c = chunk_get(z, e, at + done);
		size_t skip = (at + done) % CHUNK;
		if (!c || c->n <= skip)
			break;
		size_t piece = c->n - skip < n - done ? c->n - skip : n - done;
		memcpy((uint8_t *)buf + done, c->data + skip, piece);
		done += piece;
	}
	return done;
}
