/*
 * An agent made by hand and a client of raw bytes, for tests of the routes: the real server listens
 * on a port the system chose, and its profiles come from tables the test fills in.
 */
#ifndef PD_TEST_ROUTE_FAKE_H
#define PD_TEST_ROUTE_FAKE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/agent.h"
#include "../test.h"

extern pprofd_server_start_fn pprofd_server_start;
extern pprofd_server_stop_fn pprofd_server_stop;

/* ---- the agent ---- */

static struct {
	pthread_mutex_t lock;                         /* of all below */
	int opened[PD_KINDS], closed[PD_KINDS], most; /* most: open at once */
	int snapshots, snapshots_freed, dumps, dumps_freed, refreshed;
	int open_error, snapshot_error, dump_error, rates_error;
	int rates_set;        /* calls, */
	int64_t rates_for_ns; /* and what the last one said */
	int64_t count;   /* samples on the one stack of PD_CPU */
	int64_t created; /* threads under the one stack of PD_THREADCREATE */
	struct pd_counters counters;
	uint64_t rate;
	size_t threads; /* in a dump, all on one stack but the last, which has none */
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .rate = 100, .threads = 3 };

#define LOCKED(statement)                         \
	do {                                      \
		pthread_mutex_lock(&fake.lock);   \
		statement;                        \
		pthread_mutex_unlock(&fake.lock); \
	} while (0)

static const uint64_t fake_stack[] = { 0x1111, 0x2222 };
static const struct pd_label fake_label[] = { { "color", "blue" } };
static const char *const fake_drop_name[PD_DROP_REASONS] = { "busy", "stack", "thread", "memory", "late" };

static int64_t fake_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void fake_own(const char *name)
{
}

static int fake_open(enum pd_kind kind)
{
	int error;
	LOCKED(error = fake.open_error; if (!error) fake.opened[kind]++;
	       if (fake.opened[kind] - fake.closed[kind] > fake.most) fake.most =
	               fake.opened[kind] - fake.closed[kind]);
	return error;
}

static void fake_close(enum pd_kind kind)
{
	LOCKED(fake.closed[kind]++);
}

static int fake_snapshot(enum pd_kind kind, struct pd_snapshot *out)
{
	*out = (struct pd_snapshot){ .mono_ns = fake_clock(CLOCK_MONOTONIC),
		                     .real_ns = fake_clock(CLOCK_REALTIME) };
	pthread_mutex_lock(&fake.lock);
	int error = fake.snapshot_error;
	int64_t n = kind == PD_CPU ? fake.count : fake.created;
	out->rate = kind == PD_CPU ? fake.rate : 1;
	out->counters = fake.counters;
	if (!error) {
		fake.snapshots++;
		out->n = 1;
		out->row = calloc(1, sizeof *out->row);
		out->row[0] = (struct pd_row){ .key.stack = 7,
			                       .value = { n, kind == PD_CPU ? n * 10000000 : 0 } };
	}
	pthread_mutex_unlock(&fake.lock);
	return error;
}

static void fake_snapshot_free(struct pd_snapshot *s)
{
	free(s->row);
	LOCKED(fake.snapshots_freed++);
}

static bool fake_stack_of(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	*out = (struct pd_stack){ .pc = fake_stack, .n = 2 };
	return id == 7;
}

static size_t fake_labels(uint32_t id, const struct pd_label **out)
{
	*out = fake_label;
	return id ? 1 : 0;
}

static void fake_refresh(void)
{
	LOCKED(fake.refreshed++);
}

static size_t fake_modules(const struct pd_module *const **list)
{
	static const struct pd_module *const none[1];
	*list = none;
	return 0;
}

