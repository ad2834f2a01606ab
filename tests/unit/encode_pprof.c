/* The protobuf form: every rule of the readers, and what each option changes. */
#include <errno.h>

#include "../test.h"
#include "../inputs.h"
#include "../validate.h"

static const struct pd_label LABELS[] = { { "bad\xff", "caf\xc3\xa9 \xc3" }, { "route", "/json" } };
static uint64_t pc_real[3], pc_ghost[2], pc_jit[1], pc_nowhere[2];

static void fill(struct pd_profile *p, const char *type, const unsigned *order, size_t n)
{
	struct pd_sample all[] = {
		{ .stack = inputs_stack(pc_real, 2), .value = { 5, 50, 5, 50 } },
		{ .stack = inputs_stack(pc_real, 2), .label = LABELS, .nlabels = 2, .value = { 5, 50, 5, 50 } },
		{ .stack = inputs_stack(pc_ghost, 2), .value = { 2, 20, 2, 20 }, .size = 48 },
		{ .stack = inputs_stack(pc_jit, 1), .value = { 1, 10, 1, 10 } },
		{ .stack = inputs_stack(pc_nowhere, 2), .label = LABELS + 1, .nlabels = 1, .value = { 1, 10, 1, 10 } },
		{ .pseudo = PD_PSEUDO_OVERFLOW, .value = { 3, 30, 3, 30 } },
		{ .stack = inputs_stack(pc_real, 3), .value = { 0, 0, 0, 0 } },
	};
	pd_profile_init(p, pd_profile_type(type));
	p->time_ns = 1700000000000000000;
	p->duration_ns = 2000000000;
	p->period = 10000000;
	p->modules = inputs_list;
	p->nmodules = inputs_nmodules;
	for (size_t i = 0; i < n; i++)
		pd_profile_add(p, &all[order ? order[i] : i]);
	pd_profile_comment(p, "Lost: %d samples.", 3);
	pd_profile_comment(p, "One more \xfe.");
	EQ(pd_profile_finish(p), 0);
}

static struct pd_buf encode(const char *type, size_t n, const unsigned *order, struct pd_encode_options o)
{
	struct pd_symbols *s = pd_symbols_open(1 << 24);
	struct pd_profile p = { 0 };
	struct pd_buf out = { 0 };
	fill(&p, type, order, n);
	EQ(pd_encode_pprof(&p, s, &o, &out), 0);
	pd_profile_free(&p);
	pd_symbols_close(s);
	return out;
}

static Pprof__Profile *decode(struct pd_buf *b)
{
	const char *why;
	Pprof__Profile *m = validate_decode(b->data, b->len, &why);
	if (why)
		fprintf(stderr, "invalid: %s\n", why);
	OK(!why);
	pd_buf_free(b);
	if (!m)
		exit(1);
	return m;
}

static const char *name(const Pprof__Profile *m, const Pprof__Location *l, size_t line)
{
	return line < l->n_line ? m->string_table[m->function[l->line[line]->function_id - 1]->name] : "";
}

static const Pprof__Location *at(const Pprof__Profile *m, uint64_t pc)
{
	static const Pprof__Location none = PPROF__LOCATION__INIT;
	for (size_t i = 0; i < m->n_location; i++)
		if (m->location[i]->address == pc)
			return m->location[i];
	return &none;
}

static const Pprof__Mapping *mapping(const Pprof__Profile *m, const char *file)
{
	static const Pprof__Mapping none = PPROF__MAPPING__INIT;
	for (size_t i = 0; i < m->n_mapping; i++)
		if (strstr(m->string_table[m->mapping[i]->filename], file))
			return m->mapping[i];
	return &none;
}

