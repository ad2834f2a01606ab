/*
 * The admin route: GET tells the state (state.c), POST sets rates, all or nothing. Knows requests and replies; what a
 * request says is read elsewhere, and what a rate does only samplers know.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/atomic.h"
#include "server/route/admin.h"
#include "server/route/inside.h"
#include "server/route/state.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static void audit(struct pd_routes *s, struct pd_request *r, int status, const char *what)
{
	struct pd_http *h = pd_load_acquire(&s->http);
	if (h)
		pd_audit_add(h, pd_peer(r), status, what);
}

/* A refusal in Go's error form; remembered. */
static void refuse(struct pd_routes *s, struct pd_request *r, int status, const char *why)
{
	char what[160];
	snprintf(what, sizeof what, "%s %s: %.110s", pd_method(r), pd_path(r), why);
	audit(s, r, status, what);
	pd_error(r, status, "%s", why);
}

/* ---- GET ---- */

/* Does the query look as if it should set something? */
static bool sets(struct pd_routes *s, struct pd_request *r)
{
	struct pd_rate rate[PD_RATES];
	size_t n = s->agent->rates(rate, PD_RATES);
	bool any = pd_param(r, "for") != NULL;
	for (size_t i = 0; i < n; i++)
		any |= pd_param(r, rate[i].name) != NULL;
	return any;
}

static void tell(struct pd_request *r, void *arg)
{
	struct pd_routes *s = arg;
	struct pd_buf out = { .max = PD_REPLY_MAX };
	if (sets(s, r)) {
		static const char WHY[] = "rates are set by POST: nothing was changed";
		audit(s, r, 405, WHY);
		pd_reply_header(r, "Allow", "POST");
		pd_reply_header(r, "X-Go-Pprof", "1");
		pd_buf_fmt(&out, "%s\n", WHY);
		return pd_reply(r, 405, PD_TEXT, &out);
	}
	pd_state_json(s, &out);
	pd_reply(r, 200, JSON, &out);
}

/* ---- POST ---- */

/* Is the media type of this header value, parameters left aside, that one? */
static bool is_type(const char *header, const char *type)
{
	size_t n = strlen(type);
	return header && strncasecmp(header, type, n) == 0 && (!header[n] || strchr("; \t", header[n]));
}

/* Everything the request says; 0, or the status that refuses it, with the sentence in f. */
static int read_fields(struct pd_request *r, struct pd_fields *f)
{
	size_t len;
	const char *type = pd_header(r, "Content-Type"), *body = pd_body(r, &len);
	if (!pd_fields_form(f, pd_query(r), strlen(pd_query(r))))
		return 400;
	if (!len)
		return 0;
	bool (*read)(struct pd_fields *, const char *, size_t) = is_type(type, FORM) ? pd_fields_form
	                                                         : is_type(type, JSON) ? pd_fields_json
	                                                                               : NULL;
	if (read)
		return read(f, body, len) ? 0 : 400;
	pd_fields_wrong(f, "the body must be " FORM " or " JSON);
	return 415;
}

static void done(struct pd_routes *s, struct pd_request *r, const struct pd_rate_change *change, size_t n,
                 int64_t for_ns)
{
	char what[160], span[PD_SPAN];
	size_t at = 0;
	struct pd_buf out = { 0 };
	struct pd_json j = { .out = &out };
	pd_json_open(&j, NULL, '{');
	for (size_t i = 0; i < n; i++) {
		const struct pd_rate_change *c = &change[i];
		pd_json_open(&j, c->name, '{');
		pd_json_number(&j, "was", c->was);
		pd_json_number(&j, "now", c->value);
		pd_json_time(&j, "until", c->until_ns);
		if (c->until_ns)
			pd_json_number(&j, "then", c->then);
		pd_json_close(&j, '}');
		if (at < sizeof what)
			at += (size_t)snprintf(what + at, sizeof what - at, "%s%s %llu -> %llu", i ? ", " : "", c->name,
			                       (unsigned long long)c->was, (unsigned long long)c->value);
	}
	pd_json_close(&j, '}');
	if (for_ns && at < sizeof what)
		snprintf(what + at, sizeof what - at, " for %s", pd_span(span, for_ns));
	audit(s, r, 200, what);
	pd_reply(r, 200, JSON, &out);
}

static void set(struct pd_routes *s, struct pd_request *r, struct pd_fields *f)
{
	struct pd_rate rate[PD_RATES];
	struct pd_rate_change change[PD_RATES];
	size_t n, bad = 0;
	int64_t for_ns;
	int status = read_fields(r, f);
	if (!status && !pd_fields_changes(f, rate, s->agent->rates(rate, PD_RATES), change, &n, &for_ns))
		status = 400;
	if (status)
		return refuse(s, r, status, f->error);
	int error = s->agent->rates_set(change, n, for_ns, PD_RATE_HTTP, &bad);
	if (!error)
		return done(s, r, change, n, for_ns);
	pd_fields_wrong(f, "could not set \"%s\": %s - nothing was changed", change[bad].name, strerrordesc_np(-error));
	refuse(s, r, error == -ENOTCONN ? 503 : 500, f->error);
}

static void set_and_reply(struct pd_request *r, void *arg)
{
	struct pd_fields f = { .n = 0 };
	set(arg, r, &f);
	pd_fields_free(&f);
}

/* On the worker: a rate that changes may patch the program's calls, and both ways may wait for a sampler. */
void pd_serve_admin(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	pd_prepare_yield(s);
	pd_work(r, strcmp(pd_method(r), "POST") == 0 ? set_and_reply : tell);
}
