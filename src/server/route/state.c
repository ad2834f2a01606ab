/* The state of the service as JSON, gathered from the rooms that have it. Changes nothing. */
#include "server/route/state.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/time.h"
#include "server/route/process.h"

#define AUDITS 1000

static void malloc_json(struct pd_json *j)
{
	struct pd_malloc m;
	pd_malloc_read(&m);
	pd_json_string(j, "malloc_library", m.library[0] ? m.library : NULL);
	if (!m.glibc)
		return;
	pd_json_number(j, "malloc_used_bytes", m.used);
	pd_json_number(j, "malloc_free_bytes", m.free);
	pd_json_number(j, "malloc_system_bytes", m.heap + m.mapped);
}

static void program_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_process p;
	char path[4096], id[PD_BUILD_ID_TEXT];
	const struct pd_module *const *list;
	pd_json_open(j, "program", '{');
	pd_json_string(j, "path", pd_process_path(path) ? path : NULL);
	pd_build_id(s->agent, s->agent->modules(&list) ? (const void *)(uintptr_t)list[0]->start : NULL, id);
	pd_json_string(j, "build_id", id[0] ? id : NULL);
	pd_json_number(j, "pid", (uint64_t)getpid());
	if (pd_process_read(&p) == 0) {
		pd_json_number(j, "cpus", p.cpus);
		pd_json_number(j, "threads", p.threads);
		pd_json_number(j, "rss_bytes", p.rss);
		pd_json_seconds(j, "cpu_s", p.cpu_ns);
		malloc_json(j);
	}
	pd_json_close(j, '}');
}

static void library_json(struct pd_routes *s, struct pd_json *j)
{
	char id[PD_BUILD_ID_TEXT];
	int64_t now = pd_clock_ns(CLOCK_REALTIME), up = pd_mono_ns() - s->start_ns;
	/* A function of the agent lies in the object we ask for. */
	pd_build_id(s->agent, (const void *)(uintptr_t)s->agent->rates, id);
	pd_json_open(j, "library", '{');
	pd_json_string(j, "version", s->agent->version);
	pd_json_string(j, "build_id", id[0] ? id : NULL);
	pd_json_time(j, "started", now - up);
	pd_json_seconds(j, "uptime_s", up);
	pd_json_time(j, "now", now);
	pd_json_close(j, '}');
}

static void listener_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_http *h = pd_load_acquire(&s->http);
	struct pd_http_stats stats = { 0 };
	if (h)
		pd_http_stats(h, &stats);
	pd_json_open(j, "listener", '{');
	pd_json_string(j, "address", s->config->address);
	pd_json_bool(j, "token", s->config->token_file != NULL);
	pd_json_number(j, "connections", stats.connections);
	pd_json_number(j, "connections_max", PD_CONNECTIONS);
	pd_json_number(j, "requests_waiting", stats.waiting);
	pd_json_close(j, '}');
}

static void rates_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_rate rate[PD_RATES];
	size_t n = s->agent->rates(rate, PD_RATES);
	pd_json_open(j, "rates", '{');
	for (size_t i = 0; i < n; i++) {
		const struct pd_rate *r = &rate[i];
		pd_json_open(j, r->name, '{');
		pd_json_number(j, "value", r->value);
		pd_json_string(j, "unit", r->unit);
		pd_json_number(j, "initial", r->initial);
		pd_json_number(j, "min", r->min);
		pd_json_number(j, "max", r->max);
		pd_json_time(j, "since", r->since_ns);
		pd_json_time(j, "until", r->until_ns);
		if (r->until_ns)
			pd_json_number(j, "then", r->then);
		else
			pd_json_string(j, "then", NULL);
		pd_json_string(j, "help", r->help);
		pd_json_close(j, '}');
	}
	pd_json_close(j, '}');
}

static void history_json(struct pd_routes *s, struct pd_json *j)
{
	static const char *const SOURCE[] = { [PD_RATE_START] = "start", [PD_RATE_API] = "program",
		[PD_RATE_HTTP] = "http", [PD_RATE_EXPIRED] = "expired" };
	static struct pd_rate_event event[PD_RATE_EVENTS]; /* the worker's */
	size_t n = s->agent->rate_events(event, PD_RATE_EVENTS);
	pd_json_open(j, "history", '[');
	for (size_t i = 0; i < n; i++) {
		pd_json_open(j, NULL, '{');
		pd_json_time(j, "at", event[i].real_ns);
		pd_json_string(j, "rate", event[i].name);
		pd_json_number(j, "was", event[i].was);
		pd_json_number(j, "now", event[i].now);
		pd_json_seconds(j, "for_s", event[i].for_ns);
		pd_json_string(j, "source", SOURCE[event[i].source]);
		pd_json_close(j, '}');
	}
	pd_json_close(j, ']');
}

