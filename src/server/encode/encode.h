/* Profiles and thread dumps as bytes. Pure: no socket, no clock; symbols come through symbol.h. */
#ifndef PD_SERVER_ENCODE_H
#define PD_SERVER_ENCODE_H

#include "base/buf.h"
#include "server/profile/profile.h"
#include "server/symbol/symbol.h"

struct pd_encode_options {
	bool plain;        /* no gzip */
	bool no_symbols;   /* addresses only: locations without lines */
	bool no_labels;
	bool split_inlines; /* one location for each inlined frame */
	bool brace_labels;  /* thread dump: name and labels in braces after each header, as Go 1.27 writes labels; its
	                     * other forms: labels that tell the threads apart */
};

/* Each appends to out and returns 0, or -ENOMEM / -EOVERFLOW (out->max reached). Equal input gives equal bytes. */

/* The protobuf of pprof, gzip'd: ids 1..n in table order, the main program (modules[0]) as mapping 1. A pseudo stack
 * is a location without mapping whose address is the pseudo's number; it keeps its name under no_symbols. */
int pd_encode_pprof(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                    struct pd_buf *out);

/* debug=1: Go's text for the kind of profile (counts, heap, contention), with the comments as "# " lines and the
 * memory map after the records. A heap profile may be raw (pd_profile.raw_rate). */
int pd_encode_text(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                   struct pd_buf *out);

/* The forms of gperftools, each up to where the text of /proc/self/maps belongs. CPU: binary words. Heap: heap_v2 when
 * p is raw, else scaled numbers; growth: in use, scaled. Labels are left out. */
int pd_encode_legacy_cpu(const struct pd_profile *p, struct pd_buf *out);
int pd_encode_legacy_heap(const struct pd_profile *p, struct pd_buf *out);
int pd_encode_legacy_growth(const struct pd_profile *p, struct pd_buf *out);
int pd_encode_legacy_contention(const struct pd_profile *p, struct pd_buf *out);

/* format=collapsed: a line "root;...;leaf value" for each stack, inlined frames included, with the value that is shown
 * unless another is asked for. In names ':' stands for ';' and a blank for a line end. Empty when nothing was sampled. */
int pd_encode_collapsed(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                        struct pd_buf *out);

/* format=json: speedscope's file format. shared.frames: functions {name, file, line}; profiles: one for each value type,
 * {name, unit, samples: [[frame, root first, ...], ...], weights}. Added to it: comments, timeNanos, durationNanos and
 * period at the top, labels: [{key: value, ...}, ...] in a profile, one for each sample, when any sample has some. */
int pd_encode_speedscope(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                         struct pd_buf *out);

/* debug=2: the full thread dump in Go's goroutine form, a "# " block on top; who created a thread
 * is looked up through agent->stack(PD_THREADCREATE). */
int pd_encode_threads(const struct pd_dump *d, const struct pd_agent *agent, const struct pd_module *const *modules,
                      size_t nmodules, struct pd_symbols *s, const struct pd_encode_options *o, struct pd_buf *out);

/* What a thread waits for, as far as that is certain. */
struct pd_wait {
	const struct pd_wait_kind *kind; /* NULL: no more is known than its system call */
	uint64_t object;   /* address of the mutex, condition ...; 0 = it is a thread, or not known */
	int holder;        /* tid of the thread that holds it, or whose end is awaited; 0 = not known */
	size_t holder_at;  /* its index in the dump, PD_NOBODY */
	uint32_t readers;  /* a read/write lock held by so many */
	bool orphan;       /* it has a holder, but none of the living threads is it */
	bool timed;        /* the wait has a time limit */
	uint32_t circle;   /* number of the circle of waits it is part of, from 1, by first members; 0 = none */
	size_t visit;      /* the finder's */
};
struct pd_wait_kind {
	const char *word, *object; /* "mutex wait", "mutex" */
	bool owned;                /* it is a thread's: a mutex, a read/write lock, or the thread itself */
	void (*read)(const struct pd_thread_rec *t, struct pd_wait *w);
};
#define PD_NOBODY SIZE_MAX

/* For each thread of a dump. */
struct pd_waits {
	struct pd_wait *of;
	size_t n;
	uint32_t circles; /* deadlocks */
};
/* s NULL: nothing is known but the system calls. 0 or -ENOMEM. */
int pd_waits_find(const struct pd_dump *d, const struct pd_module *const *modules, size_t nmodules,
                  struct pd_symbols *s, struct pd_waits *out);
void pd_waits_free(struct pd_waits *w);
/* "4250 worker-1 waits for mutex 0x55aa held by 4251 worker-2"; for a thread with holder_at. */
void pd_wait_sentence(struct pd_buf *out, const struct pd_dump *d, const struct pd_waits *w, size_t i);
/* In one or two words, "mutex wait"; in detail: "mutex wait (0x55aa held by 4251)". Never with a bracket. */
void pd_thread_state(struct pd_buf *out, const struct pd_thread_rec *t, const struct pd_wait *w, bool detail);

/* Answer of the `symbol` endpoint: "num_symbols: 1", then a line for each '+'-separated number of query (decimal, 0x,
 * 0o, 0b) that is an address of a loaded module and has a symbol; other words are passed over. inlined: the name is
 * that of all frames, callers first, with "--" between two, and pseudo stacks have one: as the Perl clients read it. */
int pd_encode_symbolz(const char *query, size_t len, bool inlined, const struct pd_module *const *modules,
                      size_t nmodules, struct pd_symbols *s, struct pd_buf *out);

/* JSON, written in order: each value with its key in an object, NULL in an array. Outer levels have a line for each
 * value. `more` and `depth` are the writer's; zeroed = at the beginning. */
struct pd_json {
	struct pd_buf *out;
	bool more;
	int depth;
};
void pd_json_open(struct pd_json *j, const char *key, char bracket);
void pd_json_close(struct pd_json *j, char bracket);
/* s as pd_utf8 makes it; NULL is null. */
void pd_json_string(struct pd_json *j, const char *key, const char *s);
void pd_json_number(struct pd_json *j, const char *key, uint64_t v);
void pd_json_bool(struct pd_json *j, const char *key, bool v);
/* Nanoseconds as seconds. */
void pd_json_seconds(struct pd_json *j, const char *key, int64_t ns);
/* CLOCK_REALTIME in ns as RFC 3339, in milliseconds and UTC; 0 is null. */
void pd_json_time(struct pd_json *j, const char *key, int64_t ns);

/* s with HTML's special characters escaped; bytes that are not UTF-8 and control characters are replaced. */
void pd_html(struct pd_buf *out, const char *s);
/* s with invalid UTF-8 replaced, as pprof's string table needs it. */
void pd_utf8(struct pd_buf *out, const char *s);

#endif
