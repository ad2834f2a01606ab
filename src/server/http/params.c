/* Queries as Go reads them. Knows bytes; must not know which keys mean something. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http/http.h"
#include "server/http/parse.h"

static void add_decoded(struct pd_buf *out, char c)
{
	if (c)
		pd_buf_char(out, c);
	else
		pd_buf_str(out, "\xef\xbf\xbd");
}

/* False for a bad escape. */
static bool unescape(const char *s, const char *end, struct pd_buf *out)
{
	for (; s < end; s++) {
		if (*s != '%') {
			add_decoded(out, *s == '+' ? ' ' : *s);
			continue;
		}
		if (end - s < 3 || pd_hex(s[1]) < 0 || pd_hex(s[2]) < 0)
			return false;
		add_decoded(out, (char)(pd_hex(s[1]) << 4 | pd_hex(s[2])));
		s += 2;
	}
	pd_buf_char(out, 0);
	return true;
}

/* False when it cannot be read, and is left out. */
static bool add_pair(const char *s, const char *end, struct pd_buf *out)
{
	if (s == end)
		return true;
	if (memchr(s, ';', (size_t)(end - s)))
		return false;
	const char *equals = memchr(s, '=', (size_t)(end - s));
	const char *value = equals ? equals + 1 : end;
	size_t before = out->len;
	if (unescape(s, equals ? equals : end, out) && unescape(value, end, out))
		return true;
	out->len = before;
	return false;
}

bool pd_query_parse(const char *query, struct pd_buf *out)
{
	bool whole = true;
	for (const char *s = query;;) {
		const char *end = strchrnul(s, '&');
		whole &= add_pair(s, end, out);
		if (!*end)
			return whole && !out->failed;
		s = end + 1;
	}
}

bool pd_form_parse(const char *text, size_t len, struct pd_buf *out)
{
	char *copy = memchr(text, 0, len) ? NULL : strndup(text, len);
	bool whole = copy && pd_query_parse(copy, out);
	free(copy);
	return whole;
}

const char *pd_pair_first(const struct pd_buf *pairs, const char *key, bool any_case)
{
	if (pairs->failed)
		return NULL;
	for (const char *s = pairs->data; s && s < pairs->data + pairs->len;) {
		const char *value = s + strlen(s) + 1;
		if ((any_case ? strcasecmp : strcmp)(s, key) == 0)
			return value;
		s = value + strlen(value) + 1;
	}
	return NULL;
}
