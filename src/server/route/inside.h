/* What the files of this room share; nobody else includes it. */
#ifndef PD_SERVER_ROUTE_INSIDE_H
#define PD_SERVER_ROUTE_INSIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/agent.h"
#include "base/time.h"
#include "server/encode/encode.h"
#include "server/http/http.h"
#include "server/profile/profile.h"
#include "server/symbol/symbol.h"

#define PD_PREFIX "/debug/pprof/"
#define PD_LEGACY "/pprof/"       /* where gperftools' tools look */
#define PD_WINDOWS 16             /* windows open at once */
#define PD_WINDOW_MAX 300         /* seconds */
#define PD_WINDOW_OPEN 1000000000 /* seconds of one that lasts until it is cut */
#define PD_REPLY_MAX (256u << 20) /* bytes of one reply */
#define PD_TEXT "text/plain; charset=utf-8"
#define PD_HTML "text/html; charset=utf-8"
#define PD_DELTAS 32              /* clients of delta_*, by kind, that are remembered */
#define PD_DELTA_BYTES (16u << 20) /* for all of them, unless one alone needs more */

struct pd_routes;
struct pd_route;
struct pd_job;

typedef void pd_route_handler(struct pd_routes *s, const struct pd_route *route,
                              struct pd_request *r);

/* Where a profile comes from. */
struct pd_source {
	/* At the start of a window. later = true: it takes long, so it runs on the worker instead
	 * of the poll thread. */
	int (*begin)(struct pd_job *job);
	bool later;
	/* On the worker: the samples and the comments of job->profile. 0 or -errno. */
	int (*collect)(struct pd_job *job);
	/* What the index shows as count; NULL = none. On the worker. */
	uint64_t (*count)(struct pd_routes *s, const struct pd_route *route);
	bool always_window; /* a profile of time: without `seconds` it takes 30 */
	/* On the worker, when the reply is ready to be sent; NULL = nothing to do. A HEAD does not get there. */
	void (*done)(struct pd_job *job);
};
/* table: labels are shown. rated: only with labels=1. delta: what is new since the client's last request. */
extern const struct pd_source pd_source_window, pd_source_table, pd_source_rated, pd_source_delta, pd_source_dump;

/* How a profile is written. */
struct pd_form {
	const char *format; /* value of `format`; NULL = that of debug=1 */
	int (*encode)(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
	              struct pd_buf *out);
	const char *content_type;
	bool file; /* to be saved under the profile's name */
};

/* A form of gperftools. */
struct pd_legacy {
	const char *content_type;
	int (*encode)(const struct pd_profile *p, struct pd_buf *out); /* up to the text of /proc/self/maps */
	bool raw; /* takes numbers as they were sampled */
};
extern const struct pd_legacy pd_legacy_cpu, pd_legacy_heap, pd_legacy_growth, pd_legacy_contention;

/* One line of the route table. */
struct pd_route {
	const char *path;
	const char *methods; /* as the Allow header says it */
	pd_route_handler *handle;
	const char *help; /* one sentence for the index; NULL = not listed */
	const char *link; /* what the index links to: the query behind the name; NULL = none */
	bool expensive;
	bool below; /* answers for everything under the path, which ends in a slash */
	size_t max_body;
	/* For profiles: */
	const char *type; /* name for pd_profile_type */
	const struct pd_source *source;
	enum pd_kind kind;
	const struct pd_legacy *legacy; /* NULL = the forms of Go */
};
extern const struct pd_route pd_route_table[];
extern const size_t pd_route_count;

/* Symbols of one kind's stacks, looked up ahead while windows are open. The worker's, but for the
 * first line. */
struct pd_prepare {
	uint32_t queued, users,
		generation; /* users: windows open now; generation: raised by the first of them */
	struct pd_routes *routes;
	enum pd_kind kind;
	uint32_t seen_generation;
	int64_t last_ns; /* of the last look into the table */
	uint64_t *seen;  /* a bit for each stack id met */
	size_t seen_words;
	uint32_t *todo; /* stack ids still to be looked up */
	size_t ntodo, todo_cap;
	unsigned gave_way; /* times, with what is to do now */
};

/* The table as a client of delta_* last saw it; oldest first. */
struct pd_deltas {
	struct pd_delta {
		uint64_t client;
		enum pd_kind kind;
		struct pd_snapshot last;
	} delta[PD_DELTAS];
	size_t n, bytes;
};

struct pd_routes {
	const struct pd_agent *agent;
	const struct pd_config *config;
	struct pd_symbols *symbols; /* the worker's */
	struct pd_http *http;       /* NULL until attached */
	int64_t start_ns;
	bool stopping;
	bool wanted; /* somebody waits for the worker */

