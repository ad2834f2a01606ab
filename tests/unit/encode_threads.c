/* debug=2: the whole text, and that no name can break its form. */
#include <errno.h>

#include "../test.h"
#include "../inputs.h"
#include "server/encode/inside.h"

static const struct pd_label LABELS[] = { { "route", "/json" }, { "tenant", "ac\"me \xc3\xa9]" } };
static uint64_t pcs[2];
static const uint64_t GHOST[] = { INPUTS_GHOST + 0x10 };
static struct pd_symbols *symbols;

static size_t labels(uint32_t id, const struct pd_label **out)
{
	*out = LABELS;
	return id;
}

/* Threads are created by inputs_root, or by nobody known. */
static bool stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	*out = inputs_stack(pcs + 1, 1);
	return kind == PD_THREADCREATE && id == 7;
}

static char *encode(struct pd_thread_rec *thread, size_t n, struct pd_encode_options o)
{
	static const struct pd_agent agent = { .labels = labels, .stack = stack };
	struct pd_dump d = { .real_ns = 1795359845123456789, .took_ns = 1940000, .epoch = 1, .n = n, .thread = thread,
		             .signalled = n > 2 ? 2 : 0, .missed = 1 };
	struct pd_buf out = { 0 };
	EQ(pd_encode_threads(&d, &agent, inputs_list, inputs_nmodules, symbols, &o, &out), 0);
	pd_buf_char(&out, '\0');
	return out.data;
}

static void add_frame(struct pd_buf *to, uint64_t pc, const struct pd_symbol *s, size_t k)
{
	pd_buf_fmt(to, "%s(...)\n\t%s:%u", s->frame[k].name, s->frame[k].file, s->frame[k].line);
	if (k + 1 == s->n)
		pd_buf_fmt(to, " +0x%lx", pc - s->entry);
	pd_buf_str(to, "\n");
}

static void test_whole(void)
{
	struct pd_thread_rec thread[] = {
		{ .tid = 4242, .name = "demo-server", .state = PD_WAITING, .kernel_state = 'S', .syscall = 202,
		  .cpu_ns = 12340000000, .wait_ns = -1, .n = 2, .pc = pcs },
		{ .tid = 4250, .parent_tid = 4242, .name = "worker-7", .state = PD_RUNNING, .kernel_state = 'R',
		  .syscall = -1, .cpu_ns = 1801000000000, .labels = 2, .created_by = 7, .wait_ns = 180000000000, .n = 1,
		  .pc = GHOST, .flags = PD_TRUNCATED },
		{ .tid = 99, .name = "", .state = PD_GONE, .syscall = -1, .cpu_ns = -1, .created_by = 8,
		  .wait_ns = 59999999999 },
	};
	char *got = encode(thread, 3, (struct pd_encode_options){ 0 });
	struct pd_symbol outer, root;
	pd_symbols_resolve(symbols, inputs_list[0], pcs[0], &outer);
	pd_symbols_resolve(symbols, inputs_list[0], pcs[1], &root);
	EQ(outer.n, 2);
	struct pd_buf want = { 0 };
	pd_buf_fmt(&want, "# encode_threads pid %d, 2026-11-22T15:04:05Z: 3 threads, 2 stacks, "
	                  "taken one by one over 1.9 ms\n"
	                  "# 2 threads were asked by signal, 1 did not answer in time\n"
	                  "#  tid  name         state       cpu       labels\n"
	                  "# 4242  demo-server  futex wait    12.3 s\n"
	                  "# 4250  worker-7     running     1801.0 s  route=/json tenant=\"ac\\\"me \\u00e9\\x5d\"\n"
	                  "#   99  \"\"           gone               -\n"
	                  "\ngoroutine 4242 [futex wait]:\n", (int)getpid());
	for (size_t k = 0; k < outer.n; k++)
		add_frame(&want, pcs[0], &outer, k);
	add_frame(&want, pcs[1], &root, 0);
	pd_buf_fmt(&want, "\ngoroutine 4250 [running, 3 minutes]:\nlibghost.so.1+0x1010(...)\n\t??:0 +0x0\n"
	                  "...additional frames elided...\ncreated by inputs_root in goroutine 4242\n\t%s:%u +0x%lx\n"
	                  "\ngoroutine 99 [gone]:\n[stack unavailable](...)\n\t??:0 +0x0\n",
	           root.frame[0].file, root.frame[0].line, pcs[1] - root.entry);
	pd_buf_char(&want, '\0');
	STREQ(got, want.data);
	free(got);
	pd_buf_free(&want);

	got = encode(thread + 1, 1, (struct pd_encode_options){ .brace_labels = true });
	OK(strstr(got, "\ngoroutine 4250 [running, 3 minutes] {name: \"worker-7\", route: /json, tenant: "
	               "\"ac\\\"me \\u00e9\\x5d\"}:\n"));
	free(got);
	got = encode(thread + 1, 1, (struct pd_encode_options){ .no_labels = true, .no_symbols = true });
	OK(!strstr(got, "route") && !strstr(got, "inputs_root") && !strstr(got, "asked by signal"));
	OK(strstr(got, "\n0x7000000010(...)\n\t??:0 +0x0\n"));
	free(got);
}

