/*
 * All the server ever sees of the agent: plain data and one table of functions.
 * Every call is for ordinary threads (no handlers) and thread-safe unless it says otherwise.
 */
#ifndef PD_AGENT_AGENT_H
#define PD_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PD_ABI 6u /* raised when anything in this file changes */

/*
 * What the values of a row are:
 *   PD_CPU, PD_WALL           ticks; key.rate is the period of each in ns
 *   PD_THREADCREATE           threads created
 *   PD_HEAP                   sampled allocations, their bytes, sampled frees, their bytes: as counted, to be scaled by
 *                             size / (1 - exp(-size / rate)); key.size = bytes of one, key.rate = mean sampling interval
 *                             in bytes when it was sampled. rate 1: exact, or scaled already (rows of [overflow])
 *   PD_BLOCK, PD_MUTEX, PD_IO waits, their nanoseconds: scaled already
 */
enum pd_kind { PD_CPU, PD_THREADCREATE, PD_HEAP, PD_BLOCK, PD_MUTEX, PD_IO, PD_WALL, PD_KINDS };

/* Why a sample is not in the table. Names in the same order: agent->drop_name[]. */
enum pd_drop { PD_DROP_BUSY, PD_DROP_STACK, PD_DROP_THREAD, PD_DROP_MEMORY, PD_DROP_LATE, PD_DROP_REASONS };

struct pd_key {
	uint32_t stack;  /* id for stack() */
	uint32_t labels; /* id for labels(); 0 = none */
	uint64_t size;   /* PD_HEAP: bytes of one object. PD_CPU, PD_WALL: id for stack(), whose PD_TRACE_WORDS
	                  * addresses are the trace the thread worked for; 0 = none. Else 0 */
	uint64_t rate;   /* in force when the samples were taken; 0 where the kind has none */
};

/* The ids of an OpenTelemetry trace (16 bytes) and span (8), as they lie in memory. */
#define PD_TRACE_WORDS 3

/* One row of a cumulative table; values only grow while the table lives. */
struct pd_row {
	struct pd_key key;
	int64_t value[4];
};

/* Cumulative over the life of the sampler. Identity: ticks = recorded + sum of dropped. */
struct pd_counters {
	uint64_t ticks;     /* samples due, overruns included */
	uint64_t recorded;  /* of these in the table, [overflow] included */
	uint64_t dropped[PD_DROP_REASONS];
	uint64_t signals;   /* handler runs */
	uint64_t truncated; /* recorded ticks whose walk did not reach the thread's first frame */
	uint64_t overflow;  /* recorded ticks under [overflow]: memory limit reached */
	uint64_t self_ns;   /* time spent in the sampler itself */
	uint64_t process_cpu_ns; /* CLOCK_PROCESS_CPUTIME_ID at the snapshot */
	uint64_t own_cpu_ns;     /* CPU time of the profiler's own threads */
	uint64_t masked_threads; /* threads that block the signal now: their CPU time is not sampled */
	uint64_t timerless_threads; /* threads without a timer of their own now (limit reached) */
	uint64_t threads_looked_at; /* for masked_threads; at most 1000 */
};

struct pd_snapshot {
	int64_t mono_ns, real_ns; /* when it was taken */
	uint64_t rate;            /* in force: samples per second (PD_CPU, PD_WALL), bytes (PD_HEAP), ns (PD_BLOCK, PD_IO),
	                           * one in so many (PD_MUTEX); 0 = off; else 1 */
	struct pd_counters counters;
	size_t n;
	struct pd_row *row; /* in no particular order */
	size_t row_cap;     /* the agent's */
};

#define PD_STACK_OVERFLOW 1u /* stack id under which samples past the memory limit are counted */
enum { PD_TRUNCATED = 1 };   /* the walk ended before the thread's first frame */
enum { PD_HIDDEN = 2 };      /* of a thread in a dump: the kernel does not tell us where it waits */

/* A stack, leaf first. Each address lies inside the instruction to be blamed (return addresses already
 * less one). `epoch` says which modules the addresses belong to. Valid until the kind is closed. */
struct pd_stack {
	const uint64_t *pc;
	uint32_t n;
	uint32_t epoch;
	uint32_t flags;
};

struct pd_label {
	const char *key, *value;
};

/* One executable mapping of an ELF object that is, or was, loaded. */
struct pd_module {
	uint64_t start, end; /* addresses [start, end) */
	uint64_t offset;     /* of `start` in the file */
	uint64_t bias;       /* address = ELF virtual address + bias */
	uint32_t from, until; /* epochs it holds for, both ends included */
	uint8_t build_id[32];
	uint8_t build_id_len; /* 0 = none */
	bool is_vdso;
	bool loaded;      /* still mapped */
	const char *path; /* absolute file name, "[vdso]", or "" for memory without a file */
};

/* General registers in DWARF order for x86-64: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, then the pc. */
#define PD_NREGS 17

