/* The thread dump where threads are at odds with it: late answers, ended ones, those that take no signal. */
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "base/atomic.h"
#include "dump.h"

static uint32_t finish;

/* A handler that comes when nobody waits for it, or somebody else is asked, writes nothing. */
static void test_late_answer(void)
{
	static struct pd_ask a;
	ucontext_t uc;
	getcontext(&uc);
	const uint64_t turns[] = { 1 << 2 | PD_ASK_FREE, 2 << 2 | PD_ASK_FILLING, 3 << 2 | PD_ASK_DONE,
		                   4 << 2 | PD_ASK_WAITING };
	for (size_t i = 0; i < 4; i++) {
		a.turn = turns[i];
		a.tid = getpid() + (i == 3);
		a.n = 77;
		pd_dump_tick(&a.target, 0, &uc);
		EQ(a.turn, turns[i]);
		EQ(a.n, 77);
	}
	uint32_t before = pd_ask_answers;
	a.turn = 5 << 2 | PD_ASK_WAITING;
	a.tid = getpid();
	pd_dump_tick(&a.target, 0, &uc);
	EQ(a.turn, 5 << 2 | PD_ASK_DONE);
	EQ(pd_ask_answers, before + 1);
	OK(a.n >= 2);
	EQ(a.end, PD_END_BOTTOM);
}

static void *be_short(void *arg)
{
	return pd_thread_here();
}

static void *come_and_go(void *arg)
{
	while (!pd_load_acquire(&finish)) {
		pthread_t id[8];
		size_t n = 0;
		for (; n < 8; n++)
			if (pthread_create(&id[n], NULL, be_short, NULL) != 0)
				break;
		while (n)
			pthread_join(id[--n], NULL);
	}
	return NULL;
}

static void test_churn(void)
{
	pthread_t id[2];
	pd_store_release(&finish, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&id[i], NULL, come_and_go, NULL);
	size_t dumps = 0, seen = 0;
	for (long long until = test_now_ns() + SECOND * 3 / 2; test_now_ns() < until; dumps++) {
		struct pd_dump d;
		EQ(pd_dump_take(SECOND, &d), 0);
		EQ(d.missed, 0);
		seen += d.n;
		for (size_t i = 0; i < d.n; i++)
			OK(!d.thread[i].n || d.thread[i].pc[d.thread[i].n - 1]);
		pd_dump_free(&d);
	}
	pd_store_release(&finish, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(id[i], NULL);
	OK(dumps > 3 && seen > dumps);
}

static void *dump_after_main(void *arg)
{
	struct pd_dump d = { 0 };
	const struct pd_thread_rec *r = NULL;
	long long until = test_now_ns() + 2 * SECOND;
	do {
		pd_dump_free(&d);
		EQ(pd_dump_take(SECOND, &d), 0);
		r = find(&d, getpid());
	} while (r && r->state != PD_GONE && test_now_ns() < until);
	OK(r && r->state == PD_GONE && r->n == 0 && r->kernel_state == 'Z');
	OK(d.thread[0].tid == getpid());
	_exit(test_failures != 0);
}

/* A process whose first thread has ended. */
static void test_main_gone(void)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t id;
		pthread_create(&id, NULL, dump_after_main, NULL);
		pthread_exit(NULL);
	}
	int status = -1;
	OK(waitpid(child, &status, 0) == child);
	EQ(status, 0);
}

static void *vfork_parent(void *arg)
{
	pd_store_release((int *)arg, (int)syscall(SYS_gettid));
	pid_t child = vfork();
	if (child == 0) {
		struct timespec ts = { 0, 300000000 };
		syscall(SYS_nanosleep, &ts, NULL);
		_exit(0);
	}
	OK(waitpid(child, NULL, 0) == child);
	return NULL;
}

/* The parent of a vfork takes no signal until its child is gone: it must not be waited for. */
static void test_vfork(void)
{
	int tid = 0;
	pthread_t id;
	pthread_create(&id, NULL, vfork_parent, &tid);
	OK(WITHIN(1000, pd_load_acquire(&tid)));
	usleep(50000);
	struct pd_dump d;
	EQ(pd_dump_take(5 * SECOND, &d), 0);
	const struct pd_thread_rec *r = find(&d, tid);
	OK(r && r->state == PD_WAITING && r->kernel_state == 'D' && r->syscall == SYS_vfork && r->n > 0);
	OK(d.took_ns < SECOND / 5);
	pd_dump_free(&d);
	pthread_join(id, NULL);
}

static int *word; /* at the very beginning of what is mapped */

static void *wait_at_word(void *arg)
{
	pd_store_release((int *)arg, (int)syscall(SYS_gettid));
	while (!pd_load_acquire(word + 1))
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0);
	return NULL;
}

static void *wait_elsewhere(void *arg)
{
	pd_store_release((int *)arg, (int)syscall(SYS_gettid));
	return pause() ? NULL : arg;
}

/* What lies where a thread waits in futex(2), as far as there is memory; of other calls nothing. */
static void test_words(void)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *two = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	OK(two != MAP_FAILED && mprotect(two, (size_t)page, PROT_NONE) == 0);
	word = (int *)(void *)(two + page);
	word[0] = 7;
	word[2] = 4711;
	int tid[2] = { 0, 0 };
	pthread_t id[2];
	pthread_create(&id[0], NULL, wait_at_word, &tid[0]);
	pthread_create(&id[1], NULL, wait_elsewhere, &tid[1]);
	OK(WITHIN(1000, pd_load_acquire(&tid[0]) && pd_load_acquire(&tid[1])));
	usleep(50000);
	struct pd_dump d;
	EQ(pd_dump_take(SECOND, &d), 0);
	const struct pd_thread_rec *r = find(&d, tid[0]);
	OK(r && r->syscall == SYS_futex && r->args[0] == (uint64_t)(uintptr_t)word && r->args[2] == 7);
	OK(r && r->wait_lo == (uint64_t)(uintptr_t)word && r->wait_len == PD_WAIT_BYTES);
	OK(r && memcmp(r->wait_bytes, word, PD_WAIT_BYTES) == 0);
	r = find(&d, tid[1]);
	OK(r && r->syscall >= 0 && r->wait_len == 0);
	pd_dump_free(&d);
	pd_store_release(word + 1, 1);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(id[0], NULL);
	pthread_cancel(id[1]);
	pthread_join(id[1], NULL);
	munmap(word, (size_t)page);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("reads stacks of running threads on purpose");
#endif
	set_up();
	test_main_gone();
	test_late_answer();
	test_churn();
	test_vfork();
	test_words();
	DONE();
}
