/* A profile as the protobuf message that pprof reads. Knows the message and its rules; compression is elsewhere. */
#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"
#include "server/encode/inside.h"

/* Growing arrays; the last ones hold the pointers to the elements of the others, as protobuf-c wants them. */
enum {
	SCRATCH,
	PLACE,
	LOCATION,
	LINE,
	FUNCTION,
	SAMPLE,
	IDS, /* of locations, for all samples */
	LABEL,
	TYPE,
	MAPPING,
	COMMENT,
	POINTERS,
	ARRAYS = POINTERS + 8
};

/* Locations of one address, several when inlined frames are split. The key of an address is the struct key. */
struct place {
	size_t first, n; /* indexes of locations */
	size_t module;   /* index + 1, 0 = none */
};

struct key {
	uint64_t pc, module, pseudo;
};

/* What is known of the locations of one module. */
struct mapped {
	uint64_t id; /* of its mapping; 0 = not written */
	bool used, bare, no_file, no_line, inlined;
};

struct writer {
	const struct pd_profile *p; /* all but the samples */
	const struct pd_encode_options *o;
	struct pd_symbols *symbols;
	struct pd_intern strings, functions, places;
	struct pd_buf array[ARRAYS];
	int npointers;
	struct mapped *mapped; /* by module */
};

static int64_t string(struct writer *w, const char *s)
{
	struct pd_buf *clean = &w->array[SCRATCH];
	clean->len = 0;
	pd_utf8(clean, s);
	pd_buf_char(clean, '\0');
	bool fresh;
	return clean->failed ? 0 : (int64_t)pd_intern(&w->strings, clean->data, clean->len, &fresh);
}

static Pprof__ValueType value_type(struct writer *w, const struct pd_value_type *t)
{
	Pprof__ValueType m = PPROF__VALUE_TYPE__INIT;
	m.type = string(w, t->type);
	m.unit = string(w, t->unit);
	return m;
}

static uint64_t function(struct writer *w, const struct pd_frame *f)
{
	Pprof__Function m = PPROF__FUNCTION__INIT;
	m.name = string(w, f->name);
	m.system_name = f->system_name && f->system_name[0] ? string(w, f->system_name) : m.name;
	m.filename = string(w, f->file);
	m.start_line = f->start_line;
	int64_t key[] = { m.name, m.system_name, m.filename, m.start_line };
	bool fresh;
	m.id = pd_intern(&w->functions, key, sizeof key, &fresh) + 1;
	if (fresh)
		pd_buf_add(&w->array[FUNCTION], &m, sizeof m);
	return m.id;
}

static void location(struct writer *w, uint64_t address, const struct pd_frame *frame, size_t n)
{
	Pprof__Location m = PPROF__LOCATION__INIT;
	m.id = w->array[LOCATION].len / sizeof m + 1;
	m.address = address;
	m.n_line = n;
	for (size_t i = 0; i < n; i++) {
		Pprof__Line line = PPROF__LINE__INIT;
		line.function_id = function(w, &frame[i]);
		line.line = frame[i].line;
		pd_buf_add(&w->array[LINE], &line, sizeof line);
	}
	pd_buf_add(&w->array[LOCATION], &m, sizeof m);
}

static void note(struct mapped *m, const struct pd_symbol *s, bool bare)
{
	m->used = true;
	m->bare |= bare;
	m->inlined |= s->n > 1;
	for (size_t i = 0; i < s->n; i++) {
		m->no_file |= !s->frame[i].file[0];
		m->no_line |= !s->frame[i].line;
	}
}

static size_t module_index(const struct pd_profile *p, const struct pd_module *m)
{
	size_t i = 0;
	while (p->modules[i] != m)
		i++;
	return i;
}

/* A new address: its locations, and what they tell of the module. */
static struct place locate(struct writer *w, const struct key *k, const struct pd_module *m)
{
	const char *name = pd_pseudo_name((enum pd_pseudo)k->pseudo);
	const struct pd_frame stand_in = { .name = name, .system_name = name, .file = "" };
	struct pd_symbol s = { .frame = &stand_in, .n = 1, .placeholder = true };
	bool lines = k->pseudo || !w->o->no_symbols;
	if (!k->pseudo && lines)
		pd_symbols_resolve(w->symbols, m, k->pc, &s);
	struct place place = { .first = w->array[LOCATION].len / sizeof(Pprof__Location), .n = 1 };
	if (m) {
		size_t i = module_index(w->p, m);
		place.module = i + 1;
		note(&w->mapped[i], &s, s.placeholder || !lines);
	}
	if (!w->o->split_inlines || !lines) {
		location(w, k->pc, s.frame, lines ? s.n : 0);
	} else {
		place.n = s.n;
		for (size_t i = 0; i < s.n; i++)
			location(w, k->pc, &s.frame[i], 1);
	}
	return place;
}

