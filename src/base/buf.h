/* Growable bytes with a sticky error: append freely, look at `failed` once at the end. Server only (uses malloc). */
#ifndef PD_BASE_BUF_H
#define PD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct pd_buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;  /* 0 = unlimited; an append past it fails */
	bool failed; /* out of memory or past max; later appends do nothing */
};

void pd_buf_add(struct pd_buf *b, const void *data, size_t n);
void pd_buf_str(struct pd_buf *b, const char *s);
void pd_buf_fmt(struct pd_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pd_buf_char(struct pd_buf *b, char c);
/* Free the bytes and make it empty; a zeroed struct pd_buf is an empty one. */
void pd_buf_free(struct pd_buf *b);

#endif
