/* Connections that the program accepts itself and hands over: served as those of a listener, with the same guard. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pprofd.h>
#include <stdbool.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static void start(const char *listen)
{
	struct pprofd_options o = { .size = sizeof o, .listen = listen };
	EQ(pprofd_start(&o), 0);
}

/* Send a request over the connection; its answer up to `n` bytes, or until nothing has come for a while. */
static const char *ask(int fd, const char *target, const char *host, int last)
{
	static char all[65536];
	int n = snprintf(all, sizeof all, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, host,
	                 last ? "Connection: close\r\n" : "");
	/* One that was closed for another fails here. */
	bool sent = send(fd, all, (size_t)n, MSG_NOSIGNAL) == n;
	size_t len = 0;
	ssize_t got;
	memset(all, 0, sizeof all);
	if (!sent)
		return all;
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; poll(&p, 1, last ? 5000 : 1000) == 1;) {
		got = recv(fd, all + len, sizeof all - 1 - len, 0);
		if (got <= 0)
			break;
		len += (size_t)got;
		if (!last && strstr(all, "\r\n\r\n"))
			break;
	}
	return all;
}

static int listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	OK(bind(fd, (struct sockaddr *)at, len) == 0 && listen(fd, 8) == 0);
	getsockname(fd, (struct sockaddr *)at, &len);
	return fd;
}

static void over_tcp(void)
{
	struct sockaddr_in at;
	int l = listener(&at);
	for (int i = 0; i < 3; i++) {
		int client = http_connect(ntohs(at.sin_port)), fd = accept(l, NULL, NULL);
		EQ(pprofd_serve(fd), 0);
		const char *a = ask(client, "/debug/pprof/cmdline", i == 1 ? "evil.example" : "localhost", i > 0);
		OK(strncmp(a, i == 1 ? "HTTP/1.1 421" : "HTTP/1.1 200", 12) == 0);
		if (i == 0) {
			a = ask(client, "/debug/pprof/goroutine?debug=1", "localhost", 1);
			OK(strstr(a, "goroutine profile: total ") != NULL);
		}
		close(client);
	}
	close(l);
}

static void over_socketpair(void)
{
	int end[2];
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	EQ(pprofd_serve(end[0]), 0);
	const char *a = ask(end[1], "/debug/pprof/threadcreate?debug=1", "whatever", 1);
	OK(strncmp(a, "HTTP/1.1 200", 12) == 0);
	OK(strstr(a, "threadcreate profile: total ") != NULL);
	close(end[1]);
}

/* More than are served at once: the rest waits, and gets its turn. */
static void many(void)
{
	int end[80][2], given = 0, refused = 0, answered = 0;
	for (int i = 0; i < 80; i++) {
		OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end[i]) == 0);
		int err = pprofd_serve(end[i][0]);
		given += err == 0;
		refused += err == -EAGAIN;
		if (err)
			close(end[i][0]);
		if (err)
			close(end[i][1]), end[i][1] = -1;
	}
	EQ(given + refused, 80);
	OK(given >= 40);
	for (int i = 79; i >= 0; i--)
		if (end[i][1] >= 0) {
			answered += strncmp(ask(end[i][1], "/debug/pprof/cmdline", "h", 1), "HTTP/1.1 200", 12) == 0;
			close(end[i][1]);
		}
	/* Idle ones go when others come. */
	OK(answered >= 30);
}

/* Until the other end closes, at most 5 s; what came before, up to 63 bytes. */
static const char *ended(int fd)
{
	static char all[64];
	size_t len = 0;
	ssize_t got = 1;
	memset(all, 0, sizeof all);
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; got > 0 && poll(&p, 1, 5000) == 1;) {
		char more[4096];
		got = recv(fd, more, sizeof more, 0);
		for (ssize_t i = 0; i < got && len < sizeof all - 1; i++)
			all[len++] = more[i];
	}
	return got > 0 ? "still open" : all;
}

/* A client that says nothing, one that speaks TLS, one that sends a byte at a time, one that leaves half-way; and a
 * program that closes what is no longer its own. */
