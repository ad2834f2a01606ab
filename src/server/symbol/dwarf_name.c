/* Knows how the name and line of a function are found through its declarations and the scopes around it. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/symbol/dwarf.h"
#include "server/symbol/name.h"

#define NAME_MAX_LEN 16384
#define COST 100 /* of finding a name, in steps of work */
#define LINKS 16 /* an entry points to its abstract one, that to its declaration... */
#define SCOPES 32

struct search {
	bool named;
	Dwarf_Die name_die; /* the entry that bears the plain name */
	char name[NAME_MAX_LEN], linkage[NAME_MAX_LEN];
	uint32_t line;
	uint64_t file_index;
};

static void search(struct search *s, struct pd_dwarf *d, Dwarf_Die die)
{
	Dwarf_CU *home = die.cu; /* only its numbers of files are of use */
	for (int i = 0; i < LINKS && !(s->linkage[0] && s->line); i++) {
		if (!s->file_index && die.cu == home)
			s->file_index = pd_die_number(&die, DW_AT_decl_file);
		if (!s->line)
			s->line = (uint32_t)pd_die_number(&die, DW_AT_decl_line);
		if (!s->linkage[0] && !pd_die_text(d, &die, DW_AT_linkage_name, s->linkage, NAME_MAX_LEN) &&
		        !pd_die_text(d, &die, DW_AT_MIPS_linkage_name, s->linkage, NAME_MAX_LEN))
			s->linkage[0] = 0;
		if (pd_die_text(d, &die, DW_AT_name, s->name, NAME_MAX_LEN)) {
			s->named = true;
			s->name_die = die;
		}
		Dwarf_Die next;
		if (!pd_die_ref(d, &die, DW_AT_specification, &next) &&
		        !pd_die_ref(d, &die, DW_AT_abstract_origin, &next))
			return;
		die = next;
	}
}

/* The namespaces, types and functions around an entry, outermost first; returns how many. */
static size_t scopes_around(struct pd_dwarf *d, Dwarf_Die *die, Dwarf_Die scope[SCOPES])
{
	Dwarf_Die at, next;
	size_t n = 0;
	uint64_t off = dwarf_dieoffset(die);
	if (!pd_unit_need(d, die) || !dwarf_diecu(die, &at, NULL, NULL))
		return 0;
	while (n < SCOPES && !dwarf_child(&at, &next)) {
		do
			at = next;
		while (pd_die_next(d, &next) && dwarf_dieoffset(&next) <= off);
		if (dwarf_dieoffset(&at) >= off)
			break;
		switch (dwarf_tag(&at)) {
		case DW_TAG_subprogram:
			n = 0; /* its name has those around it */
			/* fallthrough */
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
			scope[n++] = at;
		}
	}
	return n;
}

static void scope_append(struct pd_dwarf *d, Dwarf_Die *die, const char *nameless, unsigned depth, struct pd_buf *out)
{
	char name[4096];
	int tag = dwarf_tag(die);
	if (tag == DW_TAG_subprogram) {
		struct pd_function f = depth ? pd_function_get(d, die, depth - 1) : (struct pd_function){ 0 };
		pd_buf_str(out, f.name ? f.name : "?");
	} else if (pd_die_text(d, die, DW_AT_name, name, sizeof(name))) {
		/* The compiler's "<lambda(int)>" as demanglers write it. */
		size_t n = strlen(name);
		if (name[0] == '<' && name[n - 1] == '>') {
			name[0] = '{';
			name[n - 1] = '}';
		}
		pd_buf_str(out, name);
	} else {
		pd_buf_str(out, tag == DW_TAG_namespace ? "(anonymous namespace)" : nameless);
	}
	pd_buf_str(out, "::");
}

static bool is_cplus(int lang)
{
	return lang == DW_LANG_C_plus_plus || lang == DW_LANG_C_plus_plus_03 || lang == DW_LANG_C_plus_plus_11 || lang == DW_LANG_C_plus_plus_14 ||
	        lang == 0x2a /* 17 */ || lang == 0x2b /* 20 */;
}

static const char *qualified(struct pd_dwarf *d, struct search *s, unsigned depth)
{
	Dwarf_Die root, scope[SCOPES];
	if (!dwarf_diecu(&s->name_die, &root, NULL, NULL) || !is_cplus(dwarf_srclang(&root)))
		return pd_strings_keep(d->strings, s->name);
	struct pd_buf b = { .max = 2 * NAME_MAX_LEN };
	size_t n = scopes_around(d, &s->name_die, scope);
	for (size_t i = 0; i < n; i++)
		scope_append(d, &scope[i], strncmp(s->name, "operator()", 10) ? "{unnamed}" : "{lambda}", depth, &b);
	pd_buf_str(&b, s->name);
	pd_buf_char(&b, 0);
	const char *name = pd_strings_keep(d->strings, b.failed ? s->name : b.data);
	pd_buf_free(&b);
	return name;
}

static struct pd_function found(struct pd_dwarf *d, struct search *s, unsigned depth)
{
	struct pd_function f = { .line = s->line, .file_index = s->file_index };
	if (s->linkage[0]) {
		f.system = pd_strings_keep(d->strings, s->linkage);
		f.name = pd_name_shown(d->strings, s->linkage);
	} else if (s->named) {
		f.system = pd_strings_keep(d->strings, s->name);
		f.name = qualified(d, s, depth);
	}
	return f;
}

struct pd_function pd_function_get(struct pd_dwarf *d, Dwarf_Die *die, unsigned depth)
{
	/* The address of an entry in its image: entries of shared debug info have offsets of their own. */
	uint64_t key = (uintptr_t)die->addr;
	struct pd_function_memo *memo = &d->memo[(key * 0x9e3779b97f4a7c15ull) >> 54];
	if (memo->die == key)
		return memo->f;
	/* Strings are read one by one: dear. */
	d->fuel = d->fuel > COST ? d->fuel - COST : 0;
	struct search *s = d->fuel ? malloc(sizeof(*s)) : NULL;
	if (!s)
		return (struct pd_function){ 0 };
	s->named = false;
	s->line = 0;
	s->name[0] = s->linkage[0] = 0;
	s->file_index = 0;
	search(s, d, *die);
	struct pd_function f = found(d, s, depth);
	free(s);
	*memo = (struct pd_function_memo){ key, f };
	return f;
}
