/* A host that uses SIGPROF, before or while it is sampled, gets exactly its own signals and loses none. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static volatile sig_atomic_t mine, strange;

static void on_prof(int signo, siginfo_t *info, void *uc)
{
	(void)signo;
	(void)uc;
	if (info->si_code == SI_TIMER)
		strange++; /* we never make a POSIX timer */
	else
		mine++;
}

static void burn_ms(int ms)
{
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms);
}

static void handle(int signo)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_RESTART }, now;
	act.sa_sigaction = on_prof;
	EQ(sigaction(signo, &act, NULL), 0);
	EQ(sigaction(signo, NULL, &now), 0);
	OK(now.sa_sigaction == on_prof);
}

static struct http_job window;

static void open_window(const char *path)
{
	http_start(&window, path);
	OK(WITHIN(3000, ({
		uint64_t any = 0;
		FILE *f = fopen("/proc/self/timers", "r");
		char line[64];
		while (f && fgets(line, sizeof line, f))
			any |= strncmp(line, "ID:", 3) == 0;
		if (f)
			fclose(f);
		any;
	})));
}

static void close_window(void)
{
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	OK(window.answer.len > 150);
	free(window.answer.body);
}

/* The host raises its own signals while it is sampled. */
static void raise_some(int n)
{
	for (int i = 0; i < n; i++) {
		raise(SIGPROF);
		burn_ms(5);
	}
}

static void taken_before(void)
{
	handle(SIGPROF);
	mine = strange = 0;
	open_window("/debug/pprof/profile?seconds=1");
	raise_some(50);
	EQ(mine, 50);
	close_window();
	EQ(strange, 0);
	signal(SIGPROF, SIG_DFL);
}

static void taken_during(void)
{
	mine = strange = 0;
	open_window("/debug/pprof/profile?seconds=2");
	burn_ms(100);
	handle(SIGPROF);
	raise_some(100);
	EQ(mine, 100);
	burn_ms(300);
	raise_some(20);
	EQ(mine, 120);
	close_window();
	EQ(strange, 0);
	struct sigaction now;
	EQ(sigaction(SIGPROF, NULL, &now), 0);
	OK(now.sa_sigaction == on_prof);
	raise(SIGPROF);
	EQ(mine, 121);
	OK(signal(SIGPROF, SIG_DFL) == (void (*)(int))(void *)on_prof);
}

static void interval_timer(void)
{
	handle(SIGPROF);
	mine = strange = 0;
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_PROF, &every, NULL);
	open_window("/debug/pprof/profile?seconds=2");
	burn_ms(1000);
	setitimer(ITIMER_PROF, &off, NULL);
	close_window();
	OK(mine > 60);
	EQ(strange, 0);
	signal(SIGPROF, SIG_DFL);
}

/* The default action still ends a process that asked for nothing else. */
static void default_action(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
		if (pprofd_start(&o) != 0)
			_exit(1);
		http_start(&window, "/debug/pprof/profile?seconds=20");
		burn_ms(200);
		kill(getpid(), SIGPROF);
		burn_ms(2000);
		_exit(2);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	OK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGPROF);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("the sanitizer delivers signals later");
#endif
	default_action();
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	taken_before();
	taken_during();
	interval_timer();
	EQ(pprofd_stop(), 0);
	struct sigaction now;
	EQ(sigaction(SIGPROF, NULL, &now), 0);
	OK(now.sa_handler == SIG_DFL);
	DONE();
}
