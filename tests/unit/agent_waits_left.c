/*
 * A thread of the host may be stopped anywhere by a handler of the host's, as collectors of garbage do. Found in a table of
 * waits when the service stops, it goes on in that table, which nobody else gets before.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"
#include "test.h"

static int caught, go_on, stop;

static void hold(int signo)
{
	if (__atomic_load_n(&caught, __ATOMIC_SEQ_CST) || !pd_load_seqcst(&pd_block.inside))
		return;
	__atomic_store_n(&caught, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void *adder(void *arg)
{
	static struct pd_thread t;
	struct pd_wait_stack s = { .n = PD_SAMPLE_FRAMES };
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		s.pc[0]++;
		pd_waits_add(&pd_block, &t, &s, 1, 1);
	}
	return NULL;
}

static size_t rows(void)
{
	struct pd_snapshot s;
	EQ(pd_waits_snapshot(&pd_block, &s), 0);
	size_t n = s.n;
	pd_snapshot_free(&s);
	return n;
}

static void once(struct pd_budget *budget)
{
	pthread_t t;
	caught = go_on = stop = 0;
	EQ(pd_waits_open(&pd_block), 0);
	EQ(rows(), 0);
	pthread_create(&t, NULL, adder, NULL);
	while (!__atomic_load_n(&caught, __ATOMIC_SEQ_CST)) {
		pthread_kill(t, SIGUSR1);
		sched_yield();
	}
	pd_waits_off(&pd_block);
	EQ(rows(), 0);
	EQ(pd_waits_open(&pd_block), -EBUSY);
	__atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	EQ(pd_waits_open(&pd_block), 0);
	EQ(rows(), 0);
	pd_waits_off(&pd_block);
	EQ(budget->taken, 0);
}

int main(void)
{
	struct pd_budget budget = { .cap = 64 << 20 };
	signal(SIGUSR1, hold);
	alarm(60);
	pd_waits_on(&budget);
	for (int i = 0; i < 5; i++)
		once(&budget);
	DONE();
}