static int fake_dump(int64_t deadline_ns, struct pd_dump *out)
{
	int error;
	*out = (struct pd_dump){ .real_ns = fake_clock(CLOCK_REALTIME),
		                 .took_ns = 1500000,
		                 .signalled = 2,
		                 .missed = 1 };
	LOCKED(error = fake.dump_error; out->n = fake.threads; fake.dumps += !error);
	if (error)
		return error;
	out->thread = calloc(out->n + 1, sizeof *out->thread);
	for (size_t i = 0; i < out->n; i++) {
		struct pd_thread_rec *t = &out->thread[i];
		*t = (struct pd_thread_rec){ .tid = 100 + (int)i,
			                     .name = "worker",
			                     .state = PD_WAITING,
			                     .kernel_state = 'S',
			                     .syscall = -1,
			                     .cpu_ns = -1,
			                     .wait_ns = -1,
			                     .pc = fake_stack,
			                     .n = i + 1 < out->n ? 2 : 0 };
	}
	return 0;
}

static void fake_dump_free(struct pd_dump *d)
{
	free(d->thread);
	LOCKED(fake.dumps_freed++);
}

static size_t fake_facts(enum pd_kind kind, struct pd_fact *out, size_t max)
{
	return 0;
}

static size_t fake_notes(enum pd_kind kind, char (*out)[PD_NOTE], size_t max)
{
	return 0;
}

/* Two rates that take any value in range, unless fake.rates_error. */
static struct pd_rate fake_rate[] = {
	{ .name = "cpu_hz", .unit = "hertz", .help = "hz", .value = 100, .min = 1, .max = 4000, .initial = 100 },
	{ .name = "heap_rate", .unit = "bytes", .help = "<b>\"bytes\"</b>", .max = UINT64_MAX },
};
#define FAKE_RATES (sizeof fake_rate / sizeof *fake_rate)

static size_t fake_rates(struct pd_rate *out, size_t max)
{
	LOCKED(memcpy(out, fake_rate, sizeof fake_rate));
	return FAKE_RATES;
}

static int fake_rates_set(struct pd_rate_change *change, size_t n, int64_t for_ns,
                          enum pd_rate_source source, size_t *bad)
{
	int error;
	LOCKED(error = fake.rates_error; fake.rates_set++; fake.rates_for_ns = for_ns);
	*bad = n - 1;
	for (size_t i = 0; i < n && !error; i++) {
		struct pd_rate *r = &fake_rate[strcmp(change[i].name, "cpu_hz") != 0];
		LOCKED(change[i].was = r->value; r->value = change[i].value);
		change[i].until_ns = for_ns ? 1700000000123000000 : 0;
		change[i].then = change[i].was;
	}
	return error;
}

static size_t fake_rate_events(struct pd_rate_event *out, size_t max)
{
	out[0] = (struct pd_rate_event){ .real_ns = 1700000000123000000, .name = "cpu_hz", .was = 100, .now = 200,
		                         .for_ns = 1500000000, .source = PD_RATE_API };
	return 1;
}

static const char *fake_kind_name(enum pd_kind kind)
{
	static const char *const NAME[PD_KINDS] = { "profile", "threadcreate", "heap", "block", "mutex", "io", "wall" };
	return NAME[kind];
}

static int fake_counters(enum pd_kind kind, struct pd_counters *out)
{
	LOCKED(*out = fake.counters);
	return kind == PD_WALL ? -ENODATA : 0;
}

static size_t fake_self(struct pd_fact *out, size_t max)
{
	out[0] = (struct pd_fact){ "own_cpu_ns_total", 1500000000 };
	return 1;
}

static size_t fake_customs(struct pd_custom *out, size_t max)
{
	return 0;
}

static struct pd_agent fake_agent = {
	.abi = PD_ABI,
	.version = "9.9.9",
	.drop_name = fake_drop_name,
	.thread_own = fake_own,
	.open = fake_open,
	.close = fake_close,
	.snapshot = fake_snapshot,
	.snapshot_free = fake_snapshot_free,
	.stack = fake_stack_of,
	.labels = fake_labels,
	.modules_refresh = fake_refresh,
	.modules = fake_modules,
	.dump = fake_dump,
	.dump_free = fake_dump_free,
	.facts = fake_facts,
	.notes = fake_notes,
	.rates = fake_rates,
	.rates_set = fake_rates_set,
	.rate_events = fake_rate_events,
	.kind_name = fake_kind_name,
	.counters = fake_counters,
	.self = fake_self,
	.customs = fake_customs,
};

