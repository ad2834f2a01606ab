/*
 * A request for a profile from its parameters to its reply: begin, wait, collect, encode. Knows
 * when what runs on which thread; must not know where a profile comes from (sources do) nor how it
 * is written (encoders do).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "server/route/inside.h"

#define STORE_SAMPLES 16000u

void pd_job_close(struct pd_job *job)
{
	pd_profile_free(&job->profile);
	if (job->has_from)
		job->agent->snapshot_free(&job->from);
	if (job->has_to)
		job->agent->snapshot_free(&job->to);
	job->has_from = job->has_to = false;
	pd_threads_free(job, &job->threads_from);
	pd_threads_free(job, &job->threads_to);
	/* Stacks are valid until here. */
	if (job->opened) {
		pd_prepare_unuse(&job->routes->prepare[job->route->kind]);
		job->agent->close(job->route->kind);
	}
	job->opened = false;
	pd_slot_give(job->routes, job->slot);
	job->slot = -1;
}

static void unref(void *arg)
{
	struct pd_job *job = arg;
	if (pd_add_acq_rel(&job->refs, -1u) != 1)
		return;
	pd_job_close(job);
	free(job);
}

/* ---- begin() on the worker ---- */

/* What is given to pd_background may never be run: a list remembers who is still to be let go. */

static struct pd_job *next_beginner(struct pd_routes *s)
{
	pthread_mutex_lock(&s->lock);
	struct pd_job *job = s->begin_first;
	if (job)
		s->begin_first = job->next;
	pthread_mutex_unlock(&s->lock);
	return job;
}

static void begin_all(void *arg)
{
	struct pd_routes *s = arg;
	for (struct pd_job *job; (job = next_beginner(s)); unref(job)) {
		bool stopping = pd_load_relaxed(&s->stopping);
		job->begin_error = stopping ? -ECANCELED : job->route->source->begin(job);
		pd_store_release(&job->begun, 1);
	}
}

static void begin_later(struct pd_job *job)
{
	struct pd_routes *s = job->routes;
	pd_add_acq_rel(&job->refs, 1);
	pthread_mutex_lock(&s->lock);
	job->next = NULL;
	if (s->begin_first)
		s->begin_last->next = job;
	else
		s->begin_first = job;
	s->begin_last = job;
	pthread_mutex_unlock(&s->lock);
	pd_prepare_yield(s);
	pd_background(pd_load_acquire(&s->http), begin_all, s);
}

void pd_jobs_drop(struct pd_routes *s)
{
	for (struct pd_job *job; (job = next_beginner(s));)
		unref(job);
}

/* ---- the end: on the worker ---- */

static bool as_dump(const struct pd_job *job)
{
	return job->debug >= 2 && job->threads_to.taken;
}

/* All symbols in one go, which is quicker than one by one and ends soon when the service stops. */
static void look_up(struct pd_job *job)
{
	const struct pd_profile *p = &job->profile;
	const struct pd_dump *d = as_dump(job) ? &job->threads_to.dump : NULL;
	size_t n = d ? d->n : p->n;
	struct pd_stack *stack = reallocarray(NULL, n + 1, sizeof *stack);
	if (!stack)
		return;
	for (size_t i = 0; i < n; i++) {
		if (d)
			stack[i] = pd_thread_stack(&d->thread[i], d->epoch);
		else
			stack[i] = p->sample[i].stack;
	}
	pd_prepare_stacks(job->routes, stack, n, &job->routes->stopping);
	free(stack);
}

static int encode(struct pd_job *job, struct pd_buf *out)
{
	struct pd_profile *p = &job->profile;
	const struct pd_routes *s = job->routes;
	p->nmodules = job->agent->modules(&p->modules);
	int error = pd_profile_finish(p);
	if (error)
		return error;
	if (job->route->legacy)
		return pd_legacy_encode(job, out);
	if (p->n > STORE_SAMPLES)
		pd_profile_comment(p, "%zu stacks: more than the %u a Pyroscope server takes unless its limits"
		                   " are raised.", p->n, STORE_SAMPLES);
	if (!job->options.no_symbols)
		look_up(job);
	if (pd_load_relaxed(&s->stopping))
		return -ECANCELED;
	if (as_dump(job))
		return pd_encode_threads(&job->threads_to.dump, job->agent, p->modules, p->nmodules,
		                         s->symbols, &job->options, out);
	return job->form->encode(p, s->symbols, &job->options, out);
}

