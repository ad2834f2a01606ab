/*
 * What the program itself hands over: requests without a connection, and sockets it has accepted. Knows how they get to
 * the poll thread and answers back; must not know what is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "server/http/inside.h"

/* Waiters outlive the service they asked: what they wait on must, too. Guards all of struct pd_ask, and the program's
 * part of struct pd_http. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

struct pd_ask {
	struct pd_ask *next;
	char *path, *query; /* NULL once taken */
	bool open_end, cut, begun, done;
	int status; /* or -errno */
	struct pd_buf body;
};

/* ---- on the program's threads ---- */

static void free_ask(struct pd_ask *a)
{
	free(a->path);
	free(a->query);
	free(a);
}

int pd_ask(struct pd_http *h, const char *path, const char *query, bool open_end, struct pd_ask **out)
{
	struct pd_ask *a = malloc(sizeof *a);
	if (!a)
		return -ENOMEM;
	*a = (struct pd_ask){ .path = strdup(path), .query = strdup(query), .open_end = open_end };
	int error = a->path && a->query ? 0 : -ENOMEM;
	pthread_mutex_lock(&lock);
	if (!error && h->over)
		error = -ESHUTDOWN;
	if (!error) {
		struct pd_ask **last = &h->asked;
		while (*last)
			last = &(*last)->next;
		*last = a;
	}
	pthread_mutex_unlock(&lock);
	if (error) {
		free_ask(a);
		return error;
	}
	*out = a;
	pd_poll_wake(h);
	return 0;
}

void pd_ask_cut(struct pd_http *h, struct pd_ask *a)
{
	pthread_mutex_lock(&lock);
	a->cut = true;
	pthread_mutex_unlock(&lock);
	pd_poll_wake(h);
}

/* A thread cancelled while it waits would keep the lock. */
static void wait_for(const bool *one, const bool *other)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&lock);
	while (!*one && !*other)
		pthread_cond_wait(&told, &lock);
	pthread_mutex_unlock(&lock);
	pthread_setcancelstate(state, NULL);
}

bool pd_ask_begun(struct pd_ask *a)
{
	wait_for(&a->begun, &a->done);
	return a->begun;
}

int pd_ask_answer(struct pd_ask *a, struct pd_buf *body)
{
	wait_for(&a->done, &a->done);
	int status = a->status;
	*body = a->body;
	free_ask(a);
	return status;
}

static bool can_serve(int family)
{
	return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* As accept() leaves one: connected, and ours to read without waiting. */
static int check_socket(int fd)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof peer;
	int type = 0, listening = 0;
	socklen_t size = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	size = sizeof listening;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
		return -errno;
	if (type != SOCK_STREAM || listening || getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
	        !can_serve(peer.ss_family))
		return -EINVAL;
	return 0;
}

