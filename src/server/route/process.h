/* The process as the kernel and its allocator know it; only route's files include it. On the worker. */
#ifndef PD_SERVER_ROUTE_PROCESS_H
#define PD_SERVER_ROUTE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/buf.h"

struct pd_process {
	int64_t cpu_ns;   /* of all threads, user and system */
	double start_s;   /* Unix time */
	uint64_t rss, virtual, virtual_max; /* bytes; virtual_max UINT64_MAX = no limit */
	uint64_t threads; /* ours included */
	uint64_t fds, fds_max; /* fds 0 = not known; fds_max UINT64_MAX = no limit */
	uint64_t faults, faults_major;
	unsigned cpus;    /* that it may run on */
};
/* 0, or -errno when /proc cannot be read. */
int pd_process_read(struct pd_process *out);

/* The allocator whose malloc the program calls. */
struct pd_malloc {
	char library[64];  /* file name of the object that defines malloc */
	bool glibc;        /* it is glibc's, and all below is known; bytes */
	uint64_t heap;     /* got from the system, but for what is mapped */
	uint64_t mapped;   /* blocks with a mapping of their own */
	uint64_t used;     /* in blocks that are not freed, mapped ones included */
	uint64_t free;     /* in freed blocks */
	uint64_t trimmable; /* at the top of the main heap */
};
/* To look costs the allocator's locks for a while: what a look has found stands for a thousand times as long. */
void pd_malloc_read(struct pd_malloc *out);

/* A function that the same object defines, or NULL: with it, this allocator is spoken to and no other. */
void *pd_malloc_function(const char *name);

/* The absolute path of the program. False when it is not known. */
bool pd_process_path(char out[static 4096]);
/* The build id of the loaded object that holds this address, in hexadecimal; "" = none. */
#define PD_BUILD_ID_TEXT 65
void pd_build_id(const struct pd_agent *agent, const void *address, char out[static PD_BUILD_ID_TEXT]);

/* Append a whole file. 0 or -errno; -EOVERFLOW: past out->max. */
int pd_file_read(const char *path, struct pd_buf *out);

#endif