static void test_states(void)
{
	static const struct {
		struct pd_thread_rec t;
		const char *word;
	} CASE[] = {
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = 0 }, "IO wait" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = 7 }, "IO wait (poll)" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = 230 }, "sleep" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = 232 }, "IO wait (poll)" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = 288 }, "IO wait" },
		{ { .state = PD_WAITING, .kernel_state = 'D', .syscall = 157 }, "syscall 157" },
		{ { .state = PD_WAITING, .kernel_state = 'D', .syscall = -1 }, "disk wait" },
		{ { .state = PD_WAITING, .kernel_state = 'R', .syscall = -1 }, "runnable" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = -1, .wchan = "futex_wait" }, "futex wait" },
		{ { .state = PD_WAITING, .kernel_state = 'S', .syscall = -1, .wchan = "a]b" }, "waiting" },
		{ { .state = PD_STOPPED, .kernel_state = 'T', .syscall = 7 }, "stopped" },
		{ { .state = PD_STOPPED, .kernel_state = 't', .syscall = -1 }, "traced" },
		{ { .state = PD_RUNNING, .kernel_state = 'S', .syscall = 7 }, "running" },
	};
	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		struct pd_thread_rec t = CASE[i].t;
		char *got = encode(&t, 1, (struct pd_encode_options){ 0 });
		char word[64] = "";
		const char *at = strstr(got, "\ngoroutine 0 [");
		OK(at && sscanf(at, "\ngoroutine 0 [%63[^]]]:", word) == 1);
		STREQ(word, CASE[i].word);
		free(got);
	}
}

static size_t headers(const char *text)
{
	size_t n = strncmp(text, "goroutine ", 10) == 0;
	while ((text = strstr(text, "\ngoroutine ")))
		n++, text++;
	return n;
}

static void test_hostile_and_deep(void)
{
	static const char *const NAMES[] = { "x\ngoroutine 1 [", "goroutine 1 [r]:", "\n\ngoroutine 9", "]\x1b[31m",
		                             "caf\xc3\xa9\xff", "# a\r\n" };
	enum { N = sizeof NAMES / sizeof *NAMES };
	static uint64_t deep[150];
	for (size_t i = 0; i < 150; i++)
		deep[i] = INPUTS_GHOST + i;
	struct pd_thread_rec thread[N] = { 0 };
	for (size_t i = 0; i < N; i++) {
		snprintf(thread[i].name, sizeof thread[i].name, "%s", NAMES[i]);
		thread[i].pc = deep;
		thread[i].n = i ? (uint32_t)(98 + i) : 150;
	}
	for (int braces = 0; braces < 2; braces++) {
		char *got = encode(thread, N, (struct pd_encode_options){ .brace_labels = braces });
		EQ(headers(got), N);
		for (const char *p = got; *p; p++)
			OK((*p >= 0x20 && *p < 0x7f) || *p == '\n' || *p == '\t');
		size_t frames = 0, elided = 0;
		for (const char *p = got; (p = strstr(p, "(...)\n\t")); p++)
			frames++;
		for (const char *p = got; (p = strstr(p, "\n...additional frames elided...\n")); p++)
			elided++;
		EQ(frames, 100 + 99 + 100 + 100 + 100 + 100);
		EQ(elided, 4);
		free(got);
	}
}

/* Function names with parentheses as the readers of dumps take them. */
static void test_parentheses(void)
{
	static const struct {
		const char *file, *shown;
	} CASES[] = {
		{ "/x/f(int)", "f(int)+0x10(...)" },
		{ "/x/f(int)::g(char)", "f(int)::g(char)+0x10(...)" },
		{ "/x/function<void (function<void ()>)>", "function<void (function<void {}>)>+0x10(...)" },
		{ "/x/a(b(c)d(e(f)))", "a(b{c}d{e{f}})+0x10(...)" },
		{ "/x/a)b", "a}b+0x10(...)" },
		{ "/x/(a", "{a+0x10(...)" },
		{ "/x/(a)(", "{a}{+0x10(...)" },
		{ "/x/)(", "}{+0x10(...)" },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		static uint64_t pc;
		uint64_t start = 0x7400000000 + i * 0x10000;
		inputs_add((struct pd_module){ .start = start, .end = start + 0x10000, .bias = start, .from = 1,
		                               .until = UINT32_MAX, .path = CASES[i].file });
		pc = start + 0x10;
		struct pd_thread_rec thread = { .name = "x", .pc = &pc, .n = 1 };
		char *got = encode(&thread, 1, (struct pd_encode_options){ 0 }), want[100];
		snprintf(want, sizeof want, ":\n%s\n\t??:0", CASES[i].shown);
		OK(strstr(got, want) || (fprintf(stderr, "%s", got), false));
		free(got);
	}
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	pcs[0] = inputs_outer();
	pcs[1] = inputs_root();
	test_whole();
	test_states();
	test_hostile_and_deep();
	test_parentheses();
	struct pd_dump none = { 0 };
	struct pd_encode_options o = { 0 };
	struct pd_buf small = { .max = 30 };
	EQ(pd_encode_threads(&none, NULL, NULL, 0, symbols, &o, &small), -EOVERFLOW);
	pd_buf_free(&small);
	pd_symbols_close(symbols);
	DONE();
}
