/*
 * pprofd: a C or C++ process serves its own profiles over HTTP, in the formats of Go's net/http/pprof.
 *
 *     #include <pprofd.h>
 *     int main(void) { pprofd_start(NULL); ... }
 *
 *     curl http://127.0.0.1:6060/debug/pprof/
 *     go tool pprof http://127.0.0.1:6060/debug/pprof/profile?seconds=10
 *
 * Every function is thread-safe and returns 0 or a negative errno value unless it says otherwise.
 * None may be called from a signal handler except where it says so. None prints, exits or aborts.
 * A process that never calls pprofd_start() (and has no PPROFD_LISTEN in its environment) gets
 * nothing: no thread, no file descriptor, no signal handler.
 */
#ifndef PPROFD_H
#define PPROFD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What to start with. Set `size` to sizeof(struct pprofd_options) and everything not needed to zero:
 * zero means the default. The struct only grows at its end: a smaller size is an older caller, a larger
 * one is refused with -E2BIG unless the part this library does not know is all zero.
 */
struct pprofd_options {
	size_t size;

	/*
	 * Where to listen. NULL: "127.0.0.1:6060".
	 *   "127.0.0.1:6060" "[::1]:6060"   an address and a port; port 0 lets the system choose
	 *   ":6060" "6060"                  a port of the loopback address
	 *   "unix:/run/app/%p.sock"         a unix socket; %p is the process id, %% a percent sign. The
	 *                                   directory must exist; the socket is made with mode 0600
	 *   "none"                          no listener: for pprofd_write(), pprofd_cpu_start() and pprofd_serve()
	 *   "off"                           nothing is started; pprofd_start() then returns -ECANCELED
	 * Any other than a loopback address needs token_file.
	 */
	const char *listen;

	/* File with the token clients must send ("Authorization: Bearer T", or as the Basic password).
	 * At least 16 characters, one line; a regular file (no link), owned by this user or root, mode 0600 or
	 * stricter. */
	const char *token_file;

	/* Host names, separated by commas, accepted in the Host header besides IP literals and "localhost". */
	const char *hosts;

	/* "local": on loopback and unix sockets serve every local user. NULL: this user and root only. */
	const char *access;

	/* CPU samples per second of CPU time, 1..4000. 0: 100. */
	uint64_t cpu_hz;

	/* Upper limit in bytes for all tables of the samplers, 4 MiB..64 GiB. 0: 64 MiB. */
	uint64_t memory;

	/* Signal for samples. 0: SIGPROF if the process does not use it, else one that is free. */
	int signal;

	/* File for messages, one line each, or "stderr". NULL: no messages are written. */
	const char *log;

	/* Rates as in pprofd_rate_set() below; PPROFD_RATE_OFF for those that can be 0. */
	uint64_t heap_rate;      /* 0: 512 KiB */
	uint64_t block_rate;     /* 0: off */
	uint64_t mutex_fraction; /* 0: off */
	uint64_t io_rate;        /* 0: off */
	uint64_t wall_hz;        /* 0: 20 */

	/* "/name": everything is served under /name/debug/pprof/ as well, for a proxy that passes paths on as they are. */
	const char *prefix;
};

/* A rate of 0, for fields of struct pprofd_options in which 0 means the default. */
#define PPROFD_RATE_OFF UINT64_MAX

/*
 * Start profiling service. NULL means all defaults. Each field has an environment variable that wins
 * over it: PPROFD_LISTEN, PPROFD_TOKEN_FILE, PPROFD_HOSTS, PPROFD_ACCESS, PPROFD_CPU_HZ, PPROFD_HEAP_RATE
 * and PPROFD_MEMORY (with K, M or G), PPROFD_BLOCK_RATE, PPROFD_MUTEX_FRACTION, PPROFD_IO_RATE, PPROFD_WALL_HZ,
 * PPROFD_SIGNAL (number or name), PPROFD_LOG, PPROFD_PREFIX. PPROFD_OFF=1 keeps everything off.
 * The library part that serves is loaded from beside libpprofd.so, or from PPROFD_SERVER.
 *
 * Errors change nothing and are told in the log:
 *   -EALREADY     started already (by this function: what PPROFD_LISTEN alone has started is taken over)
 *   -ECANCELED    switched off by PPROFD_OFF or listen = "off"
 *   -EINVAL       a malformed option or environment variable, or an unknown PPROFD_ variable
 *   -E2BIG        options from a newer header with fields set that this library does not know
 *   -EPERM        the process runs with more rights than its user (setuid, file capabilities)
 *   -EACCES       a non-loopback address without a token file, or a token file others can read
 *   -EADDRINUSE   somebody listens there already
 *   -ELIBACC      the serving part could not be loaded
 *   others        from socket(2), bind(2), mmap(2), pthread_create(3)
 *
 * After fork() the child has no service and does not answer on the parent's address; it may call
 * pprofd_start() itself. It starts by itself in two cases: the address contains %p, or the child is a
 * daemon in the making (it calls setsid() or daemon()), which takes the address over when its parent ends.
 *
 * The environment is inherited by programs that are run: each starts a service of its own if its address is
 * free, so with %p or port 0 all of them do. A program that insists on having one thread, such as the
 * zygote of Chromium, ends then: use a fixed port, which its first process takes.
 *
 * A service that is in the way of unshare(), setns(), or a change of user by rights that one thread alone has
 * kept ends before it and starts anew after it. Before a filter of system calls (seccomp) that would end the
 * program for what samples do it ends for good. The log tells.
 */
