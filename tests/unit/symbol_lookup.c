/*
 * Symbols of this very program. Called with a file it is a tool for scripts: it reads addresses of the file in hex
 * and tells what is known of each; "bench" in front of it tells time and memory instead.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "../inputs.h"
#include "server/symbol/symbol.h"
#include "symbol_tool.h"
#include "../test.h"

#define CAP (25u << 20)

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static struct pd_symbol of(struct pd_symbols *s, uint64_t pc)
{
	struct pd_symbol out;
	pd_symbols_resolve(s, pd_module_find(inputs_list, inputs_nmodules, pc, 1), pc, &out);
	return out;
}

static void own_functions(struct pd_symbols *s)
{
	uint64_t pc[] = { inputs_outer(), inputs_root() };
	pd_symbols_prepare(s, inputs_list, inputs_nmodules, pc, 2, 1, NULL);
	struct pd_symbol a = of(s, pc[0]);
	EQ(a.n, 2);
	STREQ(a.frame[0].name, "inputs_inner");
	OK(a.frame[0].inlined);
	STREQ(a.frame[a.n - 1].name, "inputs_outer");
	STREQ(a.frame[a.n - 1].system_name, "inputs_outer");
	OK(!a.frame[a.n - 1].inlined);
	for (size_t i = 0; i < a.n; i++) {
		STREQ(last_part(a.frame[i].file), "inputs.h");
		OK(a.frame[i].start_line && a.frame[i].line > a.frame[i].start_line);
	}
	EQ(a.entry, (uintptr_t)inputs_outer);
	OK(!a.placeholder);
	struct pd_symbol b = of(s, pc[1]);
	EQ(b.n, 1);
	STREQ(b.frame[0].name, "inputs_root");
	/* Asked again, the same answer from memory. */
	OK(of(s, pc[0]).frame == a.frame);
}

static void vdso(struct pd_symbols *s)
{
	for (size_t i = 0; i < inputs_nmodules; i++) {
		const struct pd_module *m = inputs_list[i];
		if (!m->is_vdso)
			continue;
		bool seen = false;
		for (uint64_t pc = m->start; pc < m->end && !seen; pc += 16) {
			struct pd_symbol a = of(s, pc);
			seen = !strcmp(a.frame[0].name, "__vdso_clock_gettime");
		}
		OK(seen);
	}
}

static void placeholders(struct pd_symbols *s)
{
	struct pd_symbol a = of(s, INPUTS_GHOST + 0x234);
	OK(a.placeholder);
	EQ(a.n, 1);
	EQ(a.entry, 0);
	STREQ(a.frame[0].name, "libghost.so.1+0x1234");
	STREQ(a.frame[0].file, "");
	STREQ(of(s, INPUTS_JIT + 0x42).frame[0].name, "[anon]+0x42");
	STREQ(of(s, INPUTS_NOWHERE + 1).frame[0].name, "0x7200000001");
	OK(of(s, INPUTS_NOWHERE + 1).placeholder);
}

static void another_build(void)
{
	struct pd_symbols *s = pd_symbols_open(CAP);
	struct pd_module m = *inputs_list[0];
	struct pd_symbol out;
	struct pd_symbols_stats st;
	m.loaded = false;
	if (m.build_id_len) {
		m.build_id[0] ^= 1;
		pd_symbols_resolve(s, &m, (uintptr_t)another_build, &out);
		OK(out.placeholder);
		pd_symbols_stats(s, &st);
		OK(st.files_refused > 0);
		EQ(st.unresolved, 1);
	}
	/* The path is gone, but the kernel still has the file. */
	m = *inputs_list[0];
	char exe[4096];
	snprintf(exe, sizeof(exe), "%s (deleted)", m.path);
	m.path = exe;
	pd_symbols_resolve(s, &m, (uintptr_t)another_build, &out);
	STREQ(out.frame[out.n - 1].name, "another_build");
	pd_symbols_close(s);
}

/* No build id: the code in memory tells whether the file is that of the module. */
static void without_build_id(void)
{
	struct pd_symbols *s = pd_symbols_open(CAP);
	struct pd_symbol out;
	struct pd_module m = *inputs_list[0];
	m.build_id_len = 0;
	pd_symbols_resolve(s, &m, (uintptr_t)without_build_id, &out);
	STREQ(out.frame[out.n - 1].name, "without_build_id");
	static char libc[4096];
	Dl_info info;
	if (dladdr((void *)printf, &info) && realpath(info.dli_fname, libc)) {
		m.path = libc;
		pd_symbols_resolve(s, &m, (uintptr_t)without_build_id, &out);
		/* The kernel may tell us the true file, if we may ask. */
		OK(out.placeholder || !strcmp(out.frame[out.n - 1].name, "without_build_id"));
		struct pd_symbols_stats st;
		pd_symbols_stats(s, &st);
		EQ(st.files_refused, 1);
	}
	pd_symbols_close(s);
}

