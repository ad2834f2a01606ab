/* A thread that waits in a call of ours, because its waits are sampled, is seen with its whole stack. */
#include <linux/futex.h>
#include <pprofd.h>
#include <sys/syscall.h>

#include "http.h"
#include "test.h"

static int word, waiting;

NOIPA static void wait_by_futex(void)
{
	__atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

NOIPA static void *caller_of_wait(void *arg)
{
	wait_by_futex();
	return arg;
}

/* Is there a thread with both, and the beginning of all threads below? */
static int seen_whole(void)
{
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
	const char *p = a.body ? strstr(a.body, "wait_by_futex(") : NULL, *end = p ? strstr(p, "\n\n") : NULL;
	const char *caller = p ? strstr(p, "caller_of_wait(") : NULL, *start = p ? strstr(p, "start_thread(") : NULL;
	int whole = caller && start && caller < start && (!end || start < end);
	free(a.body);
	return whole;
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .block_rate = 1 };
	pthread_t t;
	EQ(pprofd_start(&o), 0);
	pthread_create(&t, NULL, caller_of_wait, NULL);
	OK(WITHIN(5000, __atomic_load_n(&waiting, __ATOMIC_SEQ_CST)));
	OK(WITHIN(5000, seen_whole()));
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(t, NULL);
	EQ(pprofd_stop(), 0);
	DONE();
}
