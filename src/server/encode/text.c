/* Go's text (debug=1), which pprof loads too: a title, records, remarks. Knows the layout of records; what stands
 * before the addresses is numbers.c's. Symbols come through symbol.h. */
#include <stdlib.h>
#include <string.h>

#include "server/encode/inside.h"

#define TAB 8

/* One line below a record. */
struct shown {
	uint64_t pc;
	size_t name;      /* where in `names` it starts: function+offset, terminated */
	size_t width;     /* of that, in characters */
	const char *file; /* NULL = no symbol */
	uint32_t line;
};

/* A record's text; what follows the numbers of its first line is also its key in the order. */
struct record {
	int64_t rank;
	size_t start, key, key_len, end; /* in bytes of `text` */
};

struct writer {
	const struct pd_profile *p;
	struct pd_symbols *symbols;
	const struct pd_encode_options *o;
	const struct pd_numbers *numbers;
	size_t shown_value;   /* which value the order goes by */
	struct pd_buf text;   /* of all records, in the order of the samples */
	struct pd_buf record; /* struct record */
	struct pd_buf shown;  /* struct shown of the record under way */
	struct pd_buf names;  /* of these */
};

static void show(struct writer *w, uint64_t pc, uint64_t entry, const struct pd_frame *f)
{
	struct shown line = { .pc = pc, .name = w->names.len };
	if (f) {
		line.file = f->file[0] ? f->file : "??";
		line.line = f->line;
		pd_oneline(&w->names, f->name);
		pd_buf_char(&w->names, '+');
		pd_hex(&w->names, entry && pc >= entry ? pc - entry : 0);
	}
	pd_buf_char(&w->names, '\0');
	if (!w->names.failed)
		line.width = pd_runes(w->names.data + line.name);
	pd_buf_add(&w->shown, &line, sizeof line);
}

/* One line for each inlined frame, as Go has it. */
static void show_stack(struct writer *w, const struct pd_sample *s)
{
	w->shown.len = w->names.len = 0;
	if (s->pseudo) {
		struct pd_frame stand_in = { .name = pd_pseudo_name(s->pseudo), .file = "" };
		show(w, (uint64_t)s->pseudo, 0, &stand_in);
	}
	for (uint32_t i = 0; i < s->stack.n; i++) {
		uint64_t pc = s->stack.pc[i];
		struct pd_symbol symbol = { .n = 1, .placeholder = true };
		if (!w->o->no_symbols)
			pd_symbols_resolve(w->symbols,
			                   pd_module_with_file(w->p->modules, w->p->nmodules, pc, s->stack.epoch),
			                   pc, &symbol);
		if (symbol.placeholder)
			show(w, pc, 0, NULL);
		for (size_t k = 0; k < symbol.n && !symbol.placeholder; k++)
			show(w, pc, symbol.entry, &symbol.frame[k]);
	}
}

/* Tabs from the end of a cell of `len` characters to the column after the widest one. */
static void write_tabs(struct pd_buf *out, size_t len, size_t widest)
{
	size_t width = (widest + TAB) / TAB * TAB;
	for (size_t at = len; at < width; at = at / TAB * TAB + TAB)
		pd_buf_char(out, '\t');
}

static size_t hex_digits(uint64_t v)
{
	return v ? (67 - (size_t)__builtin_clzll(v)) / 4 : 1;
}

/* Lines with symbols that follow one another share their columns. */
static void write_run(struct pd_buf *out, const char *names, const struct shown *line, size_t n)
{
	size_t widest_pc = 0, widest_name = 0;
	for (size_t i = 0; i < n; i++) {
		size_t pc = 2 + hex_digits(line[i].pc);
		widest_pc = pc > widest_pc ? pc : widest_pc;
		widest_name = line[i].width > widest_name ? line[i].width : widest_name;
	}
	for (size_t i = 0; i < n; i++) {
		pd_buf_str(out, "#\t");
		write_tabs(out, pd_hex(out, line[i].pc), widest_pc);
		pd_buf_str(out, names + line[i].name);
		write_tabs(out, line[i].width, widest_name);
		pd_oneline(out, line[i].file);
		pd_buf_fmt(out, ":%u\n", line[i].line);
	}
}

static void write_bare(struct pd_buf *out, uint64_t pc)
{
	pd_buf_str(out, "#\t");
	pd_hex(out, pc);
	pd_buf_char(out, '\n');
}

