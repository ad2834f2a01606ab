/* What a good client gets: replies and their headers, HEAD, bodies, keep-alive, pipelining, both socket kinds. */
#include "http_kit.h"

static void standing_headers(const struct kit_reply *p, bool html)
{
	STREQ(kit_header(p, "X-Content-Type-Options"), "nosniff");
	STREQ(kit_header(p, "Cache-Control"), "no-store");
	STREQ(kit_header(p, "Cross-Origin-Resource-Policy"), "same-origin");
	STREQ(kit_header(p, "Referrer-Policy"), "no-referrer");
	STREQ(kit_header(p, "X-Frame-Options"), "DENY");
	OK(kit_header(p, "Date"));
	EQ(kit_header(p, "Content-Security-Policy") != NULL, html);
	OK(!kit_header(p, "Server") && !kit_header(p, "ETag") && !kit_header(p, "Content-Encoding"));
	OK(!kit_header(p, "Access-Control-Allow-Origin"));
}

static void plain(const struct kit *k)
{
	struct kit_reply *p = kit_get(k, "/echo?q=a%20b+c&q=2&x");
	EQ(p->status, 200);
	STREQ(p->body, "GET /echo ?q=a%20b+c&q=2&x q=a b c agent=- body=0:");
	STREQ(kit_header(p, "Content-Type"), "text/plain; charset=utf-8");
	STREQ(kit_header(p, "X-Own"), "yes");
	OK(!kit_header(p, "X-Go-Pprof"));
	standing_headers(p, false);
	p = kit_get(k, "/%65cho%2f?%00");
	STREQ(p->body, "GET /echo/ ?%00 q=- agent=- body=0:");
	p = kit_get(k, "/html");
	STREQ(p->body, "<p>hi");
	standing_headers(p, true);
	OK(strstr(kit_header(p, "Content-Security-Policy"), "default-src 'none'"));
	p = kit_get(k, "/none");
	EQ(p->status, 500);
}

static void error_form(const struct kit *k)
{
	struct kit_reply *p = kit_get(k, "/error");
	EQ(p->status, 404);
	STREQ(p->body, "Unknown profile\n");
	STREQ(kit_header(p, "X-Go-Pprof"), "1");
	STREQ(kit_header(p, "Content-Type"), "text/plain; charset=utf-8");
	OK(!kit_header(p, "Content-Disposition"));
	standing_headers(p, false);
}

