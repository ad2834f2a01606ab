/* Growable bytes. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct pd_buf *b, size_t n)
{
	if (b->failed || n > SIZE_MAX / 2 - b->len || (b->max && b->len + n > b->max)) {
		b->failed = true;
		return false;
	}
	if (b->len + n <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap : 256;
	while (cap < b->len + n)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void pd_buf_add(struct pd_buf *b, const void *data, size_t n)
{
	if (n && reserve(b, n)) {
		memcpy(b->data + b->len, data, n);
		b->len += n;
	}
}

void pd_buf_str(struct pd_buf *b, const char *s)
{
	pd_buf_add(b, s, strlen(s));
}

void pd_buf_char(struct pd_buf *b, char c)
{
	pd_buf_add(b, &c, 1);
}

void pd_buf_fmt(struct pd_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	/* One byte more than kept: vsnprintf writes a NUL. */
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n + 1)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

void pd_buf_free(struct pd_buf *b)
{
	free(b->data);
	*b = (struct pd_buf){ .max = b->max };
}
