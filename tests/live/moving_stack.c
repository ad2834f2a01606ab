/* A first thread that is on a coroutine's stack when it is first sampled has whole stacks when it is back on its own. */
#include <sys/mman.h>
#include <ucontext.h>

#include "http.h"
#include "test.h"

#define COROUTINE (64 << 10)

static ucontext_t home, other;
static volatile unsigned long work;

static struct http_answer profile_while(void (*fn)(void))
{
	struct http_job window;
	http_start(&window, "/debug/pprof/profile?seconds=1&debug=1");
	fn();
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	return window.answer;
}

static void burn(void)
{
	long long until = test_now_ns() + 1200000000;
	while (test_now_ns() < until)
		work++;
}

__attribute__((noinline)) static void deep(int n)
{
	volatile char room[600];
	room[0] = (char)n;
	if (n)
		deep(n - 1);
	else
		burn();
	work += (unsigned char)room[0];
}

static void deep_burn(void)
{
	deep(40); /* deeper than what is copied of a stack without bounds */
}

static void on_other(void)
{
	free(profile_while(burn).body);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	char *stack = mmap(NULL, COROUTINE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	getcontext(&other);
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = COROUTINE;
	other.uc_link = &home;
	makecontext(&other, on_other, 0);
	swapcontext(&home, &other);
	struct http_answer a = profile_while(deep_burn);
	OK(a.body && strstr(a.body, "main"));
	OK(a.body && !strstr(a.body, "Truncated"));
	free(a.body);
	EQ(pprofd_stop(), 0);
	DONE();
}
