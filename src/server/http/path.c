/* Paths of requests: decode, clean and escape as Go's mux does. Knows bytes; must not know which paths exist. */
#include <stdint.h>
#include <string.h>

#include "server/http/parse.h"

/* Length of the UTF-8 sequence at s, of at most n bytes; 0 = none, or an overlong, surrogate or too big one. */
static size_t sequence(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char first, last, second_min, second_max;
		size_t len;
	} forms[] = {
		{ 0x20, 0x7e, 0, 0, 1 }, /* no control characters */
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (*s < forms[i].first || *s > forms[i].last)
			continue;
		if (forms[i].len > n ||
		        (forms[i].len > 1 && (s[1] < forms[i].second_min || s[1] > forms[i].second_max)))
			return 0;
		for (size_t k = 2; k < forms[i].len; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].len;
	}
	return 0;
}

static bool text_ok(const char *s, size_t n)
{
	while (n) {
		size_t k = sequence((const unsigned char *)s, n);
		if (!k)
			return false;
		s += k;
		n -= k;
	}
	return true;
}

static bool terminate(struct pd_buf *out)
{
	pd_buf_char(out, 0);
	if (!out->failed)
		out->len--;
	return !out->failed;
}

bool pd_path_decode(const char *raw, size_t len, struct pd_buf *out)
{
	size_t before = out->len;
	if (!len || raw[0] != '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = raw[i];
		if (c == '%') {
			if (len - i < 3 || pd_hex(raw[i + 1]) < 0 || pd_hex(raw[i + 2]) < 0)
				return false;
			c = (char)(pd_hex(raw[i + 1]) << 4 | pd_hex(raw[i + 2]));
			i += 2;
		}
		pd_buf_char(out, c);
	}
	return terminate(out) && text_ok(out->data + before, out->len - before);
}

bool pd_path_clean(const char *path, struct pd_buf *out)
{
	size_t start = out->len;
	const char *s = path;
	while (*s && !out->failed) {
		s += strspn(s, "/");
		size_t n = strcspn(s, "/");
		if (n == 2 && s[0] == '.' && s[1] == '.') {
			while (out->len > start && out->data[--out->len] != '/')
				;
		} else if (n && !(n == 1 && s[0] == '.')) {
			pd_buf_char(out, '/');
			pd_buf_add(out, s, n);
		}
		s += n;
	}
	/* A slash at the end stays, as it does in Go's mux; "/a/." has none. */
	if (out->len == start || (s > path && s[-1] == '/'))
		pd_buf_char(out, '/');
	return terminate(out) && strcmp(out->data + start, path) == 0;
}

/* As a client takes them away that resolves a relative URL: empty names count, "." and ".." do what they say. */
void pd_path_root(const char *raw, struct pd_buf *out)
{
	size_t depth = 0;
	for (const char *s = raw + 1, *end; (end = strchr(s, '/')); s = end + 1) {
		bool dots = s[0] == '.' && (end - s == 1 || (end - s == 2 && s[1] == '.'));
		if (!dots)
			depth++;
		else if (end - s == 2 && depth)
			depth--;
	}
	if (!depth)
		pd_buf_str(out, "./");
	while (depth--)
		pd_buf_str(out, "../");
}

void pd_path_escape(const char *path, struct pd_buf *out)
{
	static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,/:;=@";
	for (const char *s = path; *s; s++) {
		if (strchr(kept, *s))
			pd_buf_char(out, *s);
		else
			pd_buf_fmt(out, "%%%02X", (unsigned char)*s);
	}
}