static int make_ours(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int pd_http_give(struct pd_http *h, int fd)
{
	struct pd_fd given;
	int error = check_socket(fd);
	pthread_mutex_lock(&lock);
	if (!error && h->over)
		error = -ESHUTDOWN;
	if (!error && h->ngiven == PD_SLOTS)
		error = -EAGAIN;
	if (!error)
		error = make_ours(fd);
	if (!error && !pd_fd_note(&given, fd))
		error = -EBADF;
	if (!error)
		h->given[h->ngiven++] = given;
	pthread_mutex_unlock(&lock);
	if (!error)
		pd_poll_wake(h);
	return error;
}

/* ---- on the poll thread ---- */

void pd_ask_tell(struct pd_request *r, int error)
{
	struct pd_ask *a = r->ask;
	r->ask = NULL;
	pthread_mutex_lock(&lock);
	a->status = error ? error : r->reply.status;
	if (!error) {
		a->body = r->reply.body;
		r->reply.body = (struct pd_buf){ .data = NULL };
	}
	a->done = true;
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

void pd_begun(struct pd_request *r)
{
	if (!r->ask)
		return;
	pthread_mutex_lock(&lock);
	r->ask->begun = true;
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

bool pd_open_end(const struct pd_request *r)
{
	return r->ask && r->ask->open_end;
}

bool pd_cut(const struct pd_request *r)
{
	if (!r->ask)
		return false;
	pthread_mutex_lock(&lock);
	bool cut = r->ask->cut;
	pthread_mutex_unlock(&lock);
	return cut;
}

static struct pd_ask *next_asked(struct pd_http *h)
{
	pthread_mutex_lock(&lock);
	struct pd_ask *a = h->asked;
	if (a)
		h->asked = a->next;
	pthread_mutex_unlock(&lock);
	return a;
}

/* A request as the guard would have let it pass. NULL = out of memory. */
static struct pd_request *request_of(struct pd_http *h, struct pd_ask *a)
{
	struct pd_request *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->http = h;
	r->ask = a;
	r->handler = h->c.handler;
	r->trusted = r->seen = r->whole = true;
	r->target = a->query;
	r->query = r->target;
	strcpy(r->method, "GET");
	strcpy(r->peer.name, "this process");
	pd_buf_add(&r->path, a->path, strlen(a->path) + 1);
	a->query = NULL;
	if (!r->path.failed)
		return r;
	r->ask = NULL;
	pd_request_free(r);
	return NULL;
}

static void refuse(struct pd_ask *a, int error)
{
	struct pd_request none = { .ask = a };
	pd_ask_tell(&none, error);
}

static void start_asked(struct pd_http *h)
{
	for (struct pd_ask *a; (a = next_asked(h));) {
		struct pd_request *r = request_of(h, a);
		if (!r) {
			refuse(a, -ENOMEM);
			continue;
		}
		r->next_ask = h->asks;
		h->asks = r;
		pd_request_call(r, r->handler);
	}
}

void pd_asks_run(struct pd_http *h, int64_t now)
{
	start_asked(h);
	for (struct pd_request **at = &h->asks; *at;) {
		struct pd_request *r = *at;
		if (r->holder == PD_TIMER && (r->due <= now || pd_cut(r)))
			pd_request_call(r, r->then);
		if (r->holder != PD_POLL || !r->reply.ready) {
			at = &r->next_ask;
			continue;
		}
		*at = r->next_ask;
		pd_ask_tell(r, 0);
		pd_request_free(r);
	}
}

int64_t pd_asks_due(const struct pd_http *h)
{
	int64_t first = INT64_MAX;
	for (const struct pd_request *r = h->asks; r; r = r->next_ask) {
		if (r->holder == PD_TIMER && r->due < first)
			first = r->due;
	}
	return first;
}

bool pd_given(struct pd_http *h, struct pd_fd *out)
{
	pthread_mutex_lock(&lock);
	bool any = h->ngiven > 0;
	if (any) {
		*out = h->given[0];
		memmove(&h->given[0], &h->given[1], --h->ngiven * sizeof h->given[0]);
	}
	pthread_mutex_unlock(&lock);
	return any;
}

bool pd_given_any(struct pd_http *h)
{
	pthread_mutex_lock(&lock);
	bool any = h->ngiven > 0;
	pthread_mutex_unlock(&lock);
	return any;
}

void pd_host_end(struct pd_http *h)
{
	int error = pd_load_relaxed(&h->stopping) ? -ECANCELED : -ESHUTDOWN;
	struct pd_fd fd;
	pthread_mutex_lock(&lock);
	h->over = true;
	pthread_mutex_unlock(&lock);
	for (struct pd_ask *a; (a = next_asked(h));)
		refuse(a, error);
	for (struct pd_request *next, *r = h->asks; r; r = next) {
		next = r->next_ask;
		pd_ask_tell(r, error);
		/* While the worker has it, it is freed with what else the worker leaves. */
		pd_request_end(r);
	}
	h->asks = NULL;
	while (pd_given(h, &fd))
		pd_fd_close(&fd);
}

void pd_host_forked(struct pd_http *h)
{
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&told, NULL);
	for (size_t i = 0; i < h->ngiven && i < PD_SLOTS; i++)
		pd_fd_close(&h->given[i]);
}
