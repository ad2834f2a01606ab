/* Traces of threads: read whole or not at all, and never more of them in a table than their part of it. */
#include <pthread.h>

#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "base/atomic.h"
#include "../test.h"

static struct pd_thread thread;
static bool stop;

static void set(struct pd_thread *t, unsigned n)
{
	unsigned char id[24];
	for (size_t i = 0; i < sizeof id; i += sizeof n)
		memcpy(id + i, &n, sizeof n);
	pd_thread_set_trace(t, id, id + 16);
}

static void *writer(void *arg)
{
	for (unsigned n = 1; !pd_load_relaxed(&stop); n = n % 1000000 + 1)
		set(&thread, n);
	return NULL;
}

static void whole(void)
{
	pthread_t t;
	uint64_t got[PD_TRACE_WORDS];
	int seen = 0, torn = 0;
	pthread_create(&t, NULL, writer, NULL);
	long long end = test_now_ns() + 5000000000ll;
	while (seen < 100000 && test_now_ns() < end) {
		if (!pd_thread_trace(&thread, got))
			continue;
		seen++;
		torn += got[0] != got[1] || got[1] != got[2];
	}
	pd_store_relaxed(&stop, true);
	pthread_join(t, NULL);
	OK(seen >= 1000);
	EQ(torn, 0);
	thread.trace_turn++; /* as a handler finds it in the middle of a change */
	OK(!pd_thread_trace(&thread, got));
	thread.trace_turn++;
	OK(pd_thread_trace(&thread, got));
	set(&thread, 0);
	OK(!pd_thread_trace(&thread, got));
}

static void bounded(void)
{
	struct pd_budget budget = { .cap = 4 << 20 };
	struct pd_table table;
	struct pd_stack stack;
	uint64_t left_out = 0, pc[4] = { 1, 2, 3, 4 };
	const int64_t one = 1;
	EQ(pd_table_open(&table, &budget), 0);
	uint32_t id = pd_table_stack(&table, pc, 4, 0, 0);
	set(&thread, 0);
	EQ(pd_trace_row(&table, &thread, &left_out), 0);
	EQ(left_out, 0);
	set(&thread, 7);
	uint64_t row = pd_trace_row(&table, &thread, &left_out);
	EQ(pd_trace_row(&table, &thread, &left_out), row);
	OK(pd_table_stack_get(&table, (uint32_t)row, &stack) && stack.n == PD_TRACE_WORDS);
	EQ(stack.pc[2], 0x0000000700000007);
	for (unsigned n = 1; n <= 100000; n++) {
		set(&thread, n);
		struct pd_key key = { .stack = id, .size = pd_trace_row(&table, &thread, &left_out) };
		EQ(pd_table_add(&table, &key, &one, 1), 1);
	}
	EQ(left_out, 100000 - (4 << 20) / 1024);
	/* The rest of the room is for stacks. */
	OK(budget.taken < budget.cap / 2);
	pd_table_close(&table);
}

int main(void)
{
	whole();
	bounded();
	DONE();
}
