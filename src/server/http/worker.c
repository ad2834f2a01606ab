/* The worker thread: what takes long, one after the other, and what can wait when there is nothing else. */
#include <errno.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/thread.h"
#include "server/http/inside.h"

int pd_worker_init(struct pd_worker *w)
{
	int error = pthread_mutex_init(&w->lock, NULL);
	return error ? -error : -pthread_cond_init(&w->more, NULL);
}

void pd_worker_add(struct pd_http *h, struct pd_request *r)
{
	struct pd_worker *w = &h->worker;
	r->next = NULL;
	pthread_mutex_lock(&w->lock);
	if (w->last)
		w->last->next = r;
	else
		w->first = r;
	w->last = r;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

bool pd_worker_cancel(struct pd_http *h, struct pd_request *r)
{
	struct pd_worker *w = &h->worker;
	bool found = false;
	pthread_mutex_lock(&w->lock);
	struct pd_request *before = NULL;
	for (struct pd_request *q = w->first; q && !found; q = q->next) {
		found = q == r;
		if (!found)
			before = q;
	}
	if (found) {
		*(before ? &before->next : &w->first) = r->next;
		if (w->last == r)
			w->last = before;
	}
	pthread_mutex_unlock(&w->lock);
	return found;
}

void pd_background(struct pd_http *h, void (*fn)(void *arg), void *arg)
{
	struct pd_worker *w = &h->worker;
	struct pd_background *b = malloc(sizeof *b);
	if (!b || pd_load_relaxed(&h->stopping)) {
		free(b);
		return;
	}
	*b = (struct pd_background){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&w->lock);
	if (w->back_last)
		w->back_last->next = b;
	else
		w->back_first = b;
	w->back_last = b;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

/* One of both, or neither: the service stops. */
static void next_job(struct pd_http *h, struct pd_request **r, struct pd_background **b)
{
	struct pd_worker *w = &h->worker;
	*r = NULL;
	*b = NULL;
	pthread_mutex_lock(&w->lock);
	while (!pd_load_relaxed(&h->stopping) && !w->first && !w->back_first)
		pthread_cond_wait(&w->more, &w->lock);
	if (pd_load_relaxed(&h->stopping)) {
		;
	} else if (w->first) {
		*r = w->first;
		w->first = (*r)->next;
		if (!w->first)
			w->last = NULL;
	} else {
		*b = w->back_first;
		w->back_first = (*b)->next;
		if (!w->back_first)
			w->back_last = NULL;
	}
	pthread_mutex_unlock(&w->lock);
}

static void run_request(struct pd_http *h, struct pd_request *r)
{
	r->then(r, h->c.arg);
	if (!r->reply.ready)
		pd_error(r, 500, "no reply was made");
	pthread_mutex_lock(&h->worker.lock);
	r->next = h->worker.done;
	h->worker.done = r;
	pthread_mutex_unlock(&h->worker.lock);
	pd_poll_wake(h);
}

void *pd_worker_main(void *http)
{
	struct pd_http *h = http;
	struct pd_request *r;
	struct pd_background *b;
	h->c.agent->thread_own("pprofd-work");
	pd_thread_own_descriptors(h->wake_w.fd);
	for (;;) {
		next_job(h, &r, &b);
		if (r) {
			run_request(h, r);
		} else if (b) {
			b->fn(b->arg);
			free(b);
		} else {
			return NULL;
		}
	}
}

struct pd_request *pd_worker_done(struct pd_http *h)
{
	pthread_mutex_lock(&h->worker.lock);
	struct pd_request *all = h->worker.done;
	h->worker.done = NULL;
	pthread_mutex_unlock(&h->worker.lock);
	return all;
}

void pd_worker_free(struct pd_http *h)
{
	struct pd_worker *w = &h->worker;
	for (struct pd_request *next, *r = pd_worker_done(h); r; r = next) {
		next = r->next;
		pd_request_free(r);
	}
	for (struct pd_background *next, *b = w->back_first; b; b = next) {
		next = b->next;
		free(b);
	}
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
}
