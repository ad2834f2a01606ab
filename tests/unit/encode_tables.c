/* Heap and contention as text, Go's and gperftools', to the byte. */
#include "../test.h"
#include "../inputs.h"

static const uint64_t ABOVE[] = { INPUTS_GHOST + 0x10, INPUTS_GHOST + 0x20 }, OTHER[] = { INPUTS_NOWHERE };
static const struct pd_label LABELS[] = { { "route", "/a" } };
static struct pd_symbols *symbols;

static void begin(struct pd_profile *p, const char *type)
{
	pd_profile_init(p, pd_profile_type(type));
	p->modules = inputs_list;
	p->nmodules = inputs_nmodules;
}

static void add(struct pd_profile *p, const uint64_t *pc, uint32_t n, struct pd_sample s)
{
	s.stack = inputs_stack(pc, n);
	if (!n)
		s.pseudo = PD_PSEUDO_OVERFLOW;
	pd_profile_add(p, &s);
}

static char *text(struct pd_profile *p, int (*legacy)(const struct pd_profile *p, struct pd_buf *out))
{
	struct pd_buf out = { 0 };
	struct pd_encode_options o = { 0 };
	EQ(pd_profile_finish(p), 0);
	EQ(legacy ? legacy(p, &out) : pd_encode_text(p, symbols, &o, &out), 0);
	pd_buf_char(&out, '\0');
	OK(legacy || inputs_cut_map(out.data));
	return out.data;
}

#define IS(p, legacy, want)                   \
	do {                                  \
		char *is = text(p, legacy);   \
		STREQ(is, want);              \
		free(is);                     \
	} while (0)

static void starts(struct pd_profile *p, int (*legacy)(const struct pd_profile *p, struct pd_buf *out),
                   const char *with)
{
	char *is = text(p, legacy);
	is[strlen(with)] = '\0';
	STREQ(is, with);
	free(is);
}

#define LINES_A "#\t0x7000000010\n#\t0x7000000020\n\n"

static void test_heap(void)
{
	struct pd_profile p = { 0 };
	begin(&p, "heap");
	p.raw_rate = 524288;
	add(&p, ABOVE, 2, (struct pd_sample){ .size = 96, .value = { 3, 288, 2, 192 } });
	add(&p, ABOVE, 2, (struct pd_sample){ .size = 200, .value = { 4, 800, 0, 0 } });
	add(&p, OTHER, 1, (struct pd_sample){ .size = 4096, .value = { 1, 4096, 1, 4096 } });
	add(&p, NULL, 0, (struct pd_sample){ .value = { 0, 7, 0, 5 } });
	pd_profile_comment(&p, "Said.");
	IS(&p, NULL, "heap profile: 3: 4293 [8: 5191] @ heap/1048576\n"
	             "1: 4096 [1: 4096] @ 0x7200000001\n#\t0x7200000000\n\n"
	             "2: 192 [3: 288] @ 0x7000000011 0x7000000021\n" LINES_A
	             "5: 5 [7: 7] @ 0x2\n#\t0x1\t[overflow]+0x0\t??:0\n\n"
	             "0: 0 [4: 800] @ 0x7000000011 0x7000000021\n" LINES_A
	             "\n# Said.\n");
	IS(&p, pd_encode_legacy_heap, "heap profile: 3: 4293 [8: 5191] @ heap_v2/524288\n"
	                              "1: 4096 [1: 4096] @ 0x7200000000\n"
	                              "2: 192 [3: 288] @ 0x7000000010 0x7000000021\n"
	                              "5: 5 [7: 7] @ 0x1\n"
	                              "0: 0 [4: 800] @ 0x7000000010 0x7000000021\n"
	                              "# Said.\n\nMAPPED_LIBRARIES:\n");
	p.raw_rate = 0;
	starts(&p, NULL, "heap profile: 3: 4293 [8: 5191] @ heap/2\n1:");
	starts(&p, pd_encode_legacy_heap, "heap profile: 3: 4293 [8: 5191] @ heapprofile\n1:");
	IS(&p, pd_encode_legacy_growth, "heap profile: 3: 4293 [3: 4293] @ growthz\n"
	                                "1: 4096 [1: 4096] @ 0x7200000000\n"
	                                "2: 192 [2: 192] @ 0x7000000010 0x7000000021\n"
	                                "5: 5 [5: 5] @ 0x1\n"
	                                "# Said.\n\nMAPPED_LIBRARIES:\n");
	pd_profile_free(&p);
}

