/*
 * The head of a request, copied out of libmicrohttpd so that handlers on any thread can read it, and checked for what
 * that library lets pass. Must not know what is allowed.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "server/http/inside.h"

struct copying {
	struct pd_request *r;
	const char *next; /* where the next header line begins if there is no NUL in this one; NULL = was looked at */
};

/* After a line that ends at `end` with CR LF or LF, each replaced by NUL. */
static const char *next_line(const char *end)
{
	return end[1] ? end + 1 : end + 2;
}

static const char *header_fault(const char *name, const char *value)
{
	for (const char *s = name; *s; s++) {
		if (*s <= ' ' || *s >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *s))
			return "bad header name";
	}
	for (const char *s = value; *s; s++) {
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return "control character in a header";
	}
	return *name ? NULL : "header without a name";
}

static enum MHD_Result copy_header(
        void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct copying *c = arg;
	struct pd_request *r = c->r;
	value = value ? value : "";
	const char *fault = header_fault(name, value);
	if (fault)
		r->malformed = fault;
	if ((c->next && name != c->next) || strlen(name) != name_len || strlen(value) != value_len)
		r->malformed = "NUL or folded line in the headers";
	if (c->next)
		c->next = next_line(value + value_len);
	pd_buf_add(&r->headers, name, strlen(name) + 1);
	size_t len = strlen(value);
	while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	pd_buf_add(&r->headers, value, len);
	pd_buf_char(&r->headers, 0);
	return MHD_YES;
}

static bool only_empty_line(const char *from, const char *end)
{
	bool empty = end >= from && end - from <= 2;
	for (const char *s = from; empty && s < end; s++)
		empty = !*s;
	return empty;
}

/*
 * libmicrohttpd before 1.0 cuts everything at a NUL. It parses in place, though, and ends each piece with one NUL for
 * each byte of its delimiter: pieces that do not touch have more in between.
 */
void pd_head_copy(struct pd_request *r, struct MHD_Connection *connection, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *size =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	snprintf(r->method, sizeof r->method, "%s", method);
	r->http10 = strcmp(version, "HTTP/1.0") == 0;
	if (method + strlen(method) + 1 != r->target_at || r->target_at + r->target_len + 1 != version)
		r->malformed = "NUL or blank in the request line";
	struct copying c = { r, pd_daemon_strict() ? NULL : next_line(version + strlen(version)) };
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, copy_header, &c);
	if (c.next && !only_empty_line(c.next, size ? method + size->header_size : c.next))
		r->malformed = "NUL or folded line in the headers";
	if (r->headers.failed)
		r->malformed = "out of memory";
}
