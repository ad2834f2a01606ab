/* The `symbol` endpoint: numbers in, function names out. Knows Go's rules for the words; no socket. */
#include <string.h>

#include "server/encode/inside.h"

#define WORD_MAX 4096

/* Go's ParseUint with base 0; 0 = not a number (which 0 itself, being no address, may be called too). */
static uint64_t parse(const char *s, size_t n)
{
	unsigned base = 10;
	size_t i = 0;
	bool prefix = n > 1 && s[0] == '0';
	if (prefix) {
		char letter = (char)(s[1] | 0x20);
		base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
		i = base != 8 || letter == 'o' ? 2 : 1;
	}
	/* One '_' at a time may stand between digits and after the prefix. */
	uint64_t v = 0;
	bool digit = prefix, any = i == 1;
	for (; i < n; i++) {
		if (s[i] == '_' && digit) {
			digit = false;
			continue;
		}
		char c = (char)(s[i] | 0x20);
		unsigned d = s[i] >= '0' && s[i] <= '9' ? (unsigned)(s[i] - '0') :
		             c >= 'a' && c <= 'f'       ? (unsigned)(c - 'a') + 10 :
		                                          16;
		if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return 0;
		digit = any = true;
	}
	return digit && any ? v : 0;
}

/* Append the numbers among the words of a query. False: Go's reader would have given up at a word so long. */
static bool read_words(const char *query, size_t len, struct pd_buf *pcs)
{
	for (const char *end = query + len, *word = query; word < end;) {
		const char *plus = memchr(word, '+', (size_t)(end - word));
		size_t n = (size_t)((plus ? plus : end) - word);
		if (n >= WORD_MAX)
			return false;
		uint64_t pc = parse(word, n);
		if (pc)
			pd_buf_add(pcs, &pc, sizeof pc);
		word = plus ? plus + 1 : end;
	}
	return true;
}

/* The latest time at which something was loaded: all that is loaded now was there, and nothing else in its place. */
static uint32_t latest(const struct pd_module *const *modules, size_t n)
{
	uint32_t epoch = 0;
	for (size_t i = 0; i < n; i++)
		if (modules[i]->from > epoch)
			epoch = modules[i]->from;
	return epoch;
}

/* One line; of the frames inlined at the address all, callers first, or the innermost. */
static void write_symbol(struct pd_buf *out, uint64_t pc, const struct pd_symbol *symbol, bool inlined)
{
	pd_hex(out, pc);
	pd_buf_char(out, ' ');
	for (size_t i = inlined ? symbol->n : 1; i > 0; i--) {
		pd_oneline(out, symbol->frame[i - 1].name);
		pd_buf_str(out, i > 1 ? "--" : "\n");
	}
}

int pd_encode_symbolz(const char *query, size_t len, bool inlined, const struct pd_module *const *modules,
                      size_t nmodules, struct pd_symbols *s, struct pd_buf *out)
{
	struct pd_buf pcs = { 0 };
	bool whole = read_words(query, len, &pcs), failed = pcs.failed;
	const uint64_t *pc = (const void *)pcs.data;
	size_t n = pcs.len / sizeof *pc;
	uint32_t epoch = latest(modules, nmodules);
	pd_symbols_prepare(s, modules, nmodules, pc, n, epoch, NULL);
	pd_buf_str(out, "num_symbols: 1\n");
	for (size_t i = 0; i < n; i++) {
		const struct pd_module *m = pd_module_find(modules, nmodules, pc[i], epoch);
		struct pd_frame pseudo = { .name = "" };
		struct pd_symbol symbol = { .frame = &pseudo, .n = 1, .placeholder = true };
		if (m && m->loaded) {
			pd_symbols_resolve(s, m, pc[i], &symbol);
		} else if (inlined && pc[i] < PD_PSEUDOS) {
			pseudo.name = pd_pseudo_name((enum pd_pseudo)pc[i]);
			symbol.placeholder = false;
		}
		if (!symbol.placeholder)
			write_symbol(out, pc[i], &symbol, inlined);
	}
	if (!whole)
		pd_buf_str(out, "reading request: bufio: buffer full\n");
	pd_buf_free(&pcs);
	return failed ? -ENOMEM : pd_buf_error(out);
}
