/* debug=1: Go's layout to the byte, its order and its quoting. */
#include "../test.h"
#include "../inputs.h"

static const struct pd_label LABELS[] = { { "handler", "a\"b\n\x01" }, { "x", "caf\xc3\xa9\xff\xc2\xa0" } };
static const uint64_t GHOST[] = { INPUTS_GHOST + 0x10 };
static uint64_t pcs[3];
static struct pd_symbols *symbols;

static __attribute__((noinline)) uint64_t a_function_with_a_rather_long_name_for_a_wide_column(void)
{
	uint64_t pc = inputs_here();
	__asm__ volatile("# long" : "+r"(pc));
	return pc;
}

static char *encode(struct pd_profile *p, struct pd_encode_options o)
{
	struct pd_buf out = { 0 };
	p->modules = inputs_list;
	p->nmodules = inputs_nmodules;
	EQ(pd_profile_finish(p), 0);
	EQ(pd_encode_text(p, symbols, &o, &out), 0);
	pd_buf_char(&out, '\0');
	pd_profile_free(p);
	OK(inputs_cut_map(out.data));
	return out.data;
}

/* What a record's lines must be, from the symbols themselves. */
static void expect_lines(struct pd_buf *to, const uint64_t *pc, size_t n)
{
	struct {
		char pc[32], name[200], place[400];
	} line[32];
	size_t lines = 0, wide_pc = 0, wide_name = 0;
	for (size_t i = 0; i < n; i++) {
		struct pd_symbol s;
		pd_symbols_resolve(symbols, pd_module_find(inputs_list, inputs_nmodules, pc[i], 1), pc[i], &s);
		OK(!s.placeholder);
		for (size_t k = 0; k < s.n && lines < 32; k++, lines++) {
			snprintf(line[lines].pc, sizeof line->pc, "0x%lx", pc[i]);
			snprintf(line[lines].name, sizeof line->name, "%s+0x%lx", s.frame[k].name, pc[i] - s.entry);
			snprintf(line[lines].place, sizeof line->place, "%s:%u", s.frame[k].file, s.frame[k].line);
			wide_pc = strlen(line[lines].pc) > wide_pc ? strlen(line[lines].pc) : wide_pc;
			wide_name = strlen(line[lines].name) > wide_name ? strlen(line[lines].name) : wide_name;
		}
	}
	wide_pc = (wide_pc + 8) / 8 * 8;
	wide_name = (wide_name + 8) / 8 * 8;
	for (size_t i = 0; i < lines; i++) {
		static const char TABS[] = "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t";
		int after_pc = (int)((wide_pc - strlen(line[i].pc) + 7) / 8);
		int after_name = (int)((wide_name - strlen(line[i].name) + 7) / 8);
		pd_buf_fmt(to, "#\t%s%.*s%s%.*s%s\n", line[i].pc, after_pc, TABS, line[i].name, after_name, TABS,
		           line[i].place);
	}
	pd_buf_str(to, "\n");
}

static void test_layout(void)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("goroutine"));
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(pcs, 3), .value = { 3 } });
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(pcs + 1, 2), .value = { 12 } });
	pd_profile_comment(&p, "First.");
	pd_profile_comment(&p, "Second\nline.");
	char *text = encode(&p, (struct pd_encode_options){ 0 });
	struct pd_buf want = { 0 };
	pd_buf_str(&want, "goroutine profile: total 15\n");
	pd_buf_fmt(&want, "12 @ 0x%lx 0x%lx\n", pcs[1] + 1, pcs[2] + 1);
	expect_lines(&want, pcs + 1, 2);
	/* Two lines for the inlined frame, one address. */
	pd_buf_fmt(&want, "3 @ 0x%lx 0x%lx 0x%lx\n", pcs[0] + 1, pcs[1] + 1, pcs[2] + 1);
	expect_lines(&want, pcs, 3);
	pd_buf_str(&want, "# First.\n# Second line.\n");
	pd_buf_char(&want, '\0');
	STREQ(text, want.data);
	OK(strstr(text, "\tinputs_inner+0x") && strstr(text, "\t\t\t")); /* the columns are wide indeed */
	free(text);
	pd_buf_free(&want);
}

static void test_order_and_labels(void)
{
	static const uint64_t NINE[] = { 0x9 }, SIXTEEN[] = { 0x10 };
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("threadcreate"));
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(NINE, 1), .value = { 1 } });
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(SIXTEEN, 1), .value = { 1 } });
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(GHOST, 1), .value = { 7 }, .label = LABELS,
	                                        .nlabels = 2 });
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(GHOST, 1), .value = { 7 } });
	pd_profile_add(&p, &(struct pd_sample){ .pseudo = PD_PSEUDO_OVERFLOW, .value = { 2 } });
	char *text = encode(&p, (struct pd_encode_options){ 0 });
	STREQ(text, "threadcreate profile: total 18\n"
	            "7 @ 0x7000000011\n#\t0x7000000010\n\n"
	            "7 @ 0x7000000011\n# labels: {\"handler\":\"a\\\"b\\n\\x01\", \"x\":\"caf\xc3\xa9\\xff\\u00a0\"}\n"
	            "#\t0x7000000010\n\n"
	            "2 @ 0x2\n#\t0x1\t[overflow]+0x0\t??:0\n\n"
	            "1 @ 0x11\n#\t0x10\n\n"
	            "1 @ 0xa\n#\t0x9\n\n");
	free(text);
}

static void test_options(void)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("goroutine"));
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(pcs, 1), .value = { 7 }, .label = LABELS,
	                                        .nlabels = 1 });
	pd_profile_add(&p, &(struct pd_sample){ .stack = inputs_stack(pcs, 1), .value = { 4 } });
	char *text = encode(&p, (struct pd_encode_options){ .no_symbols = true, .no_labels = true });
	char want[200];
	snprintf(want, sizeof want, "goroutine profile: total 11\n11 @ 0x%lx\n#\t0x%lx\n\n", pcs[0] + 1, pcs[0]);
	STREQ(text, want);
	free(text);

	pd_profile_init(&p, pd_profile_type("goroutine"));
	text = encode(&p, (struct pd_encode_options){ 0 });
	STREQ(text, "goroutine profile: total 0\n");
	free(text);
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	pcs[0] = inputs_outer();
	pcs[1] = a_function_with_a_rather_long_name_for_a_wide_column();
	pcs[2] = inputs_root();
	test_layout();
	test_order_and_labels();
	test_options();
	pd_symbols_close(symbols);
	DONE();
}
