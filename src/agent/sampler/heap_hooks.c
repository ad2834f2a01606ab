/*
 * The allocator's functions, as the host meets them: count down or look at the hint, and jump on. Knows the
 * functions; must not know what a sample is. The slow half of each is a function of its own that is jumped to, so
 * that the fast half has no frame and the slow half's frame is that of the caller's call.
 */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>

#include "agent/hook/hook.h"
#include "agent/os/os.h"
#include "agent/sampler/heap.h"

#define SLOW static __attribute__((noinline))
#define FAST(e) __builtin_expect(!!(e), 1)
#define FRAME ((const void *const *)__builtin_frame_address(0))

/* A function that returns new memory of `size` bytes. */
#define NEW(name, params, args, size)                                                                                  \
	static void *(*real_##name) params;                                                                            \
	SLOW void *slow_##name params                                                                                  \
	{                                                                                                              \
		size_t bytes = (size);                                                                                 \
		uint64_t rate = pd_heap_due(bytes);                                                                    \
		void *p = real_##name args;                                                                            \
		if (rate && p)                                                                                         \
			pd_heap_took(rate, p, bytes, FRAME);                                                           \
		return p;                                                                                              \
	}                                                                                                              \
	static void *hook_##name params                                                                                \
	{                                                                                                              \
		return FAST(pd_heap_pass(size)) ? real_##name args : slow_##name args;                                 \
	}

/* A function that frees p. The other arguments are passed on, whatever they are. */
#define FREE(name)                                                                                                     \
	static void (*real_##name)(void *, size_t, size_t);                                                            \
	SLOW void slow_##name(void *p, size_t a, size_t b)                                                             \
	{                                                                                                              \
		pd_heap_freed(p);                                                                                      \
		real_##name(p, a, b);                                                                                  \
	}                                                                                                              \
	static void hook_##name(void *p, size_t a, size_t b)                                                           \
	{                                                                                                              \
		if (FAST(!pd_live_maybe(p)))                                                                           \
			real_##name(p, a, b);                                                                          \
		else                                                                                                   \
			slow_##name(p, a, b);                                                                          \
	}

/* A function that gives p another size, or moves what it holds. The sample of p is taken out before the call, for
 * another thread may have its address right after it, and put back when the call fails. */
#define RESIZE(name, params, args, size)                                                                               \
	static void *(*real_##name) params;                                                                            \
	SLOW void *slow_##name params                                                                                  \
	{                                                                                                              \
		size_t bytes = (size);                                                                                 \
		bool ends = p && !bytes;                                                                               \
		uint64_t rate = ends ? 0 : pd_heap_due(bytes);                                                         \
		uint64_t old = pd_live_maybe(p) ? pd_live_take(p) : 0;                                                 \
		void *q = real_##name args;                                                                            \
		if (!q && !ends) {                                                                                     \
			if (old)                                                                                       \
				pd_heap_back(p, old);                                                                  \
			return q;                                                                                      \
		}                                                                                                      \
		if (old)                                                                                               \
			pd_heap_gone(p, old);                                                                          \
		if (rate)                                                                                              \
			pd_heap_took(rate, q, bytes, FRAME);                                                           \
		return q;                                                                                              \
	}                                                                                                              \
	static void *hook_##name params                                                                                \
	{                                                                                                              \
		return FAST(!pd_live_maybe(p) && pd_heap_pass(size)) ? real_##name args : slow_##name args;            \
	}

NEW(malloc, (size_t n), (n), n)
NEW(calloc, (size_t n, size_t each), (n, each), pd_heap_product(n, each))
NEW(memalign, (size_t align, size_t n), (align, n), n)
NEW(aligned_alloc, (size_t align, size_t n), (align, n), n)
NEW(valloc, (size_t n), (n), n)
NEW(pvalloc, (size_t n), (n), n)
NEW(mallocx, (size_t n, int flags), (n, flags), n)
RESIZE(realloc, (void *p, size_t n), (p, n), n)
RESIZE(reallocarray, (void *p, size_t n, size_t each), (p, n, each), pd_heap_product(n, each))
RESIZE(rallocx, (void *p, size_t n, int flags), (p, n, flags), n)
FREE(free)
FREE(cfree)
FREE(free_sized)
FREE(free_aligned_sized)
FREE(dallocx)
FREE(sdallocx)

static int (*real_posix_memalign)(void **, size_t, size_t);
SLOW int slow_posix_memalign(void **out, size_t align, size_t n)
{
	uint64_t rate = pd_heap_due(n);
	int err = real_posix_memalign(out, align, n);
	if (rate && !err && *out)
		pd_heap_took(rate, *out, n, FRAME);
	return err;
}
static int hook_posix_memalign(void **out, size_t align, size_t n)
{
	return FAST(pd_heap_pass(n)) ? real_posix_memalign(out, align, n) : slow_posix_memalign(out, align, n);
}

/* Resizes in place: returns what the size is then, less than n when that could not be. */
static size_t (*real_xallocx)(void *, size_t, size_t, int);
SLOW size_t slow_xallocx(void *p, size_t n, size_t extra, int flags)
{
	uint64_t old = pd_live_maybe(p) ? pd_live_take(p) : 0;
	size_t got = real_xallocx(p, n, extra, flags);
	uint64_t rate = got >= n ? pd_heap_due(n) : 0;
	if (old && got >= n)
		pd_heap_gone(p, old);
	else if (old)
		pd_heap_back(p, old);
	if (rate)
		pd_heap_took(rate, p, n, FRAME);
	return got;
}
static size_t hook_xallocx(void *p, size_t n, size_t extra, int flags)
{
	return FAST(!pd_live_maybe(p) && pd_heap_pass(n)) ? real_xallocx(p, n, extra, flags)
	                                                  : slow_xallocx(p, n, extra, flags);
}

/* operator new and new[], operator delete and delete[], in all their forms. */
#define OPERATORS(NEW_ONE, FREE_ONE)                                                                                   \
	NEW_ONE(_Znwm) NEW_ONE(_ZnwmRKSt9nothrow_t)                                                                    \
	NEW_ONE(_ZnwmSt11align_val_t) NEW_ONE(_ZnwmSt11align_val_tRKSt9nothrow_t)                                      \
	NEW_ONE(_Znam) NEW_ONE(_ZnamRKSt9nothrow_t)                                                                    \
	NEW_ONE(_ZnamSt11align_val_t) NEW_ONE(_ZnamSt11align_val_tRKSt9nothrow_t)                                      \
	FREE_ONE(_ZdlPv) FREE_ONE(_ZdlPvm) FREE_ONE(_ZdlPvRKSt9nothrow_t) FREE_ONE(_ZdlPvSt11align_val_t)              \
	FREE_ONE(_ZdlPvmSt11align_val_t) FREE_ONE(_ZdlPvSt11align_val_tRKSt9nothrow_t)                                 \
	FREE_ONE(_ZdaPv) FREE_ONE(_ZdaPvm) FREE_ONE(_ZdaPvRKSt9nothrow_t) FREE_ONE(_ZdaPvSt11align_val_t)              \
	FREE_ONE(_ZdaPvmSt11align_val_t) FREE_ONE(_ZdaPvSt11align_val_tRKSt9nothrow_t)
#define NEW_OPERATOR(name) NEW(name, (size_t n, size_t a, const void *b), (n, a, b), n)
OPERATORS(NEW_OPERATOR, FREE)

#define HOOK(fn)                                                                                                       \
	{ .name = #fn, .replacement = (void *)hook_##fn, .real = (void **)(void *)&real_##fn, .in_libc = true,         \
	  .pointers = true },
static struct pd_hook hooks[] = {
	HOOK(malloc) HOOK(free) HOOK(calloc) HOOK(realloc) HOOK(reallocarray)
	HOOK(memalign) HOOK(aligned_alloc) HOOK(posix_memalign) HOOK(valloc) HOOK(pvalloc)
	HOOK(cfree) HOOK(free_sized) HOOK(free_aligned_sized)
	HOOK(mallocx) HOOK(rallocx) HOOK(xallocx) HOOK(dallocx) HOOK(sdallocx)
	OPERATORS(HOOK, HOOK)
};
#define HOOKS (sizeof hooks / sizeof *hooks)

static void *home_of(const void *function)
{
	Dl_info info;
	return function && dladdr(function, &info) ? info.dli_fbase : NULL;
}

/* What another object defines than the one that defines malloc gets its memory by a call of malloc that is hooked, or
 * is no part of this allocator. In libc, reallocarray calls realloc. */
static void choose(void)
{
	const void *home = home_of((const void *)real_malloc);
	bool libc = home && home == home_of((const void *)&gnu_get_libc_version);
	for (size_t i = 0; i < HOOKS; i++)
		hooks[i].left_out = home_of(*hooks[i].real) != home || (libc && hooks[i].replacement == (void *)hook_reallocarray);
}

int pd_heap_hooks_on(void)
{
	pd_hooks_resolve(hooks, HOOKS);
	if (!real_malloc || !real_free)
		return -ENOTSUP;
	choose();
	return pd_hooks_on(hooks, HOOKS);
}

void pd_heap_hooks_off(void)
{
	pd_hooks_off(hooks);
}

size_t pd_heap_hooks(const struct pd_hook **out)
{
	*out = hooks;
	return HOOKS;
}
