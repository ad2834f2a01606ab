/* What the endpoints answer, to the byte where clients look: over a real connection, from an agent
 * made by hand. */
#include "route_fake.h"

#define PREFIX "/debug/pprof/"

/* An error in Go's form: status, sentence, and the mark unless the error is not one of the
 * package's. */
static void error_is(const char *target, int status, const char *body, bool marked)
{
	struct answer a = get(target);
	EQ(a.status, status);
	STREQ(a.body, body);
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	STREQ(header(&a, "X-Content-Type-Options"), "nosniff");
	STREQ(marked ? header(&a, "X-Go-Pprof") : "1", "1");
	OK(marked || !header(&a, "X-Go-Pprof"));
	OK(!header(&a, "Content-Disposition"));
	free(a.bytes);
}

static void errors(void)
{
	static const char SECONDS[] =
		"invalid value for \"seconds\" - must be a positive integer\n";
	error_is(PREFIX "nothing", 404, "Unknown profile\n", true);
	error_is(PREFIX "nothing?seconds=abc", 404, "Unknown profile\n", true);
	error_is(PREFIX "goroutine/", 404, "Unknown profile\n", true);
	error_is(PREFIX "profile/", 404, "Unknown profile\n", true);
	error_is(PREFIX "index", 404, "Unknown profile\n", true);
	error_is(PREFIX "Goroutine", 404, "Unknown profile\n", true);
	error_is("/", 404, "404 page not found\n", false);
	error_is("/debug", 404, "404 page not found\n", false);
	error_is("/debug/pprofx", 404, "404 page not found\n", false);
	error_is(PREFIX "goroutine?seconds=abc", 400, SECONDS, true);
	error_is(PREFIX "goroutine?seconds=0", 400, SECONDS, true);
	error_is(PREFIX "goroutine?seconds=-1", 400, SECONDS, true);
	error_is(PREFIX "goroutine?seconds=1.5&debug=1", 400, SECONDS, true);
	error_is(PREFIX "threadcreate?seconds=99999999999999999999", 400, SECONDS, true);
	error_is(PREFIX "threadcreate?seconds=1&debug=1", 400,
	         "seconds and debug params are incompatible\n", true);
	error_is(PREFIX "goroutine?format=svg", 400,
	         "invalid value for \"format\" - must be pprof, collapsed or json\n", true);
	error_is(PREFIX "profile?format=json&debug=1", 400, "format and debug params are incompatible\n",
	         true);
	error_is(PREFIX "goroutine?format=json&seconds=x", 400, SECONDS, true);
	error_is(PREFIX "trace", 404, "No execution trace: only the Go runtime writes one\n", true);
	LOCKED(fake.dump_error = -EAGAIN; fake.open_error = -ENOMEM);
	error_is(PREFIX "goroutine", 500,
	         "failed to collect profile: Resource temporarily unavailable\n", true);
	error_is(PREFIX "goroutine?seconds=1", 500,
	         "failed to collect profile: Resource temporarily unavailable\n", true);
	error_is(PREFIX "profile?seconds=1", 500,
	         "Could not enable CPU profiling: Cannot allocate memory\n", true);
	error_is(PREFIX "wall?seconds=1", 500, "failed to collect profile: Cannot allocate memory\n", true);
	LOCKED(fake.dump_error = fake.open_error = 0; fake.snapshot_error = -EIO);
	error_is(PREFIX "profile?seconds=1", 500,
	         "Could not enable CPU profiling: Input/output error\n", true);
	error_is(PREFIX "threadcreate", 500, "failed to collect profile: Input/output error\n",
	         true);
	LOCKED(fake.snapshot_error = 0);
}

/* Where there is nothing a body changes nothing. */
static void body_elsewhere(void)
{
	struct answer a = hear(ask("POST", "/elsewhere", "Content-Length: 0\r\nX: y\r\n"));
	EQ(a.status, 404);
	free(a.bytes);
	int fd = ask("POST", "/elsewhere", "Content-Length: 5\r\n");
	send_all(fd, "hello", 5);
	a = hear(fd);
	EQ(a.status, 404);
	STREQ(a.body, "404 page not found\n");
	free(a.bytes);
}

