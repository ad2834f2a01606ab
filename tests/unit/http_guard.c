/* Every refusal of the guard: status, sentence, count and audit; and that what is near it still passes. */
#include <microhttpd.h>

#include "http_kit.h"

#define H "Host: localhost\r\n"

struct refusal {
	const char *request;
	int status;
	const char *says; /* part of the body; NULL = not looked at (libmicrohttpd's own words) */
};

static const struct refusal refusals[] = {
	/* Host */
	{ "GET /echo HTTP/1.1\r\n\r\n", 421, "no Host" },
	{ "GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "not served" },
	{ "GET /echo HTTP/1.1\r\nHost: localhost6\r\n\r\n", 421, "not served" },
	{ "GET /echo HTTP/1.1\r\nHost:\r\n\r\n", 421, "not served" },
	{ "GET /echo HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421, "not served" },
	{ "GET /echo HTTP/1.1\r\n" H H "\r\n", 400, "more than one Host" },
	{ "GET /echo HTTP/1.1\r\n" H "host: evil\r\n\r\n", 400, "more than one Host" },
	/* Framing */
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "more than one length" },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "both" },
	{ "POST /post HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\nExpect: 100-continue\r\n\r\n", 400,
	        "unknown Transfer" },
	/* The end of such a body would never come. */
	{ "POST /post HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 400, "unknown Transfer" },
	{ "GET /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "unknown Transfer" },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, NULL },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 1x\r\n\r\n", 400, NULL },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 413, NULL },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n", 413, "longer than 100000" },
	{ "GET /echo HTTP/1.1\r\n" H "X y: 1\r\n\r\n", 400, "bad header name" },
	{ "GET /echo HTTP/1.1\r\n" H "Content-Length : 0\r\n\r\n", 400, "bad header name" },
	{ "GET /echo HTTP/1.1\r\n" H "X-A: a\001b\r\n\r\n", 400, "control character" },
	{ "GET /echo HTTP/1.1\r\n" H "X-A: a\r\n b\r\n\r\n", 400, "folded" },
	{ "GET /echo HTTP/1.1\r\n" H "no colon\r\n\r\n", 400, NULL },
	{ "GET  /echo HTTP/1.1\r\n" H "\r\n", 400, "request line" },
	{ "GET /a b HTTP/1.1\r\n" H "\r\n", 400, NULL },
	{ "GET /echo\r\n\r\n", 400, NULL },
	/* Path */
	{ "GET http://evil/x HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET * HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET echo HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET /a%00b HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET /%ff HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET /% HTTP/1.1\r\n" H "\r\n", 400, "bad path" },
	{ "GET /echo?a\x01 HTTP/1.1\r\n" H "\r\n", 400, "query" },
	/* Method */
	{ "PUT /echo HTTP/1.1\r\n" H "\r\n", 405, "Method Not Allowed\n" },
	{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 405, "Method Not Allowed\n" },
	{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 405, "Method Not Allowed\n" },
	{ "OPTIONS /echo HTTP/1.1\r\n" H "\r\n", 405, "Method Not Allowed\n" },
	{ "TRACE /echo HTTP/1.1\r\n" H "\r\n", 405, "Method Not Allowed\n" },
	{ "get /echo HTTP/1.1\r\n" H "\r\n", 405, "Method Not Allowed\n" },
	/* Body */
	{ "GET /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab", 400, "has no body" },
	{ "HEAD /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n", 413,
	        "longer than 100000" },
	{ "POST /post HTTP/1.1\r\n" H "Content-Length: 99999999999\r\n\r\n", 413, "longer than 100000" },
	/* Cross-site */
	{ "POST /post HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n", 403, "cross-origin" },
	{ "POST /post HTTP/1.1\r\n" H "Sec-Fetch-Site: same-site\r\nContent-Length: 0\r\n\r\n", 403, "cross-origin" },
	{ "POST /post HTTP/1.1\r\n" H "Origin: http://evil\r\nContent-Length: 0\r\n\r\n", 403, "Origin" },
	{ "POST /post HTTP/1.1\r\n" H "Origin: null\r\nContent-Length: 0\r\n\r\n", 403, "Origin" },
	{ "POST /post HTTP/1.1\r\n" H "Origin: http://localhost:1\r\nContent-Length: 0\r\n\r\n", 403, "Origin" },
	{ "GET /wait?ms=0 HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\n\r\n", 403, "cross-origin" },
	{ "GET /wait?ms=0 HTTP/1.1\r\n" H "Sec-Fetch-Site: same-site\r\n\r\n", 403, "cross-origin" },
};

