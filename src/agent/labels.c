/* The public labels: a stack of sets for each thread, the top one in force. */
#include <errno.h>

#include "agent/life.h"
#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"

#define API __attribute__((visibility("default")))

/* The calling thread, made known when a service runs; NULL = none does, or the memory limit is reached. */
static struct pd_thread *here(void)
{
	struct pd_thread *t = pd_thread_self();
	if (t && !t->adopted)
		return t;
	return pd_started() ? pd_thread_here() : NULL;
}

static int enter(struct pd_thread *t, uint32_t set)
{
	if (t->label_depth >= PD_LABELS_MAX) {
		t->label_depth++;
		return -E2BIG;
	}
	t->label_outer[t->label_depth++] = t->labels;
	pd_store_relaxed(&t->labels, set);
	return 0;
}

API int pprofd_labels_push(const char *key, const char *value)
{
	struct pd_thread *t = here();
	if (!t)
		return pd_started() ? -ENOMEM : 0;
	uint32_t set = t->labels;
	int err = !key || !value ? -EINVAL : pd_started() ? pd_labels_with(set, key, value, &set) : 0;
	int full = enter(t, set);
	return full ? full : err;
}

API int pprofd_labels_clear(void)
{
	struct pd_thread *t = here();
	if (!t)
		return pd_started() ? -ENOMEM : 0;
	return enter(t, 0);
}

API int pprofd_labels_inherit(int on)
{
	pd_threadcreate_inherit(on != 0);
	return 0;
}

API int pprofd_labels_trace(const unsigned char *trace_id, const unsigned char *span_id)
{
	static const unsigned char none[16];
	struct pd_thread *t = here();
	if (!t)
		return pd_started() ? -ENOMEM : 0;
	pd_thread_set_trace(t, trace_id ? trace_id : none, trace_id && span_id ? span_id : none);
	return 0;
}

API int pprofd_labels_pop(void)
{
	struct pd_thread *t = pd_thread_self();
	if (!t)
		return pd_started() ? -EINVAL : 0;
	if (t->label_depth == 0)
		return pd_started() ? -EINVAL : 0;
	if (--t->label_depth < PD_LABELS_MAX)
		pd_store_relaxed(&t->labels, t->label_outer[t->label_depth]);
	return 0;
}

API int pprofd_do(const char *const *pairs, size_t n, void (*fn)(void *arg), void *arg)
{
	int err = 0;
	if (!fn || (n && !pairs))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int e = pprofd_labels_push(pairs[2 * i], pairs[2 * i + 1]);
		err = err ? err : e;
	}
	fn(arg);
	for (size_t i = 0; i < n; i++)
		pprofd_labels_pop();
	return err;
}