enum pd_state { PD_RUNNING, PD_WAITING, PD_STOPPED, PD_GONE };

#define PD_WAIT_BYTES 64

/* One thread in a dump. */
struct pd_thread_rec {
	int tid;
	int parent_tid;       /* creator; 0 = not known */
	char name[16];        /* as the kernel has it, terminated */
	enum pd_state state;
	char kernel_state;    /* letter of /proc/<pid>/task/<tid>/stat: R S D T ... */
	int syscall;          /* number of the call it waits in; -1 = none or not known */
	uint64_t args[6];     /* of that call */
	char wchan[32];       /* "" = not known */
	int64_t cpu_ns;       /* CPU time used; -1 = not known */
	int64_t wait_ns;      /* waiting at least this long; -1 = not known */
	uint32_t labels;      /* id for labels() */
	uint64_t trace[PD_TRACE_WORDS]; /* the first two 0 = none */
	uint32_t created_by;  /* stack id of PD_THREADCREATE; 0 = not known */
	uint32_t flags;       /* PD_TRUNCATED, PD_HIDDEN */
	uint32_t n;           /* frames; 0 = stack unavailable */
	const uint64_t *pc;   /* leaf first, adjusted as in pd_stack */
	/* Set when the walk ended early: registers and a copy of the stack from stack_lo on. */
	const uint64_t *regs;
	const uint8_t *stack;
	uint64_t stack_lo;
	size_t stack_len;
	/* Memory around the word args[0] that the thread waits at in futex(2): wait_bytes[0..wait_len) as it was at
	 * wait_lo. All copies of a dump were made at a time when all these threads waited at once, each in the call told
	 * here. wait_len 0: it waits for something else, or has moved on meanwhile. */
	uint64_t wait_lo;
	uint32_t wait_len;
	uint8_t wait_bytes[PD_WAIT_BYTES];
};

struct pd_dump {
	int64_t real_ns, took_ns;
	uint32_t epoch;
	size_t n;
	struct pd_thread_rec *thread; /* by tid, the process's main thread first */
	size_t signalled, missed;     /* threads asked by signal; of these without an answer in time */
	void *memory;                 /* the agent's */
	size_t memory_len;
};

/* Settings, parsed and checked. Strings live as long as the service. */
struct pd_config {
	int family;          /* AF_INET, AF_INET6 or AF_UNIX */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	bool loopback;       /* TCP on a loopback address */
	bool access_local;
	const char *token_file; /* NULL = none */
	const char *hosts;      /* NULL = none */
	const char *prefix;     /* "/name", served as well as no prefix; NULL = none */
	const char *log;        /* NULL = nowhere */
	uint64_t memory;
	int listen_fd;       /* bound and listening, O_CLOEXEC and O_NONBLOCK; the server owns it from start() on;
	                      * -1 = no listener */
	char address[256];   /* as pprofd_address() tells it; "" without a listener */
};

/* A number for admin and metrics: its name is static, in snake_case, ends in its unit, and in _total when it only
 * grows. */
struct pd_fact {
	const char *name;
	uint64_t value;
};
#define PD_FACTS 24  /* at most, for one kind */
#define PD_NOTE 320  /* bytes of one sentence, terminated */
#define PD_NOTES 8   /* at most, for one kind */

/* A profile of the program's own, of keys it adds and removes. */
struct pd_custom {
	const char *name; /* stays valid */
	uint64_t count;   /* keys in it now */
};
#define PD_CUSTOMS 64      /* at most */
#define PD_CUSTOM_NAME 128 /* bytes of a name, its end included */

/* A sampling rate. Times are CLOCK_REALTIME. */
struct pd_rate {
	const char *name, *unit; /* "heap_rate", "bytes" */
	const char *help;        /* what a value means, one sentence */
	uint64_t value, min, max;
	uint64_t initial;        /* as the service was started */
	int64_t since_ns;        /* when it got its value */
	int64_t until_ns;        /* when it gets `then`; 0 = it stays */
	uint64_t then;
};
struct pd_rate_change {
	const char *name;
	uint64_t value;
	/* Filled by rates_set: */
	uint64_t was;
	int64_t until_ns; /* as in struct pd_rate */
	uint64_t then;
};
enum pd_rate_source { PD_RATE_START, PD_RATE_API, PD_RATE_HTTP, PD_RATE_EXPIRED };
struct pd_rate_event {
	int64_t real_ns;
	const char *name;
	uint64_t was, now;
	int64_t for_ns; /* 0 = for good */
	enum pd_rate_source source;
};
#define PD_RATES 8         /* at most */
#define PD_RATE_EVENTS 256 /* remembered */
#define PD_RATE_FOR_MAX 86400000000000ll /* the longest time that a rate can be set for, in ns */

