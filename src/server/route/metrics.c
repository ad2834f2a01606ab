/* The process and the profiler in numbers, in Prometheus' text format 0.0.4. Changes nothing. */
#include <string.h>

#include "base/atomic.h"
#include "server/route/inside.h"
#include "server/route/process.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define N(number) ((unsigned long long)(number))

/* The counters of every kind, taken once. */
struct counters {
	const struct pd_agent *agent;
	bool known[PD_KINDS];
	struct pd_counters of[PD_KINDS];
};

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);
	return n >= k && strcmp(s + n - k, with) == 0;
}

/* What only grows has a name that says so. */
static void family(struct pd_buf *b, const char *name, const char *help)
{
	pd_buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, ends(name, "_total") ? "counter" : "gauge");
}

static void number(struct pd_buf *b, const char *name, const char *help, uint64_t v)
{
	family(b, name, help);
	if (v == UINT64_MAX)
		pd_buf_fmt(b, "%s +Inf\n", name);
	else
		pd_buf_fmt(b, "%s %llu\n", name, N(v));
}

static void seconds(struct pd_buf *b, const char *name, const char *help, uint64_t ns)
{
	family(b, name, help);
	pd_buf_fmt(b, "%s %.9f\n", name, (double)ns / 1e9);
}

/* A label's value in quotation marks. */
static void quoted(struct pd_buf *b, const char *s)
{
	struct pd_buf clean = { 0 };
	pd_utf8(&clean, s);
	pd_buf_char(b, '"');
	for (size_t i = 0; i < clean.len; i++) {
		char c = clean.data[i];
		if (c == '"' || c == '\\')
			pd_buf_char(b, '\\');
		pd_buf_char(b, (unsigned char)c < 0x20 ? ' ' : c);
	}
	pd_buf_char(b, '"');
	pd_buf_free(&clean);
}

static void process_metrics(struct pd_buf *b)
{
	struct pd_process p;
	if (pd_process_read(&p) != 0)
		return;
	seconds(b, "process_cpu_seconds_total", "User and system CPU time of all threads.", (uint64_t)p.cpu_ns);
	number(b, "process_resident_memory_bytes", "Resident memory.", p.rss);
	number(b, "process_virtual_memory_bytes", "Virtual memory.", p.virtual);
	number(b, "process_virtual_memory_max_bytes", "Limit of virtual memory.", p.virtual_max);
	if (p.fds)
		number(b, "process_open_fds", "Open file descriptors.", p.fds);
	number(b, "process_max_fds", "Limit of file descriptors.", p.fds_max);
	number(b, "process_threads", "Threads, those of pprofd included.", p.threads);
	number(b, "process_page_faults_total", "Page faults.", p.faults);
	number(b, "process_major_page_faults_total", "Page faults that had to wait for a disk.", p.faults_major);
	family(b, "process_start_time_seconds", "Start of the process, Unix time.");
	pd_buf_fmt(b, "process_start_time_seconds %.2f\n", p.start_s);
}

static void malloc_metrics(struct pd_buf *b)
{
	struct pd_malloc m;
	pd_malloc_read(&m);
	family(b, "malloc_info", "The library whose malloc the program calls.");
	pd_buf_str(b, "malloc_info{library=");
	quoted(b, m.library);
	pd_buf_str(b, "} 1\n");
	if (!m.glibc)
		return;
	number(b, "malloc_used_bytes", "In blocks that are not freed, overhead included.", m.used);
	number(b, "malloc_free_bytes", "In freed blocks that the allocator keeps.", m.free);
	number(b, "malloc_heap_bytes", "Got from the system for all arenas.", m.heap);
	number(b, "malloc_mapped_bytes", "In large blocks that have a mapping of their own.", m.mapped);
	number(b, "malloc_trimmable_bytes", "Free at the top of the main heap.", m.trimmable);
}

