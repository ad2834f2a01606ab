/*
 * Conditions, semaphores, joins, barriers, C11, the futex call, input and output answer as they do without hooks:
 * results, errno, interruptions, time-outs, cancellation.
 */
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <threads.h>

#include "same.h"

static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t shared_cond = PTHREAD_COND_INITIALIZER;
static sem_t shared_sem;
static sem_t never; /* for threads left waiting, whose makers' stacks go */
static int flag, cleaned, waiting_tid;
static int pipe_fd[2];

static void clean(void *arg)
{
	/* After a cancelled wait for a condition the mutex is held. */
	cleaned = arg ? 10 + pthread_mutex_unlock(arg) : 1;
}

enum { C_COND, C_SEM, C_JOIN, C_POLL, C_SLEEP, C_READ, C_TIMED, C_CASES };

static void *sleep_on(void *arg)
{
	sem_t *s = arg;
	sem_wait(s);
	return (void *)42;
}

static void *cancelled_thread(void *arg)
{
	pthread_t child;
	pthread_cleanup_push(clean, (long)arg == C_COND || (long)arg == C_TIMED ? (void *)&shared_mutex : NULL);
	struct timespec late = in_ms(CLOCK_REALTIME, 20000);
	struct pollfd p = { .fd = pipe_fd[0], .events = POLLIN };
	char c;
	if ((long)arg == C_COND || (long)arg == C_TIMED)
		pthread_mutex_lock(&shared_mutex);
	if ((long)arg == C_JOIN) {
		pthread_create(&child, NULL, sleep_on, &never);
		pthread_detach(child);
	}
	__atomic_store_n(&waiting_tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	switch ((long)arg) {
	case C_COND: pthread_cond_wait(&shared_cond, &shared_mutex); break;
	case C_TIMED: pthread_cond_timedwait(&shared_cond, &shared_mutex, &late); break;
	case C_SEM: sem_wait(&shared_sem); break;
	case C_JOIN: sem_timedwait(&shared_sem, &late); break;
	case C_POLL: poll(&p, 1, 20000); break;
	case C_SLEEP: nanosleep(&(struct timespec){ 20, 0 }, NULL); break;
	case C_READ: (void)!read(pipe_fd[0], &c, 1); break;
	}
	pthread_cleanup_pop(0);
	return (void *)7;
}

/* Does the thread wait in the kernel? */
static int asleep(int tid)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return p && p[2] == 'S';
}

static inline void cancellations(void)
{
	for (long i = 0; i < C_CASES; i++) {
		pthread_t t;
		void *result = NULL;
		out += sprintf(out, "- cancelled in case %ld\n", i);
		cleaned = 0;
		__atomic_store_n(&waiting_tid, 0, __ATOMIC_SEQ_CST);
		pthread_create(&t, NULL, cancelled_thread, (void *)i);
		OK(WITHIN(2000, __atomic_load_n(&waiting_tid, __ATOMIC_SEQ_CST) && asleep(waiting_tid)));
		TELL(pthread_cancel(t));
		TELL(pthread_join(t, &result));
		TELL(result == PTHREAD_CANCELED);
		TELL(cleaned);
	}
	TELL(pthread_mutex_trylock(&shared_mutex));
	TELL(pthread_mutex_unlock(&shared_mutex));
}

static void *signal_cond(void *arg)
{
	pthread_mutex_lock(&shared_mutex);
	flag = 1;
	pthread_cond_broadcast(&shared_cond);
	pthread_mutex_unlock(&shared_mutex);
	return (void *)5;
}

static void conditions(void)
{
	pthread_t t;
	void *result = NULL;
	struct timespec soon = in_ms(CLOCK_REALTIME, 3), mono = in_ms(CLOCK_MONOTONIC, 3), bad = { 0, -1 };
	pthread_mutex_lock(&shared_mutex);
	TELL(pthread_cond_timedwait(&shared_cond, &shared_mutex, &soon));
	TELL(pthread_cond_timedwait(&shared_cond, &shared_mutex, &soon));
	mono = in_ms(CLOCK_MONOTONIC, 3);
	TELL(pthread_cond_clockwait(&shared_cond, &shared_mutex, CLOCK_MONOTONIC, &mono));
	TELL(pthread_cond_clockwait(&shared_cond, &shared_mutex, CLOCK_TAI, &mono));
	TELL(pthread_cond_timedwait(&shared_cond, &shared_mutex, &bad));
	flag = 0;
	pthread_create(&t, NULL, signal_cond, NULL);
	int err = 0;
	while (!flag && !err)
		err = pthread_cond_wait(&shared_cond, &shared_mutex);
	TELL(err);
	TELL(pthread_mutex_unlock(&shared_mutex));
	TELL(pthread_join(t, &result));
	TELL(result);
	TELL(pthread_join(pthread_self(), NULL));
}