/* Append the ids of one frame's locations to the sample's; how many. */
static size_t frame(struct writer *w, uint64_t pc, uint32_t epoch, enum pd_pseudo pseudo)
{
	/* No location may have the address 0. */
	if (!pseudo && !pc)
		pseudo = PD_PSEUDO_NO_STACK;
	const struct pd_module *m = NULL;
	if (pseudo)
		pc = (uint64_t)pseudo;
	else
		m = pd_module_with_file(w->p->modules, w->p->nmodules, pc, epoch);
	struct key key = { pc, (uint64_t)(uintptr_t)m, (uint64_t)pseudo };
	bool fresh;
	size_t id = pd_intern(&w->places, &key, sizeof key, &fresh);
	if (fresh) {
		struct place made = locate(w, &key, m);
		pd_buf_add(&w->array[PLACE], &made, sizeof made);
	}
	if (w->places.failed || w->array[PLACE].failed)
		return 0;
	const struct place *place = (const struct place *)(const void *)w->array[PLACE].data + id;
	for (uint64_t i = 0; i < place->n; i++) {
		uint64_t location_id = place->first + i + 1;
		pd_buf_add(&w->array[IDS], &location_id, sizeof location_id);
	}
	return place->n;
}

static void label(struct writer *w, Pprof__Sample *s, const char *key, const char *str, uint64_t num)
{
	Pprof__Label m = PPROF__LABEL__INIT;
	m.key = string(w, key);
	if (str)
		m.str = string(w, str);
	m.num = (int64_t)num;
	if (num)
		m.num_unit = string(w, "bytes");
	pd_buf_add(&w->array[LABEL], &m, sizeof m);
	s->n_label++;
}

static void sample(struct writer *w, struct pd_sample *s)
{
	Pprof__Sample m = PPROF__SAMPLE__INIT;
	m.n_value = w->p->type->ntypes;
	m.value = s->value;
	if (s->pseudo)
		m.n_location_id += frame(w, 0, 0, s->pseudo);
	for (uint32_t i = 0; i < s->stack.n; i++)
		m.n_location_id += frame(w, s->stack.pc[i], s->stack.epoch, PD_REAL_STACK);
	for (size_t i = 0; i < s->nlabels; i++)
		if (s->label[i].key[0])
			label(w, &m, s->label[i].key, s->label[i].value, 0);
	if (s->size)
		label(w, &m, "bytes", NULL, s->size);
	pd_buf_add(&w->array[SAMPLE], &m, sizeof m);
}

