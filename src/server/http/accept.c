/* New connections, and which of the old ones has to go for them. Must not know what a request says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "server/http/inside.h"

#define PD_AT_ONCE 8                  /* accepted in one turn, so that those accepted get theirs */
#define PD_SLOW_NS (2 * PD_SECOND) /* before one that takes its reply may be closed for another */
#define PD_NO_FDS_NS 100000000ll      /* how long not to try when there are no descriptors */

void pd_conn_phase(struct pd_conn *c, enum pd_phase phase, int64_t now)
{
	static const int seconds[] = {
		[PD_IDLE] = 75,    /* scrapers come back every 10 to 60 s */
		[PD_READING] = 2,  /* the head; with a body there is more time, see begin() in daemon.c */
		[PD_WRITING] = 30, /* without a byte taken */
		[PD_HANDLING] = 0,
		[PD_CLOSING] = 0,
	};
	c->phase = phase;
	c->since = now;
	c->deadline = seconds[phase] ? now + seconds[phase] * PD_SECOND : 0;
	c->unsent = -1;
}

/* Has the client taken some of its reply? libmicrohttpd cannot tell: the kernel holds megabytes on its behalf. */
static void watch_progress(struct pd_conn *c, int64_t now)
{
	int unsent;
	if (ioctl(c->socket.fd, SIOCOUTQ, &unsent) < 0 || unsent == c->unsent)
		return;
	int64_t since = c->since;
	pd_conn_phase(c, PD_WRITING, now);
	c->since = since;
	c->unsent = unsent;
}

void pd_conn_cut(struct pd_conn *c)
{
	pd_conn_phase(c, PD_CLOSING, c->since);
	shutdown(c->socket.fd, SHUT_RDWR);
}

void pd_conn_expire(struct pd_http *h, int64_t now)
{
	for (size_t i = 0; i < PD_SLOTS; i++) {
		struct pd_conn *c = &h->conn[i];
		if (c->socket.fd < 0)
			continue;
		if (c->phase == PD_WRITING)
			watch_progress(c, now);
		if (!c->deadline || c->deadline > now)
			continue;
		if (c->phase != PD_IDLE)
			pd_count(&h->stats.timed_out);
		pd_conn_cut(c);
	}
}

/* The idle or slow one that has been so for longest; without any, the one that has been taking its reply for longest,
 * and too long; never one whose handler has not replied yet. */
static struct pd_conn *weakest(const struct pd_http *h, int64_t now)
{
	const struct pd_conn *victim = NULL;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		const struct pd_conn *c = &h->conn[i];
		bool writing = c->phase == PD_WRITING, other = victim && victim->phase == PD_WRITING;
		if (c->socket.fd < 0 || c->phase == PD_HANDLING || c->phase == PD_CLOSING ||
		        (writing && now - c->since < PD_SLOW_NS))
			continue;
		if (!victim || (writing == other ? c->since < victim->since : other))
			victim = c;
	}
	return (struct pd_conn *)victim;
}

static void evict(struct pd_http *h, struct pd_conn *victim)
{
	if (!victim)
		return;
	pd_count(&h->stats.evicted);
	pd_audit_add(h, victim->peer.name, 0, "connection closed to make room for another");
	pd_conn_cut(victim);
}

static struct pd_conn *free_slot(const struct pd_http *h, size_t *living)
{
	const struct pd_conn *slot = NULL;
	*living = 0;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		if (h->conn[i].socket.fd < 0)
			slot = &h->conn[i];
		else
			*living += h->conn[i].phase != PD_CLOSING;
	}
	return (struct pd_conn *)slot;
}

bool pd_can_accept(const struct pd_http *h, int64_t now)
{
	size_t living;
	return h->accept_after <= now && free_slot(h, &living) && (living < PD_CONNECTIONS || weakest(h, now));
}

/* Low numbers are left to the program, which may be about to open its standard output anew. */
static int raised(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 64);
	if (high < 0 && fd <= STDERR_FILENO)
		high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* Take over a connected socket. */
static bool admit(struct pd_http *h, struct pd_conn *slot, int fd, int64_t now)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	struct pd_conn c = { .mhd = NULL };
	memset(&addr, 0, sizeof addr);
	fd = raised(fd);
	if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0 || !pd_fd_note(&c.socket, fd)) {
		close(fd);
		return false;
	}
	pd_peer_find(fd, addr.ss_family == AF_UNIX, &c.peer);
	c.peer.unix_socket = addr.ss_family == AF_UNIX;
	pd_conn_phase(&c, PD_READING, now);
	*slot = c;
	if (!pd_daemon_add(h, slot, &addr, len))
		slot->socket.fd = -1;
	return slot->socket.fd >= 0;
}

static bool accept_one(struct pd_http *h, struct pd_conn *slot, int64_t now)
{
	int fd = accept4(h->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			evict(h, weakest(h, now));
			h->accept_after = now + PD_NO_FDS_NS;
		}
		return false;
	}
	return admit(h, slot, fd, now);
}

/* One that the program has handed over; like those of the listener's backlog they wait for room. */
static bool admit_given(struct pd_http *h, struct pd_conn *slot, int64_t now)
{
	struct pd_fd given;
	if (!pd_given(h, &given))
		return false;
	return pd_fd_ours(&given) && admit(h, slot, given.fd, now);
}

void pd_accept(struct pd_http *h, int64_t now, bool knocking)
{
	for (int i = 0; i < PD_AT_ONCE && pd_can_accept(h, now); i++) {
		size_t living;
		struct pd_conn *slot = free_slot(h, &living);
		struct pd_conn *victim = living < PD_CONNECTIONS ? NULL : weakest(h, now);
		if (!admit_given(h, slot, now) && !(knocking && accept_one(h, slot, now)))
			return;
		evict(h, victim);
	}
}
