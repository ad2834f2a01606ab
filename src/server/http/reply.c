/* What is said back. Knows statuses, headers and bytes; must not know how they are sent. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "server/http/inside.h"

#define PD_PLAIN "text/plain; charset=utf-8"

static const struct {
	const char *name, *value;
	bool html_only;
} standing[] = {
	{ "X-Content-Type-Options", "nosniff", false },
	{ "Cache-Control", "no-store", false },
	{ "Cross-Origin-Resource-Policy", "same-origin", false },
	{ "Referrer-Policy", "no-referrer", false },
	{ "X-Frame-Options", "DENY", false },
	{ "Content-Security-Policy",
	        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	        "worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
	        "require-trusted-types-for 'script'; trusted-types pprofd",
	        true },
};

bool pd_reply_standing(const char *type, size_t i, const char **name, const char **value)
{
	if (i >= sizeof standing / sizeof *standing)
		return false;
	bool html = strncasecmp(type, "text/html", 9) == 0;
	*name = standing[i].name;
	*value = standing[i].html_only && !html ? NULL : standing[i].value;
	return true;
}

void pd_reply_clear(struct pd_reply *p)
{
	pd_buf_free(&p->headers);
	pd_buf_free(&p->body);
	*p = (struct pd_reply){ .ready = false };
}

void pd_reply_header(struct pd_request *r, const char *name, const char *value)
{
	pd_buf_add(&r->reply.headers, name, strlen(name) + 1);
	pd_buf_add(&r->reply.headers, value, strlen(value) + 1);
}

void pd_reply(struct pd_request *r, int status, const char *content_type, struct pd_buf *body)
{
	struct pd_reply *p = &r->reply;
	struct pd_buf bytes = *body;
	*body = (struct pd_buf){ .max = body->max };
	if (p->ready) {
		pd_log("a second reply to one request was dropped");
		pd_buf_free(&bytes);
		return;
	}
	if (bytes.failed || p->headers.failed) {
		pd_buf_free(&bytes);
		pd_reply_clear(p);
		pd_reply_header(r, "X-Go-Pprof", "1");
		bytes = (struct pd_buf){ .data = NULL };
		pd_buf_str(&bytes, "the reply is too large, or memory ran out\n");
		status = 500;
		content_type = PD_PLAIN;
	}
	p->status = status;
	snprintf(p->type, sizeof p->type, "%s", content_type);
	p->body = bytes;
	p->ready = true;
}

void pd_reply_plain(struct pd_request *r, int status, const char *type, const char *text)
{
	struct pd_buf body = { .data = NULL };
	pd_buf_str(&body, text);
	pd_reply(r, status, type, &body);
}

void pd_error(struct pd_request *r, int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text - 1, fmt, ap);
	va_end(ap);
	strcat(text, "\n");
	struct pd_reply *p = &r->reply;
	if (p->ready) {
		pd_log("a second reply to one request was dropped");
		return;
	}
	/* Of the headers said for the good reply only those about trying again still hold. */
	const char *retry = pd_pair_first(&p->headers, "Retry-After", true);
	const char *ask = pd_pair_first(&p->headers, "WWW-Authenticate", true);
	struct pd_buf said = p->headers;
	p->headers = (struct pd_buf){ .data = NULL };
	pd_reply_header(r, "X-Go-Pprof", "1");
	if (retry)
		pd_reply_header(r, "Retry-After", retry);
	if (ask)
		pd_reply_header(r, "WWW-Authenticate", ask);
	pd_buf_free(&said);
	pd_reply_plain(r, status, PD_PLAIN, text);
}