static void head(const struct kit *k)
{
	int fd = kit_connect(k);
	kit_puts(fd,
	        "HEAD /big?n=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
	        "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
	struct kit_reply *p = kit_read(fd, 5000, true);
	EQ(p->status, 200);
	STREQ(kit_header(p, "Content-Length"), "5000");
	EQ(p->body_len, 0);
	standing_headers(p, false);
	/* Nothing of a body came in between. */
	p = kit_read(fd, 5000, false);
	STREQ(p->body, "GET /echo ? q=- agent=- body=0:");
	close(fd);
}

static void keep_alive(const struct kit *k)
{
	int fd = kit_connect(k);
	for (int i = 0; i < 5; i++) {
		kit_puts(fd, "GET /echo?q=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUser-Agent: t\r\n\r\n");
		struct kit_reply *p = kit_read(fd, 5000, false);
		STREQ(p->body, "GET /echo ?q=1 q=1 agent=t body=0:");
		OK(!kit_header(p, "Connection"));
	}
	/* A refusal without a body keeps the connection too. */
	kit_puts(fd, "PUT /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
	EQ(kit_read(fd, 5000, false)->status, 405);
	kit_puts(fd, "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	struct kit_reply *p = kit_read(fd, 5000, false);
	EQ(p->status, 200);
	STREQ(kit_header(p, "Connection"), "close");
	OK(kit_closed(fd, 1000));
	close(fd);
}

static void old_http(const struct kit *k)
{
	int fd = kit_connect(k);
	kit_puts(fd, "GET /echo HTTP/1.0\r\n\r\n");
	struct kit_reply *p = kit_read(fd, 5000, false);
	EQ(p->status, 200);
	OK(strncmp(p->text, "HTTP/1.0 200 OK\r\n", 17) == 0);
	STREQ(kit_header(p, "Content-Length"), "31");
	OK(!kit_header(p, "Transfer-Encoding"));
	OK(kit_closed(fd, 1000));
	close(fd);
	fd = kit_connect(k);
	for (int i = 0; i < 2; i++) {
		kit_puts(fd, "GET /echo HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
		p = kit_read(fd, 5000, false);
		EQ(p->status, 200);
		OK(strncmp(p->text, "HTTP/1.0 200 OK\r\n", 17) == 0);
		OK(kit_header(p, "Connection") && strcasecmp(kit_header(p, "Connection"), "keep-alive") == 0);
	}
	kit_puts(fd, "HEAD /echo HTTP/1.0\r\n\r\n");
	p = kit_read(fd, 5000, true);
	OK(strncmp(p->text, "HTTP/1.0 200 OK\r\n", 17) == 0);
	OK(kit_closed(fd, 1000));
	close(fd);
}

static void pipelining(const struct kit *k)
{
	int fd = kit_connect(k);
	kit_puts(fd,
	        "GET /echo?q=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
	        "GET /work?ms=20 HTTP/1.1\r\nHost: localhost\r\n\r\n"
	        "GET /wait?ms=20 HTTP/1.1\r\nHost: localhost\r\n\r\n"
	        "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
	        "GET /echo?q=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	OK(strstr(kit_read(fd, 5000, false)->body, "q=1 q=1"));
	STREQ(kit_read(fd, 5000, false)->body, "worked");
	STREQ(kit_read(fd, 5000, false)->body, "then");
	OK(strstr(kit_read(fd, 5000, false)->body, "body=3:abc"));
	OK(strstr(kit_read(fd, 5000, false)->body, "q=5 q=5"));
	close(fd);
}

static void bodies(const struct kit *k)
{
	static const char chunked[] = "POST /post HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
	                              "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	OK(strstr(kit_ask(k, chunked, sizeof chunked - 1, 5000)->body, "body=5:abcde"));
	static const char form[] =
	        "POST /post HTTP/1.1\r\nHost: localhost\r\n"
	        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n0x1+0x2";
	OK(strstr(kit_ask(k, form, sizeof form - 1, 5000)->body, "body=7:0x1+0x2"));
	/* A client that waits for leave to send. */
	int fd = kit_connect(k);
	kit_puts(fd, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
	struct kit_reply *p = kit_read(fd, 5000, false);
	EQ(p->status, 100);
	kit_puts(fd, "hello");
	p = kit_read(fd, 5000, false);
	EQ(p->status, 200);
	OK(strstr(p->body, "body=5:hello"));
	close(fd);
	/* In pieces. */
	fd = kit_connect(k);
	static const char slow[] = "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nwxyz";
	for (size_t i = 0; i < sizeof slow - 1; i++) {
		kit_send(fd, slow + i, 1);
		usleep(500);
	}
	OK(strstr(kit_read(fd, 5000, false)->body, "body=4:wxyz"));
	close(fd);
}

static void large(const struct kit *k)
{
	int fd = kit_connect(k);
	kit_puts(fd, "GET /big?n=20000000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	static char bytes[65536];
	size_t sum = 0;
	for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0;)
		sum += (size_t)n;
	OK(sum > 20000000 && sum < 20001000);
	close(fd);
	/* More than its buffer may hold. */
	EQ(kit_get(k, "/big?n=99000000")->status, 500);
}

static void all(int family)
{
	struct kit k = { .port = 0 };
	kit_start(&k, family);
	plain(&k);
	error_form(&k);
	head(&k);
	keep_alive(&k);
	old_http(&k);
	pipelining(&k);
	bodies(&k);
	large(&k);
	struct pd_http_stats s = kit_stats(&k);
	OK(s.requests > 20);
	EQ(s.waiting, 0);
	kit_stop(&k);
}

int main(void)
{
	all(AF_INET);
	all(AF_UNIX);
	all(AF_INET6);
	EQ(kit_own, 6);
	DONE();
}
