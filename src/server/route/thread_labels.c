/* Labels that tell the threads of a dump apart: who it is, what it does, what it waits for and who holds that. */
#include <stdlib.h>
#include <string.h>

#include "server/route/inside.h"

#define OURS 5
#define USERS 32

struct pd_thread_labels {
	struct pd_label label[OURS + USERS];
	size_t n;
	char name[16], tid[12], holder[12], object[40], state[64];
};

/* Sorted by key; a key that is there already stays as it is. */
static void add(struct pd_thread_labels *l, const char *key, const char *value)
{
	size_t i = l->n;
	if (!*value || i == OURS + USERS)
		return;
	while (i && strcmp(l->label[i - 1].key, key) > 0)
		i--;
	if (i && strcmp(l->label[i - 1].key, key) == 0)
		return;
	memmove(l->label + i + 1, l->label + i, (l->n++ - i) * sizeof *l->label);
	l->label[i] = (struct pd_label){ key, value };
}

static void fill(struct pd_thread_labels *l, const struct pd_thread_rec *t, const struct pd_wait *w)
{
	struct pd_buf state = { 0 };
	pd_thread_state(&state, t, w, false);
	snprintf(l->state, sizeof l->state, "%.*s", (int)state.len, state.failed ? "" : state.data);
	pd_buf_free(&state);
	memcpy(l->name, t->name, sizeof l->name);
	snprintf(l->tid, sizeof l->tid, "%d", t->tid);
	if (w->holder)
		snprintf(l->holder, sizeof l->holder, "%d", w->holder);
	if (w->object)
		snprintf(l->object, sizeof l->object, "%s 0x%llx", w->kind->object, (unsigned long long)w->object);
	add(l, "holder", l->holder);
	add(l, "object", l->object);
	add(l, "state", l->state);
	add(l, "thread", l->name);
	add(l, "tid", l->tid);
}

struct pd_thread_labels *pd_thread_labels_new(const struct pd_dump *d, const struct pd_agent *agent,
                                              const struct pd_waits *w)
{
	struct pd_thread_labels *all = calloc(d->n + 1, sizeof *all);
	for (size_t i = 0; all && i < d->n; i++) {
		const struct pd_label *users;
		size_t n = d->thread[i].labels ? agent->labels(d->thread[i].labels, &users) : 0;
		for (size_t k = 0; k < n && k < USERS; k++)
			add(&all[i], users[k].key, users[k].value);
		fill(&all[i], &d->thread[i], &w->of[i]);
	}
	return all;
}

size_t pd_thread_labels_of(const struct pd_thread_labels *all, size_t i, const struct pd_label **out)
{
	*out = all[i].label;
	return all[i].n;
}
