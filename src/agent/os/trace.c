/* The trace that a thread works for: written often by the thread, read seldom by samples of it. */
#include <string.h>

#include "agent/os/os.h"
#include "base/atomic.h"

void pd_thread_set_trace(struct pd_thread *t, const unsigned char *trace_id, const unsigned char *span_id)
{
	uint64_t word[PD_TRACE_WORDS];
	uint32_t turn = t->trace_turn;
	memcpy(&word[0], trace_id, 16);
	memcpy(&word[2], span_id, 8);
	pd_store_relaxed(&t->trace_turn, turn + 1);
	pd_fence_signal();
	/* Whoever sees one of these also sees that the turn is odd. */
	for (int i = 0; i < PD_TRACE_WORDS; i++)
		pd_store_release(&t->trace[i], word[i]);
	pd_store_release(&t->trace_turn, turn + 2);
}

bool pd_thread_trace(const struct pd_thread *t, uint64_t out[static PD_TRACE_WORDS])
{
	uint32_t turn = pd_load_acquire(&t->trace_turn);
	for (int i = 0; i < PD_TRACE_WORDS; i++)
		out[i] = pd_load_acquire(&t->trace[i]);
	return !(turn & 1) && pd_load_relaxed(&t->trace_turn) == turn && (out[0] || out[1]);
}
