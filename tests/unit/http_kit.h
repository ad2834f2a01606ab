/* A service with handlers of the test's own, and clients that speak raw bytes to it. */
#ifndef HTTP_KIT_H
#define HTTP_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/atomic.h"
#include "server/http/inside.h"

#include "../test.h"

struct kit {
	struct pd_config config;
	struct pd_agent agent;
	struct pd_http *http;
	int port;
	uint32_t to;    /* address clients connect to; 0 = 127.0.0.1 */
	char path[108]; /* of the unix socket; "" = TCP */
};

static unsigned kit_released, kit_ran, kit_gone; /* atomic */
static unsigned kit_own;

static inline void kit_thread_own(const char *name)
{
	pd_add_relaxed(&kit_own, 1);
}

static inline void kit_release(void *state)
{
	pd_add_relaxed(&kit_released, 1);
}

static inline void kit_say(struct pd_request *r, int status, const char *type, const char *text)
{
	struct pd_buf b = { .data = NULL };
	pd_buf_str(&b, text);
	pd_reply(r, status, type, &b);
}

static inline void kit_then(struct pd_request *r, void *arg)
{
	pd_add_relaxed(&kit_ran, 1);
	kit_say(r, 200, "text/plain", "then");
}

/* On the worker, for ?ms=, or until the client is gone. */
static inline void kit_work(struct pd_request *r, void *arg)
{
	const char *ms = pd_param(r, "ms");
	pd_add_relaxed(&kit_ran, 1);
	for (int i = ms ? atoi(ms) : 0; i > 0 && !pd_gone(r); i--)
		usleep(1000);
	if (pd_gone(r))
		pd_add_relaxed(&kit_gone, 1);
	kit_say(r, 200, "text/plain", "worked");
}

static inline void kit_wait_then_work(struct pd_request *r, void *arg)
{
	pd_work(r, kit_work);
}

static inline void kit_echo(struct pd_request *r)
{
	size_t len;
	const char *body = pd_body(r, &len);
	const char *q = pd_param(r, "q"), *agent = pd_header(r, "user-agent");
	struct pd_buf b = { .data = NULL };
	pd_buf_fmt(&b, "%s %s ?%s q=%s agent=%s body=%zu:", pd_method(r), pd_path(r), pd_query(r), q ? q : "-",
	        agent ? agent : "-", len);
	pd_buf_add(&b, body, len);
	pd_reply(r, 200, "text/plain; charset=utf-8", &b);
}

static inline void kit_big(struct pd_request *r)
{
	const char *n = pd_param(r, "n");
	struct pd_buf b = { .max = 64u << 20 };
	for (long i = n ? atol(n) : 0; i > 0; i -= 64)
		pd_buf_add(&b, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n",
		        i < 64 ? (size_t)i : 64);
	pd_reply(r, 200, "application/octet-stream", &b);
}

static inline void kit_handler(struct pd_request *r, void *arg)
{
	const char *path = pd_path(r), *ms = pd_param(r, "ms");
	pd_set_state(r, &kit_released, kit_release);
	if (strcmp(path, "/wait") == 0)
		pd_wait(r, (ms ? atoll(ms) : 60000) * 1000000, kit_then);
	else if (strcmp(path, "/work") == 0)
		pd_work(r, kit_work);
	else if (strcmp(path, "/waitwork") == 0)
		pd_wait(r, 20000000, kit_wait_then_work);
	else if (strcmp(path, "/big") == 0)
		kit_big(r);
	else if (strcmp(path, "/html") == 0)
		kit_say(r, 200, "text/html; charset=utf-8", "<p>hi");
	else if (strcmp(path, "/error") == 0) {
		pd_reply_header(r, "Content-Disposition", "attachment");
		pd_error(r, 404, "Unknown %s", "profile");
	} else if (strcmp(path, "/none") != 0) {
		pd_reply_header(r, "X-Own", "yes");
		kit_echo(r);
	}
}

static inline const char *kit_allow(const char *path, const char *method, bool *expensive, size_t *max_body)
{
	*expensive = strcmp(path, "/wait") == 0;
	*max_body = 100000;
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return NULL;
	if (strncmp(path, "/post", 5) == 0)
		return strcmp(method, "POST") == 0 ? NULL : "GET, HEAD, POST";
	return "GET, HEAD";
}

static inline int kit_listen(struct kit *k, int family)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	socklen_t len = sizeof(struct sockaddr_in);
	if (family == AF_INET) {
		((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (family == AF_INET6) {
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_any; /* takes IPv4 too */
		len = sizeof(struct sockaddr_in6);
	} else {
		struct sockaddr_un *un = (struct sockaddr_un *)&ss;
		const char *dir = getenv("T");
		snprintf(k->path, sizeof k->path, "%.80s/http%d.sock", dir ? dir : "/tmp", (int)getpid());
		unlink(k->path);
		strcpy(un->sun_path, k->path);
		len = sizeof *un;
	}
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 64) < 0) {
		perror("listen");
		exit(1);
	}
	struct sockaddr_in6 name; /* its port is where sockaddr_in has it */
	len = sizeof name;
	getsockname(fd, (struct sockaddr *)&name, &len);
	k->port = ntohs(name.sin6_port);
	return fd;
}

