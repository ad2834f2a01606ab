/* What the heap sampler tells of itself: numbers, whose allocator it sees, and what it does not see. Only reads. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "agent/hook/hook.h"
#include "agent/sampler/heap.h"
#include "base/time.h"

#define LOOK_EVERY 60000000000 /* ns; when slots were changed, as soon as it costs little */
#define LITTLE 200             /* one part in so many of the time */

static size_t copies; /* addresses of the allocator's functions in variables of the host */
static uint32_t looked_passes;
static int64_t looked_at, look_took;

void pd_heap_look_round(void)
{
	const struct pd_hook *hook;
	int64_t start = pd_mono_ns(), ago = start - looked_at;
	uint32_t passes = pd_hooks_passes();
	if (looked_at && ago < (passes == looked_passes ? LOOK_EVERY : look_took * LITTLE))
		return;
	size_t n = pd_heap_hooks(&hook);
	pd_store_relaxed(&copies, pd_hooks_copies(hook, n));
	looked_at = pd_mono_ns();
	look_took = looked_at - start;
	looked_passes = passes;
}

struct seen {
	size_t slots, skipped, in_program;
};

static struct seen seen_now(void)
{
	const struct pd_hook *hook;
	struct seen s = { 0 };
	for (size_t n = pd_heap_hooks(&hook); n; n--, hook++) {
		s.slots += pd_load_relaxed(&hook->slots);
		s.skipped += pd_load_relaxed(&hook->skipped);
		s.in_program += pd_load_relaxed(&hook->in_program);
	}
	return s;
}

size_t pd_heap_facts(struct pd_fact *out, size_t max)
{
	struct pd_live_stats live;
	struct seen seen = seen_now();
	pd_live_stats(&live);
	const struct pd_table *t = &pd_heap.table;
	const struct pd_fact all[] = {
		{ "live_samples", live.live },
		{ "live_places", live.places },
		{ "live_bytes", live.bytes },
		{ "table_stacks", pd_load_relaxed(&t->stacks) },
		{ "table_rows", pd_load_relaxed(&t->rows) },
		{ "table_bytes", pd_load_relaxed(&t->arena.used) },
		{ "table_limit_bytes", t->arena.budget ? t->arena.budget->cap : 0 },
		{ "hooked_slots", seen.slots },
		{ "skipped_slots", seen.skipped },
		{ "unhooked_pointers", pd_load_relaxed(&copies) },
		{ "untracked_samples_total", pd_load_relaxed(&pd_heap.untracked) },
		{ "healed_samples_total", pd_load_relaxed(&pd_heap.healed) },
	};
	size_t n = sizeof all / sizeof *all < max ? sizeof all / sizeof *all : max;
	memcpy(out, all, n * sizeof *all);
	return n;
}

struct notes {
	char (*out)[PD_NOTE];
	size_t n, max;
};

static __attribute__((format(printf, 2, 3))) void note(struct notes *o, const char *form, ...)
{
	va_list args;
	if (o->n == o->max)
		return;
	va_start(args, form);
	vsnprintf(o->out[o->n++], PD_NOTE, form, args);
	va_end(args);
}

static const void *program_base(void)
{
	Dl_info info;
	const void *headers = (const void *)getauxval(AT_PHDR); /* NOLINT */
	return dladdr(headers, &info) ? info.dli_fbase : NULL;
}

/* Which allocator the hooks lead to. True when it is the program's own. */
static bool tell_allocator(struct notes *o, const struct pd_hook *of_malloc)
{
	static const struct {
		const char *in_file, *name;
	} known[] = {
		{ "libc.so", "glibc" },       { "jemalloc", "jemalloc" }, { "tcmalloc", "tcmalloc" },
		{ "mimalloc", "mimalloc" },   { "asan", "the address sanitizer's" }, { "tsan", "the thread sanitizer's" },
	};
	Dl_info info;
	if (!*of_malloc->real || !dladdr(*of_malloc->real, &info) || !info.dli_fname) {
		note(o, "Allocator not found: nothing it allocates is seen.");
		return false;
	}
	const char *file = strrchr(info.dli_fname, '/'), *name = NULL;
	file = file ? file + 1 : info.dli_fname;
	if (info.dli_fbase == program_base()) {
		note(o, "The program defines malloc itself: calls bound inside it are not seen, only those of %zu other slots. "
		     "What libraries allocate and the program frees stays in use here.",
		     pd_load_relaxed(&of_malloc->slots) - pd_load_relaxed(&of_malloc->in_program));
		return true;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(file, known[i].in_file))
			name = known[i].name;
	if (name)
		note(o, "Allocator: %s (%s).", name, file);
	else
		note(o, "Allocator: %s; what this library allocates for itself is not seen.", file);
	return false;
}

/* Allocators under names of their own, beside the one that is hooked. */
static void tell_others(struct notes *o, const struct pd_hook *of_malloc)
{
	static const char *const names[] = {
		"je_malloc", "_rjem_malloc", "mi_malloc", "tc_malloc", "rpmalloc", "scalable_malloc",
	};
	Dl_info mine, other;
	if (!*of_malloc->real || !dladdr(*of_malloc->real, &mine))
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const void *f = dlsym(RTLD_DEFAULT, names[i]);
		if (f && dladdr(f, &other) && other.dli_fbase != mine.dli_fbase)
			note(o, "There is another allocator, %s: what it allocates is not seen.", names[i]);
	}
}

size_t pd_heap_notes(char (*out)[PD_NOTE], size_t max)
{
	struct notes o = { .out = out, .max = max };
	const struct pd_hook *hook;
	pd_heap_hooks(&hook);
	if (!pd_load_relaxed(&pd_heap.open))
		return 0;
	struct seen seen = seen_now();
	bool own = tell_allocator(&o, hook);
	tell_others(&o, hook);
	if (!seen.slots)
		note(&o, "No call of an allocator goes through a slot that can be hooked: is the program linked statically? "
		         "Nothing it allocates is seen.");
	else if (!seen.in_program && !own)
		note(&o, "The program itself calls no allocator that can be hooked: if one is linked into it, what it allocates "
		         "is not seen.");
	if (seen.skipped)
		note(&o, "%zu slots lead to another allocator than most: what is allocated by them is not seen.", seen.skipped);
	size_t left = pd_load_relaxed(&copies);
	if (left)
		note(&o, "%zu variables hold the address of a function of the allocator, taken before it was hooked: calls "
		         "through them are not seen.", left);
	uint64_t n = pd_load_relaxed(&pd_heap.healed);
	if (n)
		note(&o, "%llu sampled objects were freed in ways that are not seen; some more may count as in use.",
		     (unsigned long long)n);
	n = pd_load_relaxed(&pd_heap.untracked);
	if (n)
		note(&o, "Memory limit: %llu sampled objects could not be remembered; they count as freed at once.",
		     (unsigned long long)n);
	return o.n;
}
