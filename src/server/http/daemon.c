/*
 * The adaptor to libmicrohttpd: its callbacks and how it is driven. Everything here happens on the poll thread; the
 * library gets neither a thread nor the listener nor a channel of its own. Must not know what is allowed or served.
 */
#include <errno.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/atomic.h"
#include "base/log.h"
#include "server/http/inside.h"

#define PD_MEMORY 32768u                  /* of one connection, head and reply headers */
#define PD_REQUEST_NS (10 * PD_SECOND) /* for a whole request */
#define PD_SWALLOW (1u << 20)             /* bytes of a refused body read, so that the client sees the refusal */

/* Where to go when libmicrohttpd panics on this thread; it would abort the program. */
static __thread sigjmp_buf *panic_home;

static void on_panic(void *arg, const char *file, unsigned line, const char *why)
{
	/* Set for the whole process: a program that uses the same library itself gets what it would have got. */
	if (!panic_home) {
		fprintf(stderr, "Fatal error in GNU libmicrohttpd %s:%u: %s\n", file, line, why ? why : "");
		abort();
	}
	pd_log("libmicrohttpd: %s", why ? why : "internal error");
	siglongjmp(*panic_home, 1);
}

static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
	return strlen(s);
}

static struct pd_conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void on_connection(
        void *http, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct pd_http *h = http;
	struct pd_conn *c = *context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = h->adding;
		h->adding->mhd = connection;
		pd_add_relaxed(&h->stats.connections, 1);
	} else if (c) {
		/* Two faults in one request, and it forgets to tell that the request is over. */
		if (c->request)
			pd_request_end(c->request);
		c->socket.fd = -1;
		c->mhd = NULL;
		pd_add_relaxed(&h->stats.connections, -1);
	}
}

/* The first line of a request has come. */
static void *on_line(void *http, const char *target, struct MHD_Connection *connection)
{
	struct pd_conn *c = conn_of(connection);
	if (!c || c->phase == PD_CLOSING)
		return NULL;
	if (c->phase != PD_READING)
		pd_conn_phase(c, PD_READING, pd_mono_ns());
	return pd_request_new(http, c, target);
}

static void on_completed(
        void *http, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
	struct pd_http *h = http;
	struct pd_request *r = *context;
	*context = NULL;
	if (!r)
		return;
	struct pd_conn *c = r->conn;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
	if (!r->seen && info) {
		/* libmicrohttpd has refused it by itself. */
		pd_count_refusal(h, PD_BY_FRAMING);
		pd_count_reply(h, (int)info->http_status);
		pd_audit_add(h, r->peer.name, (int)info->http_status, "malformed request");
	}
	if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && c && c->phase == PD_WRITING)
		pd_conn_phase(c, PD_IDLE, pd_mono_ns());
	pd_request_end(r);
}

/* ---- from the head to the reply ---- */

static ssize_t no_bytes(void *arg, uint64_t at, char *to, size_t max)
{
	return MHD_CONTENT_READER_END_OF_STREAM;
}

/* A HEAD whose body was not made must not say how long it is; and not be chunked, for libmicrohttpd ends even that with
 * the last chunk. To HTTP/1.0 goes what that version knows, and by its name. */
static struct MHD_Response *response_of(const struct pd_request *r)
{
	const struct pd_buf *body = &r->reply.body;
	bool unmade = !body->len && strcmp(r->method, "HEAD") == 0;
	struct MHD_Response *m = unmade ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, no_bytes, NULL, NULL) :
	                                  MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
	if (m && (unmade || r->http10))
		MHD_set_response_options(m, (unmade ? MHD_RF_HTTP_1_0_COMPATIBLE_STRICT : 0) |
		                         (r->http10 ? MHD_RF_HTTP_1_0_SERVER : 0), MHD_RO_END);
	return m;
}

