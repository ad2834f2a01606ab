/* Threads that wait for each other, and what a dump says of them. */
#ifndef PD_TEST_WAITS_KIT_H
#define PD_TEST_WAITS_KIT_H

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "http.h"
#include "test.h"

static int finish; /* futex of those that hold */

static inline int gettid_now(void)
{
	return (int)syscall(SYS_gettid);
}

static inline void hold(void)
{
	while (!__atomic_load_n(&finish, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &finish, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static inline void let_go(void)
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

static inline void *start(void *arg)
{
	struct thread *t = (struct thread *)arg;
	pthread_setname_np(pthread_self(), t->name);
	__atomic_store_n(&t->tid, gettid_now(), __ATOMIC_RELEASE);
	t->run(t);
	return NULL;
}

static inline void about_to_wait(struct thread *t)
{
	__atomic_store_n(&t->step, 1, __ATOMIC_RELEASE);
}

static inline void launch(struct thread *t)
{
	t->step = t->tid = 0;
	OK(pthread_create(&t->id, NULL, start, t) == 0);
	OK(WITHIN(5000, __atomic_load_n(&t->step, __ATOMIC_ACQUIRE)));
}

/* Asleep in a call: its state is what the dump will find. */
static inline bool asleep(int tid)
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
static inline void headers_are_plain(const char *text)
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

static inline struct http_answer dump(void)
{
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
	EQ(a.status, 200);
	headers_are_plain(a.body);
	return a;
}

/* The dump says this line, whole. */
static inline void says(const struct http_answer *a, const char *fmt, ...)
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

static inline void plain_lock(struct thread *t)
{
	about_to_wait(t);
	int rc = pthread_mutex_lock((pthread_mutex_t *)t->object);
	if (rc == EOWNERDEAD)
		pthread_mutex_consistent((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
}

static inline void serve(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
}

/* Some threads may wait for ever. */
static inline void leave(void)
{
	EQ(pprofd_stop(), 0);
	fflush(NULL);
	_exit(test_failures != 0);
}

#endif
