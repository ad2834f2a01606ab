/* format=collapsed and format=json: to the byte where it can be, and what names are made safe for. */
#include <errno.h>

#include "../test.h"
#include "../inputs.h"

static const struct pd_label LABELS[] = { { "route", "/js\"on\n" }, { "x", "caf\xc3\xa9\xff" } };
static const uint64_t GHOST[] = { INPUTS_GHOST + 0x10 };
static uint64_t pcs[3], same[2];
static struct pd_symbols *symbols;

static char *encode(const char *type, bool json, const struct pd_sample *s, size_t n, struct pd_encode_options o)
{
	struct pd_profile p = { 0 };
	struct pd_buf out = { 0 };
	pd_profile_init(&p, pd_profile_type(type));
	p.modules = inputs_list;
	p.nmodules = inputs_nmodules;
	p.time_ns = 7;
	p.duration_ns = 8;
	p.period = 9;
	for (size_t i = 0; i < n; i++)
		pd_profile_add(&p, &s[i]);
	pd_profile_comment(&p, "One \"comment\"\twith a tab.");
	EQ(pd_profile_finish(&p), 0);
	EQ((json ? pd_encode_speedscope : pd_encode_collapsed)(&p, symbols, &o, &out), 0);
	pd_buf_char(&out, '\0');
	struct pd_buf small = { .max = 3 };
	if (n)
		EQ((json ? pd_encode_speedscope : pd_encode_collapsed)(&p, symbols, &o, &small), -EOVERFLOW);
	pd_buf_free(&small);
	pd_profile_free(&p);
	return out.data;
}

/* JSON without the white space between its parts. */
static char *squeezed(char *json)
{
	char *to = json;
	bool quoted = false;
	for (const char *s = json; *s; s++) {
		if (*s == '"' && (s == json || s[-1] != '\\'))
			quoted = !quoted;
		if (quoted || !strchr(" \n\t", *s))
			*to++ = *s;
	}
	*to = '\0';
	return json;
}

static void expect(char *got, const char *want)
{
	STREQ(got, want);
	free(got);
}

static void collapsed(void)
{
	struct pd_sample heap[] = {
		{ .stack = inputs_stack(pcs, 2), .value = { 1, 10, 2, 20 } },
		{ .stack = inputs_stack(pcs, 2), .label = LABELS, .nlabels = 2, .value = { 1, 10, 1, 5 } },
		{ .stack = inputs_stack(pcs, 2), .size = 64, .value = { 1, 10, 1, 5 } },
		{ .stack = inputs_stack(pcs + 1, 1), .value = { 4, 40, 0, 0 } },
		{ .stack = inputs_stack(GHOST, 1), .value = { 1, 1, 1, 1 } },
		{ .pseudo = PD_PSEUDO_OVERFLOW, .value = { 0, 0, 3, 33 } },
	};
	struct pd_encode_options o = { 0 };
	char *got = encode("heap", false, heap, 6, o);
	/* The stacks with labels or a size are the first one; what is not in use any more is left out. */
	OK(strstr(got, "inputs_root;inputs_outer;inputs_inner 30\n"));
	OK(strstr(got, "libghost.so.1+0x1010 1\n") && !strchr(got, '#'));
	OK(strstr(got, "[overflow] 33\n"));
	int lines = 0;
	for (const char *s = got; (s = strchr(s, '\n')); s++)
		lines++;
	EQ(lines, 3);
	free(got);
	got = encode("allocs", false, heap, 6, o);
	OK(strstr(got, "inputs_inner 30\n") && strstr(got, "inputs_root 40\n"));
	free(got);
	/* Another address of the same function is the same stack. */
	struct pd_sample twice[] = { { .stack = inputs_stack(same, 1), .value = { 1, 100 } },
		                     { .stack = inputs_stack(same + 1, 1), .value = { 2, 200 } },
		                     { .stack = inputs_stack(same, 1), .label = LABELS, .nlabels = 1,
		                       .value = { 9, INT64_MAX } } };
	expect(encode("profile", false, twice, 2, o), "inputs_root 300\n");
	expect(encode("profile", false, twice, 3, o), "inputs_root 9223372036854775807\n");
	o.no_symbols = true;
	char want[100];
	snprintf(want, sizeof want, "0x%lx 200\n0x%lx 100\n", same[1], same[0]);
	expect(encode("profile", false, twice, 2, o), want);
	expect(encode("profile", false, NULL, 0, o), "");
}

