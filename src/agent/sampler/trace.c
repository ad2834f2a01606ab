/* Traces in the tables of samples. They are as many as there are requests, so they get a part of the room only: samples
 * past it go without. Signal-safe. */
#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"

#define PART 1024 /* bytes of the memory limit for each row; one with a trace of its own takes 112 */

uint64_t pd_trace_row(struct pd_table *table, const struct pd_thread *t, uint64_t *left_out)
{
	uint64_t trace[PD_TRACE_WORDS];
	if (!pd_thread_trace(t, trace))
		return 0;
	uint32_t id = PD_STACK_OVERFLOW;
	/* No stack is of this epoch. */
	if (pd_load_relaxed(&table->rows) < table->arena.budget->cap / PART)
		id = pd_table_stack(table, trace, PD_TRACE_WORDS, UINT32_MAX, 0);
	if (id != PD_STACK_OVERFLOW)
		return id;
	pd_add_relaxed(left_out, 1);
	return 0;
}