/* Open and closed the same number of times, and nothing kept? */
static bool fake_balanced(void)
{
	bool ok = true;
	LOCKED(for (int k = 0; k < PD_KINDS; k++) ok &= fake.opened[k] == fake.closed[k];
	       ok &= fake.snapshots == fake.snapshots_freed && fake.dumps == fake.dumps_freed);
	return ok;
}

static inline int fake_open_now(enum pd_kind kind)
{
	int n;
	LOCKED(n = fake.opened[kind] - fake.closed[kind]);
	return n;
}

/* ---- the server ---- */

static struct pd_config fake_config;

static int serve(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return -errno;
	fake_config = (struct pd_config){ .family = AF_INET,
		                          .addr_len = len,
		                          .loopback = true,
		                          .access_local = true,
		                          .memory = 64 << 20,
		                          .listen_fd = fd };
	memcpy(&fake_config.addr, &a, len);
	snprintf(fake_config.address, sizeof fake_config.address, "http://127.0.0.1:%d",
	         ntohs(a.sin_port));
	return pprofd_server_start(&fake_agent, &fake_config);
}

static inline int serve_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)
		return -errno;
	fake_config = (struct pd_config){
		.family = AF_UNIX, .addr_len = sizeof a, .memory = 64 << 20, .listen_fd = fd
	};
	memcpy(&fake_config.addr, &a, sizeof a);
	snprintf(fake_config.address, sizeof fake_config.address, "unix:%s", path);
	return pprofd_server_start(&fake_agent, &fake_config);
}

/* ---- the client ---- */

struct answer {
	char *bytes; /* all that came, terminated */
	size_t len;
	char *body; /* in bytes, behind the header; NULL = no header came */
	size_t body_len;
	int status;
};

static int dial(void)
{
	int fd = socket(fake_config.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&fake_config.addr, fake_config.addr_len) != 0)
		return close(fd), -1;
	return fd;
}

static void send_all(int fd, const char *bytes, size_t n)
{
	for (ssize_t k; n > 0; bytes += k, n -= (size_t)k)
		if ((k = send(fd, bytes, n, MSG_NOSIGNAL)) <= 0)
			return;
}

/* Everything until the server closes, at most 20 s; closes fd. */
static struct answer hear(int fd)
{
	struct answer a = { .bytes = calloc(1, 1) };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[65536];
	for (ssize_t n; poll(&p, 1, 20000) == 1 && (n = recv(fd, part, sizeof part, 0)) > 0;
	     a.len += (size_t)n) {
		a.bytes = realloc(a.bytes, a.len + (size_t)n + 1);
		memcpy(a.bytes + a.len, part, (size_t)n);
		a.bytes[a.len + (size_t)n] = '\0';
	}
	close(fd);
	char *end = strstr(a.bytes, "\r\n\r\n");
	if (end) {
		end[2] = '\0';
		a.body = end + 4;
		a.body_len = a.len - (size_t)(a.body - a.bytes);
		sscanf(a.bytes, "HTTP/1.1 %d", &a.status);
	}
	if (!a.body)
		a.body = a.bytes + a.len;
	return a;
}

/* Send a request that ends with its connection; `more` is header lines (each with its end) or "".
 */
static int ask(const char *method, const char *target, const char *more)
{
	char request[4096];
	int n = snprintf(request, sizeof request,
	                 "%s %s HTTP/1.1\r\nHost: localhost:6060\r\nConnection: close\r\n%s\r\n",
	                 method, target, more);
	int fd = dial();
	send_all(fd, request, (size_t)n);
	return fd;
}

static struct answer get(const char *target)
{
	return hear(ask("GET", target, ""));
}

/* The value of a header line, or NULL; valid until the next call. */
static const char *header(const struct answer *a, const char *name)
{
	static char value[1024];
	size_t n = strlen(name);
	for (const char *line = strstr(a->bytes, "\r\n"); line && *(line += 2);
	     line = strstr(line, "\r\n"))
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"),
			         line + n + 2);
			return value;
		}
	return NULL;
}

/* Is the text anywhere in the body, be it binary? */
static bool body_has(const struct answer *a, const char *text)
{
	return memmem(a->body, a->body_len, text, strlen(text)) != NULL;
}

#endif
