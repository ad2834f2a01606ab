/* The page at /debug/pprof/: what there is, how much, and how to get it; as HTML or as text. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/route/inside.h"

/* What both forms tell. */
struct facts {
	const struct pd_agent *agent;
	const struct pd_config *config;
	const struct pd_route *listed[32 + PD_CUSTOMS];
	uint64_t count[32 + PD_CUSTOMS];
	size_t n, windows;
	char program[256];
	char uptime[32];
	const struct pd_request *request;
};

static const char *name_of(const struct pd_route *route)
{
	return route->path + strlen(PD_PREFIX);
}

static void read_program(char *out, size_t size)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	const char *slash = strrchr(path, '/');
	snprintf(out, size, "%.*s", (int)size - 1, slash ? slash + 1 : "unknown program");
}

static void say_uptime(char *out, size_t size, int64_t ns)
{
	long long s = ns / PD_SECOND;
	if (s >= 86400)
		snprintf(out, size, "%lld d %lld h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(out, size, "%lld h %lld min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(out, size, "%lld min %lld s", s / 60, s % 60);
	else
		snprintf(out, size, "%lld s", s);
}

static bool counted(const struct pd_route *route)
{
	return route->source && route->source->count;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(name_of(*(const struct pd_route *const *)a), name_of(*(const struct pd_route *const *)b));
}

static void gather(struct facts *f, struct pd_routes *s, struct pd_request *r)
{
	*f = (struct facts){ .agent = s->agent, .config = s->config, .request = r };
	for (size_t i = 0; i < pd_route_count; i++) {
		const struct pd_route *route = &pd_route_table[i];
		if (route->help && f->n < sizeof f->listed / sizeof *f->listed - PD_CUSTOMS)
			f->listed[f->n++] = route;
	}
	f->n += pd_custom_routes(s, f->listed + f->n);
	qsort(f->listed, f->n, sizeof *f->listed, by_name);
	for (size_t i = 0; i < f->n; i++)
		f->count[i] = counted(f->listed[i]) ? f->listed[i]->source->count(s, f->listed[i]) : 0;
	f->windows = pd_slots_used(s);
	read_program(f->program, sizeof f->program);
	say_uptime(f->uptime, sizeof f->uptime, pd_mono_ns() - s->start_ns);
}

/* As the path of a relative link. */
static void write_path(struct pd_buf *b, const char *name)
{
	/* A colon in its first part would make it a scheme. */
	if (strchr(name, ':'))
		pd_buf_str(b, "./");
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-._~/:", c);
		pd_buf_fmt(b, plain ? "%c" : "%%%02X", c);
	}
}

