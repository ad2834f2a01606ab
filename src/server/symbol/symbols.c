/* The door: objects, batches and the cache behind the functions of symbol.h. */
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "server/symbol/lookup.h"

#define MEMOS 256

/* A binary, however often and wherever it is mapped. */
struct object {
	char *path;
	uint8_t build_id[32];
	uint8_t build_id_len;
	bool refused; /* told already */
};

struct pd_symbols {
	size_t cap;
	struct object *object; /* number 1 is that of addresses without a module */
	uint32_t nobject;
	struct pd_results cache;
	struct memo {
		const struct pd_module *m;
		uint32_t object;
	} memo[MEMOS]; /* checked before it is believed */
	uint64_t refused;
};

/* An address still to be looked up. */
struct want {
	uint64_t addr;
	const struct pd_module *m;
	uint32_t object;
};

struct pd_symbols *pd_symbols_open(size_t cap)
{
	struct pd_symbols *s = calloc(1, sizeof(*s));
	if (s)
		s->cap = cap;
	return s;
}

static void objects_free(struct pd_symbols *s)
{
	for (uint32_t i = 0; i < s->nobject; i++)
		free(s->object[i].path);
	free(s->object);
	s->object = NULL;
	s->nobject = 0;
	memset(s->memo, 0, sizeof(s->memo));
}

void pd_symbols_close(struct pd_symbols *s)
{
	if (!s)
		return;
	objects_free(s);
	pd_results_free(&s->cache);
	free(s);
}

static bool is_object(const struct object *o, const struct pd_module *m)
{
	return o->build_id_len == m->build_id_len && !memcmp(o->build_id, m->build_id, o->build_id_len) &&
	        !strcmp(o->path, m->path);
}

/* Number of the binary of a module (NULL = of none); 0 = no memory. */
static uint32_t object_of(struct pd_symbols *s, const struct pd_module *m)
{
	static const struct pd_module none = { .path = "" };
	if (!m)
		m = &none;
	if (m->build_id_len > sizeof(m->build_id))
		return 0;
	struct memo *memo = &s->memo[(uintptr_t)m / sizeof(*m) % MEMOS];
	if (memo->m == m && is_object(&s->object[memo->object - 1], m))
		return memo->object;
	uint32_t i = 0;
	while (i < s->nobject && !is_object(&s->object[i], m))
		i++;
	if (i == s->nobject) {
		struct object *p = realloc(s->object, (i + 1) * sizeof(*p));
		if (!p)
			return 0;
		s->object = p;
		p[i] = (struct object){ .path = strdup(m->path), .build_id_len = m->build_id_len };
		memcpy(p[i].build_id, m->build_id, m->build_id_len);
		if (!p[i].path)
			return 0;
		s->nobject++;
	}
	*memo = (struct memo){ m, i + 1 };
	return i + 1;
}

/* Anonymous memory has no file: count from its start. */
static uint64_t bias_of(const struct pd_module *m)
{
	return !m ? 0 : m->path[0] ? m->bias : m->start;
}

static void look_up(struct pd_symbols *s, const struct want *w, const uint64_t *addr, size_t n, const bool *cancel)
{
	if (!w->m || (!w->m->path[0] && !w->m->is_vdso)) {
		for (size_t i = 0; i < n; i++)
			pd_lookup_placeholder(&s->cache, w->object, w->m, addr[i]);
		return;
	}
	int refused = pd_lookup(&s->cache, w->object, w->m, addr, n, cancel);
	struct object *o = &s->object[w->object - 1];
	if (refused > 0 && !o->refused) {
		s->refused += (uint64_t)refused;
		o->refused = true;
	}
}

static int by_object(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool cancelled(const bool *cancel)
{
	return cancel && pd_load_relaxed(cancel);
}

static void wanted_look_up(struct pd_symbols *s, const struct want *w, size_t n, const bool *cancel)
{
	uint64_t *addr = malloc(n * sizeof(*addr));
	for (size_t i = 0, k; addr && i < n && !cancelled(cancel); i = k) {
		size_t unique = 0;
		for (k = i; k < n && w[k].object == w[i].object; k++)
			if (!unique || addr[unique - 1] != w[k].addr)
				addr[unique++] = w[k].addr;
		look_up(s, &w[i], addr, unique, cancel);
	}
	free(addr);
}

void pd_symbols_prepare(struct pd_symbols *s, const struct pd_module *const *modules, size_t nmodules,
        const uint64_t *pc, size_t n, uint32_t epoch, const bool *cancel)
{
	struct want *w = n ? malloc(n * sizeof(*w)) : NULL;
	size_t k = 0;
	for (size_t i = 0; w && i < n; i++) {
		const struct pd_module *m = pd_module_find(modules, nmodules, pc[i], epoch);
		struct want new = { pc[i] - bias_of(m), m, object_of(s, m) };
		if (new.object && !pd_results_find(&s->cache, new.object, new.addr))
			w[k++] = new;
	}
	if (k) {
		qsort(w, k, sizeof(*w), by_object);
		wanted_look_up(s, w, k, cancel);
	}
	free(w);
}

/* Without memory even for a placeholder. */
static void unknown(struct pd_symbol *out)
{
	static const struct pd_frame frame = { .name = "unknown", .system_name = "unknown", .file = "" };
	*out = (struct pd_symbol){ .frame = &frame, .n = 1, .placeholder = true };
}

void pd_symbols_resolve(struct pd_symbols *s, const struct pd_module *m, uint64_t pc, struct pd_symbol *out)
{
	struct want w = { pc - bias_of(m), m, object_of(s, m) };
	struct pd_result *r = w.object ? pd_results_find(&s->cache, w.object, w.addr) : NULL;
	if (!r && w.object) {
		look_up(s, &w, &w.addr, 1, NULL);
		r = pd_results_find(&s->cache, w.object, w.addr);
	}
	if (!r) {
		unknown(out);
		return;
	}
	*out = (struct pd_symbol){ .frame = r->frame, .n = r->n, .placeholder = r->placeholder };
	out->entry = r->entry ? r->entry + bias_of(m) : 0;
}

void pd_symbols_trim(struct pd_symbols *s)
{
	pd_results_trim(&s->cache, s->cap);
	if (!s->cache.n)
		objects_free(s);
}

void pd_symbols_stats(const struct pd_symbols *s, struct pd_symbols_stats *out)
{
	*out = (struct pd_symbols_stats){
		.bytes = sizeof(*s) + s->nobject * sizeof(*s->object) + pd_results_bytes(&s->cache),
		.modules = s->nobject,
		.addresses = s->cache.n,
		.unresolved = s->cache.unresolved,
		.files_refused = s->refused,
	};
}
