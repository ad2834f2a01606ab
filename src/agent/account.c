/* What the agent as a whole takes from its process, as facts for whoever asks. Only reads. */
#include "agent/agent.h"
#include "agent/hook/hook.h"
#include "agent/life.h"
#include "agent/os/os.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"

size_t pd_agent_self(struct pd_fact *out, size_t max)
{
	const struct pd_budget *budget = pd_agent_budget();
	struct pd_hook_stats hooks;
	struct pd_unwind_stats unwind;
	pd_hooks_stats(&hooks);
	pd_unwind_stats(&unwind);
	const struct pd_fact all[] = {
		{ "own_cpu_ns_total", pd_threads_own_cpu() },
		{ "memory_taken_bytes", pd_load_relaxed(&budget->taken) },
		{ "memory_limit_bytes", budget->cap },
		{ "hooked_objects", hooks.objects },
		{ "hooked_slots", hooks.slots },
		{ "skipped_slots", hooks.skipped },
		{ "unwind_table_bytes", unwind.bytes },
		{ "unwind_tables", unwind.tables },
		{ "unwind_rows", unwind.rows },
		{ "unwind_text_bytes", unwind.text },
		{ "registered_threads", pd_threads_known() },
		{ "sampling_signal", (uint64_t)pd_signal_number() },
	};
	size_t n = sizeof all / sizeof *all;
	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++)
		out[i] = all[i];
	return n;
}