static void build_metrics(struct pd_routes *s, struct pd_buf *b)
{
	char id[PD_BUILD_ID_TEXT];
	pd_build_id(s->agent, (const void *)(uintptr_t)s->agent->rates, id);
	family(b, "pprofd_build_info", "The library that serves this.");
	pd_buf_fmt(b, "pprofd_build_info{version=\"%s\",build_id=\"%s\"} 1\n", s->agent->version, id);
	seconds(b, "pprofd_uptime_seconds", "Since pprofd was started.", (uint64_t)(pd_mono_ns() - s->start_ns));
}

static void rate_metrics(struct pd_routes *s, struct pd_buf *b)
{
	struct pd_rate rate[PD_RATES];
	size_t n = s->agent->rates(rate, PD_RATES);
	family(b, "pprofd_rate", "Sampling rates in force; 0 is off.");
	for (size_t i = 0; i < n; i++)
		pd_buf_fmt(b, "pprofd_rate{rate=\"%s\",unit=\"%s\"} %llu\n", rate[i].name, rate[i].unit,
		           N(rate[i].value));
}

static void read_counters(struct pd_routes *s, struct counters *c)
{
	c->agent = s->agent;
	for (int k = 0; k < PD_KINDS; k++)
		c->known[k] = s->agent->counters(k, &c->of[k]) == 0;
}

static void counter_metrics(const struct counters *c, struct pd_buf *b)
{
#define COUNTER(member) offsetof(struct pd_counters, member)
	static const struct {
		const char *name, *help;
		size_t at;
		bool ns;
	} FAMILIES[] = {
		{ "pprofd_samples_due_total", "Samples due: recorded or dropped.", COUNTER(ticks), false },
		{ "pprofd_samples_recorded_total", "Samples in the tables.", COUNTER(recorded), false },
		{ "pprofd_samples_truncated_total", "Recorded, but the stack ends before the thread's first frame.",
		  COUNTER(truncated), false },
		{ "pprofd_samples_overflow_total", "Recorded under [overflow], because the memory limit is reached.",
		  COUNTER(overflow), false },
		{ "pprofd_signals_total", "Runs of the signal handler.", COUNTER(signals), false },
		{ "pprofd_sampling_seconds_total", "Time that sampling took in the program's threads.",
		  COUNTER(self_ns), true },
	};
	for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
		family(b, FAMILIES[i].name, FAMILIES[i].help);
		for (int k = 0; k < PD_KINDS; k++) {
			if (!c->known[k])
				continue;
			uint64_t v = *(const uint64_t *)(const void *)((const char *)&c->of[k] + FAMILIES[i].at);
			pd_buf_fmt(b, "%s{kind=\"%s\"} ", FAMILIES[i].name, c->agent->kind_name(k));
			if (FAMILIES[i].ns)
				pd_buf_fmt(b, "%.9f\n", (double)v / 1e9);
			else
				pd_buf_fmt(b, "%llu\n", N(v));
		}
	}
	family(b, "pprofd_samples_dropped_total", "Samples due that are in no table, by reason.");
	for (int k = 0; k < PD_KINDS; k++)
		for (int i = 0; i < PD_DROP_REASONS && c->known[k]; i++)
			pd_buf_fmt(b, "pprofd_samples_dropped_total{kind=\"%s\",reason=\"%s\"} %llu\n",
			           c->agent->kind_name(k), c->agent->drop_name[i], N(c->of[k].dropped[i]));
}

/* A fact as a family of its own; nanoseconds become seconds, as Prometheus wants it. */
static void fact_metric(struct pd_buf *b, const char *kind, const struct pd_fact *fact)
{
	char name[128];
	size_t n = strlen(fact->name);
	const char *total = ends(fact->name, "_total") ? "_total" : "";
	n -= strlen(total);
	bool ns = n > 3 && strncmp(fact->name + n - 3, "_ns", 3) == 0;
	snprintf(name, sizeof name, "pprofd_%s%s%.*s%s%s", kind, *kind ? "_" : "", (int)(ns ? n - 3 : n), fact->name,
	         ns ? "_seconds" : "", total);
	char help[96];
	snprintf(help, sizeof help, "As told by the %s.", *kind ? "sampler of this kind" : "agent");
	(ns ? seconds : number)(b, name, help, fact->value);
}

