/*
 * The full thread dump in the form of Go's goroutine dumps, for people and for the tools that read those. Knows the
 * layout; symbols come through symbol.h. Nothing a thread or label is called may look like a header line.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/encode/inside.h"

#define FRAMES_MAX 100
#define MINUTE_NS 60000000000

struct dump {
	const struct pd_dump *d;
	const struct pd_agent *agent;
	const struct pd_module *const *modules;
	size_t nmodules;
	struct pd_symbols *symbols;
	const struct pd_encode_options *o;
	struct pd_buf *out;
	struct pd_waits waits;
};

static size_t labels_of(const struct dump *w, const struct pd_thread_rec *t, const struct pd_label **out)
{
	return w->o->no_labels || !t->labels ? 0 : w->agent->labels(t->labels, out);
}

/* The trace's two labels, each behind `before`, with `between` key and value. */
static void write_trace(const struct dump *w, const struct pd_thread_rec *t, const char *before, const char *between)
{
	char trace_id[PD_TRACE_ID], span_id[PD_SPAN_ID];
	pd_trace_digits(t->trace, trace_id, span_id);
	if (*trace_id && !w->o->no_labels)
		pd_buf_fmt(w->out, "%strace_id%s%s", before, between, trace_id);
	if (*span_id && !w->o->no_labels)
		pd_buf_fmt(w->out, "%sspan_id%s%s", before, between, span_id);
}

/* ---- the block on top ---- */

void pd_tenths(char *to, size_t n, int64_t value, int64_t unit, const char *name)
{
	int64_t tenths = (value + unit / 20) / (unit / 10);
	snprintf(to, n, "%lld.%lld %s", (long long)(tenths / 10), (long long)(tenths % 10), name);
}

static void write_title(struct dump *w)
{
	const struct pd_dump *d = w->d;
	const char *path = w->nmodules ? w->modules[0]->path : "";
	const char *slash = strrchr(path, '/');
	size_t stacks = 0, hidden = 0;
	for (size_t i = 0; i < d->n; i++) {
		stacks += d->thread[i].n > 0;
		hidden += d->thread[i].flags & PD_HIDDEN && !d->thread[i].n;
	}
	struct tm tm = { 0 };
	time_t seconds = d->real_ns / 1000000000;
	gmtime_r(&seconds, &tm);
	char when[64], took[64];
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (d->took_ns < 1000000000)
		pd_tenths(took, sizeof took, d->took_ns, 1000000, "ms");
	else
		pd_tenths(took, sizeof took, d->took_ns, 1000000000, "s");
	pd_buf_str(w->out, "# ");
	pd_word(w->out, slash ? slash + 1 : path, PD_TABLE_PLAIN);
	pd_buf_fmt(w->out, " pid %d, %s: %zu threads, %zu stacks, taken one by one over %s\n", (int)getpid(), when,
	           d->n, stacks, took);
	if (d->signalled)
		pd_buf_fmt(w->out, "# %zu threads were asked by signal, %zu did not answer in time\n", d->signalled,
		           d->missed);
	if (hidden)
		pd_buf_fmt(w->out, "# %zu waiting threads have no stacks: the process has changed its user, or made itself "
		           "undumpable; then the kernel does not tell where its threads wait\n", hidden);
}

struct cells {
	struct pd_buf name, state;
	char tid[16], cpu[32];
};

static void fill_cells(const struct dump *w, size_t i, struct cells *c)
{
	const struct pd_thread_rec *t = &w->d->thread[i];
	c->name.len = c->state.len = 0;
	pd_word(&c->name, t->name, PD_TABLE_PLAIN);
	pd_buf_char(&c->name, '\0');
	pd_thread_state(&c->state, t, &w->waits.of[i], true);
	pd_buf_char(&c->state, '\0');
	snprintf(c->tid, sizeof c->tid, "%d", t->tid);
	if (t->cpu_ns < 0)
		snprintf(c->cpu, sizeof c->cpu, "-");
	else
		pd_tenths(c->cpu, sizeof c->cpu, t->cpu_ns, 1000000000, "s");
}

static void widen(int *width, size_t len)
{
	if ((int)len > *width)
		*width = (int)len;
}

