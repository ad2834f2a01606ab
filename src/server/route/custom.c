/* The profiles that the program makes itself: a route for each, as soon as it is asked for. Knows the agent's list of
 * them, no format. */
#include <stdlib.h>
#include <string.h>

#include "server/route/inside.h"

/* Made once and kept: names and numbers do not change. */
struct pd_custom_route {
	struct pd_route route;
	struct pd_profile_type type;
	size_t number;
	char path[sizeof PD_PREFIX + PD_CUSTOM_NAME];
};

static const struct pd_custom_route *custom(const struct pd_route *route)
{
	return (const struct pd_custom_route *)(const void *)route; /* its first member */
}

static int collect(struct pd_job *job)
{
	const struct pd_custom_route *c = custom(job->route);
	struct pd_profile *p = &job->profile;
	p->type = &c->type;
	job->agent->modules_refresh();
	int error = job->agent->custom_snapshot(c->number, &job->to);
	if (error)
		return error;
	job->has_to = true;
	p->time_ns = job->to.real_ns;
	for (size_t i = 0; i < job->to.n; i++) {
		const struct pd_row *row = &job->to.row[i];
		struct pd_sample s = { .value = { row->value[0] } };
		if (row->key.stack == PD_STACK_OVERFLOW)
			s.pseudo = PD_PSEUDO_OVERFLOW;
		else if (!job->agent->custom_stack(row->key.stack, &s.stack))
			s.stack = (struct pd_stack){ 0 };
		pd_profile_add(p, &s);
	}
	pd_remarks_table(p, job->agent, NULL, &job->to);
	return 0;
}

static uint64_t count(struct pd_routes *s, const struct pd_route *route)
{
	struct pd_custom list[PD_CUSTOMS];
	size_t n = s->agent->customs(list, PD_CUSTOMS);
	return custom(route)->number < n ? list[custom(route)->number].count : 0;
}

static const struct pd_source source = { .collect = collect, .count = count };

/* NULL = out of memory. Under the routes' lock. */
static const struct pd_route *make(struct pd_routes *s, size_t number, const char *name)
{
	struct pd_custom_route *c = s->custom[number];
	if (c)
		return &c->route;
	c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	snprintf(c->path, sizeof c->path, PD_PREFIX "%s", name);
	const char *own = c->path + strlen(PD_PREFIX);
	c->number = number;
	c->type = (struct pd_profile_type){
		.name = own, .type = { { own, "count" } }, .ntypes = 1, .period = { own, "count" }
	};
	c->route = (struct pd_route){
		.path = c->path, .methods = "GET, HEAD", .handle = pd_serve_profile, .type = own,
		.help = "Things the program holds, by the stacks that added them.",
		.link = "?debug=1", .source = &source
	};
	s->custom[number] = c;
	return &c->route;
}

size_t pd_custom_routes(struct pd_routes *s, const struct pd_route *out[static PD_CUSTOMS])
{
	struct pd_custom list[PD_CUSTOMS];
	size_t n = s->agent->customs(list, PD_CUSTOMS), made = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		const struct pd_route *route = make(s, i, list[i].name);
		if (route)
			out[made++] = route;
	}
	pthread_mutex_unlock(&s->lock);
	return made;
}

const struct pd_route *pd_custom_route(struct pd_routes *s, const char *path)
{
	const struct pd_route *list[PD_CUSTOMS];
	size_t n = pd_custom_routes(s, list);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i]->path, path) == 0)
			return list[i];
	return NULL;
}

void pd_customs_free(struct pd_routes *s)
{
	for (size_t i = 0; i < PD_CUSTOMS; i++)
		free(s->custom[i]);
}
