/* What the files of this room share; nobody else includes it. */
#ifndef PD_SERVER_HTTP_INSIDE_H
#define PD_SERVER_HTTP_INSIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/time.h"
#include "server/http/http.h"
#include "server/http/parse.h"

#define PD_SLOTS 40       /* these, and some that are about to close */
#define PD_AUDITS 1000

struct MHD_Connection;
struct MHD_Daemon;

/* A descriptor of ours and what it stood for when we made it: the program may have closed it and reused its number. */
struct pd_fd {
	int fd; /* -1 = none */
	dev_t dev;
	ino_t ino;
};

enum pd_phase { PD_IDLE, PD_READING, PD_HANDLING, PD_WRITING, PD_CLOSING };

/* Who sits at the other end. */
struct pd_peer {
	char name[64];
	bool local;      /* unix socket, or both ends on loopback */
	bool known;      /* uid is valid */
	unsigned uid;
	const char *why; /* when not known */
	bool unix_socket;
};

struct pd_conn {
	struct pd_fd socket; /* fd -1: the slot is free */
	struct MHD_Connection *mhd;
	struct pd_request *request;
	struct pd_peer peer;
	enum pd_phase phase;
	int64_t since;    /* the phase began */
	int64_t deadline; /* close it then; 0 = never */
	int unsent;       /* PD_WRITING: bytes the kernel held at the last look */
	int64_t look;     /* its client has said all it will say, but is there: see then whether it still is; 0 = no such */
};

/* Who has the request. Changed by the poll thread only. */
enum pd_holder { PD_POLL, PD_TIMER, PD_WORKER };

struct pd_reply {
	bool ready;
	int status;
	char type[96];
	struct pd_buf headers; /* "name\0value\0" ... */
	struct pd_buf body;
};

struct pd_request {
	struct pd_http *http;
	struct pd_conn *conn; /* NULL: the client left while the worker had the request */
	uint32_t gone;        /* atomic */

	/* As received. */
	const char *target_at; /* where libmicrohttpd has it; only to find NULs */
	size_t target_len;
	char *target;          /* path and query, raw */
	const char *query;     /* inside target */
	char method[16];       /* cut */
	bool http10;
	const char *malformed; /* what is wrong with the head; NULL = nothing */
	struct pd_buf headers; /* "name\0value\0" ... */
	struct pd_buf path;
	size_t mount; /* bytes of it that are the configured prefix */
	struct pd_buf params;
	bool params_parsed;
	bool seen, whole; /* the head, everything has arrived */
	struct pd_buf body;
	size_t max_body, received, swallowed; /* bytes of the body: allowed, come, come after it was refused */
	struct pd_peer peer;
	bool trusted; /* may use the service without a token */
	enum pd_refusal reason; /* should it be refused */
	pd_handler *handler; /* the configured one, or the guard's own */

	void *state;
	void (*release)(void *state);
	struct pd_reply reply;

	enum pd_holder holder;
	bool suspended;
	pd_handler *then; /* PD_TIMER: at `due`; PD_WORKER: there */
	int64_t due;
	struct pd_request *next; /* in one of the worker's lists */

	struct pd_ask *ask;        /* of the program itself: who waits for the answer; NULL = a client's */
	struct pd_request *next_ask;
};

struct pd_token {
	bool set;
	size_t len;
	unsigned char bytes[PD_TOKEN_MAX];
};

struct pd_background {
	struct pd_background *next;
	void (*fn)(void *arg);
	void *arg;
};

struct pd_worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct pd_request *first, *last;   /* to be run */
	struct pd_request *done;           /* run, newest first */
	struct pd_background *back_first, *back_last;
};

struct pd_http {
	struct pd_http_config c;
	struct pd_token token;
	uint32_t stopping; /* atomic */
	pthread_t poller;
	struct pd_worker worker;

	bool listens;
	struct pd_fd listener, wake_r, wake_w;
	int epoll; /* libmicrohttpd's */
	bool broken; /* what libmicrohttpd has can never be freed */
	struct pd_http *next_broken;
	struct MHD_Daemon *mhd;

	/* The poll thread's. */
	struct pd_conn conn[PD_SLOTS];
	struct pd_conn *adding; /* accepted just now */
	struct pd_request *asks; /* without a connection */
	int64_t accept_after;   /* out of descriptors until then */
	int64_t failures_since;
	unsigned failures;      /* wrong tokens in the second that began then */

	/* Handed over by the program's threads; under the lock of host.c. */
	struct pd_ask *asked;
	struct pd_fd given[PD_SLOTS];
	size_t ngiven;
	bool over; /* nothing is taken any more */

	struct pd_http_stats stats; /* each number atomic */
	pthread_mutex_t audit_lock;
	struct pd_audit *audit;
	uint64_t audited;
};

static inline int64_t pd_max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- fd.c: descriptors that may have been taken from us ---- */

/* Remember fd; false when it is not open. */
bool pd_fd_note(struct pd_fd *f, int fd);
bool pd_fd_ours(const struct pd_fd *f);
/* Close it if it is still ours; f becomes none. */
void pd_fd_close(struct pd_fd *f);
/* Are all descriptors of the service still ours? */
bool pd_fds_ours(const struct pd_http *h);
/* Close what is still ours, but for the two ends of the wake-up pipe. */
void pd_fds_close(struct pd_http *h);

