/* The thread dump: blocked threads walked untouched, running ones asked, none left out, nobody hung. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "dump.h"

/* A function in a section of its own, so that its bounds are known. */
#define PLACED(name)                                     \
	extern const char __start_at_##name[], __stop_at_##name[]; \
	__attribute__((noinline, section("at_" #name)))

static uint32_t finish, interrupted, ready;
static int pipe_fd[2], epoll_fd;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static uint32_t word;

/* Each parks until `finish`; a call that ends early without being woken is an interruption. */
static void woken(long result)
{
	if (result < 0 && errno == EINTR)
		pd_add_relaxed(&interrupted, 1);
}

PLACED(cond) static void park_cond(void)
{
	pthread_mutex_lock(&mutex);
	while (!pd_load_acquire(&finish))
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

PLACED(sleep) static void park_sleep(void)
{
	while (!pd_load_acquire(&finish))
		woken(nanosleep(&(struct timespec){ 0, 900000000 }, NULL));
}

PLACED(poll) static void park_poll(void)
{
	struct pollfd p = { .fd = pipe_fd[0], .events = POLLIN };
	while (!pd_load_acquire(&finish))
		woken(poll(&p, 1, 5000));
}

PLACED(futex) static void park_futex(void)
{
	while (!pd_load_acquire(&finish)) {
		struct timespec ts = { 5, 0 };
		woken(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0));
	}
}

PLACED(read) static void park_read(void)
{
	char c;
	woken(read(pipe_fd[0], &c, 1));
}

PLACED(sem) static void park_sem(void)
{
	while (sem_wait(&sem) != 0)
		woken(-1);
}

PLACED(epoll) static void park_epoll(void)
{
	struct epoll_event e;
	while (!pd_load_acquire(&finish))
		woken(epoll_wait(epoll_fd, &e, 1, 5000));
}

PLACED(spin) static void spin(void)
{
	while (!pd_load_acquire(&finish))
		pd_add_relaxed(&word, 0);
}

struct kind {
	const char *name;
	void (*park)(void);
	const char *start, *stop;
	int nr; /* the call it waits in */
};
#define KIND(n, f, nr) { #n, f, __start_at_##n, __stop_at_##n, nr }
static const struct kind KINDS[] = {
	KIND(cond, park_cond, SYS_futex), KIND(sleep, park_sleep, SYS_clock_nanosleep),
	KIND(poll, park_poll, SYS_poll),  KIND(futex, park_futex, SYS_futex),
	KIND(read, park_read, SYS_read),  KIND(sem, park_sem, SYS_futex),
	KIND(epoll, park_epoll, SYS_epoll_wait),
};
#define NKINDS (sizeof KINDS / sizeof *KINDS)
static const struct kind SPIN = KIND(spin, spin, -1);

struct thread {
	const struct kind *kind;
	pthread_t id;
	int tid;
	bool masked, registered;
};

PLACED(start) static void *start(void *arg)
{
	struct thread *t = arg;
	if (t->registered)
		pd_thread_here();
	pthread_setname_np(pthread_self(), t->kind->name);
	if (t->masked) {
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	pd_store_release(&t->tid, (int)syscall(SYS_gettid));
	pd_add_relaxed(&ready, 1);
	t->kind->park();
	return NULL;
}

static bool run(struct thread *t, size_t n)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	pd_store_release(&finish, 0);
	pd_store_release(&ready, 0);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&t[i].id, &attr, start, &t[i]) != 0)
			return false;
	pthread_attr_destroy(&attr);
	bool all = WITHIN(10000, pd_load_acquire(&ready) == n);
	usleep(20000); /* from being ready into the call */
	return all;
}

static void end(struct thread *t, size_t n)
{
	pd_store_release(&finish, 1);
	pthread_mutex_lock(&mutex);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	pd_store_release(&word, 1);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 100000, NULL, NULL, 0);
	char bytes[16] = { 0 };
	size_t readers = 0;
	for (size_t i = 0; i < n; i++) {
		readers += t[i].kind->park == park_read;
		sem_post(&sem);
	}
	/* One byte stays for those that poll. */
	OK(readers < sizeof bytes && write(pipe_fd[1], bytes, readers + 1) > 0);
	for (size_t i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
	OK(read(pipe_fd[0], bytes, 1) == 1);
	while (sem_trywait(&sem) == 0)
		;
	pd_store_release(&word, 0);
}

/* The frame that lies in [start, stop), -1 = none. */
static int frame_in(const struct pd_thread_rec *r, const char *start_at, const char *stop_at)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->pc[i] >= (uint64_t)(uintptr_t)start_at && r->pc[i] < (uint64_t)(uintptr_t)stop_at)
			return (int)i;
	return -1;
}