static void memory(void)
{
	struct pd_symbols *s = pd_symbols_open(200000);
	struct pd_symbols_stats st;
	static uint64_t pc[4000];
	for (size_t i = 0; i < 4000; i++)
		pc[i] = INPUTS_NOWHERE + i;
	pd_symbols_prepare(s, inputs_list, inputs_nmodules, pc, 4000, 1, NULL);
	pd_symbols_stats(s, &st);
	EQ(st.addresses, 4000);
	OK(st.bytes > 200000);
	pd_symbols_trim(s);
	/* One of them is used in the next round, and stays when memory is short again. */
	for (size_t i = 0; i < 4000; i++)
		pc[i] += 100000;
	of(s, INPUTS_NOWHERE);
	pd_symbols_trim(s);
	pd_symbols_stats(s, &st);
	OK(st.bytes <= 200000);
	STREQ(of(s, INPUTS_NOWHERE + 7).frame[0].name, "0x7200000007");
	bool cancel = true;
	pd_symbols_prepare(s, inputs_list, inputs_nmodules, pc, 4000, 1, &cancel);
	struct pd_symbols_stats after;
	pd_symbols_stats(s, &after);
	OK(after.addresses < 100);
	pd_symbols_close(s);
	pd_symbols_close(NULL);
}

static void modules(void)
{
	struct pd_module m[500];
	const struct pd_module *list[500];
	for (uint32_t i = 0; i < 500; i++) {
		/* Two libraries one after the other in the same place. */
		uint64_t start = 0x1000000 + (uint64_t)(i / 2) * 0x10000;
		m[i] = (struct pd_module){ .start = start,
			.end = start + 0x8000,
			.from = i % 2 ? 6 : 1,
			.until = i % 2 ? UINT32_MAX : 5,
			.path = "x" };
		list[i] = &m[i];
	}
	for (int round = 0; round < 2; round++) {
		OK(pd_module_find(list, 500, 0x1000000 + 7 * 0x10000, 5) == &m[14]);
		OK(pd_module_find(list, 500, 0x1000000 + 7 * 0x10000 + 0x7fff, 6) == &m[15]);
		OK(!pd_module_find(list, 500, 0x1000000 + 7 * 0x10000 + 0x8000, 6));
		OK(!pd_module_find(list, 500, 0x1000000, 0));
		OK(!pd_module_find(list, 0, 0x1000000, 1));
	}
	m[14].until = 3;
	OK(!pd_module_find(list, 500, 0x1000000 + 7 * 0x10000, 5));
}

/* --- the tool --- */

static size_t addresses_read(uint64_t **pc)
{
	char line[64];
	size_t n = 0, cap = 0;
	while (fgets(line, sizeof(line), stdin)) {
		if (n == cap)
			*pc = realloc(*pc, (cap = cap * 2 + 64) * sizeof(**pc));
		(*pc)[n++] = strtoull(line, NULL, 16);
	}
	return n;
}

static void tell(const struct pd_symbol *s, uint64_t pc)
{
	printf("0x%lx\n", (unsigned long)pc);
	for (size_t i = 0; i < s->n; i++) {
		const struct pd_frame *f = &s->frame[i];
		printf("%s\t%s:%u\t%s\t%u\t%s\n", f->system_name, f->file, f->line, f->name, f->start_line,
		        f->inlined               ? "inlined"
		                : s->placeholder ? "placeholder"
		                                 : "real");
	}
}

static void bench(const struct pd_module *m, const uint64_t *pc, size_t n)
{
	struct pd_symbols_stats st;
	struct rusage before, after;
	long long took[2], resolve;
	struct pd_symbols *s = pd_symbols_open(CAP);
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 2; i++) {
		long long from = test_now_ns();
		pd_symbols_prepare(s, &m, 1, pc, n, 0, NULL);
		took[i] = test_now_ns() - from;
	}
	getrusage(RUSAGE_SELF, &after);
	resolve = test_now_ns();
	struct pd_symbol out;
	for (size_t i = 0; i < n; i++)
		pd_symbols_resolve(s, m, pc[i], &out);
	resolve = test_now_ns() - resolve;
	pd_symbols_stats(s, &st);
	printf("%zu addresses: first %.3f s, again %.4f s, resolve %.0f ns each, peak memory +%ld KiB, kept %zu KiB, "
	       "unresolved %zu\n",
	        n, (double)took[0] / 1e9, (double)took[1] / 1e9, (double)resolve / (double)(n ? n : 1),
	        after.ru_maxrss - before.ru_maxrss, st.bytes / 1024, st.unresolved);
	pd_symbols_close(s);
}

static int tool(const char *file, bool measure)
{
	char path[PATH_MAX];
	uint64_t *pc = NULL;
	size_t n = addresses_read(&pc);
	if (!realpath(file, path))
		return 2;
	struct pd_module m = tool_module(path, true);
	const struct pd_module *list = &m;
	if (measure) {
		bench(&m, pc, n);
		return 0;
	}
	struct pd_symbols *s = pd_symbols_open(CAP);
	pd_symbols_prepare(s, &list, 1, pc, n, 0, NULL);
	for (size_t i = 0; i < n; i++) {
		struct pd_symbol out;
		pd_symbols_resolve(s, &m, pc[i], &out);
		tell(&out, pc[i]);
	}
	pd_symbols_close(s);
	free(pc);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return !strcmp(argv[1], "bench") ? tool(argv[2], true) : tool(argv[1], false);
	inputs_init();
	struct pd_symbols *s = pd_symbols_open(CAP);
	own_functions(s);
	vdso(s);
	placeholders(s);
	pd_symbols_close(s);
	another_build();
	without_build_id();
	memory();
	modules();
	DONE();
}
