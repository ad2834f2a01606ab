/* One line for each stack, "root;...;leaf value", as flame graph tools read it. Knows the layout; symbols come through
 * symbol.h. */
#include <string.h>

#include "server/encode/inside.h"

struct writer {
	struct pd_intern stacks; /* as they are written */
	struct pd_buf stack;     /* the one under way */
	struct pd_buf values;    /* int64_t, by stack */
};

/* A semicolon in a name would be the end of the frame: a colon stands for it, as in what others write. */
static void add_frame(void *arg, const struct pd_frame *f)
{
	struct pd_buf *stack = arg;
	if (stack->len)
		pd_buf_char(stack, ';');
	size_t from = stack->len;
	pd_oneline(stack, f->name);
	for (char *s = stack->data + from; !stack->failed && s < stack->data + stack->len; s++)
		if (*s == ';')
			*s = ':';
}

/* Stacks that differ in addresses, lines or labels only are one. */
static void add_sample(struct writer *w, const struct pd_profile *p, const struct pd_sample *s,
                       struct pd_symbols *symbols, const struct pd_encode_options *o)
{
	int64_t value = s->value[pd_profile_shown(p->type)];
	if (value <= 0)
		return;
	w->stack.len = 0;
	pd_encode_frames(p, s, symbols, o, add_frame, &w->stack);
	bool fresh;
	size_t id = w->stack.failed ? 0 : pd_intern(&w->stacks, w->stack.data, w->stack.len, &fresh);
	if (w->stack.failed || w->stacks.failed)
		return;
	if (fresh) {
		pd_buf_add(&w->values, &value, sizeof value);
	} else {
		int64_t *sum = (int64_t *)(void *)w->values.data + id;
		if (__builtin_add_overflow(*sum, value, sum))
			*sum = INT64_MAX;
	}
}

int pd_encode_collapsed(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                        struct pd_buf *out)
{
	struct pd_profile room = { 0 };
	struct writer w = { .stack.len = 0 };
	const struct pd_profile *samples = pd_encode_samples(p, o, &room);
	for (size_t i = 0; samples && i < samples->n; i++)
		add_sample(&w, samples, &samples->sample[i], s, o);
	bool failed = !samples || w.stacks.failed || w.stack.failed || w.values.failed;
	for (size_t i = 0; !failed && i < w.stacks.n; i++) {
		const struct pd_interned *key = (const struct pd_interned *)(const void *)w.stacks.keys.data + i;
		pd_buf_add(out, w.stacks.bytes.data + key->at, key->len);
		pd_buf_fmt(out, " %lld\n", (long long)((int64_t *)(void *)w.values.data)[i]);
	}
	pd_intern_free(&w.stacks);
	pd_buf_free(&w.stack);
	pd_buf_free(&w.values);
	pd_profile_free(&room);
	return failed ? -ENOMEM : pd_buf_error(out);
}
