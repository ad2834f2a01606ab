/*
 * Who waits for whom: each waiting thread's object by its stack, the thread that can end the wait, and the circles in
 * that. Knows dumps and symbols; what lies in an object is told by the file of the C library.
 */
#include <stdlib.h>
#include <string.h>

#include "server/encode/inside.h"

#define FRAMES 8 /* of the C library and C++'s, before the caller's own */
#define CACHED 64

struct finder {
	const struct pd_dump *d;
	const struct pd_module *const *modules;
	size_t nmodules;
	struct pd_symbols *symbols;
	struct {
		const uint64_t *pc;
		const struct pd_wait_kind *kind;
		bool in_libc; /* and no function of it tells more */
	} cache[CACHED]; /* by stack: equal ones are the same memory */
};

/* The kind that a frame's functions tell. *direct: the frame is syscall(2)'s. */
static const struct pd_wait_kind *kind_of_frame(struct finder *f, const struct pd_module *m, uint64_t pc, bool *direct)
{
	struct pd_symbol s;
	const struct pd_wait_kind *kind = NULL;
	pd_symbols_resolve(f->symbols, m, pc, &s);
	for (size_t k = 0; k < s.n && !kind; k++) {
		if (strcmp(s.frame[k].name, "syscall") == 0)
			*direct = true;
		else
			kind = (*direct ? pd_wait_of_syscall_caller : pd_wait_of_function)(s.frame[k].name);
	}
	return kind;
}

/* The library's function by its call: it may have gone on, by a jump, to one that has no name. */
static const struct pd_wait_kind *kind_of_call(struct finder *f, uint64_t pc)
{
	bool direct = false;
	uint64_t target = pd_call_target(pc);
	const struct pd_module *m = pd_module_with_file(f->modules, f->nmodules, target, f->d->epoch);
	return m ? kind_of_frame(f, m, target, &direct) : NULL;
}

/* The innermost function that tells what is waited for. Whoever calls the kernel himself may keep what he likes in
 * his words: only the C library's functions are believed, and those of C++ that use its syscall(). */
static const struct pd_wait_kind *kind_of_stack(struct finder *f, const struct pd_thread_rec *t, bool *in_libc)
{
	const struct pd_wait_kind *kind = NULL;
	bool direct = false;
	uint32_t i = 0;
	for (; i < t->n && i < FRAMES && !kind; i++) {
		const struct pd_module *m = pd_module_with_file(f->modules, f->nmodules, t->pc[i], f->d->epoch);
		if (!m || (!direct && !pd_is_libc(m->path)))
			break;
		kind = kind_of_frame(f, m, t->pc[i], &direct);
	}
	*in_libc = i > 0 && !direct;
	if (*in_libc && !kind && i < t->n)
		kind = kind_of_call(f, t->pc[i]);
	return kind;
}

static void find_wait(struct finder *f, const struct pd_thread_rec *t, struct pd_wait *w)
{
	size_t at = ((uintptr_t)t->pc >> 4) % CACHED;
	if (!t->wait_len || !t->n)
		return;
	if (f->cache[at].pc != t->pc) {
		f->cache[at].kind = kind_of_stack(f, t, &f->cache[at].in_libc);
		f->cache[at].pc = t->pc;
	}
	const struct pd_wait_kind *kind = f->cache[at].kind;
	w->kind = kind || f->cache[at].in_libc ? pd_wait_of_word(kind, t) : NULL;
	if (!w->kind)
		return;
	w->timed = t->args[3] != 0;
	w->kind->read(t, w);
}

static size_t index_of(const struct pd_dump *d, int tid)
{
	/* By number, but for the first. */
	size_t lo = 1, hi = d->n;
	if (d->n && d->thread[0].tid == tid)
		return 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (d->thread[mid].tid < tid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < d->n && d->thread[lo].tid == tid ? lo : PD_NOBODY;
}

/* A number that is no living thread's here is torn, or from another process, or of one that ended: not to be told. */
static void find_holder(const struct pd_dump *d, struct pd_wait *w)
{
	w->holder_at = w->holder > 0 ? index_of(d, w->holder) : PD_NOBODY;
	if (w->holder_at != PD_NOBODY && d->thread[w->holder_at].state == PD_GONE)
		w->holder_at = PD_NOBODY;
	if (w->holder_at == PD_NOBODY) {
		w->orphan = w->holder > 0 && w->kind->owned;
		w->holder = 0;
	}
}

#define UNNUMBERED UINT32_MAX

/* Everybody waits for one thread at most: follow from each until somebody seen is met. Numbers go by first members. */
static void find_circles(struct pd_waits *w)
{
	for (size_t i = 0; i < w->n; i++) {
		size_t at = i;
		while (at != PD_NOBODY && !w->of[at].visit) {
			w->of[at].visit = i + 1;
			at = w->of[at].holder_at;
		}
		if (at == PD_NOBODY || w->of[at].visit != i + 1)
			continue;
		for (; !w->of[at].circle; at = w->of[at].holder_at)
			w->of[at].circle = UNNUMBERED;
	}
	for (size_t i = 0; i < w->n; i++) {
		if (w->of[i].circle != UNNUMBERED)
			continue;
		w->circles++;
		for (size_t at = i; w->of[at].circle == UNNUMBERED; at = w->of[at].holder_at)
			w->of[at].circle = w->circles;
	}
}

int pd_waits_find(const struct pd_dump *d, const struct pd_module *const *modules, size_t nmodules,
                  struct pd_symbols *s, struct pd_waits *out)
{
	struct finder f = { .d = d, .modules = modules, .nmodules = nmodules, .symbols = s };
	*out = (struct pd_waits){ .of = calloc(d->n + 1, sizeof *out->of), .n = d->n };
	if (!out->of)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		out->of[i].holder_at = PD_NOBODY;
		if (!s)
			continue;
		find_wait(&f, &d->thread[i], &out->of[i]);
		if (out->of[i].kind)
			find_holder(d, &out->of[i]);
	}
	find_circles(out);
	return 0;
}

void pd_waits_free(struct pd_waits *w)
{
	free(w->of);
	*w = (struct pd_waits){ 0 };
}