static void json(void)
{
	uint64_t leaf[] = { pcs[0], pcs[2] };
	struct pd_sample s[] = {
		{ .stack = inputs_stack(leaf, 2), .label = LABELS, .nlabels = 2, .value = { 3, 90 } },
		{ .stack = inputs_stack(GHOST, 1), .size = 64, .value = { 2, 80 } },
		{ .stack = inputs_stack(leaf + 1, 1), .value = { 1, 0 } },
	};
	struct pd_symbol at;
	struct pd_buf want = { 0 };
	pd_buf_str(&want,
	           "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"pprofd\","
	           "\"name\":\"profile\",\"activeProfileIndex\":1,\"timeNanos\":7,\"durationNanos\":8,\"period\":9,"
	           "\"comments\":[\"One \\\"comment\\\"\\u0009with a tab.\"],\"shared\":{\"frames\":[");
	for (int i = 1; i >= 0; i--) {
		const struct pd_module *m = pd_module_find(inputs_list, inputs_nmodules, leaf[i], 1);
		pd_symbols_resolve(symbols, m, leaf[i], &at);
		for (size_t k = at.n; k-- > 0;)
			pd_buf_fmt(&want, "{\"name\":\"%s\",\"file\":\"%s\",\"line\":%u},", at.frame[k].name,
			           at.frame[k].file, at.frame[k].start_line);
	}
	pd_buf_str(&want,
	           "{\"name\":\"libghost.so.1+0x1010\"}]},\"profiles\":["
	           "{\"type\":\"sampled\",\"name\":\"samples\",\"unit\":\"none\",\"startValue\":0,\"endValue\":6,"
	           "\"samples\":[[0,1,2],[3],[0]],\"weights\":[3,2,1],"
	           "\"labels\":[{\"route\":\"/js\\\"on\\u000a\",\"x\":\"caf\xc3\xa9\xef\xbf\xbd\"},{\"bytes\":64},{}]},"
	           "{\"type\":\"sampled\",\"name\":\"cpu\",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":170,"
	           "\"samples\":[[0,1,2],[3]],\"weights\":[90,80],\"labels\":[{\"route\":\"/js\\\"on\\u000a\","
	           "\"x\":\"caf\xc3\xa9\xef\xbf\xbd\"},{\"bytes\":64}]}]}");
	pd_buf_char(&want, '\0');
	struct pd_encode_options o = { 0 };
	expect(squeezed(encode("profile", true, s, 3, o)), want.data);
	pd_buf_free(&want);
	char *got = squeezed(encode("heap", true, NULL, 0, o));
	OK(strstr(got, "\"activeProfileIndex\":3"));
	OK(strstr(got, "\"frames\":[]}") && strstr(got, "\"endValue\":0,\"samples\":[],\"weights\":[]}"));
	free(got);
	o.no_labels = true;
	s[1].size = 0;
	got = encode("profile", true, s, 3, o);
	OK(!strstr(got, "labels"));
	free(got);
}

/* A name that says ';' and one with a line end, from a file whose name holds them. */
static void names(void)
{
	static struct pd_module odd = { .start = 0x7300000000, .end = 0x7300010000, .bias = 0x7300000000,
		                        .from = 1, .until = UINT32_MAX, .path = "/gone/lib[u8; 4]\nx\"y.so" };
	static const uint64_t pc[] = { 0x7300000010 };
	inputs_add(odd);
	struct pd_sample s = { .stack = inputs_stack(pc, 1), .value = { 1, 1 } };
	struct pd_encode_options o = { 0 };
	expect(encode("profile", false, &s, 1, o), "lib[u8: 4] x\"y.so+0x10 1\n");
	char *got = squeezed(encode("profile", true, &s, 1, o));
	OK(strstr(got, "{\"name\":\"lib[u8; 4]\\u000ax\\\"y.so+0x10\"}"));
	free(got);
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	pcs[0] = inputs_outer(), pcs[1] = pcs[2] = inputs_root();
	same[0] = pcs[2], same[1] = pcs[2] + 1;
	collapsed();
	json();
	names();
	pd_symbols_close(symbols);
	DONE();
}