static void odd_clients(void)
{
	static const char hello[] = "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on\r\n\r\n";
	static const char request[] = "GET /debug/pprof/cmdline HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	int end[5][2];
	for (int i = 0; i < 5; i++)
		OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end[i]) == 0);
	for (int i = 0; i < 5; i++)
		EQ(pprofd_serve(end[i][0]), 0);
	close(end[4][0]);
	OK(send(end[1][1], hello, sizeof hello, MSG_NOSIGNAL) > 0);
	for (size_t i = 0; i + 1 < sizeof request; i++)
		EQ(send(end[2][1], &request[i], 1, MSG_NOSIGNAL), 1);
	OK(send(end[3][1], request, 20, MSG_NOSIGNAL) == 20);
	close(end[3][1]);
	OK(strncmp(ended(end[2][1]), "HTTP/1.1 200", 12) == 0);
	const char *tls = ended(end[1][1]);
	OK(!*tls || strncmp(tls, "HTTP/1.1 400", 12) == 0);
	/* Closed in time to be served, or before. */
	const char *closed = ended(end[4][1]);
	OK(!*closed);
	STREQ(ended(end[0][1]), "");
	for (int i = 0; i < 5; i++)
		if (i != 3)
			close(end[i][1]);
	over_socketpair();
}

static int sockets(void)
{
	char path[300], to[64];
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof path, "/proc/self/fd/%.40s", e->d_name);
		ssize_t k = readlink(path, to, sizeof to);
		n += k > 7 && strncmp(to, "socket:", 7) == 0;
	}
	if (d)
		closedir(d);
	return n;
}

static void misuse(void)
{
	int end[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sockaddr_in at;
	EQ(pprofd_serve(-1), -EBADF);
	EQ(pprofd_serve(100000), -EBADF);
	EQ(pprofd_serve(file), -ENOTSOCK);
	OK(pipe(end) == 0);
	EQ(pprofd_serve(end[0]), -ENOTSOCK);
	close(end[0]);
	close(end[1]);
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, end) == 0);
	EQ(pprofd_serve(end[0]), -EINVAL);
	close(end[0]);
	close(end[1]);
	int fd = listener(&at);
	EQ(pprofd_serve(fd), -EINVAL);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EQ(pprofd_serve(fd), -EINVAL);
	/* Still the program's. */
	EQ(close(fd), 0);
	EQ(close(file), 0);
}

/* Stop ends them; a child lets go of them, and the parent goes on. */
static void ends(void)
{
	int end[2], status;
	char byte;
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	EQ(pprofd_serve(end[0]), 0);
	OK(strncmp(ask(end[1], "/debug/pprof/cmdline", "h", 0), "HTTP/1.1 200", 12) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(end[1]);
		_exit(sockets());
	}
	OK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	EQ(WEXITSTATUS(status), 0);
	OK(strncmp(ask(end[1], "/debug/pprof/cmdline", "h", 0), "HTTP/1.1 200", 12) == 0);
	EQ(pprofd_stop(), 0);
	OK(recv(end[1], &byte, 1, MSG_DONTWAIT) <= 0);
	struct pollfd p = { .fd = end[1], .events = POLLIN };
	OK(poll(&p, 1, 2000) == 1 && (p.revents & POLLHUP));
	close(end[1]);
	EQ(sockets(), 0);
}

int main(void)
{
	int end[2];
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	EQ(pprofd_serve(end[0]), -ENOTCONN);
	close(end[0]);
	close(end[1]);
	EQ(sockets(), 0);
	start("none");
	over_tcp();
	over_socketpair();
	misuse();
	many();
	odd_clients();
	ends();
	start("127.0.0.1:0");
	over_tcp();
	over_socketpair();
	struct http_answer a = http_get("/debug/pprof/cmdline");
	EQ(a.status, 200);
	free(a.body);
	EQ(pprofd_stop(), 0);
	EQ(sockets(), 0);
	DONE();
}