static void write_table(struct dump *w)
{
	struct cells c = { 0 };
	int tid = 3, name = 4, state = 5, cpu = 3;
	for (size_t i = 0; i < w->d->n; i++) {
		fill_cells(w, i, &c);
		if (c.name.failed || c.state.failed)
			break;
		widen(&tid, strlen(c.tid));
		widen(&name, c.name.len - 1);
		widen(&state, c.state.len - 1);
		widen(&cpu, strlen(c.cpu));
	}
	pd_buf_fmt(w->out, "# %*s  %-*s  %-*s  %-*s  labels\n", tid, "tid", name, "name", state, "state", cpu, "cpu");
	for (size_t i = 0; i < w->d->n; i++) {
		fill_cells(w, i, &c);
		if (c.name.failed || c.state.failed)
			break;
		pd_buf_fmt(w->out, "# %*s  %-*s  %-*s  %*s", tid, c.tid, name, c.name.data, state, c.state.data, cpu,
		           c.cpu);
		const struct pd_label *label = NULL;
		size_t n = labels_of(w, &w->d->thread[i], &label);
		for (size_t k = 0; k < n; k++) {
			pd_buf_str(w->out, k ? " " : "  ");
			pd_word(w->out, label[k].key, PD_TABLE_PLAIN);
			pd_buf_char(w->out, '=');
			pd_word(w->out, label[k].value, PD_TABLE_PLAIN);
		}
		write_trace(w, &w->d->thread[i], "  ", "=");
		pd_buf_char(w->out, '\n');
	}
	w->out->failed |= c.name.failed || c.state.failed;
	pd_buf_free(&c.name);
	pd_buf_free(&c.state);
}

/* ---- the threads ---- */

static void resolve(const struct dump *w, uint64_t pc, uint32_t epoch, struct pd_symbol *s)
{
	const struct pd_module *m =
		w->o->no_symbols ? NULL : pd_module_with_file(w->modules, w->nmodules, pc, epoch);
	pd_symbols_resolve(w->symbols, m, pc, s);
}

/* Does every parenthesis have its partner? */
static bool is_balanced(const char *s)
{
	int depth = 0;
	for (; *s && depth >= 0; s++)
		depth += (*s == '(') - (*s == ')');
	return depth == 0;
}

/* A symbol table may say anything; only headers start like this. Readers take no parentheses within others, as in
 * function<void (function<void ()>)>, and none without a partner: braces stand for these. */
static void write_name(struct pd_buf *out, const char *name)
{
	if (strncmp(name, "goroutine ", 10) == 0)
		pd_buf_char(out, '_');
	size_t from = out->len;
	size_t depth = is_balanced(name) ? 0 : strlen(name) + 1;
	pd_ascii(out, name, false);
	for (char *s = out->data + from; !out->failed && s < out->data + out->len; s++) {
		if (*s == '(' && depth++)
			*s = '{';
		else if (*s == ')' && --depth)
			*s = '}';
	}
}

/* "\tfile:line +0xOFF"; an inlined frame has no offset. */
static void write_place(struct pd_buf *out, const struct pd_frame *f, const struct pd_symbol *s, uint64_t pc)
{
	pd_buf_char(out, '\t');
	pd_ascii(out, f->file[0] ? f->file : "??", false);
	pd_buf_fmt(out, ":%u", f->line);
	if (!f->inlined) {
		pd_buf_str(out, " +");
		pd_hex(out, s->entry && pc >= s->entry ? pc - s->entry : 0);
	}
	pd_buf_char(out, '\n');
}

static void write_frames(struct dump *w, const struct pd_thread_rec *t)
{
	size_t shown = 0;
	if (!t->n)
		pd_buf_str(w->out, "[stack unavailable](...)\n\t??:0 +0x0\n");
	for (uint32_t i = 0; i < t->n; i++) {
		struct pd_symbol s;
		resolve(w, t->pc[i], w->d->epoch, &s);
		for (size_t k = 0; k < s.n; k++) {
			if (shown++ == FRAMES_MAX) {
				pd_buf_str(w->out, "...additional frames elided...\n");
				return;
			}
			write_name(w->out, s.frame[k].name);
			pd_buf_str(w->out, "(...)\n");
			write_place(w->out, &s.frame[k], &s, t->pc[i]);
		}
	}
	if (t->flags & PD_TRUNCATED && t->n)
		pd_buf_str(w->out, "...additional frames elided...\n");
}