static const char *const passing[] = {
	"GET /echo HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n",
	"GET /echo HTTP/1.1\r\nHost: [::1]\r\n\r\n",
	"GET /echo HTTP/1.1\r\nHost: box.example\r\n\r\n",
	"GET /echo HTTP/1.0\r\n\r\n",
	"GET /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	"GET /echo HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\n\r\n", /* a cheap one */
	"GET /wait?ms=0 HTTP/1.1\r\n" H "Sec-Fetch-Site: same-origin\r\n\r\n",
	"GET /wait?ms=0 HTTP/1.1\r\n" H "Sec-Fetch-Site: none\r\n\r\n",
	"POST /post HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	"POST /post HTTP/1.1\r\n" H "Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n",
	"POST /post HTTP/1.1\r\n" H "Origin: http://localhost\r\nContent-Length: 0\r\n\r\n",
	"\r\nGET /echo HTTP/1.1\r\n" H "\r\n",
	"GET /echo HTTP/1.1\r\n" H "Cookie: a=b; c=d\r\nX-Empty:\r\nX-Tab:\ta\tb \r\n\r\n",
	"GET /echo HTTP/1.1\nHost: localhost\n\n",
};

/* libmicrohttpd 1.0 looks closer than its predecessors, and refuses some of what follows itself. */
static bool strict(void)
{
	return atoi(MHD_get_version()) >= 1;
}

static bool in_its_words(const struct kit_reply *p)
{
	return strict() && strstr(p->body, "<html><head><title>");
}

static void table(const struct kit *k)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *c = &refusals[i];
		OK(WITHIN(1000, kit_stats(k).connections == 0)); /* the one before has been counted */
		uint64_t before = kit_stats(k).refused;
		struct kit_reply *p = kit_ask(k, c->request, strlen(c->request), 3000);
		if (p->status != c->status || (c->says && !in_its_words(p) && !strstr(p->body, c->says)))
			fprintf(stderr, "case %zu: %.60s -> %s\n", i, c->request, p->text);
		EQ(p->status, in_its_words(p) && c->status == 421 ? 400 : c->status);
		if (!c->says || in_its_words(p))
			continue;
		OK(strstr(p->body, c->says));
		EQ(kit_stats(k).refused, before + 1);
		struct pd_audit a;
		EQ(pd_audit_read(k->http, &a, 1), 1);
		EQ(a.status, c->status);
		OK(strncmp(a.peer, "127.0.0.1:", 10) == 0 && a.real_ns > 0);
		STREQ(kit_header(p, "Cache-Control"), "no-store");
		EQ(kit_header(p, "X-Go-Pprof") != NULL, c->status != 405);
		if (c->status == 405)
			STREQ(kit_header(p, "Allow"), "GET, HEAD");
	}
}

static void passes(const struct kit *k)
{
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
		struct kit_reply *p = kit_ask(k, passing[i], strlen(passing[i]), 3000);
		int want = strict() && !strchr(passing[i], '\r') ? 400 : 200;
		if (p->status != want)
			fprintf(stderr, "case %zu: %.60s -> %s\n", i, passing[i], p->text);
		EQ(p->status, want);
	}
}

#define NUL(text) text, sizeof text - 1

/* What libmicrohttpd cuts at a NUL must not pass for what is left. */
static void nuls(const struct kit *k)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ NUL("GET /echo HTTP/1.1\r\nHost: 127.0.0.1\0evil\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nHost: 127.0.0.1\0\0evil\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nHost: 127.0.0.1\0\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nHost: 127.0.0.1\0\r\nX: y\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nHost: 127.0.0.1\0\0X: y\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nX: y\0z\r\nHost: 127.0.0.1\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\nHost: 127.0.0.1\0X: y\n\n") },
		{ NUL("GET /echo\0/x HTTP/1.1\r\n" H "\r\n") },
		{ NUL("GET /echo?a\0b HTTP/1.1\r\n" H "\r\n") },
		{ NUL("GET\0X /echo HTTP/1.1\r\n" H "\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\nHo\0st: localhost\r\n\r\n") },
		{ NUL("GET /echo HTTP/1.1\r\n" H "X\0: 1\r\n\r\n") },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kit_reply *p = kit_ask(k, cases[i].text, cases[i].len, 3000);
		bool refused = p->status == 400 || p->status == 421 || p->status == 405 || (strict() && !p->len);
		if (!refused)
			fprintf(stderr, "NUL case %zu: %s\n", i, p->text);
		OK(refused);
	}
}