static void fact_metrics(struct pd_routes *s, struct pd_buf *b)
{
	struct pd_fact fact[PD_FACTS];
	size_t n = s->agent->self(fact, PD_FACTS);
	for (size_t i = 0; i < n; i++)
		fact_metric(b, "", &fact[i]);
	for (int k = 0; k < PD_KINDS; k++) {
		n = s->agent->facts(k, fact, PD_FACTS);
		for (size_t i = 0; i < n; i++)
			fact_metric(b, s->agent->kind_name(k), &fact[i]);
	}
}

static void window_metrics(struct pd_routes *s, struct pd_buf *b)
{
	struct pd_window w[PD_WINDOWS];
	size_t n = pd_slots_read(s, w);
	family(b, "pprofd_windows", "Windows open now, by profile.");
	for (size_t i = 0; i < pd_route_count; i++) {
		const struct pd_route *route = &pd_route_table[i];
		size_t open = 0;
		for (size_t k = 0; k < n; k++)
			open += w[k].route == route;
		if (route->source)
			pd_buf_fmt(b, "pprofd_windows{path=\"%s\"} %zu\n", route->path, open);
	}
	number(b, "pprofd_windows_max", "Windows that may be open at once.", PD_WINDOWS);
}

static void http_metrics(struct pd_routes *s, struct pd_buf *b)
{
	struct pd_http_stats h = { .requests = 0 };
	struct pd_http *http = pd_load_acquire(&s->http);
	if (http)
		pd_http_stats(http, &h);
	number(b, "pprofd_http_requests_total", "Requests begun.", h.requests);
	family(b, "pprofd_http_replies_total", "Replies by status.");
	for (int i = 0; i < PD_STATUSES; i++)
		if (h.replies[i])
			pd_buf_fmt(b, "pprofd_http_replies_total{code=\"%d\"} %llu\n", i + 100, N(h.replies[i]));
	family(b, "pprofd_http_refused_total", "Requests that were refused unheard, by what was wrong.");
	for (int i = 0; i < PD_REFUSALS; i++)
		pd_buf_fmt(b, "pprofd_http_refused_total{reason=\"%s\"} %llu\n", pd_refusal_name[i],
		           N(h.refused_by[i]));
	number(b, "pprofd_http_evicted_total", "Idle connections closed for others.", h.evicted);
	number(b, "pprofd_http_timed_out_total", "Connections closed at their deadline.", h.timed_out);
	number(b, "pprofd_http_left_early_total", "Clients that left before their reply.", h.left_early);
	number(b, "pprofd_http_connections", "Connections open now.", h.connections);
	number(b, "pprofd_http_connections_max", "Connections served at once.", PD_CONNECTIONS);
	number(b, "pprofd_http_requests_waiting", "Requests that wait now, this one included.", h.waiting);
}

static void render(struct pd_request *r, void *arg)
{
	struct pd_routes *s = arg;
	struct pd_buf out = { .max = PD_REPLY_MAX };
	struct counters c;
	read_counters(s, &c);
	process_metrics(&out);
	malloc_metrics(&out);
	build_metrics(s, &out);
	rate_metrics(s, &out);
	counter_metrics(&c, &out);
	fact_metrics(s, &out);
	window_metrics(s, &out);
	http_metrics(s, &out);
	pd_reply(r, 200, METRICS_TYPE, &out);
}

/* On the worker: it reads files and may wait for samplers. */
void pd_serve_metrics(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	pd_prepare_yield(s);
	pd_work(r, render);
}
