/* The one table of URLs, and how a request finds its line. */
#include "server/route/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/time.h"
#include "server/route/inside.h"

#define READ "GET, HEAD"
#define OTHER_BODY (64u << 10) /* taken where there is nothing, so that the answer is 404 and not 413 */
#define ADMIN_BODY (4u << 10)
#define SYMBOL_BODY (8u << 20) /* some 400 000 addresses */
#define PROFILE(name) \
	.path = PD_PREFIX name, .methods = READ, .handle = pd_serve_profile, .expensive = true
#define RATED(name, of) PROFILE(name), .link = "?debug=1", .type = name, .source = &pd_source_rated, .kind = of
#define DELTA(name, of) PROFILE("delta_" name), .type = name, .source = &pd_source_delta, .kind = of
#define LEGACY(name, of, from, form)                                                                     \
	.path = PD_LEGACY name, .methods = READ, .handle = pd_serve_profile, .expensive = true, .type = of, \
	.source = &pd_source_##from, .legacy = &pd_legacy_##form

/* In the order of the index: by name. Another kind of profile is one more line. */
const struct pd_route pd_route_table[] = {
	{ .path = "/debug/pprof", .methods = READ, .handle = pd_serve_redirect },
	{ .path = PD_PREFIX, .methods = READ, .handle = pd_serve_index },
	{ .path = PD_PREFIX "admin", .methods = READ ", POST", .handle = pd_serve_admin,
	  .expensive = true, .max_body = ADMIN_BODY,
	  .help = "The rates in force and the profiler's own state, as JSON. A POST of "
	          "block_rate=1000&for=60s, say, sets rates." },
	{ RATED("allocs", PD_HEAP),
	  .help = "All allocations so far, freed or not, by the stacks that made them: where memory comes from." },
	{ RATED("block", PD_BLOCK),
	  .help = "Where threads waited for locks, conditions, semaphores and other threads, and how long. Off until "
	          "block_rate is set." },
	{ .path = PD_PREFIX "cmdline", .methods = READ, .handle = pd_serve_cmdline,
	  .help = "The program's arguments, with a NUL between them." },
	{ DELTA("block", PD_BLOCK) },
	{ DELTA("heap", PD_HEAP) },
	{ DELTA("mutex", PD_MUTEX) },
	{ PROFILE("goroutine"), .link = "?debug=1", .type = "goroutine", .source = &pd_source_dump,
	  .help = "Stacks of all threads, running or not. debug=2 tells what each one waits for, "
	          "seconds=N what is new after N seconds." },
	{ RATED("heap", PD_HEAP),
	  .help = "Memory in use, by the stacks that allocated it, and all allocations so far. debug=1 adds what the "
	          "allocator and the system say, labels=1 the labels of the threads." },
	{ RATED("io", PD_IO),
	  .help = "Where threads waited for input, output and sleeps, and how long. Off until io_rate is set." },
	{ .path = PD_PREFIX "metrics", .methods = READ, .handle = pd_serve_metrics, .expensive = true,
	  .help = "The process and the profiler in numbers, for Prometheus. Also at /metrics." },
	{ RATED("mutex", PD_MUTEX),
	  .help = "Who held the locks that others waited for, and how long they waited. Off until mutex_fraction is "
	          "set." },
	{ PROFILE("profile"), .link = "?seconds=10", .type = "profile", .source = &pd_source_window,
	  .kind = PD_CPU,
	  .help = "Where CPU time goes, over seconds=N (30 if not given, at most 300). Open it "
	          "with go tool pprof." },
	{ .path = PD_PREFIX "symbol", .methods = READ ", POST", .handle = pd_serve_symbol,
	  .max_body = SYMBOL_BODY,
	  .help = "Names of the functions at given addresses: 0x1234+0x5678 as the query or as the "
	          "body of a POST." },
	/* Where pprof looks when the profile's own path is none it knows. */
	{ .path = PD_PREFIX "symbolz", .methods = READ ", POST", .handle = pd_serve_symbol, .max_body = SYMBOL_BODY },
	{ .path = "/symbolz", .methods = READ ", POST", .handle = pd_serve_symbol, .max_body = SYMBOL_BODY },
	{ PROFILE("threadcreate"), .link = "?debug=1", .type = "threadcreate",
	  .source = &pd_source_table, .kind = PD_THREADCREATE,
	  .help = "Stacks that started threads, and how many." },
	{ PROFILE("threads"), .type = "goroutine", .source = &pd_source_dump },
	{ PROFILE("wall"), .link = "?seconds=10", .type = "wall", .source = &pd_source_window, .kind = PD_WALL,
	  .help = "Where the time of every thread goes, running or waiting, over seconds=N (30 if not given, "
	          "at most 300). The label `state` tells the two apart." },
	/* As the clients of fgprof know it. */
	{ PROFILE("fgprof"), .type = "wall", .source = &pd_source_window, .kind = PD_WALL },
	{ .path = "/debug/fgprof", .methods = READ, .handle = pd_serve_profile, .expensive = true, .type = "wall",
	  .source = &pd_source_window, .kind = PD_WALL },
	{ .path = PD_PREFIX "trace", .methods = READ, .handle = pd_serve_trace },
	{ .path = PD_PREFIX "www/", .methods = READ, .handle = pd_serve_asset, .below = true },
	{ .path = "/metrics", .methods = READ, .handle = pd_serve_metrics, .expensive = true },
	/* For google-pprof and jeprof. */
	{ .path = PD_LEGACY "cmdline", .methods = READ, .handle = pd_serve_cmdline },
	{ LEGACY("contention", "mutex", rated, contention), .kind = PD_MUTEX },
	{ LEGACY("growth", "heap", rated, growth), .kind = PD_HEAP },
	{ LEGACY("heap", "heap", rated, heap), .kind = PD_HEAP },
	{ LEGACY("profile", "profile", window, cpu), .kind = PD_CPU },
	{ .path = PD_LEGACY "symbol", .methods = READ ", POST", .handle = pd_serve_symbol, .max_body = SYMBOL_BODY },
};
const size_t pd_route_count = sizeof pd_route_table / sizeof *pd_route_table;