/* After a head that can be read in two ways there is no next request. */
static void no_second(const struct kit *k)
{
#define SECOND "GET /echo HTTP/1.1\r\n" H "\r\n"
	static const struct {
		const char *text;
		size_t len;
		int status;
	} cases[] = {
		{ NUL("GET /echo HTTP/1.1\r\n" H "\0\r\n" SECOND), 400 },
		{ NUL("GET /echo HTTP/1.1\r\n\0: y\r\n" H "\r\n" SECOND), 421 },
		{ NUL("GET /echo HTTP/1.1\r\n" H ": y\r\n" SECOND), 400 },
		{ NUL("POST /post HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na" SECOND), 400 },
		{ NUL("POST /post HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		      SECOND), 400 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned long requests = kit_stats(k).requests;
		int fd = kit_connect(k);
		kit_send(fd, cases[i].text, cases[i].len);
		struct kit_reply *p = kit_read(fd, 3000, false);
		bool own = in_its_words(p);
		EQ(p->status, own ? 400 : cases[i].status);
		OK(kit_closed(fd, 2000));
		EQ(kit_stats(k).requests, requests + !own);
		close(fd);
	}
}

static void redirects(const struct kit *k)
{
	static const struct {
		const char *target, *location;
	} cases[] = {
		{ "//echo", "../echo" },
		{ "/a/../echo?x=1", "./echo?x=1" },
		{ "/a/./b/", "../../a/b/" },
		{ "/a%2f..%2fb", "./b" },
		{ "//a%20b%3f", "../a%20b%3F" },
		{ "//evil.example/x", "../../evil.example/x" },
		{ "/..", "./" },
		{ "//x?<\"'>&", "../x?<\"'>&" },
		{ "/front//echo", "../../front/echo" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kit_reply *p = kit_get(k, cases[i].target);
		EQ(p->status, 301);
		STREQ(kit_header(p, "Location"), cases[i].location);
	}
	struct kit_reply *p = kit_get(k, "//x?<\"'>&");
	STREQ(p->body, "<a href=\"../x?&lt;&#34;&#39;&gt;&amp;\">Moved Permanently</a>.\n\n");
	STREQ(kit_header(p, "Content-Type"), "text/html; charset=utf-8");
}

/* Everything is served with and without the prefix, and nothing under what only looks like it. */
static void prefix(const struct kit *k)
{
	static const struct {
		const char *target, *path;
	} cases[] = {
		{ "/echo", "GET /echo " },
		{ "/front/door/echo", "GET /echo " },
		{ "/front/door/", "GET / " },
		{ "/front/%64oor/echo", "GET /echo " },
		{ "/front/door", "GET /front/door " },
		{ "/front/doors/echo", "GET /front/doors/echo " },
		{ "/front/echo", "GET /front/echo " },
		{ "/front/door/front/door/echo", "GET /front/door/echo " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kit_reply *p = kit_get(k, cases[i].target);
		EQ(p->status, 200);
		OK(strncmp(p->body, cases[i].path, strlen(cases[i].path)) == 0);
	}
	/* What is allowed where is decided without it. */
	static const char post[] = "POST /front/door/post HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi";
	OK(strncmp(kit_ask(k, post, sizeof post - 1, 2000)->body, "POST /post ", 11) == 0);
}

/* A body that grows past the limit, told and not told in advance. */
static void too_long(const struct kit *k)
{
	static char body[150000];
	char head[200];
	memset(body, 'x', sizeof body);
	int n = snprintf(head, sizeof head, "POST /post HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", sizeof body);
	int fd = kit_connect(k);
	kit_send(fd, head, (size_t)n);
	kit_send(fd, body, sizeof body);
	EQ(kit_read(fd, 3000, false)->status, 413);
	/* It was read to its end: the connection goes on. */
	kit_puts(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	EQ(kit_read(fd, 3000, false)->status, 200);
	kit_puts(fd, "POST /post HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n249f0\r\n");
	kit_send(fd, body, sizeof body);
	kit_puts(fd, "\r\n0\r\n\r\n");
	EQ(kit_read(fd, 3000, false)->status, 413);
	close(fd);
	/* Without an end: cut. */
	fd = kit_connect(k);
	kit_puts(fd, "POST /post HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n");
	bool open = true;
	for (int i = 0; i < 100 && open; i++)
		open = kit_send(fd, body, sizeof body);
	OK(!open);
	close(fd);
}

static void audit_ring(const struct kit *k)
{
	static struct pd_audit a[PD_AUDITS + 10];
	for (int i = 0; i < PD_AUDITS + 5; i++) {
		char what[20];
		snprintf(what, sizeof what, "n\r\n%d", i);
		pd_audit_add(k->http, "p", 7, what);
	}
	EQ(pd_audit_read(k->http, a, PD_AUDITS + 10), PD_AUDITS);
	STREQ(a[0].what, "n??1004");
	STREQ(a[PD_AUDITS - 1].what, "n??5");
}

int main(void)
{
	struct kit k = { .config.hosts = "box.example", .config.prefix = "/front/door" };
	kit_start(&k, AF_INET);
	table(&k);
	passes(&k);
	nuls(&k);
	no_second(&k);
	redirects(&k);
	prefix(&k);
	too_long(&k);
	audit_ring(&k);
	kit_stop(&k);
	DONE();
}