static void methods(void)
{
	static const struct {
		const char *target, *allow;
	} CASES[] = { { PREFIX, "GET, HEAD" },
		      { PREFIX "goroutine", "GET, HEAD" },
		      { PREFIX "x", "GET, HEAD" } };
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct answer a = hear(ask("POST", CASES[i].target, "Content-Length: 0\r\n"));
		EQ(a.status, 405);
		STREQ(header(&a, "Allow"), CASES[i].allow);
		STREQ(a.body, "Method Not Allowed\n");
		OK(!header(&a, "X-Go-Pprof"));
		free(a.bytes);
	}
}

static void redirect(void)
{
	struct answer a = get("/debug/pprof");
	EQ(a.status, 301);
	STREQ(header(&a, "Location"), "pprof/");
	STREQ(header(&a, "Content-Type"), "text/html; charset=utf-8");
	STREQ(a.body, "<a href=\"pprof/\">Moved Permanently</a>.\n\n");
	OK(!header(&a, "X-Go-Pprof"));
	free(a.bytes);
	a = get("/debug/pprof?x=1&y=%22'");
	STREQ(header(&a, "Location"), "pprof/?x=1&y=%22'");
	OK(body_has(&a, "<a href=\"pprof/?x=1&amp;y=%22&#39;\">"));
	free(a.bytes);
}

static void cmdline(void)
{
	struct answer a = get(PREFIX "cmdline");
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	/* main() ran this program again with these arguments. */
	EQ(a.body_len, strlen(program_invocation_name) + sizeof "\0one\0two words" - 1);
	OK(a.body_len > 14 && memcmp(a.body + a.body_len - 14, "\0one\0two words", 14) == 0);
	free(a.bytes);
}

static void symbols(void)
{
	struct answer a = get(PREFIX "symbol");
	EQ(a.status, 200);
	STREQ(a.body, "num_symbols: 1\n");
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	free(a.bytes);
	a = get(PREFIX "symbol?0x1111+0x2222");
	EQ(a.status, 200);
	STREQ(a.body, "num_symbols: 1\n");
	free(a.bytes);
	a = hear(ask("HEAD", PREFIX "symbol", ""));
	EQ(a.status, 200);
	EQ(a.body_len, 0);
	free(a.bytes);
	/* The same where pprof looks under another mount. */
	static const char *const alias[] = { PREFIX "symbolz?0x1111", "/symbolz?0x1111" };
	for (size_t i = 0; i < 2; i++) {
		a = get(alias[i]);
		EQ(a.status, 200);
		STREQ(a.body, "num_symbols: 1\n");
		free(a.bytes);
	}
	/* Several MB, as a program with many addresses sends them. */
	size_t n = 3 << 20;
	char more[64], *body = malloc(n);
	for (size_t i = 0; i < n; i++)
		body[i] = "0x1+"[i % 4];
	snprintf(more, sizeof more, "Content-Length: %zu\r\n", n);
	int fd = ask("POST", PREFIX "symbol", more);
	send_all(fd, body, n);
	a = hear(fd);
	EQ(a.status, 200);
	STREQ(a.body, "num_symbols: 1\n");
	free(a.bytes);
	free(body);
}

