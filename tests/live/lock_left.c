/*
 * A thread that jumps out of a signal handler while it waits for a lock is not taken for a waiter for ever: neither
 * when it goes on to wait for something else, nor when it never does, nor when it ends.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>

#include "locks.h"

PLACE(late);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static __thread sigjmp_buf out;
static int tid, left, finish;

static void jump(int signo)
{
	siglongjmp(out, 1);
}

/* arg: 1 = waits for another lock then, 2 = ends */
static void *leaver(void *arg)
{
	__atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	if (sigsetjmp(out, 1) == 0) {
		pthread_mutex_lock(&lock);
		abort();
	}
	if (arg == (void *)1)
		pthread_mutex_lock(&other);
	__atomic_store_n(&left, 1, __ATOMIC_SEQ_CST);
	while (arg != (void *)2 && !__atomic_load_n(&finish, __ATOMIC_SEQ_CST))
		usleep(1000);
	if (arg == (void *)1)
		pthread_mutex_unlock(&other);
	return NULL;
}

static void *waiter(void *arg)
{
	__atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int asleep(void)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", __atomic_load_n(&tid, __ATOMIC_SEQ_CST));
	FILE *f = tid ? fopen(path, "r") : NULL;
	int yes = f && fgets(line, sizeof line, f) && strncmp(line, "202 ", 4) == 0;
	if (f)
		fclose(f);
	return yes;
}

PLACED(late) static void hold_and_unlock(void)
{
	pthread_t t;
	tid = 0;
	pthread_create(&t, NULL, waiter, NULL);
	OK(WITHIN(2000, asleep()));
	usleep(20000);
	pthread_mutex_unlock(&lock);
	pthread_join(t, NULL);
	__asm__ volatile("");
}

/* What the last unlock is charged with after somebody has left, and whether that was noticed in `ms`. */
static void leave(long how, int ms)
{
	pthread_t t;
	double before = peek_sum(PD_MUTEX, IN(late), NULL).ns;
	tid = left = finish = 0;
	pthread_mutex_lock(&other);
	pthread_mutex_lock(&lock);
	pthread_create(&t, NULL, leaver, (void *)how);
	OK(WITHIN(2000, asleep()));
	usleep(10000);
	pthread_kill(t, SIGUSR1);
	if (how == 1) {
		usleep(50000);
		pthread_mutex_unlock(&other);
	}
	OK(WITHIN(2000, __atomic_load_n(&left, __ATOMIC_SEQ_CST)));
	if (how == 2)
		pthread_join(t, NULL);
	usleep((unsigned)ms * 1000);
	/* Of all this time nobody has waited for it but in the last moments. */
	hold_and_unlock();
	double charged = (peek_sum(PD_MUTEX, IN(late), NULL).ns - before) / 1e6;
	printf("case %ld: charged %.1f ms\n", how, charged);
	OK(charged > 15 && charged < 150);
	__atomic_store_n(&finish, 1, __ATOMIC_SEQ_CST);
	if (how != 2)
		pthread_join(t, NULL);
	if (how != 1)
		pthread_mutex_unlock(&other);
}

int main(void)
{
	struct pd_fact fact[PD_FACTS];
	peek_start();
	peek_rate("mutex_fraction", 1);
	signal(SIGUSR1, jump);
	leave(1, 300);
	leave(0, 1500);
	leave(2, 1500);
	size_t n = peek->facts(PD_MUTEX, fact, PD_FACTS);
	for (size_t i = 0; i < n; i++)
		if (strcmp(fact[i].name, "healed_waiters") == 0)
			EQ(fact[i].value, 2);
	pprofd_stop();
	DONE();
}
