/* A request from its first line to its end, as handlers see it. Must not know libmicrohttpd. */
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "server/http/inside.h"

struct pd_request *pd_request_new(struct pd_http *h, struct pd_conn *c, const char *target)
{
	struct pd_request *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->target = strdup(target);
	if (!r->target) {
		free(r);
		return NULL;
	}
	char *mark = strchr(r->target, '?');
	r->query = mark ? mark + 1 : "";
	if (mark)
		*mark = 0;
	r->target_at = target;
	r->target_len = strlen(target);
	r->http = h;
	r->handler = h->c.handler;
	r->conn = c;
	r->peer = c->peer;
	c->request = r;
	return r;
}

void pd_request_free(struct pd_request *r)
{
	if (r->release)
		r->release(r->state);
	pd_reply_clear(&r->reply);
	pd_buf_free(&r->headers);
	pd_buf_free(&r->path);
	pd_buf_free(&r->params);
	pd_buf_free(&r->body);
	free(r->target);
	free(r);
}

void pd_request_end(struct pd_request *r)
{
	struct pd_http *h = r->http;
	pd_store_relaxed(&r->gone, 1);
	if (r->conn)
		r->conn->request = NULL;
	r->conn = NULL;
	/* While the worker runs it, it is the worker's; the poll thread frees it when it comes back. */
	if (r->holder != PD_WORKER || pd_worker_cancel(h, r))
		pd_request_free(r);
}

void pd_request_call(struct pd_request *r, pd_handler *fn)
{
	r->holder = PD_POLL;
	fn(r, r->http->c.arg);
	if (r->reply.ready)
		r->holder = PD_POLL;
	else if (r->holder == PD_POLL)
		pd_error(r, 500, "no reply was made");
	if (r->holder == PD_WORKER)
		pd_worker_add(r->http, r);
}

void pd_wait(struct pd_request *r, int64_t ns, pd_handler *then)
{
	int64_t now = pd_mono_ns();
	r->holder = PD_TIMER;
	r->then = then;
	r->due = ns > INT64_MAX - now ? INT64_MAX : now + pd_max64(ns, 0);
}

void pd_work(struct pd_request *r, pd_handler *fn)
{
	r->holder = PD_WORKER;
	r->then = fn;
}

bool pd_gone(const struct pd_request *r)
{
	return pd_load_relaxed(&r->gone) || pd_load_relaxed(&r->http->stopping);
}

const char *pd_method(const struct pd_request *r)
{
	return r->method;
}

const char *pd_path(const struct pd_request *r)
{
	return r->path.data + r->mount;
}

const char *pd_mount(const struct pd_request *r)
{
	return r->mount ? r->http->c.config->prefix : "";
}

const char *pd_query(const struct pd_request *r)
{
	return r->query;
}

const char *pd_body(const struct pd_request *r, size_t *len)
{
	*len = r->body.len;
	return r->body.data ? r->body.data : "";
}

const char *pd_header(const struct pd_request *r, const char *name)
{
	return pd_pair_first(&r->headers, name, true);
}

const char *pd_peer(const struct pd_request *r)
{
	return r->peer.name;
}

const char *pd_param(struct pd_request *r, const char *key)
{
	if (!r->params_parsed)
		pd_query_parse(r->query, &r->params);
	r->params_parsed = true;
	return pd_pair_first(&r->params, key, false);
}

void pd_set_state(struct pd_request *r, void *state, void (*release)(void *state))
{
	r->state = state;
	r->release = release;
}

void *pd_state(struct pd_request *r)
{
	return r->state;
}
