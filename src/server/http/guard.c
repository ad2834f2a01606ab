/*
 * What stands in front of every handler, in this order: peer, Host, framing, path, method, body, cross-site rules,
 * token. Knows who may ask and how; must not know what is served.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/http/inside.h"

#define PD_FAILURES 10 /* wrong tokens in a second before none is looked at any more */
#define PD_FAILURE_NS 250000000ll

void pd_refuse(struct pd_request *r, int status, const char *fmt, ...)
{
	char text[256], what[160];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	snprintf(what, sizeof what, "%s %.60s: %.80s", r->method, r->target, text);
	pd_count_refusal(r->http, r->reason);
	pd_audit_add(r->http, r->peer.name, status, what);
	pd_error(r, status, "%s", text);
}

/* How many headers have the name. */
static unsigned count(const struct pd_request *r, const char *name)
{
	unsigned n = 0;
	const struct pd_buf *b = &r->headers;
	for (const char *s = b->data; s && s < b->data + b->len;) {
		n += strcasecmp(s, name) == 0;
		s += strlen(s) + 1;
		s += strlen(s) + 1;
	}
	return n;
}

static void check_peer(struct pd_request *r)
{
	const struct pd_peer *p = &r->peer;
	unsigned own = geteuid();
	r->trusted = p->local && (r->http->c.config->access_local || (p->known && (p->uid == own || p->uid == 0)));
	if (r->trusted || r->http->token.set)
		return;
	if (!p->local)
		pd_refuse(r, 403, "only programs on this machine are served without a token: set PPROFD_TOKEN_FILE");
	else if (p->known)
		pd_refuse(r, 403,
		        "user %u is not served, only user %u and root: PPROFD_ACCESS=local or "
		        "PPROFD_TOKEN_FILE widens this",
		        p->uid, own);
	else
		pd_refuse(r, 403,
		        "cannot tell which user asks (%s): PPROFD_ACCESS=local or PPROFD_TOKEN_FILE widens this",
		        p->why);
}

static void check_host(struct pd_request *r)
{
	const struct pd_config *c = r->http->c.config;
	const char *host = pd_header(r, "Host");
	if (count(r, "Host") > 1)
		pd_refuse(r, 400, "more than one Host header");
	else if (r->peer.unix_socket)
		return;
	else if (!host && !r->http10)
		pd_refuse(r, 421, "no Host header");
	else if (host && !pd_host_ok(host, strlen(host), c->hosts))
		pd_refuse(r, 421, "this host name is not served: use an address, localhost, or a name of PPROFD_HOSTS");
}

/* What libmicrohttpd lets pass of what says where a request ends; NULL = nothing wrong. */
static const char *framing_fault(const struct pd_request *r)
{
	const char *length = pd_header(r, "Content-Length"), *coding = pd_header(r, "Transfer-Encoding");
	if (count(r, "Content-Length") > 1 || count(r, "Transfer-Encoding") > 1)
		return "more than one length";
	if (length && coding)
		return "both Content-Length and Transfer-Encoding";
	if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
		return "Content-Length is not a number";
	return coding && strcasecmp(coding, "chunked") != 0 ? "unknown Transfer-Encoding" : NULL;
}

static void check_framing(struct pd_request *r)
{
	if (r->malformed)
		pd_refuse(r, 400, "malformed request: %s", r->malformed);
}

/* To the cleaned path, in the words of Go's mux; relative, so that it holds behind a proxy that puts a path before
 * ours. */
