/* The answer of the symbol endpoint: Go's words, and silence about all others. */
#include <errno.h>

#include "../test.h"
#include "../inputs.h"

static struct pd_symbols *symbols;

static char *ask(const char *query, bool inlined)
{
	struct pd_buf out = { 0 };
	EQ(pd_encode_symbolz(query, strlen(query), inlined, inputs_list, inputs_nmodules, symbols, &out), 0);
	pd_buf_char(&out, '\0');
	return out.data;
}

static void expect(const char *query, const char *want)
{
	char *got = ask(query, false), full[1000];
	snprintf(full, sizeof full, "num_symbols: 1\n%s", want);
	STREQ(got, full);
	free(got);
}

/* v in a base, with a prefix. */
static char *number(const char *prefix, uint64_t v, unsigned base)
{
	static char text[100];
	char digits[70];
	size_t n = 0;
	for (; v; v /= base)
		digits[n++] = "0123456789abcdef"[v % base];
	char *to = stpcpy(text, prefix);
	while (n)
		*to++ = digits[--n];
	*to = 0;
	return text;
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	uint64_t pc = inputs_root();
	char line[100], query[300];
	snprintf(line, sizeof line, "0x%lx inputs_root\n", pc);
	static const struct {
		const char *prefix;
		unsigned base;
	} FORM[] = { { "", 10 },  { "0x", 16 }, { "0X", 16 }, { "0x000", 16 }, { "0", 8 },
		     { "0o", 8 }, { "0b", 2 },  { "0B", 2 },  { "0x_", 16 },   { "0_", 8 } };
	for (size_t i = 0; i < sizeof FORM / sizeof *FORM; i++)
		expect(number(FORM[i].prefix, pc, FORM[i].base), line);
	static const char *const BAD[] = { "",    "+",     "++",  "0",   "0x",      "0x0",       "xyz", "0xg1", "1__0",
		                           "0x1_", "_1",    "-1",  "08",  "0b2",     "99999999999999999999999",
		                           "0x7000000010", "0x7100000010", "0x7200000000", "1 ", "0b", "0o", "0x_" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		expect(BAD[i], "");
	/* Perl's sixteen digits, no prefix at all, and a word in between that is no number. */
	snprintf(query, sizeof query, "0x%016lx+zzz+0x%lx+%lx+", pc, pc, pc);
	char two[200];
	snprintf(two, sizeof two, "%s%s", line, line);
	expect(query, two);

	/* All frames of an inlined place, callers first, for who understands that. */
	uint64_t inner = inputs_outer();
	snprintf(query, sizeof query, "0x%lx+0x%lx", inner, pc);
	snprintf(two, sizeof two, "num_symbols: 1\n0x%lx inputs_outer--inputs_inner\n%s", inner, line);
	char *got = ask(query, true);
	STREQ(got, two);
	free(got);
	snprintf(two, sizeof two, "0x%lx inputs_inner\n%s", inner, line);
	expect(query, two);

	char *long_word = malloc(5001 + 100);
	memset(long_word, '1', 5000);
	snprintf(long_word + 5000, 100, "+0x%lx", pc);
	expect(long_word, "reading request: bufio: buffer full\n");
	snprintf(long_word + 4095, 100, "+0x%lx", pc);
	expect(long_word, line);
	free(long_word);

	struct pd_buf small = { .max = 20 };
	EQ(pd_encode_symbolz(query, strlen(query), false, inputs_list, inputs_nmodules, symbols, &small), -EOVERFLOW);
	pd_buf_free(&small);
	pd_symbols_close(symbols);
	DONE();
}
