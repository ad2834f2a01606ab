/* The difference of two snapshots of one cumulative table, as samples. Knows the agent's tables, no symbol. */
#include <math.h>
#include <stdlib.h>

#include "server/profile/profile.h"

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int order_rows(const void *pa, const void *pb)
{
	const struct pd_row *a = *(const struct pd_row *const *)pa, *b = *(const struct pd_row *const *)pb;
	const struct pd_key *x = &a->key, *y = &b->key;
	if (x->stack != y->stack)
		return ORDER(x->stack, y->stack);
	if (x->labels != y->labels)
		return ORDER(x->labels, y->labels);
	return x->size != y->size ? ORDER(x->size, y->size) : ORDER(x->rate, y->rate);
}

/* Pointers to the rows, by key. NULL = out of memory. */
static const struct pd_row **sorted(const struct pd_snapshot *s)
{
	const struct pd_row **list = reallocarray(NULL, s->n + 1, sizeof *list);
	if (!list)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		list[i] = &s->row[i];
	qsort(list, s->n, sizeof *list, order_rows);
	return list;
}

static void plain_values(const struct pd_row *was, const struct pd_row *now, int64_t *out)
{
	for (size_t i = 0; i < 4; i++)
		out[i] = now->value[i] - was->value[i];
}

static int64_t scaled(double scale, int64_t v)
{
	return scale > 1 ? llround(scale * (double)v) : v;
}

/* From allocations and frees to allocations and what is in use; objects, then bytes. */
static void heap_values(const struct pd_profile *p, const struct pd_row *was, const struct pd_row *now, int64_t *out)
{
	double scale = p->raw_rate > 1 ? 1 : pd_heap_scale(now->key.size, now->key.rate);
	for (size_t i = 0; i < 2; i++) {
		int64_t inuse = now->value[i] - now->value[i + 2];
		int64_t inuse_before = p->how & PD_INUSE_NOW ? 0 : was->value[i] - was->value[i + 2];
		out[i] = scaled(scale, now->value[i] - was->value[i]);
		out[i + 2] = scaled(scale, inuse - inuse_before);
	}
}

static void add_row(struct pd_profile *p, const struct pd_agent *agent, enum pd_kind kind,
                    const struct pd_row *was, const struct pd_row *now)
{
	static const struct pd_row nothing;
	bool traced = kind == PD_CPU || kind == PD_WALL;
	struct pd_sample s = { .size = traced ? 0 : now->key.size };
	if (!was)
		was = &nothing;
	if (kind == PD_HEAP)
		heap_values(p, was, now, s.value);
	else
		plain_values(was, now, s.value);
	bool changed = false;
	for (size_t i = 0; i < p->type->ntypes; i++)
		changed |= s.value[i] != 0;
	if (!changed)
		return;
	if (now->key.stack == PD_STACK_OVERFLOW)
		s.pseudo = PD_PSEUDO_OVERFLOW;
	else if (!agent->stack(kind, now->key.stack, &s.stack))
		s.stack = (struct pd_stack){ 0 };
	if (now->key.labels && !(p->how & PD_NO_LABELS))
		s.nlabels = agent->labels(now->key.labels, &s.label);
	struct pd_stack trace;
	if (traced && now->key.size && agent->stack(kind, (uint32_t)now->key.size, &trace) && trace.n == PD_TRACE_WORDS)
		pd_profile_trace(p, &s, trace.pc);
	pd_profile_add(p, &s);
}

static int64_t period(enum pd_kind kind, uint64_t rate)
{
	if (!rate)
		return 1;
	if (kind == PD_CPU || kind == PD_WALL)
		return (int64_t)(1000000000 / rate);
	return kind == PD_HEAP ? (int64_t)rate : 1;
}

/* The rate of all rows, or 0: there are several. */
static uint64_t one_rate(const struct pd_snapshot *s)
{
	struct pd_heap_totals totals = pd_heap_totals(s);
	return totals.mixed ? 0 : totals.rate ? totals.rate : s->rate;
}

void pd_profile_window(struct pd_profile *p, const struct pd_agent *agent, enum pd_kind kind,
                       const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	static const struct pd_snapshot nothing;
	if (!from)
		from = &nothing;
	p->time_ns = from != &nothing ? from->real_ns : to->real_ns;
	p->duration_ns = from != &nothing ? to->mono_ns - from->mono_ns : 0;
	p->period = period(kind, to->rate);
	p->raw_rate = kind == PD_HEAP && p->how & PD_RAW ? one_rate(to) : 0;
	p->nmodules = agent->modules(&p->modules);

	const struct pd_row **was = sorted(from), **now = sorted(to);
	if (!was || !now)
		p->failed = true;
	for (size_t i = 0, k = 0; !p->failed && i < to->n; i++) {
		while (k < from->n && order_rows(&was[k], &now[i]) < 0)
			k++;
		bool known = k < from->n && order_rows(&was[k], &now[i]) == 0;
		add_row(p, agent, kind, known ? was[k] : NULL, now[i]);
	}
	free(was);
	free(now);
}
