/* At rate 1 every call of the allocator's family is told exactly: objects and bytes, in use and in all, failures none.
 * argv[1]: the allocator that must be told, when it is not glibc's. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>

#include "heap.h"

static void *volatile keep[64];
static size_t kept;
static int others; /* not glibc's: how it fails, and what it does with realloc(p, 0), is its own affair */

FN(plain) { keep[kept++] = malloc(1000); }
FN(zeroed) { keep[kept++] = calloc(7, 11); }
FN(nothing) { keep[kept++] = malloc(0); }
FN(aligned)
{
	void *p = NULL;
	EQ(posix_memalign(&p, 64, 200), 0);
	keep[kept++] = p;
	keep[kept++] = aligned_alloc(128, 384);
	keep[kept++] = memalign(32, 33);
	keep[kept++] = valloc(5);
}
FN(grown)
{
	void *p = malloc(10);
	p = realloc(p, 100000);
	p = realloc(p, 20);
	keep[kept++] = p;
}
FN(grown_array) { keep[kept++] = reallocarray(reallocarray(NULL, 3, 5), 10, 30); }
FN(copied) { keep[kept++] = strdup("nine char"); }
FN(freed_by_realloc)
{
	void *p = realloc(malloc(77), 0);
	OK(others || !p);
	free(p);
}

FN(failing)
{
	volatile size_t huge = SIZE_MAX / 2 + 1, all = SIZE_MAX, odd = 3;
	void *p = malloc(55), *out = (void *)1;
	void *volatile same = p; /* the compiler would take it for freed */
	memset(p, 7, 55);
	errno = 0;
	OK(!malloc(huge) && (others || errno == ENOMEM));
	OK(!malloc(all) && !malloc(all - 4096) && !malloc(all / 4));
	OK(!calloc(huge, 4));
	OK(!calloc(all / 8, 16));
	errno = 0;
	OK(!realloc(same, huge) && (others || errno == ENOMEM));
	OK(!reallocarray(same, all / 8, 16));
	EQ(posix_memalign(&out, odd, 10), EINVAL);
	OK(out == (void *)1);
	OK(posix_memalign(&out, 64, huge) == ENOMEM);
	EQ(((char *)same)[54], 7);
	keep[kept++] = same;
}

static void is(const void *function, double objects, double bytes, double live_objects, double live_bytes)
{
	struct sums s = sums_of(function);
	Dl_info info;
	if (s.objects != objects || s.bytes != bytes || s.live_objects != live_objects || s.live_bytes != live_bytes) {
		fprintf(stderr, "%s: %g objects %g bytes, live %g %g; not %g %g %g %g\n",
		        dladdr(function, &info) ? info.dli_sname : "?", s.objects, s.bytes, s.live_objects, s.live_bytes,
		        objects, bytes, live_objects, live_bytes);
		test_failures++;
	}
}

static void all(int live)
{
	is((void *)plain, 2, 2000, 2 * live, 2000 * live);
	is((void *)zeroed, 1, 77, live, 77 * live);
	is((void *)nothing, 1, 1, live, live);
	is((void *)aligned, 4, 200 + 384 + 33 + 5, 4 * live, (200 + 384 + 33 + 5) * live);
	is((void *)grown, 3, 10 + 100000 + 20, live, 20 * live);
	is((void *)grown_array, 2, 15 + 300, live, 300 * live);
#ifndef __SANITIZE_ADDRESS__ /* whose strdup is part of its allocator */
	is((void *)copied, 1, 10, live, 10 * live);
#endif
	is((void *)freed_by_realloc, 1, 77, 0, 0);
	is((void *)failing, 1, 55, live, 55 * live);
}

static void allocator_is(const char *name)
{
	char note[PD_NOTES][PD_NOTE] = { "" };
	size_t n = pd_sampler_heap.notes(note, PD_NOTES);
	if (n != 1 || strncmp(note[0], "Allocator: ", 11) != 0 || strncmp(note[0] + 11, name, strlen(name)) != 0) {
		for (size_t i = 0; i < n; i++)
			fprintf(stderr, "note: %s\n", note[i]);
		test_failures++;
	}
}

#ifdef __SANITIZE_ADDRESS__
#define USUAL "the address sanitizer's"
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#else
#define USUAL "glibc (libc.so.6)"
#endif

FN(by_ourselves) { keep[kept++] = malloc(400); }

static void *own_thread(void *arg)
{
	pd_thread_own("own");
	for (int i = 0; i < 3; i++)
		by_ourselves();
	free(arg);
	return NULL;
}

FN(for_own_thread) { keep[kept++] = malloc(300); }

/* What threads of ours allocate is not the host's; but they may free what is. */
static void own_work(void)
{
	pthread_t t;
	for_own_thread();
	is((void *)for_own_thread, 1, 300, 1, 300);
	pthread_create(&t, NULL, own_thread, keep[--kept]);
	pthread_join(t, NULL);
	is((void *)for_own_thread, 1, 300, 0, 0);
	pd_own_work_begin();
	by_ourselves();
	pd_own_work_end();
	is((void *)by_ourselves, 0, 0, 0, 0);
	by_ourselves();
	is((void *)by_ourselves, 1, 400, 1, 400);
	for (int i = 0; i < 5; i++)
		free(keep[--kept]);
}

FN(labelled) { free(malloc(500)); }

static void labels(void)
{
	uint32_t id, met = 0, without = 0;
	EQ(pd_labels_with(0, "route", "/x", &id), 0);
	labelled();
	pd_thread_self()->labels = id;
	labelled();
	pd_thread_self()->labels = 0;
	struct pd_snapshot snap;
	EQ(pd_sampler_heap.snapshot(&snap), 0);
	for (size_t i = 0; i < snap.n; i++) {
		bool mine = snap.row[i].key.stack != PD_STACK_OVERFLOW && in_function(snap.row[i].key.stack, (void *)labelled, 8);
		met += mine && snap.row[i].key.labels == id;
		without += mine && !snap.row[i].key.labels;
	}
	pd_snapshot_free(&snap);
	EQ(met, 1);
	EQ(without, 1);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : USUAL;
	others = strncmp(name, "glibc", 5) != 0;
	set_up(64 << 20);
	rate(1);
	pd_sampler_heap.maintain();
	allocator_is(name);
	plain();
	plain();
	zeroed();
	nothing();
	aligned();
	grown();
	grown_array();
	copied();
	freed_by_realloc();
	failing();
	all(1);
	own_work();
	labels();
	struct sums now = sums_of(NULL);
	EQ(fact("live_samples"), now.live_objects);
	while (kept) {
		errno = 1234;
		free(keep[--kept]);
		EQ(errno, 1234);
	}
	all(0);
	rate(0);
	EQ(sums_of(NULL).live_objects, 0);
	struct sums before = sums_of(NULL);
	plain();
	EQ(sums_of(NULL).objects, before.objects);
	free(keep[--kept]);
	rate(1);
	plain();
	is((void *)plain, 3, 3000, 1, 1000);
	free(keep[--kept]);
	pd_sampler_heap.set_rate(0);
	pd_sampler_heap.off();
	DONE();
}
