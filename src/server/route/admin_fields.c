/* From the keys and values of a request to changes of rates. Pure; knows rates only by what it is told of them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/http/http.h"
#include "server/route/admin.h"

bool pd_fields_wrong(struct pd_fields *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->error, sizeof f->error, fmt, ap);
	va_end(ap);
	for (char *s = f->error; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
	return false;
}

void pd_fields_free(struct pd_fields *f)
{
	pd_buf_free(&f->text);
	f->n = 0;
}

bool pd_fields_add(struct pd_fields *f, const char *key, const char *value, int form)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(pd_field_key(f, i), key) == 0)
			return pd_fields_wrong(f, "\"%.64s\" is given twice", key);
	if (f->n == PD_FIELDS)
		return pd_fields_wrong(f, "more than %d parameters", PD_FIELDS);
	struct pd_field *to = &f->field[f->n];
	*to = (struct pd_field){ .key = f->text.len, .value = f->text.len + strlen(key) + 1, .form = form };
	pd_buf_add(&f->text, key, strlen(key) + 1);
	pd_buf_add(&f->text, value, strlen(value) + 1);
	if (f->text.failed)
		return pd_fields_wrong(f, "out of memory");
	f->n++;
	return true;
}

bool pd_fields_form(struct pd_fields *f, const char *text, size_t len)
{
	struct pd_buf pairs = { 0 };
	bool ok = pd_form_parse(text, len, &pairs);
	if (!ok)
		pd_fields_wrong(f, "malformed parameters");
	for (const char *s = pairs.data; ok && s && s < pairs.data + pairs.len;) {
		const char *value = s + strlen(s) + 1;
		ok = pd_fields_add(f, s, value, PD_PLAIN_FIELD);
		s = value + strlen(value) + 1;
	}
	pd_buf_free(&pairs);
	return ok;
}

/* Digits at the beginning of s; false when there are none or too many. */
static bool digits(const char *s, const char **end, uint64_t *out)
{
	*out = 0;
	for (*end = s; **end >= '0' && **end <= '9'; ++*end)
		if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, **end - '0', out))
			return false;
	return *end > s;
}

int64_t pd_duration(const char *s)
{
	static const struct {
		const char *name;
		int64_t ns;
	} UNITS[] = { { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 } };
	uint64_t n;
	if (!digits(s, &s, &n))
		return 0;
	for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
		if (strcmp(s, UNITS[i].name) == 0 && n <= (uint64_t)(PD_RATE_FOR_MAX / UNITS[i].ns))
			return (int64_t)n * UNITS[i].ns;
	return 0;
}

/* key NULL: no rate is given at all. */
static bool wrong_name(struct pd_fields *f, const char *key, const struct pd_rate *rate, size_t nrates)
{
	char known[160] = "";
	for (size_t i = 0, at = 0; i < nrates && at < sizeof known; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", rate[i].name);
	if (!key)
		return pd_fields_wrong(f, "no rate is given - known are %s", known);
	return pd_fields_wrong(f, "unknown rate \"%.64s\" - known are %s", key, known);
}

static bool change(struct pd_fields *f, size_t i, const struct pd_rate *rate, size_t nrates, struct pd_rate_change *out)
{
	const char *key = pd_field_key(f, i), *end;
	const struct pd_rate *r = rate;
	while (r < rate + nrates && strcmp(r->name, key) != 0)
		r++;
	if (r == rate + nrates)
		return wrong_name(f, key, rate, nrates);
	*out = (struct pd_rate_change){ .name = r->name };
	if (f->field[i].form != PD_JSON_STRING && digits(pd_field_value(f, i), &end, &out->value) && !*end &&
	    out->value >= r->min && out->value <= r->max)
		return true;
	return pd_fields_wrong(f, "invalid value for \"%s\" - must be a whole number from %llu to %llu", r->name,
	                       (unsigned long long)r->min, (unsigned long long)r->max);
}

bool pd_fields_changes(struct pd_fields *f, const struct pd_rate *rate, size_t nrates,
                       struct pd_rate_change out[static PD_RATES], size_t *n, int64_t *for_ns)
{
	*n = 0;
	*for_ns = 0;
	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(pd_field_key(f, i), "for") == 0) {
			*for_ns = f->field[i].form == PD_JSON_NUMBER ? 0 : pd_duration(pd_field_value(f, i));
			if (!*for_ns)
				return pd_fields_wrong(f, "invalid value for \"for\" - must be a time such as"
				                       " 500ms, 60s, 5m or 1h, at most 24h");
		} else if (*n == PD_RATES) {
			return wrong_name(f, pd_field_key(f, i), rate, nrates);
		} else if (!change(f, i, rate, nrates, &out[(*n)++])) {
			return false;
		}
	}
	return *n || wrong_name(f, NULL, rate, nrates);
}
