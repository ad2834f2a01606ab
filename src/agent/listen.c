/* The address to serve on: parsed strictly, bound before anything else is started. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/life.h"
#include "base/log.h"

static char socket_path[sizeof((struct sockaddr_un *)0)->sun_path]; /* "" = none */
static ino_t socket_ino;
static ino_t listener_ino;

static int parse_port(const char *s, in_port_t *out)
{
	unsigned v = 0;
	if (!*s || strlen(s) > 5)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
	}
	if (v > 65535)
		return -EINVAL;
	*out = htons((uint16_t)v);
	return 0;
}

static int parse_inet(const char *s, struct pd_config *c)
{
	char host[64];
	const char *colon = strrchr(s, ':'), *port = colon ? colon + 1 : s;
	size_t n = colon ? (size_t)(colon - s) : 0;
	if (n >= sizeof host)
		return -EINVAL;
	memcpy(host, s, n);
	host[n] = 0;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&c->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&c->addr;
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
			return -EINVAL;
		in6->sin6_family = AF_INET6;
		c->family = AF_INET6;
		c->addr_len = sizeof *in6;
		c->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
		return parse_port(port, &in6->sin6_port);
	}
	if (!n || strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		return -EINVAL;
	in->sin_family = AF_INET;
	c->family = AF_INET;
	c->addr_len = sizeof *in;
	c->loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return parse_port(port, &in->sin_port);
}

/* "unix:" path with %p for the process id and %% for a percent sign. */
static int parse_unix(const char *s, struct pd_config *c)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&c->addr;
	size_t n = 0;
	for (; *s; s++) {
		char piece[16] = { *s, 0 };
		if (*s == '%') {
			s++;
			if (*s == 'p')
				snprintf(piece, sizeof piece, "%d", (int)getpid());
			else if (*s != '%')
				return -EINVAL;
		}
		size_t len = strlen(piece);
		if (n + len >= sizeof un->sun_path)
			return -ENAMETOOLONG;
		memcpy(un->sun_path + n, piece, len);
		n += len;
	}
	if (!n)
		return -EINVAL;
	un->sun_family = AF_UNIX;
	c->family = AF_UNIX;
	c->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

/* A socket file left by a process that is gone is removed; anything else stays and is told. */
static int make_way(const struct sockaddr_un *un, socklen_t len)
{
	struct stat st;
	if (lstat(un->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return -EADDRINUSE;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int err = connect(fd, (const struct sockaddr *)(const void *)un, len) == 0 ? 0 : errno;
	close(fd);
	if (err != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(un->sun_path) == 0 ? 0 : -errno;
}

static int bind_and_listen(int fd, struct pd_config *c)
{
	int one = 1;
	if (c->family == AF_UNIX) {
		/* The file gets the mode of the socket, less the umask; the umask itself belongs to the host. */
		if (fchmod(fd, 0600) != 0)
			return -errno;
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	}
	if (c->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)&c->addr, c->addr_len) != 0 || listen(fd, 64) != 0)
		return -errno;
	return getsockname(fd, (struct sockaddr *)&c->addr, &c->addr_len) == 0 ? 0 : -errno;
}

static void tell_address(struct pd_config *c)
{
	char host[INET6_ADDRSTRLEN];
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&c->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&c->addr;
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&c->addr;
	struct stat st;
	switch (c->family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(c->address, sizeof c->address, "http://%s:%d", host, ntohs(in->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(c->address, sizeof c->address, "http://[%s]:%d", host, ntohs(in6->sin6_port));
		break;
	default:
		snprintf(c->address, sizeof c->address, "unix:%s", un->sun_path);
		if (stat(un->sun_path, &st) == 0) {
			memcpy(socket_path, un->sun_path, sizeof socket_path);
			socket_ino = st.st_ino;
		}
	}
}

int pd_listen_open(const char *listen, struct pd_config *c)
{
	memset(&c->addr, 0, sizeof c->addr);
	c->loopback = false;
	if (strcmp(listen, "none") == 0) {
		c->family = AF_UNSPEC;
		c->listen_fd = -1;
		return 0;
	}
	bool is_unix = strncmp(listen, "unix:", 5) == 0;
	int err = is_unix ? parse_unix(listen + 5, c) : parse_inet(listen, c);
	if (err) {
		pd_log("not started: PPROFD_LISTEN is \"%s\", not an address like 127.0.0.1:6060 or unix:/path/%%p.sock",
		       listen);
		return err;
	}
	if (!is_unix && !c->loopback && !c->token_file) {
		pd_log("not started: %s is not a loopback address and there is no PPROFD_TOKEN_FILE", listen);
		return -EACCES;
	}
	if (is_unix)
		err = make_way((const struct sockaddr_un *)(const void *)&c->addr, c->addr_len);
	int fd = err ? -1 : socket(c->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!err)
		err = fd < 0 ? -errno : bind_and_listen(fd, c);
	if (err) {
		pd_log("not started: cannot listen on %s: %s", listen, strerrordesc_np(-err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	struct stat st;
	listener_ino = fstat(fd, &st) == 0 ? st.st_ino : 0;
	tell_address(c);
	c->listen_fd = fd;
	return 0;
}

void pd_listen_close(const struct pd_config *c)
{
	struct stat st;
	/* A start that failed late may have closed it, and the number may be the host's by now. */
	if (c->listen_fd >= 0 && fstat(c->listen_fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == listener_ino)
		close(c->listen_fd);
	pd_listen_forget();
}

void pd_listen_forget(void)
{
	struct stat st;
	if (socket_path[0] && lstat(socket_path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == socket_ino)
		unlink(socket_path);
	socket_path[0] = 0;
}

void pd_listen_disown(void)
{
	socket_path[0] = 0;
}
