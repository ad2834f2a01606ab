/* What sampled allocations stand for. Knows the chance with which one is sampled; no stack and no format. */
#include <math.h>

#include "server/profile/profile.h"

double pd_heap_scale(uint64_t size, uint64_t rate)
{
	if (rate <= 1 || !size)
		return 1;
	return -1 / expm1(-(double)size / (double)rate);
}

struct pd_heap_totals pd_heap_totals(const struct pd_snapshot *s)
{
	struct pd_heap_totals t = { 0 };
	double variance = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct pd_row *row = &s->row[i];
		double scale = pd_heap_scale(row->key.size, row->key.rate);
		uint64_t rate = row->key.rate ? row->key.rate : 1;
		t.alloc_objects += scale * (double)row->value[0];
		t.alloc_bytes += scale * (double)row->value[1];
		t.inuse_objects += scale * (double)(row->value[0] - row->value[2]);
		t.inuse_bytes += scale * (double)(row->value[1] - row->value[3]);
		/* each sample stands for `scale` objects, of which the others were left out by chance */
		variance += scale * (scale - 1) * (double)(row->value[1] - row->value[3]) * (double)row->key.size;
		t.mixed |= t.rate && t.rate != rate;
		t.rate = rate;
	}
	t.inuse_error = sqrt(variance > 0 ? variance : 0);
	return t;
}