int pprofd_start(const struct pprofd_options *options);

/*
 * Stop and give everything back: listener, threads, signal handler, timers, hooks. Requests under way
 * end at once. -EALREADY when not started. Memory that a late sample might still touch stays mapped.
 */
int pprofd_stop(void);

/*
 * The address in use, as a URL ("http://127.0.0.1:6060") or "unix:/path", into buf of n bytes,
 * always terminated. -ENOTCONN when not started, -ENOENT without a listener, -ERANGE when n is too small (buf is empty
 * after each of them).
 */
int pprofd_address(char *buf, size_t n);

/*
 * A sampling rate by name:
 *   "cpu_hz"          samples per second of CPU time while a CPU profile is taken, 1..4000
 *   "heap_rate"       mean bytes allocated between two samples of heap and allocs, 1 = every allocation, 0 = off
 *   "block_rate"      waits for locks of at least so many nanoseconds are all sampled, shorter ones in proportion;
 *                     1 = all, 0 = off
 *   "mutex_fraction"  one in so many waits for a lock is sampled, charged to who unlocked, 1 = all, 0 = off
 *   "io_rate"         as block_rate, for waits for input and output
 *   "wall_hz"         samples per second of each thread while a wall profile is taken, 1..1000
 * Takes effect for running threads within 50 ms; 0 takes the hooks out of the process.
 * -ENOENT for an unknown name, -EINVAL for a value out of range, -ENOTCONN when not started.
 */
int pprofd_rate_set(const char *name, uint64_t value);
int pprofd_rate_get(const char *name, uint64_t *value);

/*
 * Labels: key/value pairs that the samples of this thread carry, in CPU, wall and goroutine profiles, until the pop
 * that belongs to the push. A key pushed again hides the older value. Strings are copied; keys have 1 to 64 bytes,
 * values up to 256, and 16 labels at once are the limit, as is a depth of 16. No system call and no lock; a push and
 * its pop take about 30 ns. Before pprofd_start() both do nothing. <pprofd.hpp> has them as a C++ scope.
 *
 * Every set of labels is kept once and for good: values are to be few (a route, a tenant's class), not one for each
 * request; for those see pprofd_labels_trace(). About a fifth of the memory limit is for sets.
 *
 * -EINVAL: NULL. -E2BIG: empty key, too long, too many. -ENOMEM: no room for another set; CPU profiles tell how often
 * that was so. The push then counts as made (with no effect), so that pushes and pops stay in pairs. Pop without push:
 * -EINVAL. Any thread, its own labels only; not for signal handlers. A forked child has
 * none, and there pops of what its parent has pushed do no harm.
 */
int pprofd_labels_push(const char *key, const char *value);
int pprofd_labels_pop(void);

/* Call fn(arg) with n pairs of labels set: pairs[0] key, pairs[1] value, ... Returns the first push's error, with fn
 * called all the same; -EINVAL when fn is NULL, or pairs is. fn must return: neither longjmp() nor an exception may
 * leave it. */
int pprofd_do(const char *const *pairs, size_t n, void (*fn)(void *arg), void *arg);

/*
 * Threads start with the labels that their creator has when it calls pthread_create() or thrd_create(). That is right
 * for a thread that works for a request, and wrong for one of a pool that happens to be made during it.
 *
 * pprofd_labels_clear: no labels at all until the pop that belongs to it: for code that makes such threads, or first in
 * the new thread itself. It counts as a push, with a push's errors.
 * pprofd_labels_inherit(0): threads made from now on, by whichever thread, start without; (1): with, as at first.
 * May be called before pprofd_start(). Returns 0.
 */
int pprofd_labels_clear(void);
int pprofd_labels_inherit(int on);

/*
 * The OpenTelemetry trace (16 bytes) and span (8 bytes) this thread works for, from now until the next call; NULL:
 * none. Samples of CPU, wall and goroutine profiles carry them as the labels trace_id and span_id, in lower-case
 * hexadecimal digits, over labels of that name. Call it whenever the thread's span changes, also back to the outer
 * one: a few nanoseconds, for the ids are only copied into the thread's entry. They take memory only when a sample
 * is taken, until the windows then open have ended, and only so much: samples past that have no ids, and the profile
 * tells how many. New threads do not inherit them. 0, or -ENOMEM for a thread that cannot be known; before
 * pprofd_start() it does nothing. Not for signal handlers.
 */