static void nothing(int signo)
{
}

static void *interrupt(void *arg)
{
	int tid = *(int *)arg;
	for (int i = 0; i < 4000 && !asleep(tid); i++)
		usleep(500);
	syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
	return NULL;
}

#define INTERRUPTED(e)                                             \
	do {                                                       \
		int int_tid = (int)syscall(SYS_gettid);            \
		pthread_t int_t;                                   \
		pthread_create(&int_t, NULL, interrupt, &int_tid); \
		TELL(e);                                           \
		pthread_join(int_t, NULL);                         \
	} while (0)

static void semaphores_and_joins(void)
{
	struct sigaction act = { .sa_handler = nothing };
	sigaction(SIGUSR1, &act, NULL);
	struct timespec soon = in_ms(CLOCK_REALTIME, 3), mono = in_ms(CLOCK_MONOTONIC, 3), bad = { 0, -1 };
	sem_init(&shared_sem, 0, 2);
	TELL(sem_wait(&shared_sem));
	TELL(sem_timedwait(&shared_sem, &soon));
	TELL(sem_timedwait(&shared_sem, &soon));
	mono = in_ms(CLOCK_MONOTONIC, 3);
	TELL(sem_clockwait(&shared_sem, CLOCK_MONOTONIC, &mono));
	TELL(sem_clockwait(&shared_sem, CLOCK_TAI, &mono));
	TELL(sem_timedwait(&shared_sem, &bad));
	INTERRUPTED(sem_wait(&shared_sem));
	pthread_t t;
	void *result = NULL;
	sem_t s;
	sem_init(&s, 0, 0);
	pthread_create(&t, NULL, sleep_on, &s);
	soon = in_ms(CLOCK_REALTIME, 3);
	TELL(pthread_timedjoin_np(t, &result, &soon));
	mono = in_ms(CLOCK_MONOTONIC, 3);
	TELL(pthread_clockjoin_np(t, &result, CLOCK_MONOTONIC, &mono));
	sem_post(&s);
	TELL(pthread_join(t, &result));
	TELL(result);
	pthread_barrier_t b;
	pthread_barrier_init(&b, NULL, 1);
	TELL(pthread_barrier_wait(&b));
	TELL(pthread_barrier_destroy(&b));
}

static void *at_barrier(void *b)
{
	return (void *)(long)pthread_barrier_wait(b);
}

static void barrier(void)
{
	pthread_barrier_t b;
	pthread_t t;
	void *result = NULL;
	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&t, NULL, at_barrier, &b);
	usleep(5000);
	long mine = pthread_barrier_wait(&b);
	TELL(pthread_join(t, &result));
	TELL((mine == PTHREAD_BARRIER_SERIAL_THREAD) + ((long)result == PTHREAD_BARRIER_SERIAL_THREAD));
	TELL(pthread_barrier_destroy(&b));
}

static int c11_thread(void *arg)
{
	int err = mtx_lock(arg);
	usleep(3000);
	thrd_exit(err == thrd_success ? 33 : 44);
}

static void c11(void)
{
	mtx_t m, r;
	cnd_t c;
	thrd_t t;
	int result = 0;
	struct timespec soon = in_ms(CLOCK_REALTIME, 3);
	mtx_init(&m, mtx_timed);
	mtx_init(&r, mtx_plain | mtx_recursive);
	cnd_init(&c);
	TELL(mtx_lock(&r));
	TELL(mtx_lock(&r));
	TELL(mtx_unlock(&r));
	TELL(mtx_unlock(&r));
	TELL(mtx_lock(&m));
	TELL(mtx_timedlock(&m, &soon));
	soon = in_ms(CLOCK_REALTIME, 3);
	TELL(cnd_timedwait(&c, &m, &soon));
	TELL(thrd_create(&t, c11_thread, &m));
	usleep(5000);
	TELL(mtx_unlock(&m));
	TELL(thrd_join(t, &result));
	TELL(result);
	TELL(mtx_timedlock(&m, &soon));
}

