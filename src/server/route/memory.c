/*
 * The truth beside the samples: what the allocator and the kernel say of the process's memory. Knows allocators by the
 * functions they export; takes their locks, and walks page tables, so only on request.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/route/inside.h"
#include "server/route/process.h"

void pd_memory_trim(struct pd_profile *p)
{
	int (*trim)(size_t pad) = pd_malloc_function("malloc_trim");
	if (trim && pd_malloc_function("gnu_get_libc_version"))
		pd_profile_comment(p, "gc=1: malloc_trim(0) %s.", trim(0) ? "gave free memory back to the system"
		                                                          : "found nothing to give back");
	else
		pd_profile_comment(p, "gc=1: nothing done, for the allocator is not glibc's.");
}

static void tell(struct pd_profile *p, const char *group, const char *name, uint64_t value)
{
	pd_profile_comment(p, "%s%s = %" PRIu64, group, name, value);
}

/* ---- what allocators tell: bytes in use ---- */

static bool read_jemalloc(struct pd_profile *p, void *fn, uint64_t *inuse)
{
	int (*mallctl)(const char *name, void *old, size_t *old_len, void *new, size_t new_len) = fn;
	static const char *const NAMES[] = { "stats.allocated", "stats.active", "stats.metadata", "stats.resident",
		                             "stats.mapped", "stats.retained" };
	uint64_t epoch = 1;
	size_t len = sizeof epoch;
	mallctl("epoch", &epoch, &len, &epoch, sizeof epoch); /* the figures are as of this call */
	bool known = false;
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		size_t value = 0;
		len = sizeof value;
		if (mallctl(NAMES[i], &value, &len, NULL, 0) != 0)
			continue;
		tell(p, "jemalloc.", NAMES[i], value);
		if (i == 0) {
			*inuse = value;
			known = true;
		}
	}
	return known;
}

static bool read_tcmalloc(struct pd_profile *p, void *fn, uint64_t *inuse)
{
	int (*property)(const char *name, size_t *value) = fn;
	static const char *const NAMES[] = { "generic.current_allocated_bytes", "generic.heap_size",
		                             "tcmalloc.pageheap_free_bytes", "tcmalloc.pageheap_unmapped_bytes" };
	bool known = false;
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		size_t value = 0;
		if (!property(NAMES[i], &value))
			continue;
		tell(p, "", NAMES[i], value);
		if (i == 0) {
			*inuse = value;
			known = true;
		}
	}
	return known;
}

static const struct {
	const char *symbol;
	bool (*read)(struct pd_profile *p, void *fn, uint64_t *inuse);
} OTHERS[] = {
	{ "mallctl", read_jemalloc },
	{ "je_mallctl", read_jemalloc },
	{ "MallocExtension_GetNumericProperty", read_tcmalloc },
};

static bool tell_allocator(struct pd_profile *p, uint64_t *inuse)
{
	struct pd_malloc m;
	pd_malloc_read(&m);
	for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS && !m.glibc; i++) {
		void *fn = pd_malloc_function(OTHERS[i].symbol);
		if (fn)
			return OTHERS[i].read(p, fn, inuse);
	}
	if (!m.glibc)
		return false;
	tell(p, "mallinfo2.", "arena", m.heap);
	tell(p, "mallinfo2.", "hblkhd", m.mapped);
	tell(p, "mallinfo2.", "uordblks", m.used - m.mapped);
	tell(p, "mallinfo2.", "fordblks", m.free);
	tell(p, "mallinfo2.", "keepcost", m.trimmable);
	*inuse = m.used;
	return true;
}

/* ---- what the kernel tells ---- */

/* Lines "Name:   123 kB" of a file, as bytes. */
static void tell_kernel(struct pd_profile *p, const char *path, const char *group, const char *const *names)
{
	struct pd_buf text = { 0 };
	int error = pd_file_read(path, &text);
	pd_buf_char(&text, '\0');
	for (; !error && !text.failed && *names; names++) {
		size_t n = strlen(*names);
		for (const char *line = text.data; line; line = strchr(line, '\n'), line += line ? 1 : 0)
			if (strncmp(line, *names, n) == 0 && line[n] == ':')
				tell(p, group, *names, strtoull(line + n + 1, NULL, 10) * 1024);
	}
	pd_buf_free(&text);
}

void pd_memory_tell(struct pd_profile *p, const struct pd_snapshot *heap)
{
	static const char *const STATUS[] = { "VmRSS", "VmHWM", "VmSwap", NULL };
	static const char *const ROLLUP[] = { "Rss", "Pss", "Private_Dirty", "Anonymous", "Swap", NULL };
	uint64_t inuse = 0;
	struct pd_heap_totals totals = pd_heap_totals(heap);
	double sampled = totals.inuse_bytes;
	bool known = tell_allocator(p, &inuse);
	if (known) {
		tell(p, "", "AllocatorInUse", inuse);
		pd_profile_comment(p, "SampledInUse = %.0f", sampled);
		pd_profile_comment(p, "SampledInUse / AllocatorInUse = %.1f %%%s",
		                   inuse ? 100 * sampled / (double)inuse : 0,
		                   sampled < (double)inuse ? "; the rest is older than the sampling, was allocated"
		                                             " unseen, or is the allocator's own, as what it rounds sizes up by" :
		                                             "");
		if (heap->rate > 1)
			pd_profile_comment(p, "SampledInUse has a standard error of %.0f bytes: it is an estimate from one"
			                   " sample about every %" PRIu64 " bytes. heap_rate=1 counts every allocation.",
			                   totals.inuse_error, heap->rate);
	} else {
		pd_profile_comment(p, "SampledInUse = %.0f; what the allocator has in use is not known", sampled);
	}
	tell_kernel(p, "/proc/self/status", "", STATUS);
	tell_kernel(p, "/proc/self/smaps_rollup", "smaps_rollup.", ROLLUP);
}