static void write_lines(struct pd_buf *out, const char *names, const struct shown *line, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t run = 0;
		while (i + run < n && line[i + run].file)
			run++;
		if (run)
			write_run(out, names, line + i, run);
		else
			write_bare(out, line[i].pc);
		i += run ? run : 1;
	}
	pd_buf_char(out, '\n');
}

static void write_labels(struct pd_buf *out, const struct pd_sample *s)
{
	if (!s->nlabels)
		return;
	pd_buf_str(out, "\n# labels: {");
	for (size_t i = 0; i < s->nlabels; i++) {
		pd_buf_str(out, i ? ", " : "");
		pd_quote(out, s->label[i].key);
		pd_buf_char(out, ':');
		pd_quote(out, s->label[i].value);
	}
	pd_buf_char(out, '}');
}

/* Readers take one off each address: they expect return addresses. Inlined frames have none of their own, and readers
 * that look addresses up would see a function twice. */
static void write_addresses(struct pd_buf *out, const struct pd_sample *s)
{
	pd_buf_char(out, '@');
	if (s->pseudo) {
		pd_buf_char(out, ' ');
		pd_hex(out, (uint64_t)s->pseudo + 1);
	}
	for (uint32_t i = 0; i < s->stack.n; i++) {
		pd_buf_char(out, ' ');
		pd_hex(out, s->stack.pc[i] + 1);
	}
}

static void write_record(struct writer *w, const struct pd_sample *s)
{
	struct record r = { .rank = s->value[w->shown_value], .start = w->text.len };
	show_stack(w, s);
	if (w->shown.failed || w->names.failed)
		return;
	w->numbers->sample(&w->text, s);
	r.key = w->text.len;
	write_addresses(&w->text, s);
	write_labels(&w->text, s);
	r.key_len = w->text.len - r.key;
	pd_buf_char(&w->text, '\n');
	const struct shown *line = (const void *)w->shown.data;
	write_lines(&w->text, w->names.data, line, w->shown.len / sizeof *line);
	r.end = w->text.len;
	pd_buf_add(&w->record, &r, sizeof r);
}

static int by_rank_and_key(const void *pa, const void *pb, void *text)
{
	const struct record *a = pa, *b = pb;
	if (a->rank != b->rank)
		return a->rank < b->rank ? 1 : -1;
	size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp((char *)text + a->key, (char *)text + b->key, shorter);
	return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* Where the addresses belong, in the kernel's form: with it a reader finds the names in the files. */
static void write_map(struct pd_buf *out, const struct pd_profile *p)
{
	pd_buf_str(out, "--- Memory map: ---\n");
	for (size_t i = 0; i < p->nmodules; i++) {
		const struct pd_module *m = p->modules[i];
		if (!m->loaded || !m->path[0])
			continue;
		pd_buf_fmt(out, "%llx-%llx r-xp %08llx 00:00 0 ", (unsigned long long)m->start,
		           (unsigned long long)m->end, (unsigned long long)m->offset);
		pd_oneline(out, m->path);
		pd_buf_char(out, '\n');
	}
}

static int write_all(struct writer *w, const struct pd_profile *samples, struct pd_buf *out)
{
	for (size_t i = 0; i < samples->n; i++)
		write_record(w, &samples->sample[i]);
	if (w->text.failed || w->record.failed || w->shown.failed || w->names.failed)
		return -ENOMEM;
	struct record *record = (void *)w->record.data;
	size_t n = w->record.len / sizeof *record;
	if (n)
		qsort_r(record, n, sizeof *record, by_rank_and_key, w->text.data);
	w->numbers->title(out, w->p, samples);
	for (size_t i = 0; i < n; i++)
		pd_buf_add(out, w->text.data + record[i].start, record[i].end - record[i].start);
	pd_buf_str(out, w->numbers->gap);
	pd_write_remarks(out, w->p);
	write_map(out, w->p);
	return pd_buf_error(out);
}

int pd_encode_text(const struct pd_profile *p, struct pd_symbols *s, const struct pd_encode_options *o,
                   struct pd_buf *out)
{
	struct pd_profile room = { 0 };
	struct writer w = { .p = p, .symbols = s, .o = o, .numbers = pd_numbers(p->type),
		            .shown_value = pd_profile_shown(p->type) };
	const struct pd_profile *samples = pd_encode_samples(p, o, &room);
	int rc = samples ? write_all(&w, samples, out) : -ENOMEM;
	pd_buf_free(&w.text);
	pd_buf_free(&w.record);
	pd_buf_free(&w.shown);
	pd_buf_free(&w.names);
	pd_profile_free(&room);
	return rc;
}
