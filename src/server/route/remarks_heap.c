/* What a reader must know of a heap profile: how its numbers are to be read. Pure: tables in, comments out. */
#include <inttypes.h>

#include "server/route/inside.h"

const char *pd_size(char buf[static PD_SPAN], double bytes)
{
	static const char *const UNIT[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;
	double shown = bytes;
	for (; i < 4 && (shown >= 1024 || shown <= -1024); i++)
		shown /= 1024;
	snprintf(buf, PD_SPAN, i ? "%.2f %s" : "%.0f %s", shown, UNIT[i]);
	return buf;
}

void pd_remarks_heap(struct pd_profile *p, const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	char size[PD_SPAN], error[PD_SPAN], sum[PD_SPAN];
	struct pd_heap_totals now = pd_heap_totals(to);
	bool raw = p->raw_rate > 1;
	if (!from && p->n && !raw)
		pd_profile_comment(p, "Opens on %s. In use now: %s (inuse_space), with a standard error of %s from sampling;"
		                   " allocated since the service was started, freed or not: %s (alloc_space).",
		                   p->type->type[pd_profile_shown(p->type)].type, pd_size(size, now.inuse_bytes),
		                   pd_size(error, now.inuse_error), pd_size(sum, now.alloc_bytes));
	if (raw)
		pd_profile_comment(p, "Numbers are as sampled, about every %" PRIu64 " bytes: each stands for 1 / (1 -"
		                   " exp(-size / %" PRIu64 ")) times as many. go tool pprof scales them; in all, %.0f"
		                   " objects of %.0f bytes are in use, and %.0f of %.0f bytes were allocated.",
		                   p->raw_rate, p->raw_rate, now.inuse_objects, now.inuse_bytes, now.alloc_objects,
		                   now.alloc_bytes);
	else if (now.mixed)
		pd_profile_comment(p, "Samples were taken at different rates; each is scaled by its own.");
	if (!from)
		return;
	if (p->how & PD_INUSE_NOW)
		return pd_profile_comment(p, "inuse_* is what is in use now, alloc_* what was allocated meanwhile.");
	double change = now.inuse_bytes - pd_heap_totals(from).inuse_bytes;
	pd_profile_comment(p, "In use changed by %s%s meanwhile. inuse_* is where it grew; where it shrank counts as"
	                   " 0.", change > 0 ? "+" : "", pd_size(size, change));
}
