/* The last refusals and changes of state, and the counts. Knows sentences; must not know why. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/atomic.h"
#include "server/http/inside.h"

int pd_audit_init(struct pd_http *h)
{
	h->audit = calloc(PD_AUDITS, sizeof *h->audit);
	if (!h->audit)
		return -ENOMEM;
	return -pthread_mutex_init(&h->audit_lock, NULL);
}

/* Peers choose what they send: nothing of it may break a line of a log. */
static void copy_line(char *to, size_t size, const char *from)
{
	size_t i;
	for (i = 0; i < size - 1 && from[i]; i++)
		to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i];
	to[i] = 0;
}

void pd_audit_add(struct pd_http *h, const char *peer, int status, const char *what)
{
	pthread_mutex_lock(&h->audit_lock);
	struct pd_audit *a = &h->audit[h->audited++ % PD_AUDITS];
	a->real_ns = pd_clock_ns(CLOCK_REALTIME);
	a->status = status;
	copy_line(a->peer, sizeof a->peer, peer);
	copy_line(a->what, sizeof a->what, what);
	pthread_mutex_unlock(&h->audit_lock);
}

size_t pd_audit_read(struct pd_http *h, struct pd_audit *out, size_t n)
{
	pthread_mutex_lock(&h->audit_lock);
	size_t have = h->audited < PD_AUDITS ? (size_t)h->audited : PD_AUDITS;
	if (n > have)
		n = have;
	for (size_t i = 0; i < n; i++)
		out[i] = h->audit[(h->audited - 1 - i) % PD_AUDITS];
	pthread_mutex_unlock(&h->audit_lock);
	return n;
}

void pd_count(uint64_t *number)
{
	pd_add_relaxed(number, 1);
}

const char *const pd_refusal_name[PD_REFUSALS] = {
	[PD_BY_PEER] = "peer",
	[PD_BY_HOST] = "host",
	[PD_BY_FRAMING] = "malformed",
	[PD_BY_PATH] = "path",
	[PD_BY_METHOD] = "method",
	[PD_BY_BODY] = "body",
	[PD_BY_ORIGIN] = "cross_origin",
	[PD_BY_TOKEN] = "token",
};

void pd_count_reply(struct pd_http *h, int status)
{
	if (status >= 100 && status < 100 + PD_STATUSES)
		pd_count(&h->stats.replies[status - 100]);
}

void pd_count_refusal(struct pd_http *h, enum pd_refusal reason)
{
	pd_count(&h->stats.refused);
	pd_count(&h->stats.refused_by[reason]);
}

void pd_http_stats(struct pd_http *h, struct pd_http_stats *out)
{
	const struct pd_http_stats *s = &h->stats;
	*out = (struct pd_http_stats){
		.requests = pd_load_relaxed(&s->requests),
		.refused = pd_load_relaxed(&s->refused),
		.evicted = pd_load_relaxed(&s->evicted),
		.timed_out = pd_load_relaxed(&s->timed_out),
		.left_early = pd_load_relaxed(&s->left_early),
		.connections = pd_load_relaxed(&s->connections),
		.waiting = pd_load_relaxed(&s->waiting),
	};
	for (int i = 0; i < PD_REFUSALS; i++)
		out->refused_by[i] = pd_load_relaxed(&s->refused_by[i]);
	for (int i = 0; i < PD_STATUSES; i++)
		out->replies[i] = pd_load_relaxed(&s->replies[i]);
}
