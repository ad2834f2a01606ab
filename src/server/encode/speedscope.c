/*
 * A profile in the file format of speedscope, which jq reads as well: one "sampled" profile for each value type. What
 * that format has no place for is added under names of our own, which its readers pass over. Symbols come through
 * symbol.h.
 */
#include <string.h>

#include "server/encode/inside.h"

struct writer {
	struct pd_json json;
	const struct pd_profile *p; /* all but the samples */
	const struct pd_profile *samples;
	struct pd_intern keys;      /* name, file and line of functions */
	struct pd_buf scratch;
	struct pd_buf ids;          /* uint32_t: functions of all samples, root first */
	struct pd_buf ends;         /* size_t, by sample: where its functions end in ids */
	bool labels;                /* some sample has any */
};

static void add_frame(void *arg, const struct pd_frame *f)
{
	struct writer *w = arg;
	bool fresh;
	w->scratch.len = 0;
	pd_buf_add(&w->scratch, f->name, strlen(f->name) + 1);
	pd_buf_add(&w->scratch, f->file, strlen(f->file) + 1);
	pd_buf_add(&w->scratch, &f->start_line, sizeof f->start_line);
	if (w->scratch.failed)
		return;
	uint32_t id = (uint32_t)pd_intern(&w->keys, w->scratch.data, w->scratch.len, &fresh);
	pd_buf_add(&w->ids, &id, sizeof id);
}

static void add_samples(struct writer *w, struct pd_symbols *symbols, const struct pd_encode_options *o)
{
	for (size_t i = 0; i < w->samples->n; i++) {
		const struct pd_sample *s = &w->samples->sample[i];
		pd_encode_frames(w->samples, s, symbols, o, add_frame, w);
		size_t end = w->ids.len / sizeof(uint32_t);
		pd_buf_add(&w->ends, &end, sizeof end);
		w->labels |= s->nlabels || s->size;
	}
}

static bool failed(const struct writer *w)
{
	return w->keys.failed || w->scratch.failed || w->ids.failed || w->ends.failed;
}

static void write_functions(struct writer *w)
{
	struct pd_json *j = &w->json;
	const struct pd_interned *key = (const void *)w->keys.keys.data;
	pd_json_open(j, "shared", '{');
	pd_json_open(j, "frames", '[');
	for (size_t i = 0; i < w->keys.n; i++) {
		const char *name = w->keys.bytes.data + key[i].at, *file = name + strlen(name) + 1;
		uint32_t line;
		memcpy(&line, file + strlen(file) + 1, sizeof line);
		pd_json_open(j, NULL, '{');
		pd_json_string(j, "name", name);
		if (*file)
			pd_json_string(j, "file", file);
		if (line)
			pd_json_number(j, "line", line);
		pd_json_close(j, '}');
	}
	pd_json_close(j, ']');
	pd_json_close(j, '}');
}

static void write_stack(struct writer *w, size_t sample, size_t type)
{
	const uint32_t *id = (const void *)w->ids.data;
	const size_t *end = (const void *)w->ends.data;
	pd_json_open(&w->json, NULL, '[');
	for (size_t i = sample ? end[sample - 1] : 0; i < end[sample]; i++)
		pd_json_number(&w->json, NULL, id[i]);
	pd_json_close(&w->json, ']');
}

static void write_weight(struct writer *w, size_t sample, size_t type)
{
	pd_json_number(&w->json, NULL, (uint64_t)w->samples->sample[sample].value[type]);
}

static void write_labels(struct writer *w, size_t sample, size_t type)
{
	const struct pd_sample *s = &w->samples->sample[sample];
	pd_json_open(&w->json, NULL, '{');
	for (size_t i = 0; i < s->nlabels; i++)
		pd_json_string(&w->json, s->label[i].key, s->label[i].value);
	if (s->size)
		pd_json_number(&w->json, "bytes", s->size);
	pd_json_close(&w->json, '}');
}

/* An array with an element for each sample that has a value of this type. */
static void write_list(struct writer *w, const char *key, size_t type,
                       void (*element)(struct writer *w, size_t sample, size_t type))
{
	pd_json_open(&w->json, key, '[');
	for (size_t i = 0; i < w->samples->n && !w->json.out->failed; i++)
		if (w->samples->sample[i].value[type] > 0)
			element(w, i, type);
	pd_json_close(&w->json, ']');
}

static void write_type(struct writer *w, size_t type)
{
	const struct pd_value_type *t = &w->p->type->type[type];
	struct pd_json *j = &w->json;
	uint64_t sum = 0;
	for (size_t i = 0; i < w->samples->n; i++)
		sum += w->samples->sample[i].value[type] > 0 ? (uint64_t)w->samples->sample[i].value[type] : 0;
	pd_json_open(j, NULL, '{');
	pd_json_string(j, "type", "sampled");
	pd_json_string(j, "name", t->type);
	pd_json_string(j, "unit", strcmp(t->unit, "count") == 0 ? "none" : t->unit);
	pd_json_number(j, "startValue", 0);
	pd_json_number(j, "endValue", sum);
	write_list(w, "samples", type, write_stack);
	write_list(w, "weights", type, write_weight);
	if (w->labels)
		write_list(w, "labels", type, write_labels);
	pd_json_close(j, '}');
}

static void write_all(struct writer *w)
{
	const struct pd_profile *p = w->p;
	struct pd_json *j = &w->json;
	pd_json_open(j, NULL, '{');
	pd_json_string(j, "$schema", "https://www.speedscope.app/file-format-schema.json");
	pd_json_string(j, "exporter", "pprofd");
	pd_json_string(j, "name", p->type->name);
	pd_json_number(j, "activeProfileIndex", pd_profile_shown(p->type));
	pd_json_number(j, "timeNanos", (uint64_t)p->time_ns);
	pd_json_number(j, "durationNanos", (uint64_t)p->duration_ns);
	pd_json_number(j, "period", (uint64_t)p->period);
	pd_json_open(j, "comments", '[');
	for (size_t i = 0; i < p->ncomments; i++)
		pd_json_string(j, NULL, p->comment[i]);
	pd_json_close(j, ']');
	write_functions(w);
	pd_json_open(j, "profiles", '[');
	for (size_t i = 0; i < p->type->ntypes; i++)
		write_type(w, i);
	pd_json_close(j, ']');
	pd_json_close(j, '}');
}

int pd_encode_speedscope(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                         struct pd_buf *out)
{
	struct pd_profile room = { 0 };
	struct writer w = { .json.out = out, .p = p, .samples = pd_encode_samples(p, o, &room) };
	if (w.samples)
		add_samples(&w, s, o);
	int rc = w.samples && !failed(&w) ? 0 : -ENOMEM;
	if (!rc) {
		write_all(&w);
		rc = pd_buf_error(out);
	}
	pd_intern_free(&w.keys);
	pd_buf_free(&w.scratch);
	pd_buf_free(&w.ids);
	pd_buf_free(&w.ends);
	pd_profile_free(&room);
	return rc;
}
