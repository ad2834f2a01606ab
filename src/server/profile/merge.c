/* Equal samples become one, in the one order everybody gets. Knows only what makes two samples equal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/profile/profile.h"

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int order_stacks(const struct pd_sample *a, const struct pd_sample *b)
{
	if (a->pseudo != b->pseudo)
		return ORDER(a->pseudo, b->pseudo);
	const struct pd_stack *x = &a->stack, *y = &b->stack;
	if (x->pc != y->pc)
		for (uint32_t i = 0; i < x->n && i < y->n; i++)
			if (x->pc[i] != y->pc[i])
				return ORDER(x->pc[i], y->pc[i]);
	return x->n != y->n ? ORDER(x->n, y->n) : ORDER(x->epoch, y->epoch);
}

static int order_labels(const struct pd_sample *a, const struct pd_sample *b)
{
	if (a->label != b->label)
		for (size_t i = 0; i < a->nlabels && i < b->nlabels; i++) {
			int by_key = strcmp(a->label[i].key, b->label[i].key);
			int by_value = by_key ? by_key : strcmp(a->label[i].value, b->label[i].value);
			if (by_value)
				return by_value;
		}
	return ORDER(a->nlabels, b->nlabels);
}

static int order_keys(const void *pa, const void *pb)
{
	const struct pd_sample *a = pa, *b = pb;
	int order = order_stacks(a, b);
	if (!order)
		order = order_labels(a, b);
	return order ? order : ORDER(a->size, b->size);
}

static int order_output(const void *pa, const void *pb, void *shown)
{
	const struct pd_sample *a = pa, *b = pb;
	size_t i = *(const size_t *)shown;
	if (a->value[i] != b->value[i])
		return ORDER(b->value[i], a->value[i]);
	return order_keys(a, b);
}

static void add_values(struct pd_sample *to, const struct pd_sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(to->value[i], s->value[i], &to->value[i]))
			to->value[i] = s->value[i] < 0 ? INT64_MIN : INT64_MAX;
}

/* What is left of a sample: its sums, none below 0. Is any of them not 0? */
static bool settle(struct pd_sample *s, const struct pd_profile_type *type)
{
	bool any = false;
	for (size_t i = 0; i < type->ntypes; i++) {
		if (s->value[i] < 0)
			s->value[i] = 0;
		any |= s->value[i] != 0;
	}
	/* A wait is counted at the first unlock it waited for. The stacks of further ones have a delay and no count, by
	 * which readers divide: whoever delayed others did so at least once. */
	if (any && !s->value[0] && pd_profile_waits(type))
		s->value[0] = 1;
	return any;
}

int pd_profile_finish(struct pd_profile *p)
{
	if (p->failed)
		return -ENOMEM;
	if (!p->n)
		return 0;
	size_t merged = 0, kept = 0, shown = pd_profile_shown(p->type);
	qsort(p->sample, p->n, sizeof *p->sample, order_keys);
	for (size_t i = 0; i < p->n; i++) {
		if (merged && order_keys(&p->sample[merged - 1], &p->sample[i]) == 0)
			add_values(&p->sample[merged - 1], &p->sample[i], p->type->ntypes);
		else
			p->sample[merged++] = p->sample[i];
	}
	for (size_t i = 0; i < merged; i++)
		if (settle(&p->sample[i], p->type))
			p->sample[kept++] = p->sample[i];
	p->n = kept;
	qsort_r(p->sample, p->n, sizeof *p->sample, order_output, &shown);
	return 0;
}
