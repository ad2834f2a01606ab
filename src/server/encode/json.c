/* JSON, value by value. Knows the syntax; must not know what is told. */
#include <stdio.h>
#include <time.h>

#include "server/encode/inside.h"

#define LINES 2 /* levels with a line for each value */

static void line(struct pd_json *j)
{
	pd_buf_char(j->out, '\n');
	for (int i = 0; i < j->depth; i++)
		pd_buf_char(j->out, '\t');
}

static void quoted(struct pd_buf *out, const char *s)
{
	pd_buf_char(out, '"');
	while (*s) {
		const char *at = s;
		uint32_t r = pd_rune(&s);
		if (r == PD_BAD_RUNE)
			pd_buf_str(out, "\xef\xbf\xbd");
		else if (r == '"' || r == '\\')
			pd_buf_fmt(out, "\\%c", (int)r);
		/* Markup too: a reader that takes it for a page must find nothing in it. */
		else if (r < 0x20 || r == 0x7f || r == '<' || r == '>' || r == '&' || r == 0x2028 || r == 0x2029)
			pd_buf_fmt(out, "\\u%04x", r);
		else
			pd_buf_add(out, at, (size_t)(s - at));
	}
	pd_buf_char(out, '"');
}

/* What stands before a value. */
static void begin(struct pd_json *j, const char *key)
{
	if (j->more)
		pd_buf_char(j->out, ',');
	if (j->depth && j->depth <= LINES)
		line(j);
	else if (j->more)
		pd_buf_char(j->out, ' ');
	if (key) {
		quoted(j->out, key);
		pd_buf_str(j->out, ": ");
	}
	j->more = true;
}

void pd_json_open(struct pd_json *j, const char *key, char bracket)
{
	begin(j, key);
	pd_buf_char(j->out, bracket);
	j->more = false;
	j->depth++;
}

void pd_json_close(struct pd_json *j, char bracket)
{
	j->depth--;
	if (j->more && j->depth < LINES)
		line(j);
	pd_buf_char(j->out, bracket);
	if (!j->depth)
		pd_buf_char(j->out, '\n');
	j->more = true;
}

void pd_json_string(struct pd_json *j, const char *key, const char *s)
{
	begin(j, key);
	if (s)
		quoted(j->out, s);
	else
		pd_buf_str(j->out, "null");
}

void pd_json_number(struct pd_json *j, const char *key, uint64_t v)
{
	begin(j, key);
	pd_buf_fmt(j->out, "%llu", (unsigned long long)v);
}

void pd_json_bool(struct pd_json *j, const char *key, bool v)
{
	begin(j, key);
	pd_buf_str(j->out, v ? "true" : "false");
}

void pd_json_seconds(struct pd_json *j, const char *key, int64_t ns)
{
	begin(j, key);
	pd_buf_fmt(j->out, "%.6f", (double)ns / 1e9);
}

void pd_json_time(struct pd_json *j, const char *key, int64_t ns)
{
	time_t s = ns / 1000000000;
	struct tm tm;
	char text[40];
	if (ns <= 0 || !gmtime_r(&s, &tm))
		return pd_json_string(j, key, NULL);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ns % 1000000000 / 1000000));
	pd_json_string(j, key, text);
}
