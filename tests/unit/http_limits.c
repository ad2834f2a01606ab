/* Clients that are slow, many, or send what is no HTTP: they get little, and a good client still gets its reply. */
#include <sys/resource.h>

#include "http_kit.h"

#define ATTACKERS 60

static long process_cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void deadlines(const struct kit *k)
{
	int mute = kit_connect(k), slow = kit_connect(k), body = kit_connect(k);
	long long start = test_now_ns();
	kit_puts(body, "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n");
	/* A byte now and then does not help. */
	static const char head[] = "GET /echo HTTP/1.1\r\nHost: localhost\r\nX: yyyyyyyyyyyyyyyyyyyy";
	for (size_t i = 0; i < sizeof head - 1 && test_now_ns() - start < 1500000000ll; i++) {
		kit_send(slow, head + i, 1);
		usleep(40000);
	}
	OK(kit_closed(mute, 1500));
	OK(kit_closed(slow, 1500));
	OK(test_now_ns() - start >= 1900000000ll && test_now_ns() - start < 3500000000ll);
	EQ(kit_stats(k).timed_out, 2);
	/* The one that sends a body has longer. */
	OK(!kit_closed(body, 100));
	close(mute);
	close(slow);
	close(body);
	/* On a connection that has been used, the head's time starts with its first line. */
	int fd = kit_connect(k);
	kit_puts(fd, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
	EQ(kit_read(fd, 2000, false)->status, 200);
	kit_puts(fd, "GET /echo HTTP/1.1\r\n");
	OK(!kit_closed(fd, 1500));
	OK(kit_closed(fd, 1500));
	close(fd);
}

/* All connections taken by slow clients who come back as soon as they are closed. */
static void crowd(const struct kit *k)
{
	int fd[ATTACKERS];
	for (int i = 0; i < ATTACKERS; i++) {
		fd[i] = kit_connect(k);
		kit_puts(fd[i], "GET /echo HTTP/1.1\r\nX");
	}
	for (int round = 0; round < 10; round++) {
		long long start = test_now_ns();
		EQ(kit_get(k, "/echo")->status, 200);
		OK(test_now_ns() - start < 3000000000ll);
		for (int i = 0; i < ATTACKERS; i++) {
			if (!kit_closed(fd[i], 0))
				continue;
			close(fd[i]);
			fd[i] = kit_connect(k);
		}
	}
	OK(kit_stats(k).evicted >= ATTACKERS - PD_CONNECTIONS);
	OK(kit_stats(k).connections <= PD_SLOTS);
	for (int i = 0; i < ATTACKERS; i++)
		close(fd[i]);
	OK(WITHIN(2000, kit_stats(k).connections == 0));
}

/* Those whose handler is at work are never closed for others, who wait instead. */
static void all_busy(const struct kit *k)
{
	int fd[PD_CONNECTIONS];
	for (int i = 0; i < PD_CONNECTIONS; i++) {
		fd[i] = kit_connect(k);
		kit_puts(fd[i], "GET /wait?ms=700 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	}
	OK(WITHIN(1000, kit_stats(k).waiting == PD_CONNECTIONS));
	long cpu = process_cpu_ms();
	long long start = test_now_ns();
	EQ(kit_get(k, "/echo")->status, 200);
	OK(test_now_ns() - start > 200000000ll);
	OK(process_cpu_ms() - cpu < 200); /* it did not spin */
	for (int i = 0; i < PD_CONNECTIONS; i++) {
		STREQ(kit_read(fd[i], 3000, false)->body, "then");
		close(fd[i]);
	}
}

/* No descriptor left for a connection: no spinning, and served as soon as there is one. */
static void no_fds(const struct kit *k)
{
	int fd = kit_connect(k);
	struct rlimit before, less;
	OK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	int waiting = socket(AF_INET, SOCK_STREAM, 0), next = dup(fd);
	less = before;
	less.rlim_cur = (rlim_t)next;
	close(next);
	OK(setrlimit(RLIMIT_NOFILE, &less) == 0);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)k->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	EQ(connect(waiting, (struct sockaddr *)&to, sizeof to), 0);
	kit_puts(waiting, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
	long cpu = process_cpu_ms();
	usleep(400000);
	OK(process_cpu_ms() - cpu < 100);
	setrlimit(RLIMIT_NOFILE, &before);
	EQ(kit_read(waiting, 2000, false)->status, 200);
	close(waiting);
	close(fd);
}

/* The reply is not read: the connection stays, unless its place is wanted by many. */
static void not_reading(const struct kit *k)
{
	int fd = kit_connect(k), small = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	kit_puts(fd, "GET /big?n=30000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	char first;
	EQ(recv(fd, &first, 1, MSG_PEEK), 1); /* the reply is made by now, which takes its time */
	long cpu = process_cpu_ms();
	(void)cpu;
	usleep(300000);
#ifndef __SANITIZE_THREAD__
	OK(process_cpu_ms() - cpu < 150);
#endif
	EQ(kit_get(k, "/echo")->status, 200);
	close(fd);
	OK(WITHIN(1000, kit_stats(k).connections == 0));
}

static void say(const struct kit *k, const void *data, size_t len, int a, int b)
{
	int status = kit_ask(k, data, len, 1000)->status;
	if (status != a && status != b)
		fprintf(stderr, "%zu bytes, %.20s: status %d\n", len, (const char *)data, status);
	OK(status == a || status == b);
}

static void malformed(const struct kit *k)
{
	static char text[70000];
	/* A method, a path, a header, many headers: each too long. */
	memset(text, 'M', sizeof text);
	strcpy(text + 10000, " / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	say(k, text, strlen(text), 405, 405);
	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	say(k, text, sizeof text, 414, 414);
	memset(text, 'a', sizeof text);
	memcpy(text, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ", 36);
	say(k, text, sizeof text, 431, 431);
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: localhost\r\n");
	while (n < sizeof text - 10)
		n += (size_t)sprintf(text + n, "a: b\r\n");
	say(k, text, n, 431, 431);
	n = (size_t)sprintf(text, "GET /?");
	while (n < 30000)
		n += (size_t)sprintf(text + n, "a&");
	n += (size_t)sprintf(text + n, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
	say(k, text, n, 431, 0); /* there may be no memory left even for the refusal */
	static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n";
	say(k, tls, sizeof tls - 1, 400, 0);
	static const char http2[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	say(k, http2, sizeof http2 - 1, 505, 400);
	static const char chunk[] =
	        "POST /post HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
	say(k, chunk, sizeof chunk - 1, 400, 400);
	static const char huge[] = "POST /post HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
	                           "fffffffffffffffff\r\n";
	say(k, huge, sizeof huge - 1, 413, 413);
}

static void noise(const struct kit *k)
{
	unsigned seed = 1;
	char bytes[600];
	static const char *const starts[] = { "", "GET /echo HTTP/1.1\r\nHost: localhost\r\n",
		"POST /post HTTP/1.1\r\n" };
	for (int i = 0; i < 600; i++) {
		size_t n = (size_t)snprintf(bytes, sizeof bytes, "%s", starts[i % 3]);
		while (n < sizeof bytes)
			bytes[n++] = (char)(rand_r(&seed) >> 3);
		int fd = kit_connect(k);
		kit_send(fd, bytes, sizeof bytes);
		kit_puts(fd, "\r\n\r\n");
		if (i % 4 == 0)
			kit_read(fd, 20, false);
		close(fd);
	}
	EQ(kit_get(k, "/echo")->status, 200);
}

int main(void)
{
	struct kit k = { .port = 0 };
	kit_start(&k, AF_INET);
	deadlines(&k);
	malformed(&k);
	noise(&k);
	crowd(&k);
	all_busy(&k);
	not_reading(&k);
	no_fds(&k);
	kit_stop(&k);
	DONE();
}
