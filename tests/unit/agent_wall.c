/* The wall sampler from within: every tick is accounted for, whoever comes, goes, spins, sleeps or takes no signal. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <sys/syscall.h>

#include "agent/stack/stack.h"
#include "base/atomic.h"
#include "dump.h"

static const struct pd_sampler *const wall = &pd_sampler_wall;
static uint32_t finish, ready, interrupted;
static bool opened; /* and not looked at yet */
static uint64_t recorded_before;

static void *spin(void *arg)
{
	pd_thread_here();
	if (arg) {
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	pd_add_seqcst(&ready, 1);
	while (!pd_load_relaxed(&finish))
		pd_add_relaxed(&interrupted, 0);
	return NULL;
}

static void *doze(void *arg)
{
	pd_thread_here();
	pd_add_seqcst(&ready, 1);
	while (!pd_load_relaxed(&finish))
		if (poll(NULL, 0, 700) < 0 && errno == EINTR)
			pd_add_relaxed(&interrupted, 1);
	return NULL;
}

static void *be_short(void *arg)
{
	nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	return NULL;
}

static void *come_and_go(void *arg)
{
	while (!pd_load_relaxed(&finish)) {
		pthread_t id[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&id[i], NULL, be_short, NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(id[i], NULL);
	}
	return NULL;
}

static void launch(pthread_t *id, size_t n, void *(*fn)(void *), void *arg)
{
	for (size_t i = 0; i < n; i++)
		OK(pthread_create(&id[i], NULL, fn, arg) == 0);
}

static void end(pthread_t *id, size_t n)
{
	pd_store_seqcst(&finish, 1);
	for (size_t i = 0; i < n; i++)
		pthread_join(id[i], NULL);
	pd_store_seqcst(&finish, 0);
	pd_store_seqcst(&ready, 0);
}

static uint64_t dropped(const struct pd_counters *c)
{
	uint64_t sum = 0;
	for (int i = 0; i < PD_DROP_REASONS; i++)
		sum += c->dropped[i];
	return sum;
}

static void open_wall(void)
{
	EQ(wall->start(), 0);
	opened = true;
}

/* What the rows hold is what the counters say; ns = ticks times the period they were taken at. */
static struct pd_counters look(int64_t *ns)
{
	struct pd_snapshot s;
	EQ(wall->snapshot(&s), 0);
	int64_t ticks = 0, sum = 0;
	for (size_t i = 0; i < s.n; i++) {
		const struct pd_row *r = &s.row[i];
		struct pd_stack stack;
		ticks += r->value[0];
		sum += r->value[1];
		EQ(r->value[1], r->value[0] * (int64_t)r->key.rate);
		OK(wall->stack(r->key.stack, &stack));
	}
	struct pd_counters c = s.counters;
	EQ(c.ticks, c.recorded + dropped(&c));
	pd_snapshot_free(&s);
	if (ns)
		*ns = sum;
	/* The table is of this opening, the counters are for good. */
	if (opened)
		recorded_before = c.recorded - (uint64_t)ticks;
	opened = false;
	EQ(ticks, c.recorded - recorded_before);
	return c;
}

static void test_identity(void)
{
	pthread_t id[8];
	launch(id, 2, spin, NULL);
	launch(id + 2, 4, doze, NULL);
	launch(id + 6, 1, come_and_go, NULL);
	OK(WITHIN(5000, pd_load_acquire(&ready) == 6));
	EQ(wall->set_rate(500), 0);
	open_wall();
	pd_store_relaxed(&interrupted, 0);
	struct pd_counters c = look(NULL);
	for (int i = 0; i < 20 && !test_failures; i++) {
		usleep(50000);
		wall->maintain();
		c = look(NULL);
	}
	printf("%d ticks, %d recorded, %d late, %d busy\n", (int)c.ticks, (int)c.recorded, (int)c.dropped[PD_DROP_LATE],
	       (int)c.dropped[PD_DROP_BUSY]);
	OK(c.ticks > 2000 && c.recorded > c.ticks / 2);
	OK(c.signals > 50);
	EQ(pd_load_relaxed(&interrupted), 0);
	wall->stop();
	EQ(pd_signal_number(), 0);
	end(id, 7);
}

/* All of the time of all threads, at each rate and over a change of it. */
static void test_time(void)
{
	pthread_t id[6];
	int64_t ns;
	launch(id, 6, doze, NULL);
	OK(WITHIN(5000, pd_load_acquire(&ready) == 6));
	EQ(wall->set_rate(50), 0);
	open_wall();
	long long from = test_now_ns();
	usleep(700000);
	EQ(wall->set_rate(200), 0);
	EQ(wall->rate(), 200);
	usleep(700000);
	look(&ns);
	double got = (double)ns / (double)(test_now_ns() - from);
	printf("%.2f threads of 7\n", got);
	OK(got > 7 * 0.95 && got < 7 * 1.05);
	wall->stop();
	end(id, 6);
}

/* One that takes no signal is never waited for; what it owes is dropped, with the reason. */
static void test_masked(void)
{
	pthread_t id;
	launch(&id, 1, spin, &id);
	OK(WITHIN(5000, pd_load_acquire(&ready) == 1));
	EQ(wall->set_rate(100), 0);
	open_wall();
	struct pd_counters before = look(NULL), c;
	usleep(1300000);
	c = look(NULL);
	uint64_t late = c.dropped[PD_DROP_LATE] - before.dropped[PD_DROP_LATE];
	printf("%d ticks without an answer\n", (int)late);
	OK(late >= 70 && late <= 140);
	/* Whatever is still owed is let go, and comes to nothing. */
	wall->stop();
	end(&id, 1);
	EQ(pd_signal_number(), 0);
}

static void test_again(void)
{
	for (int i = 0; i < 50; i++) {
		open_wall();
		if (i % 5 == 0) {
			usleep(3000);
			look(NULL);
		}
		wall->stop();
	}
	pid_t child = fork();
	if (child == 0) {
		wall->forked();
		_exit(wall->start() != 0);
	}
	int status = -1;
	OK(waitpid(child, &status, 0) == child);
	EQ(status, 0);
	OK(WITHIN(1000, pd_threads_count() == 1));
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("reads stacks of running threads on purpose");
#endif
	static struct pd_budget budget = { .cap = 64 << 20 };
	set_up();
	OK(pd_labels_on(&budget) == 0 && wall->on(&budget) == 0);
	test_identity();
	test_time();
	test_masked();
	test_again();
	DONE();
}
