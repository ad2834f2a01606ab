/* Text of unknown origin made safe: UTF-8, quoting, escaping. Knows no format beyond characters. */
#include "server/encode/inside.h"

#include <string.h>

uint32_t pd_rune(const char **s)
{
	/* Smallest code point that needs 1 + i following bytes; what is below it is an overlong form. */
	static const uint32_t LEAST[] = { 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)*s;
	*s += 1;
	if (*p < 0x80)
		return *p;
	int more = *p >= 0xf8 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
	if (!more)
		return PD_BAD_RUNE;
	uint32_t r = *p & (0x3fu >> more);
	for (int i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return PD_BAD_RUNE;
		r = r << 6 | (p[i] & 0x3f);
	}
	if (r < LEAST[more - 1] || r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
		return PD_BAD_RUNE;
	*s += more;
	return r;
}

size_t pd_runes(const char *s)
{
	size_t n = 0;
	for (; *s; n++)
		pd_rune(&s);
	return n;
}

static bool is_control(uint32_t r)
{
	return r < 0x20 || (r >= 0x7f && r < 0xa0);
}

#define REPLACEMENT "\xef\xbf\xbd"

void pd_utf8(struct pd_buf *out, const char *s)
{
	while (*s) {
		const char *at = s;
		if (pd_rune(&s) == PD_BAD_RUNE)
			pd_buf_str(out, REPLACEMENT);
		else
			pd_buf_add(out, at, (size_t)(s - at));
	}
}

void pd_oneline(struct pd_buf *out, const char *s)
{
	while (*s) {
		const char *at = s;
		uint32_t r = pd_rune(&s);
		if (r == PD_BAD_RUNE)
			pd_buf_str(out, REPLACEMENT);
		else if (is_control(r) || r == 0x2028 || r == 0x2029)
			pd_buf_char(out, ' ');
		else
			pd_buf_add(out, at, (size_t)(s - at));
	}
}

void pd_html(struct pd_buf *out, const char *s)
{
	while (*s) {
		const char *at = s;
		uint32_t r = pd_rune(&s);
		switch (r) {
		case '&': pd_buf_str(out, "&amp;"); break;
		case '<': pd_buf_str(out, "&lt;"); break;
		case '>': pd_buf_str(out, "&gt;"); break;
		case '"': pd_buf_str(out, "&#34;"); break;
		case '\'': pd_buf_str(out, "&#39;"); break;
		default:
			if (r == PD_BAD_RUNE || is_control(r))
				pd_buf_str(out, REPLACEMENT);
			else
				pd_buf_add(out, at, (size_t)(s - at));
		}
	}
}

/* What shows nothing or disturbs the line; the larger of Unicode's holes included, single unassigned points not. */
static bool is_printable(uint32_t r)
{
	static const struct {
		uint32_t first, last;
	} NOT[] = {
		{ 0, 0x1f }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x6dd, 0x6dd },
		{ 0x70f, 0x70f },
		{ 0x1680, 0x1680 }, { 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
		{ 0xfffe, 0xffff }, { 0xe0000, 0xe00ff }, { 0xe01f0, 0xffffffff },
	};
	for (size_t i = 0; i < sizeof NOT / sizeof *NOT; i++)
		if (r >= NOT[i].first && r <= NOT[i].last)
			return false;
	return true;
}

/* A character that is not written as it is; `byte` is what stands there when it is no UTF-8. */
static void escape(struct pd_buf *out, uint32_t r, unsigned char byte)
{
	static const char FROM[] = "\a\b\f\n\r\t\v", TO[] = "abfnrtv";
	const char *at = r && r < 0x20 ? strchr(FROM, (int)r) : NULL;
	if (at)
		pd_buf_fmt(out, "\\%c", TO[at - FROM]);
	else if (r == PD_BAD_RUNE || r < 0x80)
		pd_buf_fmt(out, "\\x%02x", byte);
	else
		pd_buf_fmt(out, r < 0x10000 ? "\\u%04x" : "\\U%08x", r);
}

void pd_quote(struct pd_buf *out, const char *s)
{
	pd_buf_char(out, '"');
	while (*s) {
		const char *at = s;
		uint32_t r = pd_rune(&s);
		if (r == '"' || r == '\\')
			pd_buf_fmt(out, "\\%c", (char)r);
		else if (!is_printable(r))
			escape(out, r, (unsigned char)*at);
		else
			pd_buf_add(out, at, (size_t)(s - at));
	}
	pd_buf_char(out, '"');
}

void pd_ascii(struct pd_buf *out, const char *s, bool quoted)
{
	if (quoted)
		pd_buf_char(out, '"');
	while (*s) {
		unsigned char byte = (unsigned char)*s;
		uint32_t r = pd_rune(&s);
		if (quoted && (r == '"' || r == '\\'))
			pd_buf_fmt(out, "\\%c", (char)r);
		else if (r < 0x20 || r > 0x7e || (quoted && r == ']'))
			escape(out, r, byte);
		else
			pd_buf_char(out, (char)r);
	}
	if (quoted)
		pd_buf_char(out, '"');
}

size_t pd_hex(struct pd_buf *out, uint64_t v)
{
	char text[18], *at = text + sizeof text;
	do
		*--at = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	*--at = 'x';
	*--at = '0';
	size_t n = (size_t)(text + sizeof text - at);
	pd_buf_add(out, at, n);
	return n;
}

void pd_word(struct pd_buf *out, const char *s, const char *also)
{
	size_t plain = 0;
	while ((s[plain] >= '0' && s[plain] <= '9') || ((s[plain] | 0x20) >= 'a' && (s[plain] | 0x20) <= 'z') ||
	       (s[plain] && strchr(also, s[plain])))
		plain++;
	pd_ascii(out, s, s[plain] || !plain);
}
