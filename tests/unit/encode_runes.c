/* Text of unknown origin: what becomes of it for pprof, for HTML and in quotes. */
#include "../test.h"
#include "server/encode/inside.h"

static void quote(struct pd_buf *out, const char *s)
{
	pd_quote(out, s);
}

static void ascii(struct pd_buf *out, const char *s)
{
	pd_ascii(out, s, false);
}

static void ascii_quoted(struct pd_buf *out, const char *s)
{
	pd_ascii(out, s, true);
}

static void expect(void (*fn)(struct pd_buf *, const char *), const char *s, const char *want)
{
	struct pd_buf out = { 0 };
	fn(&out, s);
	pd_buf_char(&out, '\0');
	STREQ(out.data, want);
	pd_buf_free(&out);
}

#define BAD "\xef\xbf\xbd"

int main(void)
{
	expect(pd_utf8, "plain \n \xc3\xa9 \xf0\x9f\x98\x80", "plain \n \xc3\xa9 \xf0\x9f\x98\x80");
	expect(pd_utf8, "a\xff\xc3", "a" BAD BAD);
	expect(pd_utf8, "\xc0\x80\xe0\x80\x80", BAD BAD BAD BAD BAD);       /* overlong */
	expect(pd_utf8, "\xed\xa0\x80", BAD BAD BAD);                       /* a surrogate */
	expect(pd_utf8, "\xf4\x90\x80\x80", BAD BAD BAD BAD);               /* past the last code point */
	expect(pd_utf8, "\xf0\x9f\x98", BAD BAD BAD);                       /* cut */
	expect(pd_utf8, "\x80x\xe2\x82", BAD "x" BAD BAD);

	expect(pd_html, "<a href='x' b=\"y\">&amp;\xc3\xa9",
	       "&lt;a href=&#39;x&#39; b=&#34;y&#34;&gt;&amp;amp;\xc3\xa9");
	expect(pd_html, "a\nb\x7f\xc2\x85\xff", "a" BAD "b" BAD BAD BAD);

	expect(pd_oneline, "a\nb\tc\xff\xe2\x80\xa8", "a b c" BAD " ");

	expect(quote, "ac\"me \xc3\xa9\\", "\"ac\\\"me \xc3\xa9\\\\\"");
	expect(quote, "\a\b\f\n\r\t\v\x01\x1b\x7f\xff\xc2\x85\xc2\xa0\xe2\x80\x8b\xe3\x80\x80\xf3\xa0\x80\x81",
	       "\"\\a\\b\\f\\n\\r\\t\\v\\x01\\x1b\\x7f\\xff\\u0085\\u00a0\\u200b\\u3000\\U000e0001\"");
	expect(quote, "\xf0\x9f\x98\x80 " BAD, "\"\xf0\x9f\x98\x80 " BAD "\"");

	expect(ascii, "operator[] \"x\" \\ \xc3\xa9\n\x1b\xff\xf0\x9f\x98\x80",
	       "operator[] \"x\" \\ \\u00e9\\n\\x1b\\xff\\U0001f600");
	expect(ascii_quoted, "a]b \"x\" \\ \t", "\"a\\x5db \\\"x\\\" \\\\ \\t\"");

	EQ(pd_runes("a\xc3\xa9\xff\xe2\x82\xac"), 4);

	struct pd_intern t = { 0 };
	bool fresh;
	for (size_t round = 0; round < 2; round++)
		for (uint64_t i = 0; i < 5000; i++) {
			uint64_t key = i * i;
			EQ(pd_intern(&t, &key, sizeof key, &fresh), i);
			EQ(fresh, round == 0);
		}
	EQ(t.n, 5000);
	pd_intern_free(&t);
	DONE();
}
