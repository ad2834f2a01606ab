/* Who waits for whom, in words: one line for each wait, circles first, then chains. Knows what was found, not how. */
#include <stdlib.h>
#include <string.h>

#include "server/encode/inside.h"

#define LINES_MAX 1000 /* of chains */
#define DEPTH_MAX 20   /* of indentation */

static void write_thread(struct pd_buf *out, const struct pd_thread_rec *t)
{
	pd_buf_fmt(out, "%d ", t->tid);
	pd_word(out, t->name, PD_TABLE_PLAIN);
}

void pd_wait_sentence(struct pd_buf *out, const struct pd_dump *d, const struct pd_waits *w, size_t i)
{
	const struct pd_wait *x = &w->of[i];
	const struct pd_thread_rec *t = &d->thread[i];
	char span[32];
	write_thread(out, t);
	if (!x->object) {
		pd_buf_str(out, " waits for the end of ");
	} else {
		pd_buf_fmt(out, " waits for %s ", x->kind->object);
		pd_hex(out, x->object);
		pd_buf_str(out, " held by ");
	}
	write_thread(out, &d->thread[x->holder_at]);
	if (t->wait_ns >= 0) {
		pd_tenths(span, sizeof span, t->wait_ns, 1000000000, "s");
		pd_buf_fmt(out, ", for at least %s", span);
	}
	if (x->timed)
		pd_buf_str(out, ", with a time limit");
}

void pd_wait_detail(struct pd_buf *out, const struct pd_wait *x)
{
	if (!x->object && !x->holder)
		return;
	pd_buf_str(out, " (");
	if (x->object)
		pd_hex(out, x->object);
	if (x->holder)
		pd_buf_fmt(out, x->object ? " held by %d" : "for %d", x->holder);
	else if (x->readers)
		pd_buf_fmt(out, " readers: %u", x->readers);
	else if (x->orphan)
		pd_buf_str(out, " held by no living thread");
	pd_buf_char(out, ')');
}

/* For each thread the first one that waits for it, and for each that waits the next with the same aim. Those in a
 * circle are left out. */
struct tree {
	size_t *first, *next;
};

static bool plant(const struct pd_waits *w, struct tree *t)
{
	t->first = reallocarray(NULL, w->n + 1, sizeof *t->first);
	t->next = reallocarray(NULL, w->n + 1, sizeof *t->next);
	if (!t->first || !t->next)
		return false;
	for (size_t i = 0; i < w->n; i++)
		t->first[i] = t->next[i] = PD_NOBODY;
	for (size_t i = w->n; i-- > 0;) {
		size_t holder = w->of[i].holder_at;
		if (holder == PD_NOBODY || w->of[i].circle)
			continue;
		t->next[i] = t->first[holder];
		t->first[holder] = i;
	}
	return true;
}

struct writer {
	const struct pd_dump *d;
	const struct pd_waits *w;
	struct tree tree;
	struct pd_buf *out;
	size_t lines;
};

/* All that wait for `root`, directly or through others, each below the one it waits for. */
static void write_below(struct writer *x, size_t root, int depth)
{
	const struct tree *t = &x->tree;
	for (size_t i = t->first[root]; i != PD_NOBODY && i != root;) {
		if (x->lines++ < LINES_MAX) {
			pd_buf_fmt(x->out, "# %*s", 2 * (depth < DEPTH_MAX ? depth : DEPTH_MAX), "");
			pd_wait_sentence(x->out, x->d, x->w, i);
			pd_buf_char(x->out, '\n');
		}
		if (t->first[i] != PD_NOBODY) {
			i = t->first[i];
			depth++;
			continue;
		}
		while (i != root && t->next[i] == PD_NOBODY) {
			i = x->w->of[i].holder_at;
			depth--;
		}
		if (i != root)
			i = t->next[i];
	}
}

static void write_circle(struct writer *x, size_t first)
{
	size_t i = first, n = 0, below = 0;
	do {
		n++;
		below += x->tree.first[i] != PD_NOBODY;
		i = x->w->of[i].holder_at;
	} while (i != first);
	if (n == 1)
		pd_buf_str(x->out, "# deadlock: a thread waits for itself\n");
	else
		pd_buf_fmt(x->out, "# deadlock: %zu threads wait for each other\n", n);
	do {
		pd_buf_str(x->out, "#   ");
		pd_wait_sentence(x->out, x->d, x->w, i);
		pd_buf_char(x->out, '\n');
		i = x->w->of[i].holder_at;
	} while (i != first);
	if (below)
		pd_buf_str(x->out, "# behind this deadlock\n");
	do {
		write_below(x, i, 1);
		i = x->w->of[i].holder_at;
	} while (i != first);
}

static void write_chains(struct writer *x)
{
	bool any = false;
	for (size_t i = 0; i < x->w->n; i++) {
		if (x->tree.first[i] == PD_NOBODY || x->w->of[i].holder_at != PD_NOBODY)
			continue;
		if (!any)
			pd_buf_str(x->out, "# wait chains, each below the thread that it waits for\n");
		any = true;
		if (x->lines++ < LINES_MAX) {
			pd_buf_str(x->out, "#   ");
			write_thread(x->out, &x->d->thread[i]);
			pd_buf_str(x->out, ": ");
			pd_thread_state(x->out, &x->d->thread[i], &x->w->of[i], true);
			pd_buf_char(x->out, '\n');
		}
		write_below(x, i, 2);
	}
}

void pd_write_waits(struct pd_buf *out, const struct pd_dump *d, const struct pd_waits *w)
{
	struct writer x = { .d = d, .w = w, .out = out };
	if (plant(w, &x.tree)) {
		uint32_t told = 0;
		for (size_t i = 0; i < w->n && told < w->circles; i++) {
			if (w->of[i].circle <= told)
				continue;
			told = w->of[i].circle;
			write_circle(&x, i);
		}
		write_chains(&x);
		if (x.lines > LINES_MAX)
			pd_buf_fmt(out, "# and %zu threads more\n", x.lines - LINES_MAX);
	} else {
		out->failed = true;
	}
	free(x.tree.first);
	free(x.tree.next);
}
