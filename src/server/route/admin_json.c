/*
 * A flat JSON object of numbers and strings, by the letter of RFC 8259 and nothing beyond it: no value inside a value,
 * so no recursion. Must not know what the keys mean.
 */
#include <stdio.h>
#include <string.h>

#include "server/route/admin.h"

#define TEXT_MAX 512 /* bytes of one key or value */

struct reader {
	struct pd_fields *fields;
	const char *begin, *at, *end;
};

static bool wrong(struct reader *r, const char *what)
{
	return pd_fields_wrong(r->fields, "malformed JSON: %s at byte %zu", what, (size_t)(r->at - r->begin));
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
		r->at++;
}

static bool next_is(const struct reader *r, char c)
{
	return r->at < r->end && *r->at == c;
}

static bool take(struct reader *r, char c, const char *what)
{
	skip_blanks(r);
	if (!next_is(r, c))
		return wrong(r, what);
	r->at++;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four digits of \u; -1 = there are none. */
static int32_t unit(struct reader *r)
{
	int32_t v = 0;
	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(r->at[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	r->at += 4;
	return v;
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80)
		return to[0] = (char)c, 1;
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char FIRST[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(FIRST[n] | c);
	return n;
}

/* Behind the backslash: the bytes it stands for, at most 4; 0 = refused. */
static size_t escape(struct reader *r, char *to)
{
	static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
	char c = r->at < r->end ? *r->at : '\0';
	const char *known = c ? strchr(FROM, c) : NULL;
	if (known) {
		r->at++;
		*to = TO[known - FROM];
		return 1;
	}
	if (c != 'u')
		return 0;
	r->at++;
	int32_t first = unit(r), second = 0;
	bool high = first >= 0xd800 && first < 0xdc00;
	if (high && r->end - r->at > 2 && r->at[0] == '\\' && r->at[1] == 'u') {
		r->at += 2;
		second = unit(r);
	}
	if (high && second >= 0xdc00 && second < 0xe000)
		return put_utf8(to, 0x10000u + ((uint32_t)(first & 0x3ff) << 10) + (uint32_t)(second & 0x3ff));
	/* NUL would end the text before its end; half a pair is no character. */
	return first <= 0 || (first >= 0xd800 && first < 0xe000) ? 0 : put_utf8(to, (uint32_t)first);
}

/* At a quotation mark. */
static bool read_string(struct reader *r, char out[static TEXT_MAX])
{
	size_t n = 0;
	for (r->at++; !next_is(r, '"');) {
		if (r->at == r->end)
			return wrong(r, "a string does not end");
		if (n + 5 > TEXT_MAX)
			return wrong(r, "a string is too long");
		if ((unsigned char)*r->at < 0x20)
			return wrong(r, "a control character in a string");
		if (*r->at != '\\') {
			out[n++] = *r->at++;
			continue;
		}
		r->at++;
		size_t more = escape(r, out + n);
		if (!more)
			return wrong(r, "a bad escape");
		n += more;
	}
	r->at++;
	out[n] = '\0';
	return true;
}

/* -? int frac? exp? */
static bool read_number(struct reader *r, char out[static TEXT_MAX])
{
	const char *from = r->at;
	bool ok = true;
	r->at += next_is(r, '-');
	if (next_is(r, '0'))
		r->at++;
	else
		for (ok = false; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
			ok = true;
	for (int part = 0; part < 2 && ok; part++) {
		if (!next_is(r, part ? 'e' : '.') && !(part && next_is(r, 'E')))
			continue;
		r->at++;
		if (part && (next_is(r, '+') || next_is(r, '-')))
			r->at++;
		for (ok = false; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
			ok = true;
	}
	if (!ok || r->at - from >= TEXT_MAX)
		return wrong(r, "a bad number");
	memcpy(out, from, (size_t)(r->at - from));
	out[r->at - from] = '\0';
	return true;
}

static bool read_member(struct reader *r)
{
	char key[TEXT_MAX], value[TEXT_MAX];
	skip_blanks(r);
	if (!next_is(r, '"'))
		return wrong(r, "no key in quotation marks");
	if (!read_string(r, key) || !take(r, ':', "no colon"))
		return false;
	skip_blanks(r);
	bool string = next_is(r, '"');
	if (string ? !read_string(r, value) : false)
		return false;
	if (!string && r->at < r->end && strchr("{[tfn", *r->at) && *r->at)
		return pd_fields_wrong(r->fields, "invalid value for \"%.64s\" - must be a number or a string", key);
	if (!string && !read_number(r, value))
		return false;
	return pd_fields_add(r->fields, key, value, string ? PD_JSON_STRING : PD_JSON_NUMBER);
}

bool pd_fields_json(struct pd_fields *f, const char *text, size_t len)
{
	struct reader r = { f, text, text, text + len };
	if (!take(&r, '{', "no object"))
		return false;
	skip_blanks(&r);
	bool more = !next_is(&r, '}');
	while (more) {
		if (!read_member(&r))
			return false;
		skip_blanks(&r);
		more = next_is(&r, ',');
		r.at += more;
	}
	if (!take(&r, '}', "no comma or closing brace"))
		return false;
	skip_blanks(&r);
	return r.at == r.end || wrong(&r, "more behind the object");
}