static const struct pd_route *find(const char *path)
{
	for (size_t i = 0; i < pd_route_count; i++) {
		const struct pd_route *route = &pd_route_table[i];
		if (strcmp(route->path, path) == 0)
			return route;
		if (route->below && strncmp(route->path, path, strlen(route->path)) == 0)
			return route;
	}
	return NULL;
}

static bool ours(const char *path)
{
	return strncmp(path, PD_PREFIX, strlen(PD_PREFIX)) == 0;
}

/* Is method one of the words of list, "GET, HEAD" ...? */
static bool listed(const char *list, const char *method)
{
	size_t n = strlen(method);
	for (const char *at = list; n && (at = strstr(at, method)); at += n)
		if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

int pd_routes_at_once(struct pd_routes *s, const char *path)
{
	const struct pd_route *route = find(path);
	if (!route)
		route = pd_custom_route(s, path);
	if (!route)
		return -ENOENT;
	return route->source && !route->source->always_window ? 0 : -EINVAL;
}

const char *pd_routes_allow(const char *path, const char *method, bool *expensive, size_t *max_body)
{
	const struct pd_route *route = find(path);
	*expensive = route && route->expensive;
	*max_body = route ? route->max_body : ours(path) ? 0 : OTHER_BODY;
	const char *methods = route ? route->methods : ours(path) ? READ : NULL;
	return !methods || listed(methods, method) ? NULL : methods;
}

void pd_routes_handle(struct pd_request *r, void *arg)
{
	const char *path = pd_path(r);
	const struct pd_route *route = find(path);
	if (!route && ours(path))
		route = pd_custom_route(arg, path);
	if (route)
		return route->handle(arg, route, r);
	if (ours(path))
		return pd_error(r, 404, "Unknown profile");
	struct pd_buf body = { 0 };
	pd_buf_str(&body, "404 page not found\n");
	pd_reply(r, 404, PD_TEXT, &body);
}

struct pd_routes *pd_routes_open(const struct pd_agent *agent, const struct pd_config *config,
                                 struct pd_symbols *symbols)
{
	struct pd_routes *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->agent = agent;
	s->config = config;
	s->symbols = symbols;
	s->start_ns = pd_mono_ns();
	pthread_mutex_init(&s->lock, NULL);
	pd_prepare_init(s);
	return s;
}

void pd_routes_attach(struct pd_routes *s, struct pd_http *http)
{
	pd_store_release(&s->http, http);
}

void pd_routes_cancel(struct pd_routes *s)
{
	pd_store_seqcst(&s->stopping, true);
	pd_prepare_yield(s);
}

void pd_routes_close(struct pd_routes *s)
{
	if (!s)
		return;
	pd_jobs_drop(s);
	pd_deltas_free(s);
	pd_prepare_free(s);
	pd_customs_free(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
