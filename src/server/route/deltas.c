/*
 * What each client of delta_* has seen: the table as of its last request. Knows clients by a number, and how much may
 * be remembered. The worker's alone.
 */
#include <string.h>

#include "server/route/inside.h"

/* FNV-1a, with an end mark for each part. */
static uint64_t mix(uint64_t hash, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)s[i]) * 0x100000001b3u;
	return (hash ^ 0x100) * 0x100000001b3u;
}

uint64_t pd_deltas_client(struct pd_request *r)
{
	uint64_t hash = 0xcbf29ce484222325u;
	const char *name = pd_param(r, "client");
	if (name && *name)
		return mix(hash, name, strlen(name));
	const char *peer = pd_peer(r), *port = strrchr(peer, ':'), *agent = pd_header(r, "User-Agent");
	hash = mix(hash, peer, port ? (size_t)(port - peer) : strlen(peer));
	return mix(hash, agent ? agent : "", agent ? strlen(agent) : 0);
}

static struct pd_delta *find(const struct pd_job *job)
{
	struct pd_deltas *d = &job->routes->deltas;
	for (size_t i = 0; i < d->n; i++)
		if (d->delta[i].client == job->client && d->delta[i].kind == job->route->kind)
			return &d->delta[i];
	return NULL;
}

const struct pd_snapshot *pd_deltas_last(const struct pd_job *job)
{
	const struct pd_delta *delta = find(job);
	return delta ? &delta->last : NULL;
}

static size_t size_of(const struct pd_snapshot *s)
{
	return s->row_cap * sizeof *s->row;
}

static void forget(struct pd_routes *s, struct pd_delta *delta)
{
	struct pd_deltas *d = &s->deltas;
	d->bytes -= size_of(&delta->last);
	s->agent->snapshot_free(&delta->last);
	s->agent->close(delta->kind);
	size_t after = d->n - 1 - (size_t)(delta - d->delta);
	memmove(delta, delta + 1, after * sizeof *delta);
	d->n--;
}

void pd_deltas_keep(struct pd_job *job)
{
	struct pd_routes *s = job->routes;
	struct pd_deltas *d = &s->deltas;
	/* Held open as long as the table's ids are remembered. */
	if (s->agent->open(job->route->kind) != 0)
		return;
	struct pd_delta *old = find(job);
	if (old)
		forget(s, old);
	while (d->n == PD_DELTAS || (d->n && d->bytes + size_of(&job->to) > PD_DELTA_BYTES))
		forget(s, &d->delta[0]);
	d->delta[d->n++] = (struct pd_delta){ .client = job->client, .kind = job->route->kind, .last = job->to };
	d->bytes += size_of(&job->to);
	job->has_to = false;
}

void pd_deltas_free(struct pd_routes *s)
{
	while (s->deltas.n)
		forget(s, &s->deltas.delta[s->deltas.n - 1]);
}
