/*
 * The poll thread: waits for libmicrohttpd, the listener, the worker, and for clients that leave while their request
 * waits, and gives each its turn. Must not know HTTP.
 *
 * poll and not epoll: the program can close any descriptor, and then there is one less that could be mistaken. While
 * poll waits it keeps a closed listener open, so it never waits long.
 */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/log.h"
#include "server/http/inside.h"

#define PD_LOOK_NS 100000000ll /* between two looks whether a client that sends no more is still there */

enum { PD_WAKE, PD_DAEMON, PD_LISTENER, PD_FIRST_CONN };

struct turn {
	struct pollfd fd[PD_FIRST_CONN + PD_SLOTS];
	struct pd_conn *conn[PD_FIRST_CONN + PD_SLOTS];
	nfds_t n;
};

void pd_poll_wake(struct pd_http *h)
{
	if (pd_fd_ours(&h->wake_w)) {
		ssize_t w = write(h->wake_w.fd, "", 1);
		(void)w; /* full: it will wake up anyway */
	}
}

static void drain(struct pd_http *h)
{
	char bytes[256];
	while (read(h->wake_r.fd, bytes, sizeof bytes) > 0)
		;
}

static void fill(struct pd_http *h, struct turn *t, int64_t now)
{
	bool accepting = pd_can_accept(h, now);
	t->fd[PD_WAKE] = (struct pollfd){ .fd = h->wake_r.fd, .events = POLLIN };
	t->fd[PD_DAEMON] = (struct pollfd){ .fd = h->epoll, .events = POLLIN };
	t->fd[PD_LISTENER] = (struct pollfd){ .fd = h->listener.fd, .events = accepting ? POLLIN : 0 };
	t->n = PD_FIRST_CONN;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		struct pd_conn *c = &h->conn[i];
		if (c->socket.fd < 0 || !c->request || !c->request->suspended)
			continue;
		t->conn[t->n] = c;
		t->fd[t->n++] = (struct pollfd){ .fd = c->socket.fd, .events = c->look ? 0 : POLLRDHUP };
	}
}

static void sooner(int64_t *first, int64_t when)
{
	if (when && when < *first)
		*first = when;
}

static void wait_for_something(struct pd_http *h, struct turn *t, int64_t now)
{
	int64_t first = now + PD_SECOND, daemon = pd_daemon_wants(h);
	if (daemon >= 0)
		sooner(&first, now + daemon);
	if (h->accept_after > now)
		sooner(&first, h->accept_after);
	sooner(&first, pd_asks_due(h));
	if (pd_given_any(h) && pd_can_accept(h, now))
		first = now;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		const struct pd_conn *c = &h->conn[i];
		if (c->socket.fd < 0)
			continue;
		sooner(&first, c->deadline);
		if (!c->request || !c->request->suspended)
			continue;
		sooner(&first, c->look);
		if (c->request->holder == PD_TIMER)
			sooner(&first, c->request->due);
	}
	int64_t ns = pd_max64(first - now, 0);
	struct timespec ts = pd_timespec(ns);
	if (ppoll(t->fd, t->n, &ts, NULL) > 0)
		return;
	for (nfds_t i = 0; i < t->n; i++)
		t->fd[i].revents = 0;
}

static void take_back(struct pd_http *h)
{
	for (struct pd_request *next, *r = pd_worker_done(h); r; r = next) {
		next = r->next;
		r->holder = PD_POLL;
		if (r->conn)
			pd_daemon_resume(r);
		else if (!r->ask)
			pd_request_free(r);
	}
}

/* Has the client left? One that only stopped sending, as a pipe into nc does, waits for its answer. */
static bool left(struct pd_conn *c, short events, int64_t now)
{
	if (events & (POLLERR | POLLHUP | POLLNVAL))
		return true;
	if (!events && (!c->look || c->look > now))
		return false;
	c->look = now + PD_LOOK_NS;
	return !pd_peer_listens(c->socket.fd, c->peer.unix_socket);
}

static void let_go(struct pd_http *h, const struct turn *t, int64_t now)
{
	for (nfds_t i = PD_FIRST_CONN; i < t->n; i++) {
		struct pd_request *r = t->conn[i]->request;
		if (!r || !r->suspended || !left(t->conn[i], t->fd[i].revents, now))
			continue;
		pd_count(&h->stats.left_early);
		pd_store_relaxed(&r->gone, 1);
		pd_daemon_resume(r);
	}
}

static void call_due(struct pd_http *h, int64_t now)
{
	for (size_t i = 0; i < PD_SLOTS; i++) {
		struct pd_conn *c = &h->conn[i];
		struct pd_request *r = c->socket.fd >= 0 ? c->request : NULL;
		if (!r || !r->suspended || r->holder != PD_TIMER || r->due > now)
			continue;
		pd_request_call(r, r->then);
		if (r->holder == PD_POLL)
			pd_daemon_resume(r);
	}
}

/* Nothing of libmicrohttpd may be touched any more: it would use numbers that are the program's now. */
static void give_up(struct pd_http *h)
{
	h->broken = true;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		if (h->conn[i].socket.fd >= 0 && h->conn[i].request)
			pd_request_end(h->conn[i].request);
	}
	pd_fds_close(h);
}

static void serve(struct pd_http *h)
{
	for (;;) {
		struct turn t;
		int64_t now = pd_mono_ns();
		fill(h, &t, now);
		wait_for_something(h, &t, now);
		if (!pd_fds_ours(h) || (t.fd[PD_LISTENER].revents & ~POLLIN)) {
			pd_log("the program closed descriptors of the service: it no longer serves");
			give_up(h);
			return;
		}
		if (pd_load_relaxed(&h->stopping)) {
			pd_daemon_stop(h);
			pd_fds_close(h);
			return;
		}
		now = pd_mono_ns();
		drain(h);
		take_back(h);
		let_go(h, &t, now);
		call_due(h, now);
		pd_asks_run(h, now);
		pd_conn_expire(h, now);
		pd_accept(h, now, t.fd[PD_LISTENER].revents);
		pd_daemon_run(h);
	}
}

void *pd_poll_main(void *http)
{
	struct pd_http *h = http;
	h->c.agent->thread_own("pprofd-http");
	if (!pd_daemon_guarded(h, serve))
		give_up(h);
	pd_host_end(h);
	return NULL;
}
