/* Signals of ours do not come out of the host's waits for signals, and its handlers do not come between ours. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "http.h"
#include "test.h"

static struct http_job window;
static volatile unsigned long work;
static sigjmp_buf home;

static void burn_ms(int ms)
{
	long long until = test_now_ns() + ms * 1000000ll;
	while (test_now_ns() < until)
		work++;
}

/* A thread that blocks all signals and takes those that come. */
static void *waiter(void *arg)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	int strange = 0;
	for (int i = 0; i < 60; i++) {
		struct timespec limit = { 0, 1000000 };
		burn_ms(20);
		strange += sigtimedwait(&all, NULL, &limit) >= 0;
	}
	EQ(strange, 0);
	for (int i = 0; i < 3; i++) {
		int got = 0;
		burn_ms(20);
		pthread_kill(pthread_self(), SIGUSR1);
		EQ(sigwait(&all, &got), 0);
		EQ(got, SIGUSR1);
		pthread_kill(pthread_self(), SIGUSR2);
		EQ(sigwaitinfo(&all, NULL), SIGUSR2);
	}
	return arg;
}

static void on_alarm(int signo)
{
	siglongjmp(home, signo);
}

/* A handler that never returns, at any moment. */
static void jump_out(int ms)
{
	signal(SIGALRM, on_alarm);
	long long until = test_now_ns() + ms * 1000000ll;
	for (volatile unsigned n = 0; test_now_ns() < until; n = n + 1) {
		struct itimerval soon = { { 0, 137 }, { 0, 100 + n * 37 % 900 } };
		if (sigsetjmp(home, 1) == 0) {
			setitimer(ITIMER_REAL, &soon, NULL);
			for (;;)
				work++;
		}
	}
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_IGN);
}

static void close_window(void)
{
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	OK(window.answer.body && !strstr(window.answer.body, "busy"));
	free(window.answer.body);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("the sanitizer delivers signals later");
#endif
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .cpu_hz = 4000 };
	EQ(pprofd_start(&o), 0);
	pthread_t t;
	http_start(&window, "/debug/pprof/profile?seconds=1&debug=1");
	pthread_create(&t, NULL, waiter, NULL);
	pthread_join(t, NULL);
	close_window();
	/* The client's thread must not get the alarms. */
	sigset_t alarm_only;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	http_start(&window, "/debug/pprof/profile?seconds=3&debug=1");
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	jump_out(3500);
	close_window();
	EQ(pprofd_stop(), 0);
	DONE();
}
