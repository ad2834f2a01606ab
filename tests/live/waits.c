/* What a thread dump says that threads wait for: circles, chains, and every kind of object, with addresses and holders. */
#include <errno.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <threads.h>

#include "http.h"
#include "test.h"

static int finish; /* futex of those that hold */

static int gettid_now(void)
{
	return (int)syscall(SYS_gettid);
}

static void hold(void)
{
	while (!__atomic_load_n(&finish, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &finish, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void let_go(void)
{
	__atomic_store_n(&finish, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &finish, FUTEX_WAKE_PRIVATE, 1000, NULL, NULL, 0);
}

struct thread {
	pthread_t id;
	int tid;
	const char *name;
	void (*run)(struct thread *);
	void *object, *other; /* other: what it takes first */
	int step;             /* raised when it is about to wait */
};

static void *start(void *arg)
{
	struct thread *t = (struct thread *)arg;
	pthread_setname_np(pthread_self(), t->name);
	__atomic_store_n(&t->tid, gettid_now(), __ATOMIC_RELEASE);
	t->run(t);
	return NULL;
}

static void about_to_wait(struct thread *t)
{
	__atomic_store_n(&t->step, 1, __ATOMIC_RELEASE);
}

static void launch(struct thread *t)
{
	t->step = t->tid = 0;
	OK(pthread_create(&t->id, NULL, start, t) == 0);
	OK(WITHIN(5000, __atomic_load_n(&t->step, __ATOMIC_ACQUIRE)));
}

/* Asleep in a call: its state is what the dump will find. */
static bool asleep(int tid)
{
	char path[64], buf[64] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
	FILE *f = fopen(path, "r");
	bool is = f && fgets(buf, sizeof buf, f) && strncmp(buf, "running", 7) != 0;
	if (f)
		fclose(f);
	return is;
}

/* The header lines of Go's dumps, as the tools that read those want them: no bracket or comma within the state. */
static void headers_are_plain(const char *text)
{
	for (const char *p = text; (p = strstr(p, "\ngoroutine ")); p++) {
		char state[256], rest[64];
		int tid, minutes;
		OK(sscanf(p, "\ngoroutine %d [%255[^],]%63[^\n]", &tid, state, rest) == 3);
		OK(strcmp(rest, "]:") == 0 || sscanf(rest, ", %d minutes]:", &minutes) == 1);
		for (const char *c = state; *c; c++)
			OK(strchr("abcdefghijklmnopqrstuvwxyzIO0123456789 ():", *c) != NULL);
	}
}

static struct http_answer dump(void)
{
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
	EQ(a.status, 200);
	headers_are_plain(a.body);
	return a;
}

/* The dump says this line, whole. */
static void says(const struct http_answer *a, const char *fmt, ...)
{
	char line[512] = "\n";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + 1, sizeof line - 2, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	if (!strstr(a->body, line)) {
		test_failures++;
		fprintf(stderr, "no line \"%s\" in\n%.*s\n", line + 1, 3000, a->body);
	}
}

static void take_other_then_object(struct thread *t)
{
	if (t->other)
		pthread_mutex_lock((pthread_mutex_t *)t->other);
	about_to_wait(t);
	hold();
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
	if (t->other)
		pthread_mutex_unlock((pthread_mutex_t *)t->other);
}

static void plain_lock(struct thread *t)
{
	about_to_wait(t);
	int rc = pthread_mutex_lock((pthread_mutex_t *)t->object);
	if (rc == EOWNERDEAD)
		pthread_mutex_consistent((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
}

/* Three threads for ever in a circle, and one behind them. They are left to the end of the process. */
static void circle(void)
{
	static pthread_mutex_t m[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
	static struct thread t[4] = { { .name = "alpha" }, { .name = "be ta" }, { .name = "gamma" }, { .name = "behind" } };
	finish = 0;
	for (int i = 0; i < 3; i++) {
		t[i].run = take_other_then_object;
		t[i].other = &m[i];
		t[i].object = &m[(i + 1) % 3];
		launch(&t[i]);
	}
	let_go();
	t[3].run = plain_lock;
	t[3].object = &m[0];
	launch(&t[3]);
	for (int i = 0; i < 4; i++)
		OK(WITHIN(5000, asleep(t[i].tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# deadlock: 3 threads wait for each other");
	char text[8][200];
	const char *quoted[] = { "alpha", "\"be ta\"", "gamma", "behind" };
	for (int i = 0; i < 4; i++) {
		int of = (i + 1) % 3;
		if (i == 3)
			of = 0;
		snprintf(text[i], sizeof *text, "%d %s waits for mutex %p held by %d %s", t[i].tid, quoted[i],
		         t[i].object, t[of].tid, quoted[of]);
		says(&a, "#   %s", text[i]);
		says(&a, "goroutine %d [mutex wait (%p held by %d)]:", t[i].tid, t[i].object, t[of].tid);
	}
	says(&a, "# behind this deadlock\n#   %s", text[3]);
	OK(strstr(a.body, "# wait chains") == NULL);
	free(a.body);

	/* Seen again they have waited at least as long as that. */
	usleep(150000);
	a = dump();
	char *at = strstr(a.body, text[0]);
	double seconds = 0;
	OK(at && sscanf(at + strlen(text[0]), ", for at least %lf s", &seconds) == 1 && seconds >= 0.1 && seconds < 60);
	free(a.body);
	/* Every other form says it too. */
	a = http_get("/debug/pprof/goroutine?debug=1");
	OK(strstr(a.body, "\n# Deadlock: ") && strstr(a.body, text[0]) && strstr(a.body, text[1]) && strstr(a.body, text[2]));
	OK(strstr(a.body, text[3]) == NULL);
	free(a.body);
	a = http_get("/debug/pprof/goroutine?debug=1&labels=1");
	snprintf(text[0], sizeof *text, "# labels: {\"holder\":\"%d\", \"object\":\"mutex %p\", \"state\":\"mutex wait\", "
	         "\"thread\":\"be ta\", \"tid\":\"%d\"}", t[2].tid, t[1].object, t[1].tid);
	says(&a, "%s", text[0]);
	free(a.body);
}

static void lock_and_hold(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
	hold();
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
}

static void lock_other_then_object(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->other);
	about_to_wait(t);
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->other);
}

static void end(struct thread *t, size_t n)
{
	let_go();
	for (size_t i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
}

/* c waits for b, b for a, a for nobody's lock. */
static void chain(void)
{
	static pthread_mutex_t m[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
	struct thread t[3] = {
		{ .name = "a", .run = lock_and_hold, .object = &m[0] },
		{ .name = "b", .run = lock_other_then_object, .other = &m[1], .object = &m[0] },
		{ .name = "c", .run = plain_lock, .object = &m[1] },
	};
	finish = 0;
	for (int i = 0; i < 3; i++)
		launch(&t[i]);
	for (int i = 0; i < 3; i++)
		OK(WITHIN(5000, asleep(t[i].tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# wait chains, each below the thread that it waits for");
	says(&a, "#   %d a: futex wait\n#     %d b waits for mutex %p held by %d a\n#       %d c waits for mutex %p held by %d b",
	     t[0].tid, t[1].tid, (void *)&m[0], t[0].tid, t[2].tid, (void *)&m[1], t[1].tid);
	free(a.body);
	end(t, 3);
}

/* ---- one of each kind ---- */

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
	OK(strstr(a.body, "# deadlock") == NULL || strstr(a.body, "alpha") != NULL);
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

static void lock_and_leave(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
}

/* Whoever held it has ended: nobody is named, least of all the number that was. */
static void orphan(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static struct thread gone = { .name = "gone", .run = lock_and_leave, .object = &m };
	static struct thread stuck = { .name = "stuck", .run = plain_lock, .object = &m };
	launch(&gone);
	pthread_join(gone.id, NULL);
	launch(&stuck);
	OK(WITHIN(5000, asleep(stuck.tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "goroutine %d [mutex wait (%p held by no living thread)]:", stuck.tid, (void *)&m);
	char number[16];
	snprintf(number, sizeof number, " %d", gone.tid);
	OK(strstr(a.body, number) == NULL);
	free(a.body);
}

static void lock_twice(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
	pthread_mutex_lock((pthread_mutex_t *)t->object);
}

static void self(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static struct thread t = { .name = "twice", .run = lock_twice, .object = &m };
	launch(&t);
	OK(WITHIN(5000, asleep(t.tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# deadlock: a thread waits for itself\n#   %d twice waits for mutex %p held by %d twice", t.tid,
	     (void *)&m, t.tid);
	free(a.body);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	chain();
	kinds();
	circle();
	orphan();
	self();
	EQ(pprofd_stop(), 0);
	fflush(NULL);
	_exit(test_failures != 0);
}
