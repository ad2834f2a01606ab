/* Stack tables under many writers: equal stacks get one id, no count is lost, a full table says so. */
#include <pthread.h>

#include "agent/stack/stack.h"
#include "../test.h"

#define WRITERS 8
#define ROUNDS 20000
#define STACKS 97

static struct pd_table table;
static uint32_t ids[WRITERS][STACKS];

static void make_stack(uint64_t *pc, uint32_t k)
{
	for (uint32_t i = 0; i < 5 + k % 7; i++)
		pc[i] = 0x400000 + k * 64 + i;
}

static void *writer(void *arg)
{
	size_t me = (size_t)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t pc[16];
		uint32_t k = (i * 31 + (uint32_t)me) % STACKS;
		make_stack(pc, k);
		uint32_t id = pd_table_stack(&table, pc, 5 + k % 7, 0, 0);
		if (!ids[me][k])
			ids[me][k] = id;
		if (ids[me][k] != id)
			ids[me][k] = UINT32_MAX;
		const int64_t v[2] = { 1, k };
		pd_table_add(&table, &(struct pd_key){ .stack = id, .labels = k % 3 }, v, 2);
	}
	return NULL;
}

static int64_t sum[2];
static size_t rows;

static void add_up(const struct pd_row *row, void *arg)
{
	(void)arg;
	sum[0] += row->value[0];
	sum[1] += row->value[1];
	rows++;
}

static void many_writers(void)
{
	struct pd_budget budget = { .cap = 16 << 20 };
	pthread_t t[WRITERS];
	EQ(pd_table_open(&table, &budget), 0);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&t[i], NULL, writer, (void *)i);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	int64_t want = 0;
	for (uint32_t me = 0; me < WRITERS; me++)
		for (uint32_t i = 0; i < ROUNDS; i++)
			want += (i * 31 + me) % STACKS;
	pd_table_rows(&table, add_up, NULL);
	EQ(sum[0], WRITERS * ROUNDS);
	EQ(sum[1], want);
	EQ(rows, STACKS);
	EQ(table.stacks, STACKS);
	for (uint32_t k = 0; k < STACKS; k++) {
		uint64_t pc[16];
		struct pd_stack s;
		make_stack(pc, k);
		for (size_t me = 1; me < WRITERS; me++)
			EQ(ids[me][k], ids[0][k]);
		OK(pd_table_stack_get(&table, ids[0][k], &s));
		EQ(s.n, 5 + k % 7);
		EQ(memcmp(s.pc, pc, s.n * sizeof *pc), 0);
	}
	struct pd_stack s;
	OK(!pd_table_stack_get(&table, 0, &s));
	OK(!pd_table_stack_get(&table, PD_STACK_OVERFLOW, &s));
	OK(!pd_table_stack_get(&table, UINT32_MAX, &s));
	pd_table_close(&table);
	EQ(budget.taken, 0);
}

static void epochs_and_flags_differ(void)
{
	struct pd_budget budget = { .cap = 4 << 20 };
	const uint64_t pc[2] = { 1, 2 };
	EQ(pd_table_open(&table, &budget), 0);
	uint32_t a = pd_table_stack(&table, pc, 2, 0, 0);
	OK(a != pd_table_stack(&table, pc, 2, 1, 0));
	OK(a != pd_table_stack(&table, pc, 2, 0, PD_TRUNCATED));
	OK(a != pd_table_stack(&table, pc, 1, 0, 0));
	EQ(a, pd_table_stack(&table, pc, 2, 0, 0));
	pd_table_close(&table);
}

/* Past the cap every sample is still counted, under the overflow stack. */
static void full(void)
{
	struct pd_budget budget = { .cap = 1 << 20 };
	EQ(pd_table_open(&table, &budget), 0);
	EQ(pd_table_reserve(&table, 7), 0);
	int64_t lost = 0, kept = 0;
	for (uint64_t i = 0; i < 60000; i++) {
		const int64_t one = 1;
		uint64_t pc[3] = { i, i + 1, i + 2 };
		uint32_t id = pd_table_stack(&table, pc, 3, 0, 0);
		struct pd_key key = { .stack = id, .rate = 7 };
		if (id == PD_STACK_OVERFLOW || !pd_table_add(&table, &key, &one, 1)) {
			if (id == PD_STACK_OVERFLOW)
				pd_table_add(&table, &key, &one, 1);
			lost++;
		} else {
			kept++;
		}
	}
	OK(lost > 1000);
	OK(kept > 1000);
	sum[0] = 0;
	rows = 0;
	pd_table_rows(&table, add_up, NULL);
	EQ(sum[0], 60000);
	/* A rate whose overflow row was not made ahead: told, not pretended. */
	const int64_t one = 1;
	struct pd_key key = { .stack = PD_STACK_OVERFLOW, .rate = 7 };
	do
		key.labels++;
	while (pd_table_add(&table, &key, &one, 1) == 1);
	EQ(pd_table_add(&table, &(struct pd_key){ .stack = PD_STACK_OVERFLOW, .rate = 7 }, &one, 1), 1);
	EQ(pd_table_add(&table, &(struct pd_key){ .stack = PD_STACK_OVERFLOW, .rate = 8 }, &one, 1), -1);
	OK(budget.taken <= budget.cap);
	pd_table_close(&table);
	EQ(budget.taken, 0);
}

int main(void)
{
	many_writers();
	epochs_and_flags_differ();
	full();
	DONE();
}