/*
 * What the server does for the program without a connection. Valid for ever; -ENOTCONN while there is no service.
 * Bodies are what a GET would answer with, and are given back with `release`. Errors of get and end: -ENOENT (no such
 * profile), -EINVAL (not one that is made at once), -EAGAIN (too many windows), -ECANCELED (the service is stopped
 * meanwhile), -ESHUTDOWN (the program closed the service's descriptors), -ENOMEM, -EIO (could not be made: see the log).
 * Only get, begin and end wait.
 */
struct pd_body {
	char *data;
	size_t len;
};
struct pd_service {
	int (*get)(const char *name, int debug, struct pd_body *out);
	void (*release)(struct pd_body *b);
	/* A CPU profile from the return of begin until the call of end, which is to follow, service or not. */
	int (*cpu_begin)(void **window);
	int (*cpu_end)(void *window, struct pd_body *out);
	/* Serve a connected socket. 0: it is the server's. -EBADF, -ENOTSOCK, -EINVAL, -EAGAIN, -ESHUTDOWN. */
	int (*serve)(int fd);
};

struct pd_agent {
	uint32_t abi;
	const char *version;
	const char *const *drop_name;

	/* Call first on each thread of the server: it is never sampled, listed or counted as the host's. */
	void (*thread_own)(const char *name);

	/* Sampling on while at least one opener holds it. 0 or -errno; every open is closed once. */
	int (*open)(enum pd_kind kind);
	void (*close)(enum pd_kind kind);
	/* A copy of the table as it is now. 0 or -errno; give back with snapshot_free. */
	int (*snapshot)(enum pd_kind kind, struct pd_snapshot *out);
	void (*snapshot_free)(struct pd_snapshot *s);
	bool (*stack)(enum pd_kind kind, uint32_t id, struct pd_stack *out);
	/* Labels of a set, sorted by key; returns how many. The pointer stays valid. */
	size_t (*labels)(uint32_t id, const struct pd_label **out);

	/* Bring the list of modules up to date (may wait for the dynamic loader), and read it. */
	void (*modules_refresh)(void);
	/* All modules ever seen, ordered by when they were first seen; returns how many. Stays valid. */
	size_t (*modules)(const struct pd_module *const **list);

	/* Every thread but our own. 0 or -errno; give back with dump_free. deadline in nanoseconds from now. */
	int (*dump)(int64_t deadline_ns, struct pd_dump *out);
	void (*dump_free)(struct pd_dump *d);

	/* What the sampler of a kind tells of itself: numbers, and sentences that a reader of its profile must know.
	 * Return how many were written, at most max. */
	size_t (*facts)(enum pd_kind kind, struct pd_fact *out, size_t max);
	size_t (*notes)(enum pd_kind kind, char (*out)[PD_NOTE], size_t max);

	/* All rates as they are; returns how many (at most PD_RATES). */
	size_t (*rates)(struct pd_rate *out, size_t max);
	/* All of these changes or none, in force for every running thread within 50 ms. for_ns > 0: after that time
	 * each rate returns to the last value that was set for good. Of two such times for one rate the later call's
	 * counts; a change for good ends it. 0, or -ENOENT (unknown name), -EINVAL (out of range, or a name twice),
	 * -ERANGE (for_ns), -ENOTCONN (stopping) or another error of a sampler, with *bad the change to blame. */
	int (*rates_set)(struct pd_rate_change *change, size_t n, int64_t for_ns, enum pd_rate_source source,
	                 size_t *bad);
	/* The last changes, newest first; returns how many. */
	size_t (*rate_events)(struct pd_rate_event *out, size_t max);

	/* Name of a kind: "profile", "heap" ... */
	const char *(*kind_name)(enum pd_kind kind);
	/* The counters of a snapshot without its rows, those about threads left out; opened or not. 0, or -ENODATA when
	 * they are not known while nobody has opened the kind. */
	int (*counters)(enum pd_kind kind, struct pd_counters *out);
	/* What the agent as a whole takes and does: memory, hooks, tables, its threads' CPU time. As facts. */
	size_t (*self)(struct pd_fact *out, size_t max);
	/* The program's own profiles, in the order they were made; returns how many. They stay, as does their order. */
	size_t (*customs)(struct pd_custom *out, size_t max);
	/* The keys in one of them, counted by stack (value[0]); ids are for custom_stack and good until the end. */
	int (*custom_snapshot)(size_t i, struct pd_snapshot *out);
	bool (*custom_stack)(uint32_t id, struct pd_stack *out);

	/* Called by the server when it is started. */
	void (*offer)(const struct pd_service *service);
};

/* The server object exports exactly these two. start: 0 or -errno; on error nothing is left behind. */
typedef int pprofd_server_start_fn(const struct pd_agent *agent, const struct pd_config *config);
/* Ends all requests and threads. forked = true: in a forked child, only lets go of what was inherited. */
typedef void pprofd_server_stop_fn(bool forked);

#endif