/* Is this one of the steps between the caller who wants a thread and the kernel? */
static bool is_creation_step(const char *name)
{
	static const char *const START[] = {
		"pprofd_", "pthread_create", "__pthread_create", "thrd_create", "std::thread::", "std::jthread::",
		"__gthread_create",
	};
	for (size_t i = 0; i < sizeof START / sizeof *START; i++)
		if (strncmp(name, START[i], strlen(START[i])) == 0)
			return true;
	return false;
}

static void write_creator(struct dump *w, const struct pd_thread_rec *t)
{
	struct pd_stack stack;
	if (!t->created_by || !w->agent->stack(PD_THREADCREATE, t->created_by, &stack) || !stack.n)
		return;
	struct pd_symbol s;
	const struct pd_frame *f = NULL;
	uint64_t pc = 0;
	for (uint32_t i = 0; i < stack.n && !f; i++) {
		resolve(w, pc = stack.pc[i], stack.epoch, &s);
		for (size_t k = 0; k < s.n && !f; k++)
			if (!is_creation_step(s.frame[k].name))
				f = &s.frame[k];
	}
	if (!f) {
		resolve(w, pc = stack.pc[0], stack.epoch, &s);
		f = s.frame;
	}
	pd_buf_str(w->out, "created by ");
	pd_ascii(w->out, f->name, false);
	if (t->parent_tid)
		pd_buf_fmt(w->out, " in goroutine %d", t->parent_tid);
	pd_buf_char(w->out, '\n');
	write_place(w->out, f, &s, pc);
}

static void write_braces(struct dump *w, const struct pd_thread_rec *t)
{
	const struct pd_label *label = NULL;
	size_t n = labels_of(w, t, &label);
	pd_buf_str(w->out, " {name: ");
	pd_word(w->out, t->name, PD_GO_PLAIN);
	for (size_t i = 0; i < n; i++) {
		pd_buf_str(w->out, ", ");
		pd_word(w->out, label[i].key, PD_GO_PLAIN);
		pd_buf_str(w->out, ": ");
		pd_word(w->out, label[i].value, PD_GO_PLAIN);
	}
	write_trace(w, t, ", ", ": ");
	pd_buf_char(w->out, '}');
}

static void write_thread(struct dump *w, size_t i)
{
	const struct pd_thread_rec *t = &w->d->thread[i];
	const struct pd_wait *wait = &w->waits.of[i];
	pd_buf_fmt(w->out, "\ngoroutine %d [", t->tid);
	/* Threads that wait at the same place for something nobody owns are the same to tools that group by this. */
	pd_thread_state(w->out, t, wait, wait->kind && wait->kind->owned);
	if (t->wait_ns >= MINUTE_NS)
		pd_buf_fmt(w->out, ", %lld minutes", (long long)(t->wait_ns / MINUTE_NS));
	pd_buf_char(w->out, ']');
	if (w->o->brace_labels)
		write_braces(w, t);
	pd_buf_str(w->out, ":\n");
	write_frames(w, t);
	write_creator(w, t);
}

int pd_encode_threads(const struct pd_dump *d, const struct pd_agent *agent, const struct pd_module *const *modules,
                      size_t nmodules, struct pd_symbols *s, const struct pd_encode_options *o, struct pd_buf *out)
{
	struct dump w = { d, agent, modules, nmodules, s, o, out, .waits = { 0 } };
	int err = pd_waits_find(d, modules, nmodules, o->no_symbols ? NULL : s, &w.waits);
	if (err)
		return err;
	write_title(&w);
	write_table(&w);
	pd_write_waits(out, d, &w.waits);
	for (size_t i = 0; i < d->n && !out->failed; i++)
		write_thread(&w, i);
	pd_waits_free(&w.waits);
	return pd_buf_error(out);
}
