/* The forms of gperftools, read by google-pprof and jeprof (and by pprof). Knows the layout; no symbols are needed. */
#include <string.h>

#include "server/encode/inside.h"

#define MAPS "\nMAPPED_LIBRARIES:\n"

/*
 * Readers take one off the callers' addresses. Of the first one google-pprof takes none off and pprof does: one inside
 * the call, which is at least two bytes long, suits both.
 */
static void write_addresses(struct pd_buf *out, const struct pd_sample *s)
{
	pd_buf_char(out, '@');
	if (s->pseudo)
		pd_buf_fmt(out, " %#llx", (unsigned long long)s->pseudo);
	for (uint32_t i = 0; i < s->stack.n; i++) {
		pd_buf_char(out, ' ');
		pd_hex(out, s->stack.pc[i] + (i > 0));
	}
	pd_buf_char(out, '\n');
}

static int write_texts(const struct pd_profile *p, const struct pd_profile *samples, const char *maps,
                       void (*numbers)(struct pd_buf *out, const struct pd_sample *s), struct pd_buf *out)
{
	for (size_t i = 0; i < samples->n; i++) {
		numbers(out, &samples->sample[i]);
		write_addresses(out, &samples->sample[i]);
	}
	pd_write_remarks(out, p);
	pd_buf_str(out, maps);
	return pd_buf_error(out);
}

static int heap(const struct pd_profile *p, const struct pd_profile *samples, struct pd_buf *out)
{
	pd_write_heap_title(out, samples);
	if (p->raw_rate > 1)
		pd_buf_fmt(out, "heap_v2/%llu\n", (unsigned long long)p->raw_rate);
	else
		pd_buf_str(out, "heapprofile\n");
	return write_texts(p, samples, MAPS, pd_write_heap_numbers, out);
}

/* What is in use, in both pairs: readers know one here. */
static int growth(const struct pd_profile *p, const struct pd_profile *samples, struct pd_buf *out)
{
	struct pd_profile inuse = { 0 };
	int64_t objects = 0, bytes = 0;
	pd_profile_init(&inuse, p->type);
	for (size_t i = 0; i < samples->n; i++) {
		struct pd_sample s = samples->sample[i];
		objects += s.value[0] = s.value[2];
		bytes += s.value[1] = s.value[3];
		pd_profile_add(&inuse, &s);
	}
	int rc = pd_profile_finish(&inuse);
	pd_buf_fmt(out, "heap profile: %lld: %lld [%lld: %lld] @ growthz\n", (long long)objects, (long long)bytes,
	           (long long)objects, (long long)bytes);
	if (!rc)
		rc = write_texts(p, &inuse, MAPS, pd_write_heap_numbers, out);
	pd_profile_free(&inuse);
	return rc;
}

static int contention(const struct pd_profile *p, const struct pd_profile *samples, struct pd_buf *out)
{
	pd_buf_str(out, "--- contention:\ncycles/second = 1000000000\nsampling period = 1\n");
	return write_texts(p, samples, "--- Memory map: ---\n", pd_numbers(p->type)->sample, out);
}

static void word(struct pd_buf *out, uint64_t v)
{
	pd_buf_add(out, &v, sizeof v);
}

/* Machine words: a header with the period in microseconds; count, depth and addresses of each stack; a last stack of
 * one zero. The first address is exact. */
static int cpu(const struct pd_profile *p, const struct pd_profile *samples, struct pd_buf *out)
{
	const uint64_t header[] = { 0, 3, 0, (uint64_t)p->period / 1000, 0 }, end[] = { 0, 1, 0 };
	pd_buf_add(out, header, sizeof header);
	for (size_t i = 0; i < samples->n; i++) {
		const struct pd_sample *s = &samples->sample[i];
		word(out, (uint64_t)s->value[0]);
		word(out, s->stack.n + (s->pseudo ? 1 : 0));
		if (s->pseudo)
			word(out, (uint64_t)s->pseudo);
		for (uint32_t k = 0; k < s->stack.n; k++)
			word(out, s->stack.pc[k] + (k > 0));
	}
	pd_buf_add(out, end, sizeof end);
	return pd_buf_error(out);
}

static int without_labels(const struct pd_profile *p, struct pd_buf *out,
                          int (*write)(const struct pd_profile *, const struct pd_profile *, struct pd_buf *))
{
	static const struct pd_encode_options options = { .no_labels = true };
	struct pd_profile room = { 0 };
	const struct pd_profile *samples = pd_encode_samples(p, &options, &room);
	int rc = samples ? write(p, samples, out) : -ENOMEM;
	pd_profile_free(&room);
	return rc;
}

int pd_encode_legacy_cpu(const struct pd_profile *p, struct pd_buf *out)
{
	return without_labels(p, out, cpu);
}

int pd_encode_legacy_heap(const struct pd_profile *p, struct pd_buf *out)
{
	return without_labels(p, out, heap);
}

int pd_encode_legacy_growth(const struct pd_profile *p, struct pd_buf *out)
{
	return without_labels(p, out, growth);
}

int pd_encode_legacy_contention(const struct pd_profile *p, struct pd_buf *out)
{
	return without_labels(p, out, contention);
}
