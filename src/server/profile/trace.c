/* The trace and span a sample belongs to, as labels of it. Knows the ids' form, no table. */
#include <stdlib.h>
#include <string.h>

#include "server/profile/profile.h"

/* One sample's labels and what they point to. */
struct kept {
	struct kept *next;
	char trace_id[PD_TRACE_ID], span_id[PD_SPAN_ID];
	struct pd_label label[];
};

static void digits(const unsigned char *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = "0123456789abcdef"[bytes[i] >> 4];
		*out++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*out = '\0';
}

void pd_trace_digits(const uint64_t trace[static PD_TRACE_WORDS], char trace_id[static PD_TRACE_ID],
                     char span_id[static PD_SPAN_ID])
{
	const unsigned char *bytes = (const void *)trace;
	*trace_id = *span_id = '\0';
	if (!trace[0] && !trace[1])
		return;
	digits(bytes, 16, trace_id);
	if (trace[2])
		digits(bytes + 16, 8, span_id);
}

/* Put one more into n labels sorted by key, in place of an equal one; how many there are then. */
static size_t put(struct pd_label *label, size_t n, const char *key, const char *value)
{
	size_t at = 0;
	while (at < n && strcmp(label[at].key, key) < 0)
		at++;
	bool same = at < n && strcmp(label[at].key, key) == 0;
	if (!same)
		memmove(&label[at + 1], &label[at], (n - at) * sizeof *label);
	label[at] = (struct pd_label){ key, value };
	return n + !same;
}

void pd_profile_trace(struct pd_profile *p, struct pd_sample *s, const uint64_t trace[static PD_TRACE_WORDS])
{
	if (!trace[0] && !trace[1])
		return;
	struct kept *k = malloc(sizeof *k + (s->nlabels + 2) * sizeof *k->label);
	if (!k) {
		p->failed = true;
		return;
	}
	k->next = p->kept;
	p->kept = k;
	pd_trace_digits(trace, k->trace_id, k->span_id);
	if (s->nlabels)
		memcpy(k->label, s->label, s->nlabels * sizeof *k->label);
	s->nlabels = put(k->label, s->nlabels, "trace_id", k->trace_id);
	if (*k->span_id)
		s->nlabels = put(k->label, s->nlabels, "span_id", k->span_id);
	s->label = k->label;
}

void pd_profile_forget(struct pd_profile *p)
{
	for (struct kept *next, *k = p->kept; k; k = next) {
		next = k->next;
		free(k);
	}
	p->kept = NULL;
}