/* ---- head.c ---- */

/* Copy method, version and headers, and say in r->malformed what is wrong with them. */
void pd_head_copy(struct pd_request *r, struct MHD_Connection *connection, const char *method, const char *version);

/* ---- daemon.c: libmicrohttpd; all on the poll thread ---- */

int pd_daemon_start(struct pd_http *h);
/* Does libmicrohttpd itself refuse a NUL or a folded line in the head? */
bool pd_daemon_strict(void);
/* Every connection is closed. Requests may be left with the worker only. */
void pd_daemon_stop(struct pd_http *h);
/* Call fn; false when libmicrohttpd broke in it, and nothing of it may be used again. */
bool pd_daemon_guarded(struct pd_http *h, void (*fn)(struct pd_http *h));
/* Let it do what it can without waiting. */
void pd_daemon_run(struct pd_http *h);
/* Give it an accepted socket (closed on failure). */
bool pd_daemon_add(struct pd_http *h, struct pd_conn *c, const void *addr, unsigned addr_len);
/* Nanoseconds until it wants to run; -1 = not by itself. */
int64_t pd_daemon_wants(struct pd_http *h);
/* The request goes on: with its reply, or to its end. */
void pd_daemon_resume(struct pd_request *r);

/* ---- accept.c ---- */

/* Is there room for a connection, or one that can go for it? */
bool pd_can_accept(const struct pd_http *h, int64_t now);
/* Take what the program has handed over, and what the listener has when somebody knocks there. */
void pd_accept(struct pd_http *h, int64_t now, bool knocking);
void pd_conn_phase(struct pd_conn *c, enum pd_phase phase, int64_t now);
/* Cut the connection; libmicrohttpd then closes it. */
void pd_conn_cut(struct pd_conn *c);
/* Cut what is past its deadline. */
void pd_conn_expire(struct pd_http *h, int64_t now);

/* ---- host.c: what the program itself hands over; on the poll thread ---- */

/* Start what was asked for, go on with what is due, and end what is done. */
void pd_asks_run(struct pd_http *h, int64_t now);
/* When to do so next; INT64_MAX = only when woken. */
int64_t pd_asks_due(const struct pd_http *h);
/* The answer of r, or what it ends with. */
void pd_ask_tell(struct pd_request *r, int error);
/* The next socket given to us; false = none. */
bool pd_given(struct pd_http *h, struct pd_fd *out);
bool pd_given_any(struct pd_http *h);
/* Nothing more will be done: answer all, close all, take nothing any more. */
void pd_host_end(struct pd_http *h);
/* In a forked child: locks made new, sockets let go of. */
void pd_host_forked(struct pd_http *h);

/* ---- poll.c: the poll thread ---- */

void *pd_poll_main(void *http);
/* Wake the poll thread; any thread. */
void pd_poll_wake(struct pd_http *h);

/* ---- request.c ---- */

struct pd_request *pd_request_new(struct pd_http *h, struct pd_conn *c, const char *target);
void pd_request_free(struct pd_request *r);
/* The connection is over, or goes on to the next request. */
void pd_request_end(struct pd_request *r);
/* Call the handler, or what waited. */
void pd_request_call(struct pd_request *r, pd_handler *fn);

/* ---- worker.c ---- */

int pd_worker_init(struct pd_worker *w);
void *pd_worker_main(void *http);
void pd_worker_add(struct pd_http *h, struct pd_request *r);
/* Take the request back before it is run; false = too late. */
bool pd_worker_cancel(struct pd_http *h, struct pd_request *r);
/* All requests that are done, newest first. */
struct pd_request *pd_worker_done(struct pd_http *h);
/* Free what is left; after both threads have ended. */
void pd_worker_free(struct pd_http *h);

/* ---- guard.c ---- */

/* Check the head of a request: refuse it (a reply is then ready) or let it pass. */
void pd_guard(struct pd_request *r);
/* Refuse with a sentence in Go's error form; counted and audited. */
void pd_refuse(struct pd_request *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- peer.c ---- */

/* Who is connected to fd, a socket of the given family. */
void pd_peer_find(int fd, bool unix_socket, struct pd_peer *out);
/* A client that sends no more: does it still hold its end open, to hear the reply? False where nobody can tell: TCP
 * from another machine, or a kernel that does not say. */
bool pd_peer_listens(int fd, bool unix_socket);

/* ---- token.c ---- */

/* Read a token file: 0, -EACCES when others can get at it, -EINVAL for its content, or another -errno. */
int pd_token_load(const char *file, struct pd_token *out);
bool pd_token_right(const struct pd_token *t, const char *authorization);

/* ---- reply.c ---- */

/* Throw away what was said so far, for another reply. */
void pd_reply_clear(struct pd_reply *p);
/* A reply of plain text without Go's mark. */
void pd_reply_plain(struct pd_request *r, int status, const char *type, const char *text);
/* The headers every reply of this type carries, in turn: false after the last one. */
bool pd_reply_standing(const char *type, size_t i, const char **name, const char **value);

/* ---- audit.c ---- */

int pd_audit_init(struct pd_http *h);
void pd_count_reply(struct pd_http *h, int status);
void pd_count_refusal(struct pd_http *h, enum pd_refusal reason);
void pd_count(uint64_t *number);

#endif