static void calls(void)
{
	uint32_t word = 1;
	struct timespec short_time = { 0, 3000000 };
	TELL(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &short_time, NULL, 0));
	TELL(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &short_time, NULL, 0));
	TELL(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	TELL(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 1, &short_time, NULL, 0));
	TELL(syscall(SYS_getpid) == getpid());
	void *p = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TELL(p != MAP_FAILED);
	TELL(syscall(SYS_munmap, p, 4096));
	TELL(syscall(SYS_close, -1));
}

static void input_and_output(void)
{
	char c;
	struct pollfd p = { .fd = pipe_fd[0], .events = POLLIN };
	struct timespec t = { 0, 2000000 }, left = { 0, 0 };
	struct timeval tv = { 0, 2000 };
	struct iovec v = { &c, 1 };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
	struct epoll_event e;
	fd_set set;
	int s[2], ep = epoll_create1(0);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	TELL(poll(&p, 1, 2));
	TELL(ppoll(&p, 1, &t, NULL));
	FD_ZERO(&set);
	TELL(select(1, &set, NULL, NULL, &tv));
	TELL(pselect(1, &set, NULL, NULL, &t, NULL));
	TELL(epoll_wait(ep, &e, 1, 2));
	TELL(epoll_pwait(ep, &e, 1, 2, NULL));
	TELL(epoll_wait(-1, &e, 1, 2));
	TELL(recv(s[0], &c, 1, 0));
	TELL(recvfrom(s[0], &c, 1, 0, NULL, NULL));
	TELL(recvmsg(s[0], &msg, 0));
	TELL(write(s[1], "abc", 3));
	TELL(read(s[0], &c, 1));
	TELL(readv(s[0], &v, 1));
	TELL(recv(s[0], &c, 1, 0));
	TELL(accept(s[0], NULL, NULL));
	TELL(accept4(-1, NULL, NULL, 0));
	TELL(connect(-1, NULL, 0));
	TELL(nanosleep(&t, NULL));
	TELL(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
	TELL(clock_nanosleep(99, 0, &t, NULL));
	TELL(usleep(1000));
	TELL(sleep(0));
	t = (struct timespec){ 20, 0 };
	INTERRUPTED(nanosleep(&t, &left));
	TELL(left.tv_sec >= 10);
	INTERRUPTED(poll(&p, 1, 20000));
	INTERRUPTED(read(pipe_fd[0], &c, 1));
	close(s[0]);
	close(s[1]);
	close(ep);
}

static void all_cases(void)
{
	sem_init(&shared_sem, 0, 0);
#ifndef __SANITIZE_ADDRESS__ /* keeps marks on the stack for frames of hooks that an unwinder passes */
	cancellations();
#endif
	conditions();
	semaphores_and_joins();
	barrier();
	c11();
	calls();
	input_and_output();
}

int main(void)
{
	OK(pipe(pipe_fd) == 0);
	peek_start();
	same_in_all_states(all_cases);
	static const char *const blocked[] = { "pthread_cond_timedwait", "pthread_cond_clockwait", "cnd_timedwait",
		"sem_clockwait", "sem_wait", "pthread_barrier_wait", "pthread_timedjoin_np", "pthread_clockjoin_np",
		"mtx_timedlock", "mtx_lock", "thrd_join", "syscall" };
	static const char *const waited[] = { "poll", "ppoll", "select", "pselect", "epoll_wait", "epoll_pwait",
		"nanosleep", "clock_nanosleep", "usleep", "read" };
	for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
		if (peek_sum(PD_BLOCK, NULL, NULL, blocked[i]).ns < 1e6)
			test_failures++, fprintf(stderr, "block: nothing in %s\n", blocked[i]);
	for (size_t i = 0; i < sizeof waited / sizeof *waited; i++)
		if (peek_sum(PD_IO, NULL, NULL, waited[i]).ns <= 0)
			test_failures++, fprintf(stderr, "io: nothing in %s\n", waited[i]);
	pprofd_stop();
	DONE();
}
