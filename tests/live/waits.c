/* What a thread dump says that threads wait for: every kind of object, with addresses and holders. */
#include <semaphore.h>
#include <threads.h>

#include "waits_kit.h"

static void read_lock(struct thread *t)
{
	about_to_wait(t);
	pthread_rwlock_rdlock((pthread_rwlock_t *)t->object);
	pthread_rwlock_unlock((pthread_rwlock_t *)t->object);
}

static void write_lock(struct thread *t)
{
	about_to_wait(t);
	pthread_rwlock_wrlock((pthread_rwlock_t *)t->object);
	pthread_rwlock_unlock((pthread_rwlock_t *)t->object);
}

static void timed_lock(struct thread *t)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += 1000;
	about_to_wait(t);
	OK(pthread_mutex_clocklock((pthread_mutex_t *)t->object, CLOCK_MONOTONIC, &ts) == 0);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
}

static void c11_lock(struct thread *t)
{
	about_to_wait(t);
	mtx_lock((mtx_t *)t->object);
	mtx_unlock((mtx_t *)t->object);
}

static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;

static void wait_cond(struct thread *t)
{
	pthread_mutex_lock(&cond_mutex);
	about_to_wait(t);
	while (!__atomic_load_n(&finish, __ATOMIC_ACQUIRE))
		pthread_cond_wait((pthread_cond_t *)t->object, &cond_mutex);
	pthread_mutex_unlock(&cond_mutex);
}

static void wait_semaphore(struct thread *t)
{
	about_to_wait(t);
	while (sem_wait((sem_t *)t->object) != 0)
		continue;
}

static void wait_barrier(struct thread *t)
{
	about_to_wait(t);
	pthread_barrier_wait((pthread_barrier_t *)t->object);
}

static void join_other(struct thread *t)
{
	about_to_wait(t);
	pthread_join(((struct thread *)t->object)->id, NULL);
}

/* Looks like a mutex that the main thread holds, and is none. */
static uint32_t fake_mutex[10];

static void wait_fake(struct thread *t)
{
	about_to_wait(t);
	while (!__atomic_load_n(&finish, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, fake_mutex, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void just_hold(struct thread *t)
{
	about_to_wait(t);
	hold();
}

static pthread_mutex_t *new_mutex(int type, int robust, int protocol, int shared)
{
	static pthread_mutex_t m[8];
	static int n;
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutexattr_setpshared(&attr, shared);
	pthread_mutex_init(&m[n], &attr);
	return &m[n++];
}

static void kinds(void)
{
	static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER, read = PTHREAD_RWLOCK_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	static pthread_barrier_t barrier;
	static sem_t sem;
	static mtx_t mtx;
	pthread_mutex_t *mutex[] = {
		new_mutex(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE),
		new_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED),
		new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE),
		new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT, PTHREAD_PROCESS_PRIVATE),
		new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, PTHREAD_PROCESS_PRIVATE),
		new_mutex(PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE),
	};
	enum { MUTEXES = sizeof mutex / sizeof *mutex };
	struct thread holder = { .name = "holder", .run = just_hold };
	struct thread t[] = {
		{ .name = "rd", .run = read_lock, .object = &written },
		{ .name = "wr", .run = write_lock, .object = &written },
		{ .name = "wr2", .run = write_lock, .object = &read },
		{ .name = "c11", .run = c11_lock, .object = &mtx },
		{ .name = "timed", .run = timed_lock, .object = mutex[0] },
		{ .name = "join", .run = join_other, .object = &holder },
		{ .name = "cond", .run = wait_cond, .object = &cond },
		{ .name = "sem", .run = wait_semaphore, .object = &sem },
		{ .name = "barrier", .run = wait_barrier, .object = &barrier },
		{ .name = "fake", .run = wait_fake },
		{ .name = "m0", .run = plain_lock, .object = mutex[0] },
		{ .name = "m1", .run = plain_lock, .object = mutex[1] },
		{ .name = "m2", .run = plain_lock, .object = mutex[2] },
		{ .name = "m3", .run = plain_lock, .object = mutex[3] },
		{ .name = "m4", .run = plain_lock, .object = mutex[4] },
		{ .name = "m5", .run = plain_lock, .object = mutex[5] },
	};
	enum { N = sizeof t / sizeof *t, FIRST_MUTEX = N - MUTEXES };
	int me = gettid_now();
	finish = 0;
	mtx_init(&mtx, mtx_plain);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_rwlock_wrlock(&written);
	pthread_rwlock_rdlock(&read);
	mtx_lock(&mtx);
	for (int i = 0; i < MUTEXES; i++)
		pthread_mutex_lock(mutex[i]);
	fake_mutex[0] = 2;
	fake_mutex[2] = (uint32_t)me;
	launch(&holder);
	for (int i = 0; i < N; i++)
		launch(&t[i]);
	for (int i = 0; i < N; i++)
		OK(WITHIN(5000, asleep(t[i].tid)));
	usleep(20000);

	struct http_answer a = dump();
	for (int i = 0; i < 2; i++)
		says(&a, "goroutine %d [rwlock wait (%p held by %d)]:", t[i].tid, (void *)&written, me);
	says(&a, "goroutine %d [rwlock wait (%p readers: 1)]:", t[2].tid, (void *)&read);
	says(&a, "goroutine %d [mutex wait (%p held by %d)]:", t[3].tid, (void *)&mtx, me);
	says(&a, "goroutine %d [mutex wait (%p held by %d)]:", t[4].tid, (void *)mutex[0], me);
	says(&a, "goroutine %d [join wait (for %d)]:", t[5].tid, holder.tid);
	says(&a, "goroutine %d [cond wait]:", t[6].tid);
	says(&a, "goroutine %d [semaphore wait]:", t[7].tid);
	says(&a, "goroutine %d [barrier wait]:", t[8].tid);
	says(&a, "goroutine %d [futex wait]:", t[9].tid);
	for (int i = 0; i < MUTEXES; i++)
		says(&a, "goroutine %d [mutex wait (%p held by %d)]:", t[FIRST_MUTEX + i].tid, (void *)mutex[i], me);
	says(&a, "#     %d timed waits for mutex %p held by %d waits, with a time limit", t[4].tid, (void *)mutex[0], me);
	says(&a, "#     %d join waits for the end of %d holder", t[5].tid, holder.tid);
	char cell[64];
	for (int i = 6; i < 9; i++) {
		snprintf(cell, sizeof cell, "%d  %s ", t[i].tid, t[i].name);
		char *line = strstr(a.body, cell);
		snprintf(cell, sizeof cell, " wait (%p) ", t[i].object);
		OK(line && strstr(line, cell) && strstr(line, cell) < strchr(line, '\n'));
	}
	OK(strstr(a.body, "# deadlock") == NULL);
	free(a.body);

	for (int i = 0; i < MUTEXES; i++)
		pthread_mutex_unlock(mutex[i]);
	mtx_unlock(&mtx);
	pthread_rwlock_unlock(&written);
	pthread_rwlock_unlock(&read);
	sem_post(&sem);
	let_go();
	syscall(SYS_futex, fake_mutex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_mutex_lock(&cond_mutex);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&cond_mutex);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < N; i++)
		pthread_join(t[i].id, NULL);
}

int main(void)
{
	serve();
	kinds();
	leave();
}