static int64_t build_id(struct writer *w, const struct pd_module *m)
{
	char hex[2 * sizeof m->build_id + 1] = "";
	for (size_t i = 0; i < m->build_id_len && i < sizeof m->build_id; i++) {
		hex[2 * i] = "0123456789abcdef"[m->build_id[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[m->build_id[i] & 15];
	}
	return string(w, hex);
}

/* The main program, what is loaded now, and what samples lie in. */
static void mappings(struct writer *w)
{
	uint64_t id = 0;
	for (size_t i = 0; i < w->p->nmodules; i++) {
		const struct pd_module *module = w->p->modules[i];
		struct mapped *known = &w->mapped[i];
		if (i && !known->used && !(module->loaded && module->path[0]))
			continue;
		bool named = known->used && !known->bare;
		Pprof__Mapping m = PPROF__MAPPING__INIT;
		m.id = known->id = ++id;
		m.memory_start = module->start;
		m.memory_limit = module->end;
		m.file_offset = module->offset;
		m.filename = string(w, module->path);
		m.build_id = build_id(w, module);
		m.has_functions = named;
		m.has_filenames = named && !known->no_file;
		m.has_line_numbers = named && !known->no_line;
		m.has_inline_frames = named && (known->inlined || !known->no_line);
		pd_buf_add(&w->array[MAPPING], &m, sizeof m);
	}
	const struct place *place = (const void *)w->array[PLACE].data;
	Pprof__Location *l = (void *)w->array[LOCATION].data;
	for (size_t i = 0; i < w->array[PLACE].len / sizeof *place; i++)
		for (size_t k = 0; k < place[i].n && place[i].module; k++)
			l[place[i].first + k].mapping_id = w->mapped[place[i].module - 1].id;
}

static bool failed(const struct writer *w)
{
	bool any = w->strings.failed || w->functions.failed || w->places.failed;
	for (int i = 0; i < ARRAYS; i++)
		any |= w->array[i].failed;
	return any;
}

/* Pointers to the elements of an array, and how many. */
static void *pointers(struct writer *w, int array, size_t size, size_t *n)
{
	struct pd_buf *list = &w->array[POINTERS + w->npointers++];
	*n = w->array[array].len / size;
	for (size_t i = 0; i < *n; i++) {
		const void *element = w->array[array].data + i * size;
		pd_buf_add(list, &element, sizeof element);
	}
	return list->data;
}

static void *strings(struct writer *w, size_t *n)
{
	struct pd_buf *list = &w->array[POINTERS + w->npointers++];
	const struct pd_interned *key = (const void *)w->strings.keys.data;
	*n = w->strings.n;
	for (size_t i = 0; i < *n; i++) {
		const char *s = w->strings.bytes.data + key[i].at;
		pd_buf_add(list, &s, sizeof s);
	}
	return list->data;
}

/* Parts lie in one array each, in the order of their owners: hand them out. */
static void link_parts(struct writer *w, Pprof__Profile *m)
{
	size_t n;
	Pprof__Line **line = pointers(w, LINE, sizeof **line, &n);
	Pprof__Label **labels = pointers(w, LABEL, sizeof **labels, &n);
	uint64_t *ids = (void *)w->array[IDS].data;
	m->location = pointers(w, LOCATION, sizeof **m->location, &m->n_location);
	m->sample = pointers(w, SAMPLE, sizeof **m->sample, &m->n_sample);
	if (failed(w))
		return;
	for (size_t i = 0, at = 0; i < m->n_location; at += m->location[i++]->n_line)
		m->location[i]->line = line ? line + at : NULL;
	for (size_t i = 0, at = 0, from = 0; i < m->n_sample; i++) {
		m->sample[i]->location_id = ids + at;
		m->sample[i]->label = labels ? labels + from : NULL;
		at += m->sample[i]->n_location_id;
		from += m->sample[i]->n_label;
	}
}

static int pack(struct writer *w, Pprof__Profile *m, struct pd_buf *out)
{
	size_t size = pprof__profile__get_packed_size(m);
	uint8_t *raw = malloc(size + 1);
	if (!raw)
		return -ENOMEM;
	pprof__profile__pack(m, raw);
	if (w->o->plain)
		pd_buf_add(out, raw, size);
	else
		pd_gzip(out, raw, size);
	free(raw);
	return pd_buf_error(out);
}

static int encode(struct writer *w, const struct pd_profile *samples, struct pd_buf *out)
{
	const struct pd_profile *p = w->p;
	Pprof__Profile m = PPROF__PROFILE__INIT;
	string(w, "");
	for (size_t i = 0; i < p->type->ntypes; i++) {
		Pprof__ValueType t = value_type(w, &p->type->type[i]);
		pd_buf_add(&w->array[TYPE], &t, sizeof t);
	}
	Pprof__ValueType period = value_type(w, &p->type->period);
	for (size_t i = 0; i < samples->n; i++)
		sample(w, &samples->sample[i]);
	if (failed(w))
		return -ENOMEM;
	mappings(w);
	for (size_t i = 0; i < p->ncomments; i++) {
		int64_t id = string(w, p->comment[i]);
		pd_buf_add(&w->array[COMMENT], &id, sizeof id);
	}
	link_parts(w, &m);
	m.sample_type = pointers(w, TYPE, sizeof **m.sample_type, &m.n_sample_type);
	m.mapping = pointers(w, MAPPING, sizeof **m.mapping, &m.n_mapping);
	m.function = pointers(w, FUNCTION, sizeof **m.function, &m.n_function);
	m.comment = (void *)w->array[COMMENT].data;
	m.n_comment = p->ncomments;
	m.default_sample_type = p->type->default_type ? string(w, p->type->default_type) : 0;
	m.period_type = &period;
	m.period = p->period;
	m.time_nanos = p->time_ns;
	m.duration_nanos = p->duration_ns;
	m.string_table = strings(w, &m.n_string_table);
	return failed(w) ? -ENOMEM : pack(w, &m, out);
}

int pd_encode_pprof(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                    struct pd_buf *out)
{
	struct pd_profile room = { 0 };
	struct writer w = { .p = p, .o = o, .symbols = s, .mapped = calloc(p->nmodules + 1, sizeof(struct mapped)) };
	const struct pd_profile *samples = pd_encode_samples(p, o, &room);
	int rc = samples && w.mapped ? encode(&w, samples, out) : -ENOMEM;
	for (int i = 0; i < ARRAYS; i++)
		pd_buf_free(&w.array[i]);
	pd_intern_free(&w.strings);
	pd_intern_free(&w.functions);
	pd_intern_free(&w.places);
	free(w.mapped);
	pd_profile_free(&room);
	return rc;
}
