/*
 * Who connects: the address, and the user. A unix socket says it; for TCP on loopback the kernel is asked who owns the
 * client's socket. Must not know who may be served.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/http/inside.h"

/* One end of a TCP connection; IPv4 also when it came mapped into IPv6. Network byte order. */
struct end {
	int family;
	uint16_t port;
	uint32_t address[4];
	bool loopback;
};

static bool read_end(const struct sockaddr_storage *from, struct end *to)
{
	memset(to, 0, sizeof *to);
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)from;
		to->family = AF_INET;
		to->port = v4->sin_port;
		to->address[0] = v4->sin_addr.s_addr;
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)from;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
		to->family = mapped ? AF_INET : AF_INET6;
		to->port = v6->sin6_port;
		memcpy(to->address, v6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	} else {
		return false;
	}
	static const uint8_t one[16] = { [15] = 1 };
	to->loopback = to->family == AF_INET ? ntohl(to->address[0]) >> 24 == 127 : memcmp(to->address, one, 16) == 0;
	return true;
}

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static int ask(const struct question *q, void *answer, size_t size, ssize_t *len)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -errno;
	struct timeval patience = { .tv_usec = 200000 };
	int error = 0;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 || send(fd, q, sizeof *q, 0) < 0 ||
	        (*len = recv(fd, answer, size, 0)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* The answer may be about a listener on that port, or a connection the client has closed: those have no owner, or
 * one who did not send this request. */
static bool owned(const struct inet_diag_msg *m, const struct end *client, const struct end *server)
{
	bool open = m->idiag_state == TCP_ESTABLISHED || m->idiag_state == TCP_FIN_WAIT1 ||
	        m->idiag_state == TCP_FIN_WAIT2 || m->idiag_state == TCP_CLOSE_WAIT;
	return open && m->idiag_inode != 0 && m->id.idiag_sport == client->port && m->id.idiag_dport == server->port;
}

static void find_owner(const struct end *client, const struct end *server, struct pd_peer *out)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
		.body = {
			.sdiag_family = (uint8_t)client->family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1u,
			.id = { .idiag_sport = client->port, .idiag_dport = server->port,
			        .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
		},
	};
	memcpy(q.body.id.idiag_src, client->address, sizeof client->address);
	memcpy(q.body.id.idiag_dst, server->address, sizeof server->address);
	union {
		struct nlmsghdr head;
		char bytes[2048];
	} answer;
	ssize_t len = 0;
	if (ask(&q, &answer, sizeof answer, &len) < 0) {
		out->why = "the kernel does not tell who owns a socket";
		return;
	}
	const struct inet_diag_msg *m = NLMSG_DATA(&answer.head);
	bool told = (size_t)len >= NLMSG_LENGTH(sizeof *m) && answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY;
	out->known = told && owned(m, client, server);
	out->uid = out->known ? m->idiag_uid : 0;
	out->why = told ? "the client has closed its socket" : "the kernel does not know the client's socket";
}

static void find_unix(int fd, struct pd_peer *out)
{
	struct ucred who;
	socklen_t len = sizeof who;
	out->local = true;
	out->known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0;
	if (out->known) {
		out->uid = who.uid;
		snprintf(out->name, sizeof out->name, "uid %u", who.uid);
	}
}

static bool ends(int fd, struct end *client, struct end *server)
{
	struct sockaddr_storage theirs, ours;
	socklen_t theirs_len = sizeof theirs, ours_len = sizeof ours;
	return getpeername(fd, (struct sockaddr *)&theirs, &theirs_len) == 0 &&
	        getsockname(fd, (struct sockaddr *)&ours, &ours_len) == 0 && read_end(&theirs, client) &&
	        read_end(&ours, server);
}

void pd_peer_find(int fd, bool unix_socket, struct pd_peer *out)
{
	*out = (struct pd_peer){ .name = "unknown", .why = "the socket does not tell" };
	struct end client, server;
	if (unix_socket) {
		find_unix(fd, out);
		return;
	}
	if (!ends(fd, &client, &server))
		return;
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(client.family, client.address, text, sizeof text);
	snprintf(
	        out->name, sizeof out->name, client.family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(client.port));
	out->local = client.loopback && server.loopback;
	if (out->local)
		find_owner(&client, &server, out);
}

/* A unix socket whose other end is closed, and not only shut down for writing, has hung up both ways: poll tells that
 * by itself. Of TCP the same packet comes in both cases; on loopback, though, the kernel knows the other socket. */
bool pd_peer_listens(int fd, bool unix_socket)
{
	struct pd_peer peer;
	pd_peer_find(fd, unix_socket, &peer);
	return unix_socket || (peer.local && peer.known);
}