static void goroutine(void)
{
	struct answer a = get(PREFIX "goroutine");
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "application/octet-stream");
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"goroutine\"");
	OK(a.body_len > 20 && memcmp(a.body, "\x1f\x8b", 2) == 0);
	OK(!header(&a, "Content-Encoding"));
	free(a.bytes);

	a = get(PREFIX "threads?gzip=0");
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"goroutine\"");
	OK(body_has(&a, "[stack unavailable]") && body_has(&a, "goroutine"));
	OK(body_has(&a, "pprofd 9.9.9: 3 threads"));
	free(a.bytes);

	a = get(PREFIX "goroutine?debug=1");
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	OK(!header(&a, "Content-Disposition"));
	OK(strncmp(a.body, "goroutine profile: total 3\n2 @ 0x", 33) == 0);
	OK(body_has(&a, "[stack unavailable]"));
	free(a.bytes);
	a = get(PREFIX "goroutine?format=collapsed");
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	OK(!header(&a, "Content-Disposition"));
	OK(body_has(&a, "0x2222;0x1111 2\n") && body_has(&a, "[stack unavailable] 1\n"));
	free(a.bytes);
	a = get(PREFIX "goroutine?format=json");
	STREQ(header(&a, "Content-Type"), "application/json");
	OK(!header(&a, "Content-Disposition"));
	OK(body_has(&a, "\"weights\": [2, 1]"));
	free(a.bytes);
	static const char *const usual[] = { "goroutine?format=pprof", "goroutine?format=" };
	for (size_t i = 0; i < 2; i++) {
		char target[100];
		snprintf(target, sizeof target, PREFIX "%s", usual[i]);
		a = get(target);
		STREQ(header(&a, "Content-Type"), "application/octet-stream");
		free(a.bytes);
	}
	a = get(PREFIX "goroutine?debug=-1");
	OK(strncmp(a.body, "goroutine profile: total 3\n", 27) == 0);
	free(a.bytes);

	a = get(PREFIX "goroutine?debug=2");
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	int headers = 0;
	for (const char *at = a.body; (at = strstr(at, "\ngoroutine ")); at++)
		headers++;
	EQ(headers + (strncmp(a.body, "goroutine ", 10) == 0), 3);
	free(a.bytes);
}

static void threadcreate(void)
{
	LOCKED(fake.created = 12);
	struct answer a = get(PREFIX "threadcreate?debug=1");
	OK(strncmp(a.body, "threadcreate profile: total 12\n12 @ 0x", 38) == 0);
	free(a.bytes);
	a = get(PREFIX "threadcreate?unknown=1");
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"threadcreate\"");
	free(a.bytes);
}

static void index_pages(void)
{
	struct answer a = hear(ask("GET", PREFIX, "Accept: text/html,*/*;q=0.8\r\n"));
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "text/html; charset=utf-8");
	OK(header(&a, "Content-Security-Policy") != NULL);
	OK(body_has(&a, "<!DOCTYPE html>"));
	OK(body_has(&a, "<tr><td>3</td><td><a href='goroutine?debug=1'>goroutine</a></td></tr>"));
	OK(body_has(
		&a,
		"<tr><td>12</td><td><a href='threadcreate?debug=1'>threadcreate</a></td></tr>"));
	OK(body_has(&a, "<a href=\"goroutine?debug=2\">full thread stack dump</a>"));
	OK(body_has(&a, "<dt>profile</dt><dd>"));
	OK(body_has(&a, "pprofd 9.9.9"));
	/* Nothing the policy forbids, and no link that leaves the folder. */
	OK(!body_has(&a, "<style") && !body_has(&a, "style=") && !body_has(&a, "<script>") &&
	   !body_has(&a, "onclick"));
	OK(!body_has(&a, "href='/") && !body_has(&a, "href=\"/"));
	free(a.bytes);

	static const char *const PLAIN[] = { "", "Accept: */*\r\n" };
	for (int i = 0; i < 2; i++) {
		a = hear(ask("GET", PREFIX, PLAIN[i]));
		EQ(a.status, 200);
		STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
		OK(body_has(&a, "\n       3  goroutine "));
		OK(body_has(&a, "\n      12  threadcreate "));
		OK(body_has(&a, "\n       -  cmdline "));
		OK(body_has(&a, "go tool pprof -top "
		                "'http://localhost:6060/debug/pprof/profile?seconds=10'\n"));
		OK(body_has(&a, "curl 'http://localhost:6060/debug/pprof/goroutine?debug=2'\n"));
		OK(!body_has(&a, "  threads "));
		free(a.bytes);
	}
}

/* Where the index says its script is; valid until the next call. */
static const char *script_path(void)
{
	static char path[128];
	struct answer a = hear(ask("GET", PREFIX, "Accept: text/html\r\n"));
	const char *at = strstr(a.body, "src=\"www/");
	snprintf(path, sizeof path, PREFIX "%.*s", at ? (int)strcspn(at + 5, "\"") : 0, at ? at + 5 : "");
	free(a.bytes);
	return path;
}