static void check_stack(const struct pd_thread_rec *r, const struct kind *k)
{
	int in_park = frame_in(r, k->start, k->stop), in_start = frame_in(r, __start_at_start, __stop_at_start);
	if (in_park < 0 || in_start != in_park + 1 || r->flags)
		fprintf(stderr, "stack of %s: %u frames, park at %d, start at %d, flags %u\n", k->name, r->n, in_park,
		        in_start, r->flags);
	OK(in_park >= 0);
	EQ(in_start, in_park + 1);
	EQ(r->flags, 0);
	OK(r->n >= 3);
}

static void test_blocked(void)
{
	struct thread t[2 * NKINDS] = { 0 };
	for (size_t i = 0; i < 2 * NKINDS; i++)
		t[i] = (struct thread){ .kind = &KINDS[i % NKINDS], .registered = i < NKINDS };
	OK(run(t, 2 * NKINDS));
	pd_store_release(&interrupted, 0);
	for (int round = 0; round < 20 && !test_failures; round++) {
		struct pd_dump d;
		EQ(pd_dump_take(SECOND, &d), 0);
		EQ(d.thread[0].tid, getpid());
		for (size_t i = 2; i < d.n; i++)
			OK(d.thread[i].tid > d.thread[i - 1].tid);
		for (size_t i = 0; i < 2 * NKINDS; i++) {
			const struct pd_thread_rec *r = find(&d, t[i].tid);
			OK(r);
			/* nanosleep wakes on its own now and then */
			if (!r || (t[i].kind->park == park_sleep && r->state != PD_WAITING))
				continue;
			EQ(r->state, PD_WAITING);
			EQ(r->kernel_state, 'S');
			EQ(r->syscall, t[i].kind->nr);
			STREQ(r->name, t[i].kind->name);
			OK(r->cpu_ns > 0);
			check_stack(r, t[i].kind);
			if (t[i].kind->park == park_read)
				EQ(r->args[0], pipe_fd[0]);
		}
		EQ(d.missed, 0);
		pd_dump_free(&d);
		EQ(d.n, 0);
	}
	EQ(pd_load_acquire(&interrupted), 0);
	end(t, 2 * NKINDS);
}

static void test_running(void)
{
	struct thread t[5] = { { 0 } };
	for (size_t i = 0; i < 5; i++)
		t[i] = (struct thread){ .kind = &SPIN, .registered = i % 2, .masked = i == 4 };
	OK(run(t, 4));
	for (int round = 0; round < 5; round++) {
		struct pd_dump d;
		EQ(pd_dump_take(5 * SECOND, &d), 0);
		EQ(d.missed, 0);
		OK(d.signalled >= 4);
		OK(d.took_ns < 4 * SECOND);
		for (size_t i = 0; i < 4; i++) {
			const struct pd_thread_rec *r = find(&d, t[i].tid);
			OK(r && r->state == PD_RUNNING);
			if (r)
				check_stack(r, &SPIN);
		}
		/* The caller of the dump is no thread of the profiler here: it is asked as well. */
		OK(d.thread[0].tid == getpid() && d.thread[0].n > 3);
		pd_dump_free(&d);
	}
	end(t, 4);
	OK(run(t + 4, 1));
	struct pd_dump d;
	EQ(pd_dump_take(SECOND / 5, &d), 0);
	EQ(d.missed, 1);
	OK(d.took_ns >= SECOND / 5 && d.took_ns < 2 * SECOND);
	const struct pd_thread_rec *r = find(&d, t[4].tid);
	OK(r && r->state == PD_RUNNING && r->n == 0);
	pd_dump_free(&d);
	EQ(pd_signal_number(), 0);
	end(t + 4, 1);
}

static void test_many(void)
{
	enum { N = 1000 };
	static struct thread t[N];
	for (size_t i = 0; i < N; i++)
		t[i] = (struct thread){ .kind = &KINDS[i % 2 ? 0 : 5] };
	OK(run(t, N));
	for (int round = 0; round < 4; round++) {
		struct pd_dump d;
		EQ(pd_dump_take(SECOND, &d), 0);
		size_t whole = 0, shared = 0;
		for (size_t i = 1; i < d.n; i++) {
			whole += d.thread[i].n && !d.thread[i].flags;
			shared += d.thread[i].pc == d.thread[1].pc || d.thread[i].pc == d.thread[2].pc;
		}
		OK(d.n == N + 1);
		EQ(whole, N);
		EQ(shared, N);
		printf("%d threads: %.1f ms\n", N, (double)d.took_ns / 1e6);
		pd_dump_free(&d);
	}
	end(t, N);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("reads stacks of running threads on purpose");
#endif
	set_up();
	struct epoll_event e = { .events = EPOLLIN };
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	OK(pipe(pipe_fd) == 0 && sem_init(&sem, 0, 0) == 0);
	OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fd[0], &e) == 0);
	test_blocked();
	test_running();
	test_many();
	DONE();
}