/* Config fields set before are kept. Returns what pd_http_start says. */
static inline int kit_try(struct kit *k, int family)
{
	k->agent.thread_own = kit_thread_own;
	k->config.family = family;
	k->config.listen_fd = kit_listen(k, family);
	snprintf(k->config.address, sizeof k->config.address, "test");
	struct pd_http_config c = {
		.config = &k->config, .agent = &k->agent, .handler = kit_handler, .allow = kit_allow
	};
	int error = pd_http_start(&c, &k->http);
	if (error)
		close(k->config.listen_fd);
	return error;
}

static inline void kit_start(struct kit *k, int family)
{
	k->config.loopback = family != AF_UNIX;
	int error = kit_try(k, family);
	if (error) {
		fprintf(stderr, "start: %s\n", strerror(-error));
		exit(1);
	}
}

static inline void kit_stop(struct kit *k)
{
	pd_http_stop(k->http, false);
	if (k->path[0])
		unlink(k->path);
}

static inline struct pd_http_stats kit_stats(const struct kit *k)
{
	struct pd_http_stats s;
	pd_http_stats(k->http, &s);
	return s;
}

static inline int kit_connect(const struct kit *k)
{
	union {
		struct sockaddr a;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} to;
	memset(&to, 0, sizeof to);
	socklen_t len = sizeof to.in;
	if (k->path[0]) {
		to.un.sun_family = AF_UNIX;
		strcpy(to.un.sun_path, k->path);
		len = sizeof to.un;
	} else {
		to.in.sin_family = AF_INET;
		to.in.sin_port = htons((uint16_t)k->port);
		to.in.sin_addr.s_addr = k->to ? k->to : htonl(INADDR_LOOPBACK);
	}
	int fd = socket(to.a.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, &to.a, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool kit_send(int fd, const void *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool kit_puts(int fd, const char *text)
{
	return kit_send(fd, text, strlen(text));
}

struct kit_reply {
	int status;  /* 0: none came */
	bool closed; /* the end of the connection was seen */
	size_t body_len, len;
	char *body; /* in text */
	char text[1 << 18];
};

static inline const char *kit_header(const struct kit_reply *p, const char *name)
{
	static char value[1024];
	size_t n = strlen(name);
	for (const char *s = strstr(p->text, "\r\n"); s && s + 2 < p->body; s = strstr(s + 2, "\r\n")) {
		if (strncasecmp(s + 2, name, n) != 0 || s[2 + n] != ':')
			continue;
		const char *v = s + 2 + n + 2;
		snprintf(value, sizeof value, "%.*s", (int)strcspn(v, "\r"), v);
		return value;
	}
	return NULL;
}

/* Read one reply (without a body for HEAD), waiting ms milliseconds at most. */
static inline struct kit_reply *kit_read(int fd, int ms, bool head)
{
	static struct kit_reply all;
	struct kit_reply *p = &all;
	long long until = test_now_ns() + ms * 1000000ll;
	p->status = 0;
	p->closed = false;
	p->len = p->body_len = 0;
	p->text[0] = 0;
	p->body = p->text;
	for (size_t want = 0;;) {
		char *end = want ? NULL : strstr(p->text, "\r\n\r\n");
		if (end) {
			p->body = end + 4;
			const char *length = kit_header(p, "Content-Length");
			want = (size_t)(p->body - p->text) + (length && !head ? (size_t)atol(length) : 0);
		}
		if (want && p->len >= want)
			break;
		/* Byte by byte up to the end of the head, so that the next reply stays in the socket. */
		size_t room = want ? want - p->len : 1;
		struct pollfd w = { .fd = fd, .events = POLLIN };
		long long left = until - test_now_ns();
		if (left <= 0 || poll(&w, 1, (int)(left / 1000000) + 1) <= 0)
			break;
		ssize_t n = recv(fd, p->text + p->len, room, 0);
		if (n <= 0) {
			p->closed = true;
			break;
		}
		p->len += (size_t)n;
		p->text[p->len] = 0;
	}
	p->body_len = (size_t)(p->text + p->len - p->body);
	if (strncmp(p->text, "HTTP/1.", 7) == 0)
		p->status = atoi(p->text + 9);
	return p;
}

/* Connect, send, read one reply, close. */
static inline struct kit_reply *kit_ask(const struct kit *k, const void *data, size_t len, int ms)
{
	int fd = kit_connect(k);
	kit_send(fd, data, len);
	struct kit_reply *p = kit_read(fd, ms, memcmp(data, "HEAD", 4) == 0);
	close(fd);
	return p;
}

static inline struct kit_reply *kit_get(const struct kit *k, const char *target)
{
	char text[4096];
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
	return kit_ask(k, text, (size_t)n, 5000);
}

/* Has the server closed the connection within ms? */
static inline bool kit_closed(int fd, int ms)
{
	char bytes[4096];
	long long until = test_now_ns() + ms * 1000000ll;
	for (;;) {
		struct pollfd w = { .fd = fd, .events = POLLIN };
		long long left = until - test_now_ns();
		if (left <= 0 || poll(&w, 1, (int)(left / 1000000) + 1) <= 0)
			return false;
		if (recv(fd, bytes, sizeof bytes, 0) <= 0)
			return true;
	}
}

#endif
