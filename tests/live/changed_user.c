/* After a process has changed its user the kernel does not tell it where its threads wait: dumps and wall profiles say
 * so, list every thread, and take none for gone. */
#include <pprofd.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "http.h"
#include "test.h"

static volatile unsigned long turns;

static void *waits(void *arg)
{
	for (;;)
		pause();
	return arg;
}

__attribute__((noinline)) static void burn(void)
{
	for (int i = 0; i < 1000000; i++)
		turns++;
}

static void *burns(void *arg)
{
	for (;;)
		burn();
	return arg;
}

/* What the kernel makes of setuid(); without the right to that, the same by hand. */
static void change_user(void)
{
	if (getuid() == 0)
		OK(setgid(65534) == 0 && setuid(65534) == 0);
	else
		OK(prctl(PR_SET_DUMPABLE, 0) == 0);
	OK(access("/proc/thread-self/syscall", R_OK) != 0);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .access = "local" };
	pthread_t t;
	EQ(pprofd_start(&o), 0);
	OK(pthread_create(&t, NULL, waits, NULL) == 0 && pthread_create(&t, NULL, burns, NULL) == 0);
	change_user();
	struct http_answer a = http_get_port(http_port(), "/debug/pprof/goroutine?debug=2");
	EQ(a.status, 200);
	OK(strstr(a.body, ": 3 threads, 1 stacks"));
	OK(strstr(a.body, "\n# 2 waiting threads have no stacks: "));
	OK(!strstr(a.body, "gone") && strstr(a.body, "[waiting]"));
	free(a.body);
	a = http_get_port(http_port(), "/debug/pprof/wall?seconds=1&format=collapsed");
	EQ(a.status, 200);
	OK(strstr(a.body, "[stack unavailable]") && strstr(a.body, "burn"));
	free(a.body);
	EQ(pprofd_stop(), 0);
	DONE();
}
