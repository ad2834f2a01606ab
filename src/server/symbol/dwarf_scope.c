/* Knows how functions and inlined calls nest in a unit. Must not know names or line tables. */
#include <stdlib.h>

#include "server/symbol/dwarf.h"

#define DEPTH 200
#define NODES_MAX (1 << 20)
#define CALLS_MAX 512

/* One function, or one call inlined into `up`. */
struct node {
	Dwarf_Die die;
	int32_t up; /* -1 = a function */
};

struct walk {
	struct pd_dwarf *d;
	struct pd_place **place;
	size_t n;
	bool deep;        /* look everywhere */
	const void *last; /* entries are met in ascending order, if they are not damaged */
	struct node *node;
	int32_t nnode;
	/* The entry being looked at: */
	Dwarf_Die *die;
	int32_t up, self; /* its node, once it covers a place; -1 = none */
};

static int32_t node_add(struct walk *w)
{
	int32_t n = w->nnode;
	if (n >= NODES_MAX)
		return -1;
	if (!(n & (n - 1))) {
		struct node *p = realloc(w->node, (size_t)(n ? n * 2 : 1) * sizeof(*p));
		if (!p)
			return -1;
		w->node = p;
	}
	w->node[n] = (struct node){ *w->die, w->up };
	return w->nnode++;
}

/* Of functions the narrowest covers a place; inlined calls lie in the one around. */
static void cover(void *arg, uint64_t lo, uint64_t hi)
{
	struct walk *w = arg;
	for (size_t i = pd_place_first(w->place, w->n, lo); i < w->n && w->place[i]->addr < hi; i++) {
		struct pd_place *p = w->place[i];
		if (w->up < 0 ? p->leaf >= 0 && p->span <= hi - lo : p->leaf != w->up)
			continue;
		if (!pd_fuel(w->d) || (w->self < 0 && (w->self = node_add(w)) < 0))
			return;
		p->leaf = w->self;
		if (w->up >= 0)
			continue;
		p->span = hi - lo;
		p->low = lo;
	}
}

/* The node of an entry, if it covers a place; -1 = none. */
static int32_t covering(struct walk *w, Dwarf_Die *die, int32_t up)
{
	w->die = die;
	w->up = up;
	w->self = -1;
	pd_die_ranges(w->d, die, cover, w);
	return w->self;
}

static void children(struct walk *w, Dwarf_Die *parent, int32_t node, unsigned depth)
{
	Dwarf_Die die;
	if (!depth || dwarf_child(parent, &die))
		return;
	do {
		if ((const char *)die.addr <= (const char *)w->last)
			return;
		w->last = die.addr;
		int32_t in = node;
		bool enter = w->deep || node >= 0;
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
		case DW_TAG_entry_point:
			in = covering(w, &die, -1);
			enter = w->deep || in >= 0;
			break;
		case DW_TAG_inlined_subroutine:
			in = node >= 0 ? covering(w, &die, node) : -1;
			enter = w->deep || in >= 0;
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
			enter = true;
			break;
		}
		if (enter)
			children(w, &die, in, depth - 1);
	} while (pd_die_next(w->d, &die));
}

static void calls_make(struct walk *w, struct pd_place *p)
{
	unsigned n = 0;
	for (int32_t i = p->leaf; i >= 0 && n < CALLS_MAX; i = w->node[i].up)
		n++;
	p->call = n ? calloc(n, sizeof(*p->call)) : NULL;
	if (!p->call)
		return;
	p->n = n;
	int32_t i = p->leaf;
	for (unsigned k = 0; k < n; k++, i = w->node[i].up) {
		Dwarf_Die *die = &w->node[i].die;
		p->call[k].fn = pd_function_get(w->d, die, 4);
		p->call[k].file = "";
		if (k + 1 < n) {
			p->call[k + 1].file_index = pd_die_number(die, DW_AT_call_file);
			p->call[k + 1].line = (uint32_t)pd_die_number(die, DW_AT_call_line);
		}
	}
}

void pd_scope_walk(struct pd_dwarf *d, Dwarf_Die *root, struct pd_place **place, size_t n)
{
	struct walk w = { .d = d, .place = place, .n = n };
	children(&w, root, -1, DEPTH);
	/* Few functions hide in others, or in types: nested ones. */
	for (size_t i = 0; i < n; i++)
		w.deep |= place[i]->leaf < 0;
	w.last = NULL;
	if (w.deep)
		children(&w, root, -1, DEPTH);
	for (size_t i = 0; i < n; i++)
		calls_make(&w, place[i]);
	free(w.node);
}