static void test_all_rules(void)
{
	struct pd_buf b = encode("profile", 7, NULL, (struct pd_encode_options){ 0 });
	Pprof__Profile *m = decode(&b);
	EQ(m->n_sample, 6);
	EQ(m->n_sample_type, 2);
	STREQ(m->string_table[m->sample_type[1]->type], "cpu");
	STREQ(m->string_table[m->default_sample_type], "cpu");
	EQ(m->duration_nanos, 2000000000);
	EQ(m->period, 10000000);
	EQ(m->n_comment, 2);
	STREQ(m->string_table[m->comment[1]], "One more \xef\xbf\xbd.");

	const Pprof__Location *l = at(m, pc_real[0]);
	EQ(l->n_line, 2);
	STREQ(name(m, l, 0), "inputs_inner");
	STREQ(name(m, l, 1), "inputs_outer");
	OK(l->n_line > 0 && l->line[0]->line > 0);
	EQ(l->mapping_id, 1);
	STREQ(m->string_table[m->mapping[0]->filename], inputs_list[0]->path);
	OK(m->mapping[0]->has_functions && m->mapping[0]->has_filenames && m->mapping[0]->has_line_numbers);
	OK(m->mapping[0]->has_inline_frames);

	const Pprof__Mapping *ghost = mapping(m, "libghost");
	STREQ(m->string_table[ghost->build_id], "abcd");
	EQ(ghost->memory_start, INPUTS_GHOST);
	EQ(ghost->file_offset, 0x1000);
	OK(!ghost->has_functions && !ghost->has_filenames);
	EQ(at(m, pc_ghost[0])->mapping_id, ghost->id);
	OK(strstr(name(m, at(m, pc_ghost[0]), 0), "libghost.so.1+0x"));
	OK(mapping(m, "libc.so")->id && !mapping(m, "libc.so")->has_functions); /* loaded, not used */

	EQ(at(m, INPUTS_JIT + 8)->mapping_id, 0);
	EQ(at(m, INPUTS_NOWHERE)->mapping_id, 0);
	STREQ(name(m, at(m, INPUTS_NOWHERE), 0), "0x7200000000");
	STREQ(name(m, at(m, PD_PSEUDO_OVERFLOW), 0), "[overflow]");
	STREQ(name(m, at(m, PD_PSEUDO_NO_STACK), 0), "[stack unavailable]"); /* the frame with pc 0 */

	const Pprof__Sample *s = m->sample[1];
	EQ(s->n_label, 2);
	if (s->n_label == 2) {
		STREQ(m->string_table[s->label[0]->key], "bad\xef\xbf\xbd");
		STREQ(m->string_table[s->label[0]->str], "caf\xc3\xa9 \xef\xbf\xbd");
		STREQ(m->string_table[s->label[1]->key], "route");
	}
	s = m->sample[3];
	EQ(s->n_label, 1);
	if (s->n_label == 1) {
		STREQ(m->string_table[s->label[0]->key], "bytes");
		STREQ(m->string_table[s->label[0]->num_unit], "bytes");
		EQ(s->label[0]->num, 48);
	}
	pprof__profile__free_unpacked(m, NULL);
}

static void test_same_bytes(void)
{
	static const unsigned ORDER[] = { 6, 4, 2, 5, 1, 3, 0 };
	struct pd_buf a = encode("profile", 7, NULL, (struct pd_encode_options){ 0 });
	struct pd_buf b = encode("profile", 7, ORDER, (struct pd_encode_options){ 0 });
	EQ(a.len, b.len);
	OK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	struct pd_buf c = encode("profile", 7, NULL, (struct pd_encode_options){ .plain = true });
	size_t n;
	unsigned char *raw = validate_raw(a.data, a.len, &n);
	EQ(n, c.len);
	OK(raw && n == c.len && memcmp(raw, c.data, n) == 0);
	free(raw);
	pd_buf_free(&a);
	pd_buf_free(&b);
	pd_buf_free(&c);
}