	pthread_mutex_t lock;
	struct pd_window {
		int64_t end_ns; /* monotonic; 0 = free */
		const struct pd_route *route;
		char client[64];
	} window[PD_WINDOWS]; /* open now. Under lock. */
	struct pd_job *begin_first,
		*begin_last; /* wait for their begin() on the worker. Under lock. */

	struct pd_custom_route *custom[PD_CUSTOMS]; /* by number; NULL = not made yet. Under lock. */

	struct pd_prepare prepare[PD_KINDS];
	struct pd_deltas deltas; /* worker only */
	uint64_t threads; /* of the last count, and when that was; worker only */
	int64_t threads_ns;
};

/* One request for a profile; it is the request's state. */
struct pd_job {
	struct pd_routes *routes;
	const struct pd_route *route;
	const struct pd_agent *agent;
	uint32_t refs;
	struct pd_job *next;

	int64_t seconds; /* of the window; 0 = no window */
	bool cut;        /* more seconds were asked for */
	int debug;
	const struct pd_form *form;
	bool labels, gc; /* labels=1, gc=1 */
	uint64_t client; /* see pd_deltas_client */
	struct pd_encode_options options;
	struct pd_request *request; /* while it is collected; may be NULL */

	int slot;       /* in routes->window; -1 = none */
	bool opened;    /* agent->open(route->kind) is to be undone */
	uint32_t begun; /* 1: begin() is done and begin_error valid */
	int begin_error;
	int64_t asked_ns, begin_ns, end_ns; /* monotonic; the latter two of the window */

	struct pd_snapshot from, to;
	struct pd_threads {
		struct pd_dump dump;
		void *frames; /* of finished walks */
		struct pd_thread_labels *labels; /* NULL: as the threads set them */
		bool taken;
	} threads_from, threads_to;
	bool has_from, has_to;
	struct pd_profile profile;
};


/* ---- params.c: pure ---- */

/* As strconv.Atoi with the error ignored: 0 for what is no number, the nearest int for what is too
 * big. */
int pd_param_int(const char *s);
/* Seconds of a CPU window: bad, missing or not positive is `fallback`; more than the maximum is
 * cut. */
int64_t pd_param_seconds(const char *s, int64_t fallback, bool *cut);
/* Seconds of a delta: -EINVAL for anything but a positive int64; more than the maximum is cut. */
int64_t pd_param_delta(const char *s, bool *cut);
struct pd_encode_options pd_param_options(struct pd_request *r);
/* The form for `format` ("" or NULL: pprof's, or text when debug is not 0); NULL = there is none of that name. */
const struct pd_form *pd_param_form(const char *format, int debug);

/* ---- job.c ---- */

/* Serves every route that has a source. */
pd_route_handler pd_serve_profile;
/* Forget what waits for the worker; after the worker has ended. */
void pd_jobs_drop(struct pd_routes *s);
/* Free what the sources hold, and close; harmless when repeated. */
void pd_job_close(struct pd_job *job);

/* ---- threads.c ---- */

void pd_threads_free(struct pd_job *job, struct pd_threads *t);
/* The stack of a thread in a dump of that epoch. */
struct pd_stack pd_thread_stack(const struct pd_thread_rec *t, uint32_t epoch);

/* ---- custom.c: profiles the program makes itself; any thread ---- */

/* The routes of all of them; how many. */
size_t pd_custom_routes(struct pd_routes *s, const struct pd_route *out[static PD_CUSTOMS]);
/* The route of a path, NULL = none. */
const struct pd_route *pd_custom_route(struct pd_routes *s, const char *path);
void pd_customs_free(struct pd_routes *s);

/* ---- thread_labels.c ---- */

/* The labels of each thread, and besides them `thread` (its name), `tid`, `state`, and where they are known `object`
 * ("mutex 0x55aa") and `holder` (a tid). NULL = out of memory; freed with free(). */
struct pd_thread_labels *pd_thread_labels_new(const struct pd_dump *d, const struct pd_agent *agent,
                                              const struct pd_waits *w);
/* Those of the thread at index i. */
size_t pd_thread_labels_of(const struct pd_thread_labels *all, size_t i, const struct pd_label **out);

/* ---- slots.c ---- */

/* A free place for w, or -EAGAIN and in *retry_s the seconds until the first one ends. */
int pd_slot_take(struct pd_routes *s, const struct pd_window *w, int64_t *retry_s);
void pd_slot_give(struct pd_routes *s, int slot);
/* The open windows; returns how many. */
size_t pd_slots_read(struct pd_routes *s, struct pd_window out[static PD_WINDOWS]);
/* How many windows are open. */
size_t pd_slots_used(struct pd_routes *s);

/* ---- prepare.c ---- */

