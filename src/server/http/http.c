/* The service from start to stop. Knows the order of things; must not know what each of them does. */
#include "server/http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/http/inside.h"

#define PD_POLL_STACK (256u << 10)
#define PD_WORK_STACK (4u << 20) /* touched only as far as names nest that are to be demangled */

static int check_access(struct pd_http *h)
{
	const struct pd_config *c = h->c.config;
	if (c->token_file)
		return pd_token_load(c->token_file, &h->token);
	if (!h->listens || c->family == AF_UNIX || c->loopback)
		return 0;
	pd_log("%s can be reached from other machines: a token file is needed", c->address);
	return -EACCES;
}

static int open_wake(struct pd_http *h)
{
	int end[2];
	if (pipe2(end, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	return pd_fd_note(&h->wake_r, end[0]) && pd_fd_note(&h->wake_w, end[1]) ? 0 : -EBADF;
}

static void request_stop(struct pd_http *h)
{
	pd_store_relaxed(&h->stopping, 1);
	pthread_mutex_lock(&h->worker.lock);
	pthread_cond_broadcast(&h->worker.more);
	pthread_mutex_unlock(&h->worker.lock);
	pd_poll_wake(h);
}

static struct pd_http *broken; /* kept in sight of leak checkers */

static void free_all(struct pd_http *h)
{
	pd_fd_close(&h->wake_r);
	pd_fd_close(&h->wake_w);
	free(h->audit);
	if (h->broken) {
		h->next_broken = broken;
		broken = h;
	} else {
		free(h);
	}
}

static int start_threads(struct pd_http *h)
{
	int error = pd_worker_init(&h->worker);
	if (error)
		return error;
	error = pd_thread_start(&h->worker.thread, PD_WORK_STACK, pd_worker_main, h);
	if (error)
		return error;
	error = pd_thread_start(&h->poller, PD_POLL_STACK, pd_poll_main, h);
	if (error) {
		request_stop(h);
		pthread_join(h->worker.thread, NULL);
		pd_worker_free(h);
	}
	return error;
}

int pd_http_start(const struct pd_http_config *c, struct pd_http **out)
{
	struct pd_http *h = calloc(1, sizeof *h);
	if (!h)
		return -ENOMEM;
	h->c = *c;
	h->epoll = h->listener.fd = h->wake_r.fd = h->wake_w.fd = -1;
	h->listens = c->config->listen_fd >= 0;
	for (size_t i = 0; i < PD_SLOTS; i++)
		h->conn[i].socket.fd = -1;
	bool heard = !h->listens || pd_fd_note(&h->listener, c->config->listen_fd);
	int error = heard ? check_access(h) : -EBADF;
	if (!error)
		error = pd_audit_init(h);
	if (!error)
		error = open_wake(h);
	if (!error)
		error = pd_daemon_start(h);
	if (!error)
		*out = h;
	if (!error && (error = start_threads(h)))
		pd_daemon_stop(h);
	if (error)
		free_all(h);
	return error;
}

void pd_http_stop(struct pd_http *h, bool forked)
{
	if (forked) {
		/* The threads do not exist here, locks may be held for ever, and libmicrohttpd would speak to the
		 * parent's clients: only let go of the descriptors. */
		pd_fds_close(h);
		pd_host_forked(h);
		pd_fd_close(&h->wake_r);
		pd_fd_close(&h->wake_w);
		return;
	}
	request_stop(h);
	pthread_join(h->worker.thread, NULL);
	pthread_join(h->poller, NULL);
	pd_worker_free(h);
	pthread_mutex_destroy(&h->audit_lock);
	free_all(h);
}