static void counters_json(struct pd_routes *s, struct pd_json *j, enum pd_kind kind)
{
	struct pd_counters c;
	if (s->agent->counters(kind, &c) != 0)
		return pd_json_string(j, "counters", NULL);
	pd_json_open(j, "counters", '{');
	pd_json_number(j, "ticks", c.ticks);
	pd_json_number(j, "recorded", c.recorded);
	pd_json_open(j, "dropped", '{');
	for (int i = 0; i < PD_DROP_REASONS; i++)
		pd_json_number(j, s->agent->drop_name[i], c.dropped[i]);
	pd_json_close(j, '}');
	pd_json_number(j, "truncated", c.truncated);
	pd_json_number(j, "overflow", c.overflow);
	pd_json_number(j, "signals", c.signals);
	pd_json_seconds(j, "self_s", (int64_t)c.self_ns);
	pd_json_close(j, '}');
}

static void facts_json(struct pd_json *j, const char *key, const struct pd_fact *fact, size_t n)
{
	pd_json_open(j, key, '{');
	for (size_t i = 0; i < n; i++)
		pd_json_number(j, fact[i].name, fact[i].value);
	pd_json_close(j, '}');
}

static void kinds_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_fact fact[PD_FACTS];
	char note[PD_NOTES][PD_NOTE];
	pd_json_open(j, "kinds", '{');
	for (int k = 0; k < PD_KINDS; k++) {
		pd_json_open(j, s->agent->kind_name(k), '{');
		counters_json(s, j, k);
		facts_json(j, "facts", fact, s->agent->facts(k, fact, PD_FACTS));
		pd_json_open(j, "notes", '[');
		size_t n = s->agent->notes(k, note, PD_NOTES);
		for (size_t i = 0; i < n; i++)
			pd_json_string(j, NULL, note[i]);
		pd_json_close(j, ']');
		pd_json_close(j, '}');
	}
	pd_json_close(j, '}');
}

static void windows_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_window w[PD_WINDOWS];
	size_t n = pd_slots_read(s, w);
	pd_json_open(j, "windows", '[');
	for (size_t i = 0; i < n; i++) {
		int64_t left = w[i].end_ns - pd_mono_ns();
		pd_json_open(j, NULL, '{');
		pd_json_string(j, "kind", w[i].route->type);
		pd_json_string(j, "client", w[i].client);
		pd_json_seconds(j, "left_s", left > 0 ? left : 0);
		pd_json_close(j, '}');
	}
	pd_json_close(j, ']');
	pd_json_number(j, "windows_max", PD_WINDOWS);
}

static void audit_json(struct pd_routes *s, struct pd_json *j)
{
	struct pd_http *h = pd_load_acquire(&s->http);
	struct pd_audit *a = calloc(AUDITS, sizeof *a);
	size_t n = a && h ? pd_audit_read(h, a, AUDITS) : 0;
	pd_json_open(j, "audit", '[');
	for (size_t i = 0; i < n; i++) {
		pd_json_open(j, NULL, '{');
		pd_json_time(j, "at", a[i].real_ns);
		pd_json_string(j, "peer", a[i].peer);
		pd_json_number(j, "status", (uint64_t)a[i].status);
		pd_json_string(j, "what", a[i].what);
		pd_json_close(j, '}');
	}
	pd_json_close(j, ']');
	free(a);
}

void pd_state_json(struct pd_routes *s, struct pd_buf *out)
{
	struct pd_json j = { .out = out };
	struct pd_fact fact[PD_FACTS];
	s->agent->modules_refresh();
	pd_json_open(&j, NULL, '{');
	program_json(s, &j);
	library_json(s, &j);
	listener_json(s, &j);
	rates_json(s, &j);
	history_json(s, &j);
	kinds_json(s, &j);
	windows_json(s, &j);
	facts_json(&j, "self", fact, s->agent->self(fact, PD_FACTS));
	audit_json(s, &j);
	pd_json_close(&j, '}');
}