void pd_prepare_init(struct pd_routes *s);
void pd_prepare_free(struct pd_routes *s);
/* Around agent->open and agent->close of a window. */
void pd_prepare_use(struct pd_prepare *p);
void pd_prepare_unuse(struct pd_prepare *p);
/* Look up the addresses sampled so far, on the worker, unless that was done within the last half
 * second. */
void pd_prepare_kick(struct pd_prepare *p);
/* Look up all addresses of these stacks (their order changes), on the worker, until *cancel becomes
 * true. */
void pd_prepare_stacks(struct pd_routes *s, struct pd_stack *stack, size_t n, const bool *cancel);
/* The worker is wanted: stop preparing for now. */
void pd_prepare_yield(struct pd_routes *s);

/* ---- remarks.c: pure ---- */

/* Comments of a CPU window, and of one of all threads' time. */
void pd_remarks_window(struct pd_profile *p, const struct pd_agent *agent,
                       const struct pd_snapshot *from, const struct pd_snapshot *to);
void pd_remarks_wall(struct pd_profile *p, const struct pd_agent *agent,
                     const struct pd_snapshot *from, const struct pd_snapshot *to);
/* Comments of a cumulative table (from may be NULL: since the start), and of a dump. */
void pd_remarks_table(struct pd_profile *p, const struct pd_agent *agent,
                      const struct pd_snapshot *from, const struct pd_snapshot *to);
void pd_remarks_dump(struct pd_profile *p, const struct pd_agent *agent, const struct pd_dump *d);
/* Of a kind with a rate, job->to being taken; of a heap profile. Whether samples were found is seen from p. */
void pd_remarks_rate(struct pd_profile *p, const struct pd_job *job, const struct pd_snapshot *from);
void pd_remarks_heap(struct pd_profile *p, const struct pd_snapshot *from, const struct pd_snapshot *to);
/* Deadlocks among the threads of a dump, and how many threads wait for others. */
void pd_remarks_waits(struct pd_profile *p, const struct pd_dump *d, const struct pd_waits *w);
/* false: the kind has no rate, or it is on. Else, in one sentence, that it is off and how to turn it on. */
bool pd_rate_hint(const struct pd_agent *agent, enum pd_kind kind, char out[static PD_NOTE]);
/* ---- command.c ---- */

/* "http://host/mount/debug/pprof/" as the client of r (may be NULL) calls it, without a character that ends a shell's quotes. False,
 * and nothing: r is of the program itself, and there is no listener. */
bool pd_command_url(struct pd_buf *out, const struct pd_config *c, const struct pd_request *r);
/* "curl", with all that it needs besides the URL: the token in $TOKEN, the path of the socket. True: it needs some. */
bool pd_command_curl(struct pd_buf *out, const struct pd_config *c);

/* "1.02 s", "3.4 ms", "12 us" into buf; returns buf. */
#define PD_SPAN 24
const char *pd_span(char buf[static PD_SPAN], int64_t ns);
/* "1.50 MiB" */
const char *pd_size(char buf[static PD_SPAN], double bytes);

/* ---- memory.c: on the worker ---- */

/* Comments "name = value" with what allocator and kernel say of memory, beside the samples of a heap table. */
void pd_memory_tell(struct pd_profile *p, const struct pd_snapshot *heap);
/* gc=1: give free memory back to the system, where that is glibc's to do. */
void pd_memory_trim(struct pd_profile *p);

/* ---- deltas.c: on the worker, but for the first ---- */

/* Who asks: the parameter `client`, or else the address and the User-Agent. */
uint64_t pd_deltas_client(struct pd_request *r);
/* The table as of the client's last request; NULL = it is the first, or too long ago. Good until pd_deltas_keep. */
const struct pd_snapshot *pd_deltas_last(const struct pd_job *job);
/* Remember job->to, which is taken over; what is oldest is forgotten when there is too much. */
void pd_deltas_keep(struct pd_job *job);
void pd_deltas_free(struct pd_routes *s);

/* ---- legacy.c ---- */

int pd_legacy_encode(const struct pd_job *job, struct pd_buf *out);

/* ---- assets.c ---- */

/* Of what content the files of the page are: they are under PD_PREFIX "www/<version>/". *script is the one to load. */
#define PD_ASSETS_VERSION 9
void pd_assets_version(char out[static PD_ASSETS_VERSION], const char **script);
pd_route_handler pd_serve_asset;

/* ---- index.c, plain.c ---- */

pd_route_handler pd_serve_index, pd_serve_redirect, pd_serve_cmdline, pd_serve_symbol,
	pd_serve_trace;

/* ---- admin.c, metrics.c ---- */

pd_route_handler pd_serve_admin, pd_serve_metrics;

#endif