/* What nobody freed is still no profile with two numbers only. */
static void test_heap_all_in_use(void)
{
	struct pd_profile p = { 0 };
	begin(&p, "allocs");
	add(&p, OTHER, 1, (struct pd_sample){ .size = 8, .value = { 2, 16, 2, 16 }, .label = LABELS, .nlabels = 1 });
	IS(&p, NULL, "heap profile: 2: 16 [2: 17] @ heap/2\n"
	             "2: 16 [2: 16] @ 0x7200000001\n# labels: {\"route\":\"/a\"}\n#\t0x7200000000\n\n\n");
	pd_profile_free(&p);
	begin(&p, "heap");
	p.raw_rate = 4096;
	IS(&p, NULL, "heap profile: 0: 0 [0: 1] @ heap/8192\n\n");
	IS(&p, pd_encode_legacy_heap, "heap profile: 0: 0 [0: 1] @ heap_v2/4096\n\nMAPPED_LIBRARIES:\n");
	IS(&p, pd_encode_legacy_growth, "heap profile: 0: 0 [0: 0] @ growthz\n\nMAPPED_LIBRARIES:\n");
	pd_profile_free(&p);
}

static void test_waits(void)
{
	static const struct {
		const char *type, *title;
	} KINDS[] = { { "block", "--- contention:\ncycles/second=1000000000\n" },
		      { "io", "--- contention:\ncycles/second=1000000000\n" },
		      { "mutex", "--- mutex:\ncycles/second=1000000000\nsampling period=1\n" } };
	for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
		struct pd_profile p = { 0 };
		char want[300];
		begin(&p, KINDS[i].type);
		IS(&p, NULL, KINDS[i].title);
		/* More often, but not as long; and a time that is all there is. */
		add(&p, ABOVE, 2, (struct pd_sample){ .value = { 100, 5000 } });
		add(&p, OTHER, 1, (struct pd_sample){ .value = { 3, 90000 } });
		add(&p, NULL, 0, (struct pd_sample){ .value = { 0, 10 } });
		snprintf(want, sizeof want,
		         "%s90000 3 @ 0x7200000001\n#\t0x7200000000\n\n"
		         "5000 100 @ 0x7000000011 0x7000000021\n" LINES_A
		         "10 1 @ 0x2\n#\t0x1\t[overflow]+0x0\t??:0\n\n", KINDS[i].title);
		IS(&p, NULL, want);
		IS(&p, pd_encode_legacy_contention,
		   "--- contention:\ncycles/second = 1000000000\nsampling period = 1\n"
		   "90000 3 @ 0x7200000000\n5000 100 @ 0x7000000010 0x7000000021\n10 1 @ 0x1\n--- Memory map: ---\n");
		pd_profile_free(&p);
	}
}

static void test_cpu(void)
{
	const uint64_t want[] = { 0, 3, 0, 4000, 0, 9, 2, INPUTS_GHOST + 0x10, INPUTS_GHOST + 0x21,
		                  5, 1, 1, 2, 1, INPUTS_NOWHERE, 0, 1, 0 };
	struct pd_profile p = { 0 };
	struct pd_buf out = { 0 };
	begin(&p, "profile");
	p.period = 4000000;
	/* Labels are no reason for two. */
	add(&p, ABOVE, 2, (struct pd_sample){ .value = { 4, 16000000 } });
	add(&p, ABOVE, 2, (struct pd_sample){ .value = { 5, 20000000 }, .label = LABELS, .nlabels = 1 });
	add(&p, OTHER, 1, (struct pd_sample){ .value = { 2, 8000000 } });
	add(&p, NULL, 0, (struct pd_sample){ .value = { 5, 20000000 } });
	EQ(pd_profile_finish(&p), 0);
	EQ(pd_encode_legacy_cpu(&p, &out), 0);
	EQ(out.len, sizeof want);
	OK(out.len == sizeof want && memcmp(out.data, want, sizeof want) == 0);
	pd_buf_free(&out);
	pd_profile_free(&p);
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	test_heap();
	test_heap_all_in_use();
	test_waits();
	test_cpu();
	pd_symbols_close(symbols);
	DONE();
}
