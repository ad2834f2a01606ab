/* Children of a program whose allocations are sampled, forked by any thread in the midst of it: none hangs, each can
 * allocate, free what it inherited, make threads and profile itself; and the parent goes on. */
#include <pprofd.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "test.h"

extern char **environ;

#define KEPT 2000

static volatile int stop;
static void *kept[KEPT];

static void churn(unsigned seed, int rounds)
{
	void *mine[64] = { 0 };
	for (int i = 0; i < rounds; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned k = seed >> 20 & 63;
		mine[k] = realloc(mine[k], seed >> 8 & 2047);
	}
	for (int i = 0; i < 64; i++)
		free(mine[i]);
}

static void *churner(void *arg)
{
	while (!stop)
		churn((unsigned)(uintptr_t)arg, 1000);
	return NULL;
}

static void *once(void *arg)
{
	churn(7, 1000);
	return arg;
}

static int in_child(int i)
{
	pthread_t t;
	for (int k = 0; k < KEPT; k++)
		free(kept[k]);
	churn(3, 5000);
	if (pthread_create(&t, NULL, once, NULL) != 0 || pthread_join(t, NULL) != 0)
		return 2;
	if (i % 50 == 0) {
		struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .heap_rate = 1 };
		uint64_t rate = 0;
		if (pprofd_start(&o) != 0)
			return 3;
		churn(5, 5000);
		if (pprofd_rate_get("heap_rate", &rate) != 0 || rate != 1 || pprofd_stop() != 0)
			return 4;
		churn(5, 5000);
	}
	return 0;
}

static int status_of(pid_t pid)
{
	int status = -1;
	if (WITHIN(20000, waitpid(pid, &status, WNOHANG) == pid))
		return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void executed(void)
{
	char *const argv[] = { "true", NULL };
	pid_t pid;
	EQ(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
	EQ(status_of(pid), 0);
	pid = vfork();
	if (pid == 0) {
		execvp("true", argv);
		_exit(127);
	}
	EQ(status_of(pid), 0);
}

static void *forker(void *arg)
{
	for (int i = 0; i < 80; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(in_child(i));
		EQ(status_of(pid), 0);
		if (i % 10 == 0)
			executed();
	}
	return NULL;
}

int main(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("sanitizers leave locks of their own taken in children of threaded programs");
#endif
	static const uint64_t rates[] = { 1, 4096 };
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .heap_rate = 1 };
	EQ(pprofd_start(&o), 0);
	for (int k = 0; k < KEPT; k++)
		kept[k] = malloc(100);
	pthread_t t[4];
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, churner, (void *)(i + 1));
	for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
		EQ(pprofd_rate_set("heap_rate", rates[r]), 0);
		pthread_create(&t[2], NULL, forker, NULL);
		pthread_create(&t[3], NULL, forker, NULL);
		pthread_join(t[2], NULL);
		pthread_join(t[3], NULL);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (int k = 0; k < KEPT; k++)
		free(kept[k]);
	EQ(pprofd_stop(), 0);
	DONE();
}
