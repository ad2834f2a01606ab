/* The threads as a profile: a dump, or what is new since an earlier one. Knows no URL. */
#include <errno.h>
#include <stdlib.h>

#include "server/route/inside.h"
#include "server/unwind/unwind.h"

#define DEADLINE PD_SECOND        /* for threads to answer */
#define COUNT_DEADLINE 50000000ll /* the same for a mere count */
#define COUNT_KEPT PD_SECOND      /* how long a count is good */

static int take(struct pd_job *job, struct pd_threads *t)
{
	const struct pd_module *const *modules;
	job->agent->modules_refresh();
	int error = job->agent->dump(DEADLINE, &t->dump);
	if (error)
		return error;
	t->taken = true;
	size_t n = job->agent->modules(&modules);
	t->frames = pd_unwind_finish(&t->dump, modules, n);
	return 0;
}

void pd_threads_free(struct pd_job *job, struct pd_threads *t)
{
	if (t->taken)
		job->agent->dump_free(&t->dump);
	free(t->frames);
	free(t->labels);
	*t = (struct pd_threads){ .taken = false };
}

static int begin_dump(struct pd_job *job)
{
	int error = take(job, &job->threads_from);
	job->begin_ns = pd_mono_ns();
	return error;
}

struct pd_stack pd_thread_stack(const struct pd_thread_rec *t, uint32_t epoch)
{
	return (struct pd_stack){ .pc = t->pc, .n = t->n, .epoch = epoch, .flags = t->flags };
}

/* Adds 1 to value[at] for each thread, under its stack. Addresses are read as of `epoch`. */
static void add_threads(struct pd_profile *p, const struct pd_agent *agent, const struct pd_threads *threads,
                        uint32_t epoch, int at)
{
	const struct pd_dump *d = &threads->dump;
	for (size_t i = 0; i < d->n; i++) {
		const struct pd_thread_rec *t = &d->thread[i];
		struct pd_sample s = { .stack = pd_thread_stack(t, epoch) };
		s.value[at] = 1;
		if (threads->labels)
			s.nlabels = pd_thread_labels_of(threads->labels, i, &s.label);
		else if (t->labels)
			s.nlabels = agent->labels(t->labels, &s.label);
		pd_profile_trace(p, &s, t->trace);
		pd_profile_add(p, &s);
	}
}

static int collect_delta(struct pd_job *job)
{
	struct pd_profile *p = &job->profile;
	const struct pd_profile_type *type = p->type;
	struct pd_profile_type both = *type; /* two values: before, after */
	both.ntypes = 2;
	p->type = &both;
	/* One epoch for both, or a module loaded meanwhile would make every stack look new. */
	add_threads(p, job->agent, &job->threads_from, job->threads_to.dump.epoch, 0);
	add_threads(p, job->agent, &job->threads_to, job->threads_to.dump.epoch, 1);
	int error = pd_profile_finish(p);
	p->type = type;
	for (size_t i = 0; i < p->n; i++) {
		int64_t more = p->sample[i].value[1] - p->sample[i].value[0];
		p->sample[i].value[0] = more > 0 ? more : 0;
	}
	p->time_ns = job->threads_from.dump.real_ns;
	p->duration_ns = job->end_ns - job->begin_ns;
	pd_profile_comment(p, "Only what is new: stacks that more threads have than %lld s ago.",
	                   (long long)job->seconds);
	return error;
}

/* The dump's own form, debug=2, says more of the same by itself. */
static int say_waits(struct pd_job *job)
{
	const struct pd_module *const *modules;
	struct pd_waits w;
	if (job->debug >= 2 || job->options.no_symbols)
		return 0;
	size_t n = job->agent->modules(&modules);
	int error = pd_waits_find(&job->threads_to.dump, modules, n, job->routes->symbols, &w);
	if (error)
		return error;
	pd_remarks_waits(&job->profile, &job->threads_to.dump, &w);
	/* Over time they would make every thread another one that changes what it waits for. */
	if (job->options.brace_labels && !job->seconds) {
		job->threads_to.labels = pd_thread_labels_new(&job->threads_to.dump, job->agent, &w);
		error = job->threads_to.labels ? 0 : -ENOMEM;
	}
	pd_waits_free(&w);
	return error;
}

static int collect_dump(struct pd_job *job)
{
	int error = take(job, &job->threads_to);
	if (error)
		return error;
	job->end_ns = pd_mono_ns();
	struct pd_profile *p = &job->profile;
	const struct pd_dump *d = &job->threads_to.dump;
	pd_remarks_dump(p, job->agent, d);
	error = say_waits(job);
	if (error)
		return error;
	if (job->threads_from.taken)
		return collect_delta(job);
	p->time_ns = d->real_ns;
	add_threads(p, job->agent, &job->threads_to, d->epoch, 0);
	return 0;
}

static uint64_t count_threads(struct pd_routes *s, const struct pd_route *route)
{
	struct pd_dump d;
	if (s->threads_ns && pd_mono_ns() - s->threads_ns < COUNT_KEPT)
		return s->threads;
	if (s->agent->dump(COUNT_DEADLINE, &d) != 0)
		return s->threads;
	s->threads = d.n;
	s->threads_ns = pd_mono_ns();
	s->agent->dump_free(&d);
	return s->threads;
}

const struct pd_source pd_source_dump = {
	.begin = begin_dump,
	.later = true,
	.collect = collect_dump,
	.count = count_threads,
};