/* The page's files: compressed for whom that suits, to be kept for good under a path of their content, and as they are
 * for others. */
static void page_files(void)
{
	char path[128], style[128], stale[128], tag[64], more[128];
	snprintf(path, sizeof path, "%s", script_path());
	OK(strlen(path) > strlen(PREFIX "www/12345678/"));
	struct answer a = hear(ask("GET", path, "Accept-Encoding: br, gzip;q=0.8\r\n"));
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "text/javascript; charset=utf-8");
	STREQ(header(&a, "Content-Encoding"), "gzip");
	STREQ(header(&a, "Cache-Control"), "max-age=31536000, immutable");
	STREQ(header(&a, "Vary"), "Accept-Encoding");
	STREQ(header(&a, "X-Content-Type-Options"), "nosniff");
	OK(a.body_len > 1000 && a.body_len < 40960 && memcmp(a.body, "\x1f\x8b", 2) == 0);
	snprintf(tag, sizeof tag, "%s", header(&a, "ETag"));
	free(a.bytes);
	static const char *const PLAIN[] = { "", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0\r\n" };
	for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
		a = hear(ask("GET", path, PLAIN[i]));
		EQ(a.status, 200);
		OK(!header(&a, "Content-Encoding"));
		OK(a.body_len > 50000 && body_has(&a, "This is not a profile in the pprof format."));
		free(a.bytes);
	}
	snprintf(more, sizeof more, "If-None-Match: W/\"x\", %s\r\n", tag);
	a = hear(ask("GET", path, more));
	EQ(a.status, 304);
	EQ(a.body_len, 0);
	STREQ(header(&a, "ETag"), tag);
	free(a.bytes);
	snprintf(style, sizeof style, "%.*s/style.css", (int)(strrchr(path, '/') - path), path);
	a = hear(ask("HEAD", style, ""));
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "text/css; charset=utf-8");
	free(a.bytes);
	static const char *const NONE[] = { PREFIX "www", PREFIX "www/", PREFIX "www/00000000/page.mjs", PREFIX "www/page.mjs" };
	for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
		a = get(NONE[i]);
		EQ(a.status, 404);
		free(a.bytes);
	}
	snprintf(stale, sizeof stale, "%.*s/%%2e%%2e%%2fpasswd", (int)(strrchr(path, '/') - path), path);
	a = get(stale);
	OK(a.status == 404 || a.status == 301);
	free(a.bytes);
	a = hear(ask("POST", path, "Content-Length: 0\r\n"));
	EQ(a.status, 405);
	free(a.bytes);
}

static void over_a_unix_socket(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/pprofd-test-%d.sock", (int)getpid());
	unlink(path);
	EQ(serve_unix(path), 0);
	struct answer a = get(PREFIX);
	char want[256];
	snprintf(want, sizeof want,
	         "curl --unix-socket '%s' 'http://localhost:6060/debug/pprof/goroutine?debug=2'\n",
	         path);
	OK(body_has(&a, want));
	free(a.bytes);
	pprofd_server_stop(false);
	unlink(path);
}

static void life_cycle(void)
{
	OK(pprofd_server_start(NULL, &fake_config) < 0);
	struct pd_agent other = fake_agent;
	other.abi++;
	EQ(pprofd_server_start(&other, &fake_config), -ELIBACC);
	EQ(serve(), 0);
	EQ(pprofd_server_start(&fake_agent, &fake_config), -EALREADY);
	pprofd_server_stop(false);
	pprofd_server_stop(false);
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		execl("/proc/self/exe", argv[0], "one", "two words", NULL);
		return 1;
	}
	life_cycle();
	EQ(serve(), 0);
	errors();
	body_elsewhere();
	methods();
	redirect();
	cmdline();
	symbols();
	goroutine();
	threadcreate();
	index_pages();
	page_files();
	pprofd_server_stop(false);
	over_a_unix_socket();
	OK(fake_balanced());
	DONE();
}
