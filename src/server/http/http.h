/*
 * HTTP over libmicrohttpd, on one poll thread of ours, with the guard in front of every handler: peer, Host,
 * cross-site rules, token, limits and deadlines. Knows requests and replies; must not know what a profile is.
 *
 * A handler runs on the poll thread and must not block. It ends by calling exactly one of pd_reply, pd_error,
 * pd_wait or pd_work; a request that waits holds a connection and no thread.
 */
#ifndef PD_SERVER_HTTP_H
#define PD_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/buf.h"

struct pd_http;
struct pd_request;

typedef void pd_handler(struct pd_request *r, void *arg);

struct pd_http_config {
	const struct pd_config *config;
	const struct pd_agent *agent;
	/* Called for every request that passed the guard. */
	pd_handler *handler;
	void *arg;
	/* May the method be used on this path? Returns NULL when it may, else what Allow says: "GET, HEAD" ...
	 * Also tells whether a GET on the path is expensive (refused to cross-site pages) and how long a body may be.
	 * The path is decoded and clean, the method any token. */
	const char *(*allow)(const char *path, const char *method, bool *expensive, size_t *max_body);
};

/* Start the poll thread and the worker thread. 0, or -errno (-EACCES and -EINVAL are told in the log); on error
 * listen_fd is still the caller's. Handlers may run before this returns; *out is set by then. */
int pd_http_start(const struct pd_http_config *c, struct pd_http **out);
/* End every request, both threads and the listener, within a second or as soon as the running work function or
 * background job returns. forked: only close what was inherited, if it still is that; h is not to be used again. */
void pd_http_stop(struct pd_http *h, bool forked);

/* ---- a request; on the poll thread ---- */
const char *pd_method(const struct pd_request *r); /* "GET", "HEAD" or "POST" */
const char *pd_path(const struct pd_request *r);   /* decoded, starts with '/', without the configured prefix */
const char *pd_mount(const struct pd_request *r);  /* the prefix if the request came under it, else "" */
const char *pd_query(const struct pd_request *r);  /* raw, without '?'; "" = none */
const char *pd_body(const struct pd_request *r, size_t *len);
const char *pd_header(const struct pd_request *r, const char *name); /* first value or NULL */
const char *pd_peer(const struct pd_request *r);   /* for the log: address, or "uid N" on a unix socket */
/* First value of a query key, decoded as Go's url.ParseQuery does it; NULL = absent. Valid as long as the request. */
const char *pd_param(struct pd_request *r, const char *key);
/* The pairs of a query or of a urlencoded form, decoded the same way and appended as "key\0value\0"; an escaped NUL is
 * U+FFFD. False when any of it is malformed or out of memory. */
bool pd_form_parse(const char *text, size_t len, struct pd_buf *out);
/* The handler's own pointer; freed by `release` when the request ends, however it ends. */
void pd_set_state(struct pd_request *r, void *state, void (*release)(void *state));
void *pd_state(struct pd_request *r);

/* ---- replies; on the poll thread, or at the end of a pd_work function on the worker ---- */

/* Extra header of the reply; copied. Said instead of a standing one of that name. */
void pd_reply_header(struct pd_request *r, const char *name, const char *value);
/* Send the bytes (taken over; *body becomes empty) with a Content-Type. */
void pd_reply(struct pd_request *r, int status, const char *content_type, struct pd_buf *body);
/* Go's error form: X-Go-Pprof: 1, text/plain, the sentence and a newline. */
void pd_error(struct pd_request *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- to go on later ---- */

/* Wait without a thread; `then` runs on the poll thread after ns nanoseconds. When the client leaves, the request ends
 * within 200 ms: `then` is not called, release is. A client that only stops sending has left when it is on another
 * machine (as in Go); one on this machine gets its reply. */
void pd_wait(struct pd_request *r, int64_t ns, pd_handler *then);
/* Run fn on the worker thread (in order of arrival); it must end with pd_reply or pd_error. */
void pd_work(struct pd_request *r, pd_handler *fn);
/* Has the client left, or is the service stopping? Any thread. */
bool pd_gone(const struct pd_request *r);
/* Run fn(arg) on the worker thread when it has nothing else to do; dropped when the service stops. */
void pd_background(struct pd_http *h, void (*fn)(void *arg), void *arg);

/* ---- from the program itself ---- */

/* A request of the program's own: no connection, no guard; the handler answers it as it answers a client's GET. */
struct pd_ask;
/* Have path (decoded) asked for. open_end: for a window that lasts until pd_ask_cut. 0 or -errno; -ESHUTDOWN: the
 * service has lost its descriptors. Any thread; needs no wait. */
int pd_ask(struct pd_http *h, const char *path, const char *query, bool open_end, struct pd_ask **out);
/* End its window now, as far as it has one. Any thread. */
void pd_ask_cut(struct pd_http *h, struct pd_ask *a);
/* Wait until the handler says that its window has begun (true), or has answered (false). h may be gone. */
bool pd_ask_begun(struct pd_ask *a);
/* Wait for the answer, and free a: the status, its body in *body; or -ECANCELED (the service stops), -ESHUTDOWN. h may
 * be gone. */
int pd_ask_answer(struct pd_ask *a, struct pd_buf *body);

/* For handlers: the window is open; is it to last until it is cut; is it cut? Poll thread. */
void pd_begun(struct pd_request *r);
bool pd_open_end(const struct pd_request *r);
bool pd_cut(const struct pd_request *r);

/* Serve a connection that the program has accepted, with the guard as for ours. 0: fd is ours now. -EBADF, -ENOTSOCK,
 * -EINVAL (not connected, listening, not a stream of TCP or unix), -EAGAIN (too many wait), -ESHUTDOWN. Any thread. */
int pd_http_give(struct pd_http *h, int fd);

/* ---- the audit ring: every refusal and change of state, the last 1000 ---- */
struct pd_audit {
	int64_t real_ns;
	int status;
	char peer[64];
	char what[160];
};
void pd_audit_add(struct pd_http *h, const char *peer, int status, const char *what);
/* Newest first, into out[n]; returns how many. */
size_t pd_audit_read(struct pd_http *h, struct pd_audit *out, size_t n);

/* Why the guard refused a request. Names in the same order: pd_refusal_name[]. */
enum pd_refusal { PD_BY_PEER, PD_BY_HOST, PD_BY_FRAMING, PD_BY_PATH, PD_BY_METHOD, PD_BY_BODY, PD_BY_ORIGIN,
	PD_BY_TOKEN, PD_REFUSALS };
extern const char *const pd_refusal_name[PD_REFUSALS];

#define PD_STATUSES 500 /* 100 to 599 */
#define PD_CONNECTIONS 32 /* served at once */
struct pd_http_stats {
	uint64_t requests, refused, evicted, timed_out, left_early;
	uint64_t refused_by[PD_REFUSALS];
	uint64_t replies[PD_STATUSES]; /* [status - 100] */
	size_t connections, waiting;
};
void pd_http_stats(struct pd_http *h, struct pd_http_stats *out);

#endif
