/* Query values as Go reads them, and what those of our own choose. Must not know when they are used. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "server/route/inside.h"

/* Go's ParseInt(s, 10, 64): 0, -EINVAL, or -ERANGE with *out the nearest value. */
static int parse_int(const char *s, int64_t *out)
{
	bool minus = *s == '-';
	*out = 0;
	if (*s == '-' || *s == '+')
		s++;
	if (!*s)
		return -EINVAL;
	int error = 0;
	int64_t v = 0;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		int digit = minus ? '0' - *s : *s - '0';
		if (!error &&
		    (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)))
			error = -ERANGE;
	}
	*out = !error ? v : minus ? INT64_MIN : INT64_MAX;
	return error;
}

int pd_param_int(const char *s)
{
	int64_t v;
	if (!s || parse_int(s, &v) == -EINVAL)
		return 0;
	return v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : (int)v;
}

static int64_t cut_seconds(int64_t v, bool *cut)
{
	*cut = v > PD_WINDOW_MAX;
	return *cut ? PD_WINDOW_MAX : v;
}

int64_t pd_param_seconds(const char *s, int64_t fallback, bool *cut)
{
	int64_t v;
	*cut = false;
	if (!s || parse_int(s, &v) != 0 || v <= 0)
		return fallback;
	return cut_seconds(v, cut);
}

int64_t pd_param_delta(const char *s, bool *cut)
{
	int64_t v;
	*cut = false;
	if (parse_int(s, &v) != 0 || v <= 0)
		return -EINVAL;
	return cut_seconds(v, cut);
}

static bool is(struct pd_request *r, const char *key, const char *value)
{
	const char *v = pd_param(r, key);
	return v && strcmp(v, value) == 0;
}

struct pd_encode_options pd_param_options(struct pd_request *r)
{
	return (struct pd_encode_options){
		.plain = is(r, "gzip", "0"),
		.no_symbols = is(r, "symbolize", "0"),
		.no_labels = is(r, "labels", "0"),
		.brace_labels = is(r, "labels", "1"),
		.split_inlines = is(r, "inlines", "split"),
	};
}

const struct pd_form *pd_param_form(const char *format, int debug)
{
	static const struct pd_form forms[] = {
		{ "pprof", pd_encode_pprof, "application/octet-stream", true },
		{ "collapsed", pd_encode_collapsed, PD_TEXT, false },
		{ "json", pd_encode_speedscope, "application/json", false },
	};
	static const struct pd_form text = { NULL, pd_encode_text, PD_TEXT, false };
	if (!format || !*format)
		return debug ? &text : &forms[0];
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strcmp(forms[i].format, format) == 0)
			return &forms[i];
	return NULL;
}