/* Headers of a good reply; returns the Content-Type. */
static const char *dress(struct pd_request *r, const struct pd_job *job)
{
	const struct pd_source *source = job->route->source;
	if (job->route->legacy)
		return job->route->legacy->content_type;
	if (!job->form->file)
		return job->form->content_type;
	bool window = job->seconds && !source->always_window;
	char name[256];
	snprintf(name, sizeof name, "attachment; filename=\"%s%s\"", job->route->type,
	         window ? "-delta" : source == &pd_source_delta ? ".pprof.gz" : "");
	/* The program may have given it any name of UTF-8, which goes as it is, as Go has it. */
	for (char *c = strchr(name, '"') + 1; c[1]; c++)
		if (*c == '"' || *c == '\\')
			*c = '_';
	pd_reply_header(r, "Content-Disposition", name);
	return job->form->content_type;
}

static void fail(struct pd_request *r, const char *what, int error)
{
	if (error == -ECANCELED)
		pd_error(r, 500, "context canceled");
	else if (error == -EOVERFLOW)
		pd_error(r, 500, "%s: more than %u MiB", what, PD_REPLY_MAX >> 20);
	else
		pd_error(r, 500, "%s: %s", what, strerror(-error));
}

static void finish(struct pd_request *r, void *arg)
{
	struct pd_job *job = pd_state(r);
	struct pd_buf out = { .max = PD_REPLY_MAX };
	job->end_ns = pd_mono_ns();
	if (pd_gone(r))
		return fail(r, "", -ECANCELED);
	pd_profile_init(&job->profile, pd_profile_type(job->route->type));
	if (job->cut)
		pd_profile_comment(&job->profile, "Cut to %d seconds, the longest window there is.",
		                   PD_WINDOW_MAX);
	job->request = r;
	int error = job->route->source->collect(job);
	job->request = NULL;
	const char *what = "failed to collect profile";
	if (!error) {
		error = encode(job, &out);
		what = "failed to write profile";
	}
	if (!error && job->route->source->done)
		job->route->source->done(job);
	/* Not left to the request's end: a slow reader must not keep the sampler on. */
	pd_job_close(job);
	pd_symbols_trim(job->routes->symbols);
	if (error) {
		pd_buf_free(&out);
		fail(r, what, error);
	} else {
		pd_reply(r, 200, dress(r, job), &out);
	}
}

/* ---- the beginning: on the poll thread ---- */

static void to_worker(struct pd_request *r, struct pd_job *job)
{
	pd_prepare_yield(job->routes);
	pd_work(r, finish);
}

/* About once a second, and once more shortly before the end so that little is left to do then. */
static int64_t nap(int64_t left)
{
	const int64_t early = 300000000;
	if (left > PD_SECOND + early)
		return PD_SECOND;
	return left > early ? left - early : left;
}

static void watch(struct pd_request *r, void *arg)
{
	struct pd_job *job = pd_state(r);
	int64_t left = job->begin_ns + job->seconds * PD_SECOND - pd_mono_ns();
	if (left <= 0 || pd_cut(r))
		return to_worker(r, job);
	if (job->opened)
		pd_prepare_kick(&job->routes->prepare[job->route->kind]);
	pd_wait(r, nap(left), watch);
}

static void begun(struct pd_request *r, void *arg)
{
	struct pd_job *job = pd_state(r);
	if (!pd_load_acquire(&job->begun)) {
		if (pd_mono_ns() - job->asked_ns > 60 * PD_SECOND)
			return pd_error(r, 503, "failed to collect profile: the worker is busy");
		return pd_wait(r, 10000000, begun);
	}
	if (!job->begin_error) {
		pd_begun(r);
		return pd_wait(r, nap(job->seconds * PD_SECOND), watch);
	}
	bool cpu = job->route->source->always_window && job->route->kind == PD_CPU;
	fail(r, cpu ? "Could not enable CPU profiling" : "failed to collect profile", job->begin_error);
}

