/* Any bytes as thread name, label and comment: every form stays what its readers expect. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text;
static struct pd_label label;
static struct pd_symbols *symbols;
static const uint64_t PC[] = { 0x401010 };
static const struct pd_module MAIN = { .start = 0x401000, .end = 0x402000, .from = 1, .until = 9,
	                               .path = "/none/such" };
static const struct pd_module *const MODULES[] = { &MAIN };

static void need(bool ok)
{
	if (!ok)
		abort();
}

static size_t labels(uint32_t id, const struct pd_label **out)
{
	*out = &label;
	return 1;
}

static size_t count(const char *in, const char *what)
{
	size_t n = 0;
	while ((in = strstr(in, what)))
		n++, in++;
	return n;
}

static void dump(bool braces)
{
	struct pd_agent agent = { .labels = labels };
	struct pd_thread_rec thread[] = { { .tid = 1, .labels = 1 }, { .tid = 2, .pc = PC, .n = 1 } };
	strncpy(thread[0].name, text, sizeof thread[0].name - 1);
	struct pd_dump d = { .n = 2, .thread = thread, .epoch = 1 };
	struct pd_encode_options o = { .brace_labels = braces };
	struct pd_buf out = { 0 };
	need(pd_encode_threads(&d, &agent, MODULES, 1, symbols, &o, &out) == 0);
	pd_buf_char(&out, '\0');
	need(out.data[0] == '#' && count(out.data, "\ngoroutine ") == 2);
	for (size_t i = 0; i + 1 < out.len; i++)
		need((out.data[i] >= ' ' && out.data[i] <= '~') || out.data[i] == '\n' || out.data[i] == '\t');
	pd_buf_free(&out);
}

static void profile(void)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("profile"));
	p.time_ns = p.duration_ns = 1;
	p.modules = MODULES;
	p.nmodules = 1;
	struct pd_sample s = { .stack = { PC, 1, 1, 0 }, .label = &label, .nlabels = 1, .value = { 1, 1 } };
	pd_profile_add(&p, &s);
	pd_profile_comment(&p, "%s", text);
	need(pd_profile_finish(&p) == 0);
	struct pd_encode_options o = { .plain = true };
	struct pd_buf out = { 0 };
	need(pd_encode_pprof(&p, symbols, &o, &out) == 0);
	const char *why = validate(out.data, out.len);
	need(!why || strstr(why, "a comment"));
	out.len = 0;
	need(pd_encode_text(&p, symbols, &o, &out) == 0);
	pd_buf_char(&out, '\0');
	need(count(out.data, "\n") == 7 && validate_utf8(out.data));
	pd_buf_free(&out);
	pd_profile_free(&p);
}

static void html(void)
{
	struct pd_buf out = { 0 };
	pd_html(&out, text);
	pd_buf_char(&out, '\0');
	need(!strpbrk(out.data, "<>\"'\n\t") && validate_utf8(out.data));
	pd_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	if (!symbols)
		symbols = pd_symbols_open(1 << 20);
	need(symbols && copy);
	if (size)
		memcpy(copy, data, size);
	copy[size] = 0;
	text = copy;
	label = (struct pd_label){ copy, copy + size / 2 };
	dump(false);
	dump(true);
	profile();
	html();
	struct pd_buf out = { 0 };
	need(pd_encode_symbolz(copy, size, size & 1, MODULES, 1, symbols, &out) == 0);
	need(out.len >= 15 && out.data[out.len - 1] == '\n');
	pd_buf_free(&out);
	free(copy);
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "worker-7", "\ngoroutine 1 [running]:\n", "caf\xc3\xa9 \xf0\x9f\x98\x80 \xff",
	                                  "<a href=\"x\">'&", "0x401010+4198416+0b1_0+zz", "a] {b: c}:\x1b[31m\r\n" };
#endif
#include "fuzz.h"