static void redirect(struct pd_request *r, const char *clean)
{
	static const struct {
		char c;
		const char *text;
	} escapes[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" }, { '\'', "&#39;" } };
	struct pd_buf to = { .data = NULL }, body = { .data = NULL };
	pd_path_root(r->target, &to);
	pd_path_escape(clean + 1, &to);
	if (*r->query)
		pd_buf_fmt(&to, "?%s", r->query);
	pd_buf_char(&to, 0);
	pd_buf_str(&body, "<a href=\"");
	for (const char *s = to.data; s && *s; s++) {
		size_t i = 0;
		while (i < sizeof escapes / sizeof *escapes && escapes[i].c != *s)
			i++;
		if (i < sizeof escapes / sizeof *escapes)
			pd_buf_str(&body, escapes[i].text);
		else
			pd_buf_char(&body, *s);
	}
	pd_buf_str(&body, "\">Moved Permanently</a>.\n\n");
	if (to.failed)
		body.failed = true;
	else
		pd_reply_header(r, "Location", to.data);
	pd_buf_free(&to);
	pd_reply(r, 301, "text/html; charset=utf-8", &body);
}

static bool has_blank(const char *s)
{
	while ((unsigned char)*s > ' ' && *s != 0x7f)
		s++;
	return *s;
}

static void check_path(struct pd_request *r)
{
	if (has_blank(r->target) || has_blank(r->query)) {
		pd_refuse(r, 400, "malformed request: control character or blank in the path or query");
		return;
	}
	if (!pd_path_decode(r->target, strlen(r->target), &r->path)) {
		pd_refuse(r, 400, "malformed request: bad path");
		return;
	}
	struct pd_buf clean = { .data = NULL };
	if (!pd_path_clean(r->path.data, &clean) && !clean.failed)
		redirect(r, clean.data);
	else if (clean.failed)
		pd_error(r, 500, "memory ran out");
	pd_buf_free(&clean);
	const char *prefix = r->http->c.config->prefix;
	size_t n = prefix ? strlen(prefix) : 0;
	if (n && strncmp(r->path.data, prefix, n) == 0 && r->path.data[n] == '/')
		r->mount = n;
}

static bool known_method(const struct pd_request *r)
{
	return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0 || strcmp(r->method, "POST") == 0;
}

static bool reading(const struct pd_request *r)
{
	return strcmp(r->method, "POST") != 0;
}

static void check_method(struct pd_request *r)
{
	bool expensive = false;
	const char *allowed = r->http->c.allow(pd_path(r), r->method, &expensive, &r->max_body);
	if (!allowed && !known_method(r))
		allowed = "GET, HEAD";
	const char *site = pd_header(r, "Sec-Fetch-Site");
	if (allowed) {
		pd_refuse(r, 405, "method not allowed");
		/* Go's mux says it without the mark of its profiles. */
		pd_reply_clear(&r->reply);
		pd_reply_header(r, "Allow", allowed);
		pd_reply_plain(r, 405, "text/plain; charset=utf-8", "Method Not Allowed\n");
	} else if (reading(r) && expensive && site &&
	        (strcmp(site, "cross-site") == 0 || strcmp(site, "same-site") == 0)) {
		r->reason = PD_BY_ORIGIN;
		pd_refuse(r, 403, "cross-origin request detected from Sec-Fetch-Site header");
	}
}

static void check_body(struct pd_request *r)
{
	const char *length = pd_header(r, "Content-Length");
	const char *digits = length ? length + strspn(length, "0") : "";
	bool chunked = pd_header(r, "Transfer-Encoding") != NULL;
	unsigned long long n = 0;
	for (const char *s = digits; *s && s - digits < 19; s++)
		n = n * 10 + (unsigned)(*s - '0');
	if (reading(r) && (n || chunked))
		pd_refuse(r, 400, "a %s request has no body", r->method);
	else if (strlen(digits) > 18 || n > r->max_body)
		pd_refuse(r, 413, "the body is longer than %zu bytes", r->max_body);
}

/* As Go's CrossOriginProtection decides. */
static void check_origin(struct pd_request *r)
{
	const char *site = pd_header(r, "Sec-Fetch-Site"), *origin = pd_header(r, "Origin");
	if (reading(r))
		return;
	if (site && *site) {
		if (strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
			pd_refuse(r, 403, "cross-origin request detected from Sec-Fetch-Site header");
		return;
	}
	if (!origin || !*origin)
		return;
	const char *host = pd_header(r, "Host"), *authority = strstr(origin, "://");
	if (!host || !authority || strcmp(authority + 3, host) != 0)
		pd_refuse(r, 403,
		        "cross-origin request detected, and/or browser is out of date: Sec-Fetch-Site is missing, "
		        "and Origin does not match Host");
}

static void unauthorized(struct pd_request *r, const char *why)
{
	pd_reply_header(r, "WWW-Authenticate", "Basic realm=\"pprofd\"");
	pd_refuse(r, 401, "%s", why);
}

static void wrong_token(struct pd_request *r, void *arg)
{
	unauthorized(r, "wrong token");
}

static void punish(struct pd_request *r, void *arg)
{
	pd_wait(r, PD_FAILURE_NS, wrong_token);
}

static bool too_many_failures(struct pd_http *h)
{
	int64_t now = pd_mono_ns();
	if (now - h->failures_since >= PD_SECOND) {
		h->failures_since = now;
		h->failures = 0;
	}
	return h->failures >= PD_FAILURES;
}

static void check_token(struct pd_request *r)
{
	struct pd_http *h = r->http;
	if (r->trusted)
		return;
	const char *sent = pd_header(r, "Authorization");
	if (!sent) {
		unauthorized(r, "a token is needed: Authorization: Bearer TOKEN, or as the Basic password");
	} else if (too_many_failures(h)) {
		pd_reply_header(r, "Retry-After", "1");
		pd_refuse(r, 429, "too many wrong tokens");
	} else if (count(r, "Authorization") > 1 || !pd_token_right(&h->token, sent)) {
		h->failures++;
		r->handler = punish;
	}
}

void pd_guard(struct pd_request *r)
{
	static void (*const checks[PD_REFUSALS])(struct pd_request *) = {
		[PD_BY_PEER] = check_peer,       [PD_BY_HOST] = check_host,     [PD_BY_FRAMING] = check_framing,
		[PD_BY_PATH] = check_path,       [PD_BY_METHOD] = check_method, [PD_BY_BODY] = check_body,
		[PD_BY_ORIGIN] = check_origin,   [PD_BY_TOKEN] = check_token,
	};
	if (!r->malformed)
		r->malformed = framing_fault(r);
	for (int i = 0; i < PD_REFUSALS && !r->reply.ready; i++) {
		r->reason = i;
		checks[i](r);
	}
}