static void open_window(struct pd_request *r, struct pd_job *job)
{
	int64_t retry;
	job->asked_ns = pd_mono_ns();
	struct pd_window w = { .end_ns = job->asked_ns + job->seconds * PD_SECOND, .route = job->route };
	snprintf(w.client, sizeof w.client, "%s", pd_peer(r));
	job->slot = pd_slot_take(job->routes, &w, &retry);
	if (job->slot < 0) {
		char after[24];
		snprintf(after, sizeof after, "%lld", (long long)retry);
		pd_reply_header(r, "Retry-After", after);
		return pd_error(r, 429, "Too many windows: %d are open; the first one ends in %s s",
		                PD_WINDOWS, after);
	}
	if (job->route->source->later && pd_load_acquire(&job->routes->http)) {
		begin_later(job);
	} else {
		job->begin_error = job->route->source->begin(job);
		job->begun = 1;
	}
	begun(r, job->routes);
}

static void read_switches(struct pd_request *r, struct pd_job *job)
{
	const struct pd_route *route = job->route;
	const char *labels = pd_param(r, "labels");
	job->labels = labels && strcmp(labels, "1") == 0;
	job->gc = pd_param_int(pd_param(r, "gc")) > 0 && strcmp(route->type, "heap") == 0 && !route->legacy &&
	          !pd_param(r, "seconds");
	if (route->source == &pd_source_delta)
		job->client = pd_deltas_client(r);
	if (route->legacy)
		job->debug = 0;
}

/* False: the request was answered. */
static bool read_form(struct pd_request *r, struct pd_job *job)
{
	const char *format = job->route->legacy ? NULL : pd_param(r, "format");
	job->form = pd_param_form(format, job->debug);
	if (!job->form)
		pd_error(r, 400, "invalid value for \"format\" - must be pprof, collapsed or json");
	else if (format && *format && job->debug)
		pd_error(r, 400, "format and debug params are incompatible");
	else
		return true;
	return false;
}

/* Go's order of checks; ours come last. False: the request was answered. */
static bool read_params(struct pd_request *r, struct pd_job *job)
{
	const char *seconds = pd_param(r, "seconds");
	job->debug = pd_param_int(pd_param(r, "debug"));
	job->options = pd_param_options(r);
	read_switches(r, job);
	if (job->route->source->always_window) {
		job->seconds = pd_param_seconds(seconds, 30, &job->cut);
		if (pd_open_end(r))
			job->seconds = PD_WINDOW_OPEN;
		return read_form(r, job);
	}
	if (!seconds || !*seconds)
		return read_form(r, job);
	job->seconds = pd_param_delta(seconds, &job->cut);
	const char *wrong = NULL;
	if (job->seconds < 0)
		wrong = "invalid value for \"seconds\" - must be a positive integer";
	else if (!job->route->source->begin)
		wrong = "\"seconds\" parameter is not supported for this profile type";
	else if (job->debug)
		wrong = "seconds and debug params are incompatible";
	if (wrong)
		pd_error(r, 400, "%s", wrong);
	return !wrong && read_form(r, job);
}

void pd_serve_profile(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	struct pd_job *job = calloc(1, sizeof *job);
	if (!job)
		return pd_error(r, 500, "out of memory");
	*job = (struct pd_job){
		.routes = s, .route = route, .agent = s->agent, .refs = 1, .slot = -1
	};
	pd_set_state(r, job, unref);
	if (!read_params(r, job))
		return;
	bool head = strcmp(pd_method(r), "HEAD") == 0;
	if (head && (job->seconds || route->source->done)) {
		struct pd_buf nothing = { 0 };
		pd_reply(r, 200, dress(r, job), &nothing);
	} else if (job->seconds) {
		open_window(r, job);
	} else {
		to_worker(r, job);
	}
}
