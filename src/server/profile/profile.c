/* The kinds of profile there are, and the growing list of samples. Knows no agent, no symbol and no format. */
#include "server/profile/profile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(name) { name, { { name, "count" } }, 1, NULL, { name, "count" } }
#define HEAP(name, shown)                                                                                \
	{ name, { { "alloc_objects", "count" }, { "alloc_space", "bytes" }, { "inuse_objects", "count" }, \
		  { "inuse_space", "bytes" } }, 4, shown, { "space", "bytes" } }
#define WAITS(name, counted) \
	{ name, { { counted, "count" }, { "delay", "nanoseconds" } }, 2, "delay", { counted, "count" } }

static const struct pd_profile_type TYPES[] = {
	{ "profile", { { "samples", "count" }, { "cpu", "nanoseconds" } }, 2, "cpu", { "cpu", "nanoseconds" } },
	{ "wall", { { "samples", "count" }, { "time", "nanoseconds" } }, 2, "time", { "wallclock", "nanoseconds" } },
	HEAP("heap", "inuse_space"),
	HEAP("allocs", "alloc_space"),
	WAITS("block", "contentions"),
	WAITS("mutex", "contentions"),
	WAITS("io", "waits"),
	COUNT("goroutine"),
	COUNT("threadcreate"),
};

static const char *const PSEUDO[PD_PSEUDOS] = {
	[PD_REAL_STACK] = "",
	[PD_PSEUDO_OVERFLOW] = "[overflow]",
	[PD_PSEUDO_NO_STACK] = "[stack unavailable]",
};

const struct pd_profile_type *pd_profile_type(const char *name)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (strcmp(TYPES[i].name, name) == 0)
			return &TYPES[i];
	return NULL;
}

size_t pd_profile_shown(const struct pd_profile_type *type)
{
	for (size_t i = 0; type->default_type && i < type->ntypes; i++)
		if (strcmp(type->type[i].type, type->default_type) == 0)
			return i;
	return 0;
}

bool pd_profile_waits(const struct pd_profile_type *type)
{
	return type->default_type && strcmp(type->default_type, "delay") == 0;
}

const char *pd_pseudo_name(enum pd_pseudo pseudo)
{
	return PSEUDO[pseudo];
}

void pd_profile_init(struct pd_profile *p, const struct pd_profile_type *type)
{
	*p = (struct pd_profile){ .type = type, .period = 1 };
}

void pd_profile_free(struct pd_profile *p)
{
	for (size_t i = 0; i < p->ncomments; i++)
		free(p->comment[i]);
	free(p->comment);
	pd_profile_forget(p);
	free(p->sample);
	*p = (struct pd_profile){ .type = p->type };
}

/* Room for one more of `size` bytes in an array that doubles at each power of two; NULL = out of memory. */
static void *grown(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? n * 2 : 1, size);
}

void pd_profile_add(struct pd_profile *p, const struct pd_sample *s)
{
	if (p->failed)
		return;
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		struct pd_sample *sample = reallocarray(p->sample, cap, sizeof *sample);
		if (!sample) {
			p->failed = true;
			return;
		}
		p->sample = sample;
		p->cap = cap;
	}
	struct pd_sample *to = &p->sample[p->n++];
	*to = *s;
	if (to->stack.n) {
		to->pseudo = PD_REAL_STACK;
	} else {
		to->stack = (struct pd_stack){ 0 };
		if (to->pseudo == PD_REAL_STACK)
			to->pseudo = PD_PSEUDO_NO_STACK;
	}
}

void pd_profile_comment(struct pd_profile *p, const char *fmt, ...)
{
	if (p->failed)
		return;
	char **list = grown(p->comment, p->ncomments, sizeof *list);
	if (list)
		p->comment = list;
	va_list ap;
	va_start(ap, fmt);
	if (!list || vasprintf(&list[p->ncomments], fmt, ap) < 0)
		p->failed = true;
	else
		p->ncomments++;
	va_end(ap);
}
