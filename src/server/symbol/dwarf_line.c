/* Knows how lines and files of a unit are found. Must not know functions. */
#include <string.h>

#include "server/symbol/dwarf.h"
#include "server/symbol/path.h"

#define TABLE_MAX (2u << 20)
#define STRINGS_MAX (8u << 20)
#define ROW 48 /* bytes in the memory of libdw */

/* Have the unit's line table, and the texts that libdw reads together with it. False = none, or too large. */
static bool table_need(struct pd_dwarf *d, Dwarf_Die *root)
{
	static const unsigned texts[] = { DW_AT_comp_dir, DW_AT_name };
	struct pd_sparse *m = &d->image;
	uint64_t off = pd_die_number(root, DW_AT_stmt_list), length = 0;
	if (!dwarf_hasattr(root, DW_AT_stmt_list) || off >= m->part[PD_SEC_LINE].size)
		return false;
	const uint8_t *p = pd_sparse_need(m, PD_SEC_LINE, off, 12);
	memcpy(&length, p, 4);
	if (length == UINT32_MAX)
		memcpy(&length, p + 4, 8);
	if (length > TABLE_MAX)
		return false;
	pd_sparse_need(m, PD_SEC_LINE, off, length + 12);
	pd_sparse_need(m, PD_SEC_LINE_STR, 0, STRINGS_MAX);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		Dwarf_Attribute a;
		const char *s = dwarf_attr(root, texts[i], &a) ? dwarf_formstring(&a) : NULL;
		if (s)
			pd_sparse_need_at(m, s, PD_PATH);
	}
	return true;
}

struct lines {
	struct pd_dwarf *d;
	Dwarf_Die *root;
	Dwarf_Files *files;
	char dir[2048]; /* the compiler's */
};

/* The whole name of a file that libdw tells, which may be relative to the compiler's directory. */
static const char *whole(struct lines *l, const char *src)
{
	char path[PD_PATH];
	size_t n = strlen(l->dir);
	if (!src || !src[0] || !strcmp(src, "???"))
		return "";
	bool has = n && !strncmp(src, l->dir, n) && src[n] == '/';
	return pd_path_join(path, has ? "" : l->dir, "", src) ? pd_strings_keep(l->d->strings, path) : "";
}

static const char *file_name(struct lines *l, uint64_t index)
{
	return whole(l, l->files ? dwarf_filesrc(l->files, index, NULL, NULL) : NULL);
}

static void place_fill(struct lines *l, struct pd_place *p)
{
	int line = 0;
	Dwarf_Line *row = dwarf_getsrc_die(l->root, p->addr);
	if (row && !dwarf_lineno(row, &line)) {
		p->line = (uint32_t)line;
		p->file = whole(l, dwarf_linesrc(row, NULL, NULL));
	}
	for (unsigned k = 1; k < p->n; k++)
		p->call[k].file = file_name(l, p->call[k].file_index);
	if (!p->n)
		return;
	struct pd_call *leaf = &p->call[0];
	leaf->file = p->file;
	leaf->line = p->line;
	/* Code of no line is told as that of its function. */
	if (!leaf->line && leaf->fn.line) {
		leaf->line = leaf->fn.line;
		leaf->file = file_name(l, leaf->fn.file_index);
	}
}

void pd_line_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n)
{
	struct lines l = { .d = d, .root = root };
	Dwarf_Lines *lines;
	size_t nlines, nfiles;
	if (!table_need(d, root) || dwarf_getsrclines(root, &lines, &nlines))
		return;
	d->grown += nlines * ROW;
	if (dwarf_getsrcfiles(root, &l.files, &nfiles))
		l.files = NULL;
	if (!pd_die_text(d, root, DW_AT_comp_dir, l.dir, sizeof(l.dir)))
		l.dir[0] = 0;
	for (size_t i = 0; i < n; i++)
		place_fill(&l, place[i]);
}
