/*
 * Symbols looked up while windows are open, so that a big binary's debug info is read before the
 * reply is due. Runs when the worker has nothing else to do, and gives way. Knows stacks and
 * symbols; must not know requests.
 */
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "server/route/inside.h"

#define PAUSE 500000000ll /* ns between two looks into the table */
#define BATCH (1u << 18)  /* addresses looked up in one go: each go may open every file anew */
#define GIVE_WAY 2        /* times that one lookup gives way before it goes through */

void pd_prepare_init(struct pd_routes *s)
{
	for (int kind = 0; kind < PD_KINDS; kind++) {
		s->prepare[kind].routes = s;
		s->prepare[kind].kind = (enum pd_kind)kind;
	}
}

void pd_prepare_free(struct pd_routes *s)
{
	for (int kind = 0; kind < PD_KINDS; kind++) {
		free(s->prepare[kind].seen);
		free(s->prepare[kind].todo);
	}
}

void pd_prepare_use(struct pd_prepare *p)
{
	if (pd_add_acq_rel(&p->users, 1) == 0)
		pd_add_acq_rel(&p->generation, 1);
}

void pd_prepare_unuse(struct pd_prepare *p)
{
	pd_add_acq_rel(&p->users, -1u);
}

void pd_prepare_yield(struct pd_routes *s)
{
	pd_store_seqcst(&s->wanted, true);
}

/* True the first time for each id; out of memory: false. */
static bool unseen(struct pd_prepare *p, uint32_t id)
{
	size_t word = id / 64;
	if (word >= p->seen_words) {
		size_t words = word + word / 2 + 64;
		uint64_t *seen = reallocarray(p->seen, words, sizeof *seen);
		if (!seen)
			return false;
		memset(seen + p->seen_words, 0, (words - p->seen_words) * sizeof *seen);
		p->seen = seen;
		p->seen_words = words;
	}
	uint64_t bit = 1ull << id % 64;
	bool fresh = !(p->seen[word] & bit);
	p->seen[word] |= bit;
	return fresh;
}

static void note(struct pd_prepare *p, uint32_t id)
{
	if (!unseen(p, id))
		return;
	if (p->ntodo == p->todo_cap) {
		size_t cap = p->todo_cap ? p->todo_cap * 2 : 256;
		uint32_t *todo = reallocarray(p->todo, cap, sizeof *todo);
		if (!todo)
			return;
		p->todo = todo;
		p->todo_cap = cap;
	}
	p->todo[p->ntodo++] = id;
}

/* Ids are only good for as long as the table lives, which may end with its last user. */
static void forget_if_closed(struct pd_prepare *p)
{
	uint32_t generation = pd_load_acquire(&p->generation);
	if (generation == p->seen_generation)
		return;
	p->seen_generation = generation;
	p->ntodo = 0;
	if (p->seen)
		memset(p->seen, 0, p->seen_words * sizeof *p->seen);
}

static void look(struct pd_prepare *p)
{
	const struct pd_agent *agent = p->routes->agent;
	struct pd_snapshot snapshot;
	int64_t now = pd_mono_ns();
	if (p->ntodo || now - p->last_ns < PAUSE || agent->snapshot(p->kind, &snapshot) != 0)
		return;
	p->last_ns = now;
	for (size_t i = 0; i < snapshot.n; i++)
		note(p, snapshot.row[i].key.stack);
	agent->snapshot_free(&snapshot);
	agent->modules_refresh();
}

static int by_epoch(const void *pa, const void *pb)
{
	const struct pd_stack *a = pa, *b = pb;
	return (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

void pd_prepare_stacks(struct pd_routes *s, struct pd_stack *stack, size_t n, const bool *cancel)
{
	const struct pd_module *const *modules;
	size_t nmodules = s->agent->modules(&modules);
	uint64_t *pc = malloc(BATCH * sizeof *pc);
	qsort(stack, n, sizeof *stack, by_epoch);
	for (size_t i = 0, k = 0; pc && i < n; i++) {
		size_t frames = stack[i].n < BATCH - k ? stack[i].n : BATCH - k;
		if (frames)
			memcpy(pc + k, stack[i].pc, frames * sizeof *pc);
		k += frames;
		if (i + 1 < n && stack[i + 1].epoch == stack[i].epoch &&
		    stack[i + 1].n <= BATCH - k)
			continue;
		pd_symbols_prepare(s->symbols, modules, nmodules, pc, k, stack[i].epoch, cancel);
		k = 0;
	}
	free(pc);
}

/* True when it is done; else it gave way and is to be tried again. */
static bool resolve(struct pd_prepare *p)
{
	struct pd_routes *s = p->routes;
	const bool *cancel = p->gave_way < GIVE_WAY ? &s->wanted : &s->stopping;
	struct pd_stack *stack = reallocarray(NULL, p->ntodo + 1, sizeof *stack);
	size_t n = 0;
	for (size_t i = 0; stack && i < p->ntodo; i++)
		if (s->agent->stack(p->kind, p->todo[i], &stack[n]))
			n++;
	if (n)
		pd_prepare_stacks(s, stack, n, cancel);
	free(stack);
	if (n && pd_load_seqcst(cancel)) {
		p->gave_way++;
		return false;
	}
	p->gave_way = 0;
	p->ntodo = 0;
	return true;
}

static void prepare(void *arg)
{
	struct pd_prepare *p = arg;
	struct pd_routes *s = p->routes;
	pd_store_release(&p->queued, 0);
	/* Before `stopping` is read: pd_routes_cancel writes them in the other order, so one of the
	 * two is seen. */
	pd_store_seqcst(&s->wanted, false);
	if (pd_load_seqcst(&s->stopping) || !pd_load_acquire(&p->users))
		return;
	/* One user more, so that the ids stay good even when the last window ends now. */
	if (s->agent->open(p->kind) != 0)
		return;
	forget_if_closed(p);
	look(p);
	bool done = resolve(p);
	s->agent->close(p->kind);
	if (!done)
		pd_prepare_kick(p);
}

void pd_prepare_kick(struct pd_prepare *p)
{
	struct pd_http *http = pd_load_acquire(&p->routes->http);
	if (http && !pd_xchg_acq_rel(&p->queued, 1))
		pd_background(http, prepare, p);
}
