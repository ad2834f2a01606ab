/* The endpoints that are no profile: the command line, symbols, the redirect, and what there is
 * not. */
#include <string.h>
#include <strings.h>

#include "server/route/inside.h"
#include "server/route/process.h"

/* Relative, so that it holds behind any proxy that puts a path before ours. */
void pd_serve_redirect(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	struct pd_buf to = { 0 }, body = { 0 };
	const char *query = pd_query(r);
	pd_buf_fmt(&to, "pprof/%s%s", *query ? "?" : "", query);
	pd_buf_char(&to, '\0');
	if (to.failed)
		return pd_error(r, 500, "out of memory");
	pd_buf_str(&body, "<a href=\"");
	pd_html(&body, to.data);
	pd_buf_str(&body, "\">Moved Permanently</a>.\n\n");
	pd_reply_header(r, "Location", to.data);
	pd_buf_free(&to);
	pd_reply(r, 301, PD_HTML, &body);
}

/* The kernel ends every argument with a NUL; the endpoint puts one between two. */
void pd_serve_cmdline(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	struct pd_buf out = { 0 };
	int error = pd_file_read("/proc/self/cmdline", &out);
	if (error) {
		pd_buf_free(&out);
		return pd_error(r, 500, "/proc/self/cmdline: %s", strerror(-error));
	}
	if (out.len && !out.data[out.len - 1])
		out.len--;
	pd_reply(r, 200, PD_TEXT, &out);
}

/* The Perl clients, which understand inlined frames, send their addresses as a form; pprof, which
 * would take them for one odd name, does not. */
static bool from_perl(const struct pd_request *r)
{
	const char *type = pd_header(r, "Content-Type");
	return strcmp(pd_method(r), "POST") == 0 && type &&
	       strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0;
}

static void look_up(struct pd_request *r, void *arg)
{
	struct pd_routes *s = arg;
	const struct pd_module *const *modules;
	struct pd_buf out = { .max = PD_REPLY_MAX };
	s->agent->modules_refresh();
	size_t n = s->agent->modules(&modules);
	size_t len = strlen(pd_query(r));
	const char *query = strcmp(pd_method(r), "POST") == 0 ? pd_body(r, &len) : pd_query(r);
	int error = pd_encode_symbolz(query ? query : "", query ? len : 0, from_perl(r), modules, n,
	                              s->symbols, &out);
	pd_symbols_trim(s->symbols);
	if (!error)
		return pd_reply(r, 200, PD_TEXT, &out);
	pd_buf_free(&out);
	pd_error(r, 500, "failed to look up symbols: %s", strerror(-error));
}

void pd_serve_symbol(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	pd_prepare_yield(s);
	pd_work(r, look_up);
}

void pd_serve_trace(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	pd_error(r, 404, "No execution trace: only the Go runtime writes one");
}