static void test_options(void)
{
	struct pd_buf b = encode("heap", 7, NULL, (struct pd_encode_options){ .no_symbols = true });
	Pprof__Profile *m = decode(&b);
	for (size_t i = 0; i < m->n_location; i++)
		EQ(m->location[i]->n_line, m->location[i]->address < PD_PSEUDOS ? 1 : 0);
	for (size_t i = 0; i < m->n_mapping; i++)
		OK(!m->mapping[i]->has_functions && !m->mapping[i]->has_inline_frames);
	pprof__profile__free_unpacked(m, NULL);

	b = encode("goroutine", 7, NULL, (struct pd_encode_options){ .no_labels = true });
	m = decode(&b);
	EQ(m->n_sample, 5);
	EQ(m->sample[0]->value[0], 10); /* with and without labels: one now */
	for (size_t i = 0; i < m->n_sample; i++)
		for (size_t k = 0; k < m->sample[i]->n_label; k++)
			STREQ(m->string_table[m->sample[i]->label[k]->key], "bytes");
	pprof__profile__free_unpacked(m, NULL);

	b = encode("profile", 7, NULL, (struct pd_encode_options){ .split_inlines = true });
	m = decode(&b);
	for (size_t i = 0; i < m->n_location; i++)
		EQ(m->location[i]->n_line, 1);
	const Pprof__Sample *s = m->sample[0];
	OK(s->n_location_id >= 3);
	STREQ(name(m, m->location[s->location_id[0] - 1], 0), "inputs_inner");
	STREQ(name(m, m->location[s->location_id[1] - 1], 0), "inputs_outer");
	EQ(m->location[s->location_id[0] - 1]->address, m->location[s->location_id[1] - 1]->address);
	pprof__profile__free_unpacked(m, NULL);
}

static void test_empty(void)
{
	struct pd_buf b = encode("heap", 0, NULL, (struct pd_encode_options){ 0 });
	Pprof__Profile *m = decode(&b);
	EQ(m->n_sample, 0);
	EQ(m->n_sample_type, 4);
	STREQ(m->string_table[m->mapping[0]->filename], inputs_list[0]->path);
	OK(!mapping(m, "libghost")->id); /* neither used nor loaded */
	pprof__profile__free_unpacked(m, NULL);
}

/* One stack seen at two times between which nothing of its own changed is one sample. */
static void test_epochs(void)
{
	struct pd_symbols *s = pd_symbols_open(1 << 24);
	struct pd_encode_options o = { 0 };
	struct pd_profile p = { 0 };
	struct pd_buf out = { 0 };
	fill(&p, "profile", NULL, 0);
	for (uint32_t epoch = 1; epoch <= 3; epoch++) {
		pd_profile_add(&p, &(struct pd_sample){ .stack = { pc_real, 2, epoch, 0 }, .value = { 1, 1 } });
		pd_profile_add(&p, &(struct pd_sample){ .stack = { pc_ghost, 2, epoch, 0 }, .value = { 1, 1 } });
	}
	EQ(pd_profile_finish(&p), 0);
	EQ(p.n, 6);
	EQ(pd_encode_pprof(&p, s, &o, &out), 0);
	Pprof__Profile *m = decode(&out);
	EQ(m->n_sample, 3);
	EQ(m->sample[0]->value[0], 3); /* real */
	EQ(m->sample[1]->value[0], 2); /* ghost, while it was there */
	STREQ(name(m, m->location[m->sample[2]->location_id[0] - 1], 0), "0x7000000010");
	pprof__profile__free_unpacked(m, NULL);

	struct pd_buf small = { .max = 100 };
	EQ(pd_encode_pprof(&p, s, &o, &small), -EOVERFLOW);
	pd_buf_free(&small);
	p.failed = true;
	EQ(pd_encode_pprof(&p, s, &o, &out), -ENOMEM);
	pd_profile_free(&p);
	pd_symbols_close(s);
}

int main(void)
{
	inputs_init();
	pc_real[0] = inputs_outer();
	pc_real[1] = inputs_root();
	pc_ghost[0] = INPUTS_GHOST + 0x10;
	pc_ghost[1] = INPUTS_GHOST + 0x20;
	pc_jit[0] = INPUTS_JIT + 8;
	pc_nowhere[0] = INPUTS_NOWHERE;
	test_all_rules();
	test_same_bytes();
	test_options();
	test_empty();
	test_epochs();
	DONE();
}
