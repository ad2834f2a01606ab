/* Profiles from the agent's tables, over a window or as they are. Knows no URL and no format. */
#include <stdlib.h>

#include "server/route/inside.h"

/* Take the table as it is; the kind is held open until the job closes. */
static int snapshot(struct pd_job *job, struct pd_snapshot *out, bool *has)
{
	const struct pd_agent *agent = job->agent;
	enum pd_kind kind = job->route->kind;
	agent->modules_refresh();
	if (!job->opened) {
		int error = agent->open(kind);
		if (error)
			return error;
		job->opened = true;
		pd_prepare_use(&job->routes->prepare[kind]);
	}
	int error = agent->snapshot(kind, out);
	*has = !error;
	return error;
}

static int begin_table(struct pd_job *job)
{
	int error = snapshot(job, &job->from, &job->has_from);
	job->begin_ns = pd_mono_ns();
	return error;
}

static void say_notes(struct pd_profile *p, const struct pd_agent *agent, enum pd_kind kind)
{
	char note[PD_NOTES][PD_NOTE];
	size_t n = agent->notes(kind, note, PD_NOTES);
	for (size_t i = 0; i < n; i++)
		pd_profile_comment(p, "%s", note[i]);
}

static int collect_window(struct pd_job *job)
{
	int error = snapshot(job, &job->to, &job->has_to);
	if (error)
		return error;
	struct pd_profile *p = &job->profile;
	pd_profile_window(p, job->agent, job->route->kind, &job->from, &job->to);
	bool wall = job->route->kind == PD_WALL;
	(wall ? pd_remarks_wall : pd_remarks_window)(p, job->agent, &job->from, &job->to);
	say_notes(p, job->agent, job->route->kind);
	return 0;
}

/* What there is beyond `from` (NULL: everything), with the table's remarks. */
static int collect_since(struct pd_job *job, const struct pd_snapshot *from)
{
	struct pd_profile *p = &job->profile;
	if (job->gc)
		pd_memory_trim(p);
	int error = snapshot(job, &job->to, &job->has_to);
	if (error)
		return error;
	pd_profile_window(p, job->agent, job->route->kind, from, &job->to);
	pd_remarks_table(p, job->agent, from, &job->to);
	pd_remarks_rate(p, job, from);
	say_notes(p, job->agent, job->route->kind);
	if (job->route->kind == PD_HEAP)
		pd_remarks_heap(p, from, &job->to);
	if (job->route->kind == PD_HEAP && job->debug && !job->route->legacy)
		pd_memory_tell(p, &job->to);
	return 0;
}

static int collect_table(struct pd_job *job)
{
	return collect_since(job, job->has_from ? &job->from : NULL);
}

static void how_rated(struct pd_job *job)
{
	bool raw = job->route->kind == PD_HEAP && (job->route->legacy ? job->route->legacy->raw : job->debug != 0);
	job->profile.how = (job->labels ? 0 : PD_NO_LABELS) | (raw ? PD_RAW : 0);
}

static int collect_rated(struct pd_job *job)
{
	how_rated(job);
	return collect_table(job);
}

static int collect_delta(struct pd_job *job)
{
	const struct pd_snapshot *from = pd_deltas_last(job);
	how_rated(job);
	job->profile.how |= PD_INUSE_NOW;
	if (!from)
		pd_profile_comment(&job->profile, "The first request of this client, or of one long not seen:"
		                   " everything since the start. The next one gets what is new by then."
		                   " Clients are told apart by client=NAME, or by address and User-Agent.");
	int error = collect_since(job, from);
	/* The one of the request: readers keep what is recent. */
	job->profile.time_ns = job->to.real_ns;
	return error;
}

static uint64_t count_sum(const struct pd_snapshot *table)
{
	uint64_t n = 0;
	for (size_t i = 0; i < table->n; i++)
		n += (uint64_t)table->row[i].value[0];
	return n;
}

static int order_buckets(const void *pa, const void *pb)
{
	const struct pd_key *a = &((const struct pd_row *)pa)->key, *b = &((const struct pd_row *)pb)->key;
	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	return (a->size > b->size) - (a->size < b->size);
}

/* Different stacks, or stacks and sizes. */
static uint64_t count_buckets(const struct pd_snapshot *table)
{
	uint64_t n = 0;
	if (table->n)
		qsort(table->row, table->n, sizeof *table->row, order_buckets);
	for (size_t i = 0; i < table->n; i++)
		n += !i || order_buckets(&table->row[i - 1], &table->row[i]) != 0;
	return n;
}

static uint64_t count_with(struct pd_routes *s, const struct pd_route *route,
                           uint64_t (*counted)(const struct pd_snapshot *table))
{
	struct pd_snapshot table;
	uint64_t n = 0;
	if (s->agent->open(route->kind) != 0)
		return 0;
	if (s->agent->snapshot(route->kind, &table) == 0) {
		n = counted(&table);
		s->agent->snapshot_free(&table);
	}
	s->agent->close(route->kind);
	return n;
}

static uint64_t count_table(struct pd_routes *s, const struct pd_route *route)
{
	return count_with(s, route, count_sum);
}

static uint64_t count_rated(struct pd_routes *s, const struct pd_route *route)
{
	return count_with(s, route, count_buckets);
}

const struct pd_source pd_source_window = {
	.begin = begin_table,
	.collect = collect_window,
	.always_window = true,
};
const struct pd_source pd_source_table = {
	.begin = begin_table,
	.collect = collect_table,
	.count = count_table,
};
const struct pd_source pd_source_rated = {
	.begin = begin_table,
	.collect = collect_rated,
	.count = count_rated,
};
const struct pd_source pd_source_delta = {
	.collect = collect_delta,
	.done = pd_deltas_keep,
};
