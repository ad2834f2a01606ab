/*
 * What a request to set rates says: read strictly, all or nothing. Pure. Only route's files include it.
 *
 *   POST admin?block_rate=1000            keys and values in the query, in a body of the type
 *   application/x-www-form-urlencoded, or in one JSON object of numbers (`for`: a string); query and body may add to
 *   each other. Keys are the names of the rates and `for`, values decimal digits within the rate's bounds.
 *   200  {"block_rate": {"was": 0, "now": 1000, "until": null}}; with `for`, until says when and `then` what returns
 *   400  an unknown or repeated key, a bad value, malformed input, no rate at all: the sentence names the key
 *   403  from a page of another origin (Sec-Fetch-Site, Origin), or from another user without a token
 *   405  a GET or HEAD that carries one of the keys
 *   413  a body of more than 4 KiB;  415  a body of another type;  500  a sampler could not: the sentence says why
 * Whatever is not 200 has changed nothing. All of it is in the audit that GET admin shows (state.h).
 */
#ifndef PD_SERVER_ROUTE_ADMIN_H
#define PD_SERVER_ROUTE_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/buf.h"

#define PD_FIELDS 16 /* at most, in one request */

/* Keys and values as given, in the order given. Zeroed = empty. */
struct pd_fields {
	struct pd_field {
		size_t key, value; /* in text, terminated */
		enum { PD_PLAIN_FIELD, PD_JSON_NUMBER, PD_JSON_STRING } form;
	} field[PD_FIELDS];
	size_t n;
	struct pd_buf text;
	char error[256]; /* one sentence, printable */
};

/* Add one field; false, with the sentence, when it is too many, given already or out of memory. */
bool pd_fields_add(struct pd_fields *f, const char *key, const char *value, int form);
/* Say what is wrong; always false. Bytes that cannot be shown become '?'. */
bool pd_fields_wrong(struct pd_fields *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline const char *pd_field_key(const struct pd_fields *f, size_t i)
{
	return f->text.data + f->field[i].key;
}
static inline const char *pd_field_value(const struct pd_fields *f, size_t i)
{
	return f->text.data + f->field[i].value;
}
void pd_fields_free(struct pd_fields *f);

/* Add the fields of a query or urlencoded body, or of a flat JSON object (admin_json.c). False = refused. */
bool pd_fields_form(struct pd_fields *f, const char *text, size_t len);
bool pd_fields_json(struct pd_fields *f, const char *text, size_t len);

/* The fields as changes of these rates, and `for` in ns (0 = not given). False = refused. */
bool pd_fields_changes(struct pd_fields *f, const struct pd_rate *rate, size_t nrates,
                       struct pd_rate_change out[static PD_RATES], size_t *n, int64_t *for_ns);

/* "500ms", "60s", "5m", "1h": ns, at least 1 ms and at most PD_RATE_FOR_MAX; 0 = no such time. */
int64_t pd_duration(const char *s);

#endif
