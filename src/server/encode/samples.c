/* The samples an encoder writes: a profile after what the options take away from it. Knows no format. */
#include <stdio.h>

#include "server/encode/inside.h"

const struct pd_module *pd_module_with_file(const struct pd_module *const *modules, size_t n, uint64_t pc,
                                            uint32_t epoch)
{
	const struct pd_module *m = pd_module_find(modules, n, pc, epoch);
	return m && m->path[0] ? m : NULL;
}

/*
 * The first epoch at which the addresses meant the same: stacks that differ only in when they were seen become
 * equal. One with an address outside every module stays as it is, for something may have been there before.
 */
static uint32_t first_epoch(const struct pd_profile *p, const struct pd_stack *s)
{
	uint32_t epoch = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct pd_module *m = pd_module_find(p->modules, p->nmodules, s->pc[i], s->epoch);
		if (!m)
			return s->epoch;
		if (m->from > epoch)
			epoch = m->from;
	}
	return epoch;
}

static bool one_epoch(const struct pd_profile *p)
{
	for (size_t i = 1; i < p->n; i++)
		if (p->sample[i].stack.epoch != p->sample[0].stack.epoch)
			return false;
	return true;
}

const struct pd_profile *pd_encode_samples(const struct pd_profile *p, const struct pd_encode_options *o,
                                    struct pd_profile *room)
{
	if (p->failed)
		return NULL;
	if (!o->no_labels && one_epoch(p))
		return p;
	pd_profile_init(room, p->type);
	for (size_t i = 0; i < p->n; i++) {
		struct pd_sample s = p->sample[i];
		if (o->no_labels)
			s.nlabels = 0;
		s.stack.epoch = first_epoch(p, &s.stack);
		pd_profile_add(room, &s);
	}
	room->modules = p->modules;
	room->nmodules = p->nmodules;
	return pd_profile_finish(room) == 0 ? room : NULL;
}

void pd_encode_frames(const struct pd_profile *p, const struct pd_sample *s, struct pd_symbols *symbols,
                      const struct pd_encode_options *o, void (*fn)(void *arg, const struct pd_frame *f), void *arg)
{
	char address[24];
	struct pd_frame stand_in = { .name = address, .file = "" };
	for (uint32_t i = s->stack.n; i-- > 0;) {
		uint64_t pc = s->stack.pc[i];
		struct pd_symbol symbol = { .frame = &stand_in, .n = 1 };
		if (o->no_symbols)
			snprintf(address, sizeof address, "0x%llx", (unsigned long long)pc);
		else
			pd_symbols_resolve(symbols, pd_module_with_file(p->modules, p->nmodules, pc, s->stack.epoch), pc,
			                   &symbol);
		for (size_t k = symbol.n; k-- > 0;)
			fn(arg, &symbol.frame[k]);
	}
	if (s->pseudo) {
		stand_in.name = pd_pseudo_name(s->pseudo);
		fn(arg, &stand_in);
	}
}
