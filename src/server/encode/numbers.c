/* The numbers of Go's and gperftools' texts: titles, and what stands before the addresses. Knows no address. */
#include <string.h>

#include "server/encode/inside.h"

static void count_title(struct pd_buf *out, const struct pd_profile *p, const struct pd_profile *samples)
{
	int64_t total = 0;
	for (size_t i = 0; i < samples->n; i++)
		total += samples->sample[i].value[0];
	pd_buf_fmt(out, "%s profile: total %lld\n", p->type->name, (long long)total);
}

static void count_sample(struct pd_buf *out, const struct pd_sample *s)
{
	pd_buf_fmt(out, "%lld ", (long long)s->value[0]);
}

/* Objects and their bytes, as readers can take them: they divide by either, and refuse bytes of no object. */
static void pair(struct pd_buf *out, const char *before, int64_t objects, int64_t bytes, const char *after)
{
	if (!objects != !bytes)
		objects = bytes = objects + bytes;
	pd_buf_fmt(out, "%s%lld: %lld%s", before, (long long)objects, (long long)bytes, after);
}

void pd_write_heap_title(struct pd_buf *out, const struct pd_profile *samples)
{
	int64_t total[4] = { 0 };
	for (size_t i = 0; i < samples->n; i++)
		for (size_t k = 0; k < 4; k++)
			total[k] += samples->sample[i].value[k];
	/* Equal totals would tell readers that the two pairs are one. */
	if (total[1] == total[3])
		total[1]++;
	pd_buf_fmt(out, "heap profile: %lld: %lld [%lld: %lld] @ ", (long long)total[2], (long long)total[3],
	           (long long)total[0], (long long)total[1]);
}

void pd_write_heap_numbers(struct pd_buf *out, const struct pd_sample *s)
{
	pair(out, "", s->value[2], s->value[3], " ");
	pair(out, "[", s->value[0], s->value[1], "] ");
}

/* Go writes twice the rate, and readers expect it. Scaled numbers are said to be taken at rate 1. */
static void heap_title(struct pd_buf *out, const struct pd_profile *p, const struct pd_profile *samples)
{
	pd_write_heap_title(out, samples);
	pd_buf_fmt(out, "heap/%llu\n", 2 * (unsigned long long)(p->raw_rate ? p->raw_rate : 1));
}

/* The time comes first. */
static void waits_sample(struct pd_buf *out, const struct pd_sample *s)
{
	pd_buf_fmt(out, "%lld %lld ", (long long)s->value[1], (long long)s->value[0]);
}

static void contention_title(struct pd_buf *out, const struct pd_profile *p, const struct pd_profile *samples)
{
	pd_buf_str(out, "--- contention:\ncycles/second=1000000000\n");
}

/* The numbers are scaled: a period other than 1 would make readers scale them again. */
static void mutex_title(struct pd_buf *out, const struct pd_profile *p, const struct pd_profile *samples)
{
	pd_buf_str(out, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
}

static const struct pd_numbers COUNTS = { count_title, count_sample, "" };
static const struct {
	const char *type;
	struct pd_numbers numbers;
} OTHERS[] = {
	{ "heap", { heap_title, pd_write_heap_numbers, "\n" } },
	{ "allocs", { heap_title, pd_write_heap_numbers, "\n" } },
	{ "block", { contention_title, waits_sample, "" } },
	{ "io", { contention_title, waits_sample, "" } },
	{ "mutex", { mutex_title, waits_sample, "" } },
};

const struct pd_numbers *pd_numbers(const struct pd_profile_type *type)
{
	for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
		if (strcmp(OTHERS[i].type, type->name) == 0)
			return &OTHERS[i].numbers;
	return &COUNTS;
}

void pd_write_remarks(struct pd_buf *out, const struct pd_profile *p)
{
	for (size_t i = 0; i < p->ncomments; i++) {
		pd_buf_str(out, "# ");
		pd_oneline(out, p->comment[i]);
		pd_buf_char(out, '\n');
	}
}