static void html(struct pd_buf *b, const struct facts *f)
{
	char v[PD_ASSETS_VERSION];
	const char *script;
	pd_assets_version(v, &script);
	pd_buf_str(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	pd_html(b, f->program);
	pd_buf_fmt(b, " - /debug/pprof/</title>\n<link rel=\"icon\" href=\"data:,\">\n"
	              "<link rel=\"stylesheet\" href=\"www/%s/style.css\">\n"
	              "<script type=\"module\" src=\"www/%s/%s\"></script>\n", v, v, script);
	pd_buf_str(b, "</head>\n<body>\n<main id=\"plain\">\n<h1>/debug/pprof/</h1>\n<p>");
	pd_html(b, f->program);
	pd_buf_fmt(b, ", process %d; pprofd %s, up %s; open windows: %zu of %d</p>\n",
	           (int)getpid(), f->agent->version, f->uptime, f->windows, PD_WINDOWS);
	pd_buf_str(b, "<p>Set debug=1 as a query parameter to get text.</p>\n"
	              "<table>\n<caption>Types of profiles available:</caption>\n"
	              "<thead><tr><th scope=\"col\">Count</th><th scope=\"col\">Profile</th></tr>"
	              "</thead>\n<tbody>\n");
	for (size_t i = 0; i < f->n; i++) {
		const char *name = name_of(f->listed[i]), *link = f->listed[i]->link;
		pd_buf_str(b, "<tr><td>");
		if (counted(f->listed[i]))
			pd_buf_fmt(b, "%llu", (unsigned long long)f->count[i]);
		else
			pd_buf_str(b, "-");
		pd_buf_str(b, "</td><td><a href='");
		write_path(b, name);
		pd_buf_fmt(b, "%s'>", link ? link : "");
		pd_html(b, name);
		pd_buf_str(b, "</a></td></tr>\n");
	}
	pd_buf_str(b, "</tbody>\n</table>\n"
	              "<p><a href=\"goroutine?debug=2\">full thread stack dump</a></p>\n"
	              "<h2>Profile Descriptions</h2>\n<dl>\n");
	for (size_t i = 0; i < f->n; i++) {
		char off[PD_NOTE];
		pd_buf_str(b, "<dt>");
		pd_html(b, name_of(f->listed[i]));
		pd_buf_str(b, "</dt><dd>");
		pd_html(b, f->listed[i]->help);
		if (pd_rate_hint(f->agent, f->listed[i]->kind, off)) {
			pd_buf_char(b, ' ');
			pd_html(b, off);
		}
		pd_buf_str(b, "</dd>\n");
	}
	pd_buf_str(b, "</dl>\n</main>\n</body>\n</html>\n");
}

/* Commands that work as they stand, from the shell that asked. */
static void commands(struct pd_buf *b, const struct facts *f)
{
	struct pd_buf url = { 0 }, curl = { 0 };
	bool known = pd_command_url(&url, f->config, f->request), special = pd_command_curl(&curl, f->config);
	pd_buf_char(&url, '\0');
	pd_buf_char(&curl, '\0');
	b->failed |= url.failed || curl.failed;
	if (known && !b->failed && special)
		pd_buf_fmt(b, "  %s -o cpu.pb.gz '%sprofile?seconds=10' && go tool pprof -top cpu.pb.gz\n",
		           curl.data, url.data);
	else if (known && !b->failed)
		pd_buf_fmt(b, "  go tool pprof -top '%sprofile?seconds=10'\n", url.data);
	if (known && !b->failed)
		pd_buf_fmt(b, "  %s '%sgoroutine?debug=2'\n", curl.data, url.data);
	pd_buf_free(&url);
	pd_buf_free(&curl);
}

static void text(struct pd_buf *b, const struct facts *f)
{
	pd_buf_str(b, PD_PREFIX "\n\n");
	pd_utf8(b, f->program);
	pd_buf_fmt(b, ", process %d; pprofd %s, up %s; open windows: %zu of %d\n\n", (int)getpid(),
	           f->agent->version, f->uptime, f->windows, PD_WINDOWS);
	pd_buf_fmt(b, "%8s  %-14s%s\n", "Count", "Profile", "What it is");
	for (size_t i = 0; i < f->n; i++) {
		char count[24] = "-", off[PD_NOTE];
		if (counted(f->listed[i]))
			snprintf(count, sizeof count, "%llu", (unsigned long long)f->count[i]);
		bool is_off = pd_rate_hint(f->agent, f->listed[i]->kind, off);
		pd_buf_fmt(b, "%8s  %-14s%s%s%s\n", count, name_of(f->listed[i]), f->listed[i]->help, is_off ? " " : "",
		           is_off ? off : "");
	}
	pd_buf_str(b, "\nHow to get them (debug=1 gives text):\n");
	commands(b, f);
}

/* A browser says that it takes text/html; curl and the Go tools do not. */
static bool wants_html(struct pd_request *r)
{
	const char *accept = pd_header(r, "Accept");
	return accept && strcasestr(accept, "text/html");
}

static void render(struct pd_request *r, void *arg)
{
	struct facts f;
	struct pd_buf out = { 0 };
	gather(&f, arg, r);
	bool page = wants_html(r);
	(page ? html : text)(&out, &f);
	pd_reply_header(r, "Vary", "Accept");
	if (!out.failed)
		return pd_reply(r, 200, page ? PD_HTML : PD_TEXT, &out);
	pd_buf_free(&out);
	pd_error(r, 500, "out of memory");
}

/* On the worker, for counting looks at every thread. */
void pd_serve_index(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	pd_prepare_yield(s);
	pd_work(r, render);
}
