/* One thread seen from outside: where it waits, and its stack from a copy, without disturbing it. */
#include <errno.h>

#include "agent/sampler/dump.h"
#include "base/atomic.h"

#define FIRST_COPY ((size_t)8 << 10)
#define TRIES 3

/* Bytes that may be read from sp on. Reading ends anyway where no memory is. */
static size_t readable(const struct pd_thread *t, uint64_t sp)
{
	uint64_t lo = t ? pd_load_relaxed(&t->stack_lo) : 0, hi = t ? pd_load_acquire(&t->stack_hi) : 0;
	if (sp < lo || sp >= hi || hi - sp > PD_LOOK_STACK)
		return PD_LOOK_STACK;
	return hi - sp;
}

void pd_look_walk(struct pd_look *l, const struct pd_thread *t, const struct pd_where *at, struct pd_looked *f)
{
	/* Behind a system call instruction the pc is like a return address. */
	bool exact = at->nr < 0;
	size_t most = readable(t, at->sp), want = most < FIRST_COPY ? most : FIRST_COPY;
	for (;; want = most) {
		ssize_t got = pd_peek(l->stack, at->sp, want);
		f->n = 0;
		f->end = PD_END_LOST;
		f->view = (struct pd_view){ at->sp, at->sp + (got > 0 ? (uint64_t)got : 0), l->stack };
		if (got <= 0)
			return;
		f->regs = (struct pd_regs){ .only_sp = true };
		f->regs.r[PD_REG_RSP] = at->sp;
		f->regs.r[PD_REG_PC] = at->pc;
		f->n = pd_walk(&f->regs, exact, &f->view, NULL, NULL, l->pc, PD_LOOK_FRAMES, &f->end);
		if (f->end == PD_END_LOST || f->end == PD_END_VIEW)
			pd_frame_find(&f->regs, exact, &f->view, l->pc, &f->n, &f->end);
		if (f->end == PD_END_BOTTOM || f->end == PD_END_FULL || (size_t)got < most)
			return;
		if (want == most)
			return;
	}
}

static void keep(struct pd_look *l, struct pd_thread_rec *rec, const struct pd_where *at, const struct pd_looked *f)
{
	rec->syscall = at->nr;
	for (int i = 0; i < 6; i++)
		rec->args[i] = at->args[i];
	rec->pc = f->n ? pd_store_frames(l->store, l->pc, f->n) : NULL;
	rec->n = rec->pc ? (uint32_t)f->n : 0;
	rec->flags = f->end == PD_END_BOTTOM && rec->n ? 0 : PD_TRUNCATED;
	if (rec->n && f->end != PD_END_BOTTOM && f->end != PD_END_FULL)
		pd_store_unfinished(l->store, rec, &f->regs, &f->view);
}

static void from_registry(struct pd_thread_rec *rec, const struct pd_thread *t)
{
	rec->parent_tid = t ? t->parent_tid : 0;
	rec->created_by = t ? t->created_by : 0;
	rec->labels = t ? pd_load_relaxed(&t->labels) : 0;
	if (!t || !pd_thread_trace(t, rec->trace))
		rec->trace[0] = rec->trace[1] = 0;
}

static bool is_stopped(const struct pd_thread_rec *rec)
{
	return rec->kernel_state == 'T' || rec->kernel_state == 't';
}

void pd_look_at(struct pd_look *l, struct pd_thread_rec *rec)
{
	const struct pd_thread *t = pd_thread_find(rec->tid);
	from_registry(rec, t);
	rec->wait_ns = rec->cpu_ns = rec->syscall = -1;
	rec->state = PD_GONE;
	if (pd_proc_stat(l->task_dir, rec) != 0 || rec->kernel_state == 'Z' || rec->kernel_state == 'X')
		return;
	for (int i = 0; i < TRIES; i++) {
		struct pd_where at;
		struct pd_looked f;
		rec->cpu_ns = pd_thread_cpu_ns(rec->tid);
		int err = rec->cpu_ns < 0 ? -ESRCH : pd_proc_where(l->task_dir, rec->tid, &at);
		if (err == -EACCES && rec->kernel_state != 'R') {
			rec->state = is_stopped(rec) ? PD_STOPPED : PD_WAITING;
			rec->flags = PD_HIDDEN;
			return;
		}
		if (err && err != -EACCES)
			return;
		if (err || at.running)
			break;
		pd_look_walk(l, t, &at, &f);
		if (pd_thread_cpu_ns(rec->tid) != rec->cpu_ns)
			continue;
		rec->state = is_stopped(rec) ? PD_STOPPED : PD_WAITING;
		if (rec->kernel_state == 'R')
			rec->kernel_state = 'S';
		keep(l, rec, &at, &f);
		return;
	}
	rec->state = PD_RUNNING;
	rec->kernel_state = 'R';
}