int pprofd_labels_trace(const unsigned char *trace_id, const unsigned char *span_id);

/*
 * Profiles of the program's own, of things that it holds: open connections, mapped buffers, jobs that wait. Each thing
 * is a key, any pointer, that is added by whoever gets it and removed by whoever lets go of it; the profile tells which
 * stacks added the keys that are in it now. Served at /debug/pprof/<name>, and by pprofd_write().
 *
 * pprofd_profile_new: a new profile; returns its number, 0 or more. It may be called before pprofd_start(), and a
 * profile stays for good, over stop and start and in forked children. A name has 1 to 127 bytes of UTF-8, without
 * control characters, and may have parts with '/' between them, none of them empty, "." or "..". -EINVAL: another
 * name; -EEXIST: it is taken, by another such profile or by a built-in one; -ENOSPC: there are 64 already.
 *
 * pprofd_profile_add: the key, under the stack of the caller, whose innermost `skip` calls are left out (0: it begins
 * with the function that calls pprofd_profile_add; inlined calls do not count). A key can be in several profiles, but
 * once in each: -EEXIST, and the first stays. pprofd_profile_remove: -ENOENT when it is not in. Both: -EINVAL without
 * such a profile; -ENOTCONN when not started, for what is not served is not kept: pprofd_stop() empties all profiles,
 * and a forked child begins with empty ones (remove then says -ENOENT or -ENOTCONN, which does no harm). -ENOMEM when
 * the memory limit is reached; the profile tells how many keys it lacks. Any thread may call them, at the cost of a
 * stack walk and a short lock (some 100 ns each, a few microseconds on a stack the library does not know); a signal
 * handler may not.
 *
 * pprofd_profile_count: keys in it now, or -EINVAL.
 */
int pprofd_profile_new(const char *name);
int pprofd_profile_add(int profile, const void *key, unsigned skip);
int pprofd_profile_remove(int profile, const void *key);
int64_t pprofd_profile_count(int profile);

/*
 * Profiles without HTTP. All need a service (listen = "none" gives one without a listener), block until they are done,
 * and may be called by any thread at any time, but not by a signal handler. They write to fd and nowhere else, on the
 * calling thread: a non-blocking fd is waited for, short writes are gone on with, and neither SIGPIPE nor SIGXFSZ
 * reaches the program. They are no cancellation points. fd stays the caller's. After an error of the write, part of the
 * profile may have been written. In a forked child they return -ENOTCONN until it has started a service of its own.
 *
 * Errors of all three:
 *   -ENOTCONN    not started
 *   -EBADF       fd is not open for writing
 *   -ECANCELED   the service was stopped meanwhile
 *   -ESHUTDOWN   the program has closed the descriptors of the service
 *   -EAGAIN      16 windows are open already
 *   -ENOMEM
 *   -EIO         it could not be made; the log says why
 *   others       from write(2): -EPIPE, -ENOSPC, -EFBIG ...
 *
 * pprofd_write: the profile `name` as it is now, byte for byte what GET /debug/pprof/name?debug=N answers (0: gzip'd
 * protobuf; 1: text; 2: of "goroutine", every thread): "heap", "allocs", "goroutine", "threadcreate", "block", "mutex"
 * or one of pprofd_profile_new(). -ENOENT: there is none of that name. -EINVAL: NULL, "", or one that takes time, like
 * "profile".
 */
int pprofd_write(const char *name, int debug, int fd);

/*
 * pprofd_cpu_start: take a CPU profile of the whole process from now on; -EALREADY while an earlier one is taken by
 * this function (those of clients do not matter). fd must stay open until pprofd_cpu_stop(), which ends the profile and
 * writes it: -EALREADY when none is taken, -EBADF when the number stands for another file by now. When
 * pprofd_stop() came first the profile is lost (-ECANCELED). A forked child does not go on with its parent's.
 */
int pprofd_cpu_start(int fd);
int pprofd_cpu_stop(void);

/*
 * Serve HTTP on a connection that the program has accepted: fd is a connected stream socket (TCP or unix) from which
 * nothing was read. Every rule for connections of the listener holds: who is at the other end (of a socketpair, this
 * process, which is trusted), Host, token, deadlines, and 32 connections at once. Does not block. Needs a service; not for signal
 * handlers. 0: fd belongs to the library, which makes it non-blocking and closes it in the end; the program must not
 * touch it any more. After an error it is still the program's: -ENOTCONN (not started), -EBADF, -ENOTSOCK, -EINVAL
 * (not connected, a listener, or no stream), -EAGAIN (too many wait already), -ESHUTDOWN.
 */
int pprofd_serve(int fd);

#ifdef __cplusplus
}
#endif

#endif