static enum MHD_Result send_reply(struct pd_request *r)
{
	struct pd_reply *p = &r->reply;
	const char *name, *value;
	struct MHD_Response *m = response_of(r);
	if (!m)
		return MHD_NO;
	p->body = (struct pd_buf){ .data = NULL };
	MHD_add_response_header(m, "Content-Type", p->type);
	for (size_t i = 0; pd_reply_standing(p->type, i, &name, &value); i++) {
		if (value && !pd_pair_first(&p->headers, name, true))
			MHD_add_response_header(m, name, value);
	}
	for (const char *s = p->headers.data; s && !p->headers.failed && s < p->headers.data + p->headers.len;) {
		value = s + strlen(s) + 1;
		if (MHD_add_response_header(m, s, value) != MHD_YES)
			pd_log("reply header %.40s cannot be sent", s);
		s = value + strlen(value) + 1;
	}
	/* Where it ended is anybody's guess: what comes after must not pass for another request. And where nothing will
	 * come, libmicrohttpd would go on waiting for it. */
	char byte;
	if (r->malformed || recv(r->conn->socket.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		MHD_add_response_header(m, "Connection", "close");
	enum MHD_Result result = MHD_queue_response(r->conn->mhd, (unsigned)p->status, m);
	MHD_destroy_response(m);
	pd_count_reply(r->http, p->status);
	pd_conn_phase(r->conn, PD_WRITING, pd_mono_ns());
	return result;
}

/* The first call: no body yet. */
static enum MHD_Result begin(
        struct pd_request *r, struct MHD_Connection *connection, const char *method, const char *version)
{
	r->seen = true;
	pd_count(&r->http->stats.requests);
	pd_head_copy(r, connection, method, version);
	pd_guard(r);
	r->conn->deadline = r->conn->since + PD_REQUEST_NS;
	const char *length = pd_header(r, "Content-Length"), *coding = pd_header(r, "Transfer-Encoding");
	/* To reply before the body closes the connection; a client that is still sending may then not see the reply. */
	bool would_wait = pd_header(r, "Expect") || (coding && strcasecmp(coding, "chunked") != 0) ||
	        (length && (strlen(length) > 9 || atol(length) > (long)PD_SWALLOW));
	return r->reply.ready && would_wait ? send_reply(r) : MHD_YES;
}

static enum MHD_Result take_body(struct pd_request *r, const char *data, size_t *len)
{
	size_t n = *len;
	*len = 0;
	r->received += n;
	if (!r->reply.ready && r->received > r->max_body) {
		r->reason = PD_BY_BODY;
		pd_refuse(r, 413, "the body is longer than %zu bytes", r->max_body);
	}
	if (r->reply.ready) {
		r->swallowed += n;
		return r->swallowed > PD_SWALLOW ? MHD_NO : MHD_YES;
	}
	/* A wrong token is told after a while: what it came with is not kept until then. */
	if (r->handler == r->http->c.handler)
		pd_buf_add(&r->body, data, n);
	return r->body.failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result go_on(struct pd_request *r)
{
	if (!r->whole) {
		r->whole = true;
		pd_conn_phase(r->conn, PD_HANDLING, pd_mono_ns());
		if (!r->reply.ready)
			pd_request_call(r, r->handler);
	}
	if (r->holder == PD_POLL)
		return send_reply(r);
	r->suspended = true;
	pd_add_relaxed(&r->http->stats.waiting, 1);
	MHD_suspend_connection(r->conn->mhd);
	return MHD_YES;
}

static enum MHD_Result on_request(void *http, struct MHD_Connection *connection, const char *url, const char *method,
        const char *version, const char *data, size_t *len, void **context)
{
	struct pd_http *h = http;
	struct pd_request *r = *context;
	if (!r || pd_load_relaxed(&r->gone) || pd_load_relaxed(&h->stopping))
		return MHD_NO;
	if (!r->seen)
		return begin(r, connection, method, version);
	return *len ? take_body(r, data, len) : go_on(r);
}

void pd_daemon_resume(struct pd_request *r)
{
	if (!r->suspended)
		return;
	r->suspended = false;
	pd_add_relaxed(&r->http->stats.waiting, -1);
	MHD_resume_connection(r->conn->mhd);
}

/* ---- driving it ---- */

/* From 1.0 on it can be asked to; told when we run, for it may be a newer one than we were built with. */
bool pd_daemon_strict(void)
{
	return atoi(MHD_get_version()) >= 1;
}

/* MHD_USE_NO_THREAD_SAFETY, which comes with 1.0: else that one adds a connection some time after it was told to, with
 * a channel of its own that a forked child cannot find. */
#define PD_ONE_THREAD (1u << 19)

int pd_daemon_start(struct pd_http *h)
{
	MHD_set_panic_func(on_panic, NULL);
	bool strict = pd_daemon_strict();
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
	h->mhd = MHD_start_daemon(flags | (strict ? PD_ONE_THREAD : 0), 0, NULL, NULL, on_request, h,
	        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_line, h,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	        MHD_OPTION_CONNECTION_LIMIT, (unsigned)PD_SLOTS + 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)PD_MEMORY, strict ? MHD_OPTION_STRICT_FOR_CLIENT : MHD_OPTION_END, 1, MHD_OPTION_END);
	if (!h->mhd)
		return errno ? -errno : -ENOMEM;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event none = { .events = 0 };
	h->epoll = info ? info->epoll_fd : -1;
	/* With no event asked for and no connection as its data it is only a mark; see fd.c. */
	if (h->epoll < 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake_r.fd, &none) < 0) {
		MHD_stop_daemon(h->mhd);
		h->epoll = -1;
		return -EBADF;
	}
	return 0;
}

bool pd_daemon_guarded(struct pd_http *h, void (*fn)(struct pd_http *h))
{
	sigjmp_buf home;
	panic_home = &home;
	bool sound = sigsetjmp(home, 0) == 0;
	if (sound)
		fn(h);
	panic_home = NULL;
	return sound;
}

void pd_daemon_run(struct pd_http *h)
{
	MHD_run(h->mhd);
}

bool pd_daemon_add(struct pd_http *h, struct pd_conn *c, const void *addr, unsigned addr_len)
{
	h->adding = c;
	return MHD_add_connection(h->mhd, c->socket.fd, addr, addr_len) == MHD_YES;
}

int64_t pd_daemon_wants(struct pd_http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;
	if (MHD_get_timeout(h->mhd, &ms) != MHD_YES)
		return -1;
	return ms > 1000 ? PD_SECOND : (int64_t)ms * 1000000;
}

void pd_daemon_stop(struct pd_http *h)
{
	/* It aborts when a connection is suspended at its end. */
	for (size_t i = 0; i < PD_SLOTS; i++) {
		struct pd_conn *c = &h->conn[i];
		if (c->socket.fd >= 0 && c->request)
			pd_daemon_resume(c->request);
	}
	MHD_run(h->mhd);
	MHD_stop_daemon(h->mhd);
	h->epoll = -1;
}
