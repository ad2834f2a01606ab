/* Wall profiles of threads with a known truth: where they spin and where they sleep, as shares and in all. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

#include "http.h"
#include "test.h"

#define HZ 20.0

static volatile int stop;
static volatile unsigned long sink;
static unsigned interrupted;
static long long lived; /* ns, by all short ones that have ended */
static int fds[2];

static void woken(int rc)
{
	if (rc < 0 && errno == EINTR)
		__atomic_fetch_add(&interrupted, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline)) static void *spin_here(void *arg)
{
	(void)arg;
	while (!stop)
		sink++;
	return NULL;
}

__attribute__((noinline)) static void *sleep_here(void *arg)
{
	(void)arg;
	while (!stop)
		woken(nanosleep(&(struct timespec){ 0, 900000000 }, NULL));
	return NULL;
}

__attribute__((noinline)) static void *poll_here(void *arg)
{
	(void)arg;
	struct pollfd p = { .fd = fds[0], .events = POLLIN };
	while (!stop)
		woken(poll(&p, 1, 1000));
	return NULL;
}

/* Half of the time each. */
__attribute__((noinline)) static void burn_half(void)
{
	long long until = test_now_ns() + 7000000;
	while (test_now_ns() < until)
		sink++;
}

__attribute__((noinline)) static void rest_half(void)
{
	nanosleep(&(struct timespec){ 0, 7000000 }, NULL);
}

static void *half_and_half(void *arg)
{
	while (!stop) {
		burn_half();
		rest_half();
	}
	return arg;
}

static void *labelled(void *arg)
{
	pprofd_labels_push("route", "/wait");
	poll_here(arg);
	pprofd_labels_pop();
	return NULL;
}

static void *be_short(void *arg)
{
	long long from = test_now_ns();
	nanosleep(&(struct timespec){ 0, 120000000 }, NULL);
	__atomic_fetch_add(&lived, test_now_ns() - from, __ATOMIC_RELAXED);
	return arg;
}

/* Four at a time, all the time. */
__attribute__((noinline)) static void *come_and_go(void *arg)
{
	while (!stop) {
		pthread_t t[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, be_short, NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
	return arg;
}

/* The count of all records whose text has both. */
static double samples_with(const char *text, const char *what, const char *also)
{
	double sum = 0;
	for (const char *p = strstr(text, "\n"); p && p[1] >= '0' && p[1] <= '9';) {
		const char *end = strstr(p + 1, "\n\n");
		char *rec = strndup(p + 1, end ? (size_t)(end - p) : strlen(p));
		if (strstr(rec, what) && strstr(rec, also))
			sum += atof(rec);
		free(rec);
		p = end ? end + 1 : NULL;
	}
	return sum;
}

static void near(const char *what, double got, double want, double tolerance)
{
	bool ok = got >= want - tolerance && got <= want + tolerance;
	printf("%-34s %8.2f, wanted %8.2f +- %.2f%s\n", what, got, want, tolerance, ok ? "" : "  FAIL");
	test_failures += !ok;
}

static int samplers(void)
{
	int n = 0;
	FILE *f = popen("cat /proc/$PPID/task/*/comm 2>/dev/null", "r");
	char line[64];
	while (f && fgets(line, sizeof line, f))
		n += strcmp(line, "pprofd-wall\n") == 0;
	if (f)
		pclose(f);
	return n;
}

static struct http_answer window(const char *path)
{
	struct http_answer a = http_get(path);
	EQ(a.status, 200);
	return a;
}

static double total_of(const struct http_answer *a)
{
	double total = 0;
	OK(sscanf(a->body, "wall profile: total %lf", &total) == 1);
	return total;
}

static void *(*const RUN[])(void *) = { sleep_here, sleep_here, sleep_here, sleep_here, poll_here,
	                                poll_here,  labelled,   spin_here,  half_and_half };
enum { N = sizeof RUN / sizeof *RUN };

/* How long it was taken, in seconds: by its own account, for a busy machine may be late. */
static double span_of(const struct http_answer *a)
{
	const char *over = strstr(a->body, " threads over ");
	double seconds = over ? atof(over + strlen(" threads over ")) : 0;
	OK(seconds > 0.99 && seconds < 20);
	return seconds;
}

/* Ours, this one and the client's; for two of the seconds another client's too. */
static void known_truth(void)
{
	struct http_job first, second;
	http_start(&first, "/debug/pprof/wall?debug=1&seconds=5");
	usleep(900000);
	http_start(&second, "/debug/fgprof?debug=1&seconds=2");
	usleep(500000);
	EQ(samplers(), 1);
	pthread_join(second.thread, NULL);
	EQ(samplers(), 1);
	pthread_join(first.thread, NULL);
	EQ(samplers(), 0);
	const char *text = first.answer.body;
	double each = HZ * span_of(&first.answer), threads = N + 2 + 2 / span_of(&first.answer);
	double total = total_of(&first.answer), half = samples_with(text, "half_and_half", "");
	near("threads in all", total / each, threads, threads * 0.03);
	near("sleepers, percent", 100 * samples_with(text, "sleep_here", "\"state\":\"waiting\"") / total, 100 * 4 / threads, 5);
	near("sleepers, threads", samples_with(text, "sleep_here", "") / each, 4, 0.12);
	near("pollers, threads", samples_with(text, "poll_here", "\"state\":\"waiting\"") / each, 3, 0.1);
	near("labelled, threads",
	     samples_with(text, "poll_here", "# labels: {\"route\":\"/wait\", \"state\":\"waiting\"}") / each, 1, 0.04);
	near("spinner, percent of itself", 100 * samples_with(text, "spin_here", "\"state\":\"running\"") / each, 100, 15);
	near("spinner asleep", samples_with(text, "spin_here", "\"state\":\"waiting\""), 0, 0);
	near("half and half, threads", half / each, 1, 0.05);
	near("half and half, percent burning", 100 * samples_with(text, "burn_half", "") / half, 50, 20);
	near("the other window, threads", total_of(&second.answer) / (HZ * span_of(&second.answer)), N + 3, (N + 3) * 0.05);
	OK(strstr(text, "\n# pprofd ") && strstr(text, "20 samples per second of every thread, running or waiting."));
	OK(strstr(text, "Cost of profiling: ") && strstr(text, "CPU used meanwhile: "));
	EQ(interrupted, 0);
	if (test_failures)
		printf("%s\n", strstr(text, "\n# pprofd "));
	free(first.answer.body);
	free(second.answer.body);
}

static volatile int host_called;

static void host_handler(int signo)
{
	host_called = signo;
}

/* A CPU window at the same time, and a host that takes the signal meanwhile: it gets none of ours, and nothing is lost. */
static void together(void)
{
	struct http_job all, cpu;
	http_start(&all, "/debug/pprof/wall?debug=1&seconds=3");
	usleep(300000);
	http_start(&cpu, "/debug/pprof/profile?debug=1&seconds=1");
	usleep(300000);
	OK(signal(SIGPROF, host_handler) == SIG_DFL);
	pthread_join(cpu.thread, NULL);
	pthread_join(all.thread, NULL);
	EQ(host_called, 0);
	OK(signal(SIGPROF, SIG_DFL) == host_handler);
	near("spinner beside a CPU window", samples_with(all.answer.body, "spin_here", "\"running\"") / (HZ * span_of(&all.answer)), 1, 0.1);
	OK(samples_with(cpu.answer.body, "spin_here", "") > 10);
	OK(!strstr(cpu.answer.body, "\"state\""));
	free(all.answer.body);
	free(cpu.answer.body);
}

/* Threads that begin and end while they are looked at: as long as they lived, if not as they were made and ended. */
static void coming_and_going(void)
{
	pthread_t t;
	lived = 0;
	long long from = test_now_ns();
	OK(pthread_create(&t, NULL, come_and_go, NULL) == 0);
	struct http_answer a = window("/debug/pprof/wall?debug=1&seconds=4");
	double each = HZ * span_of(&a), want = (double)lived / (double)(test_now_ns() - from);
	near("short ones, threads", samples_with(a.body, "be_short", "") / each, want, want * 0.2);
	double all = total_of(&a) / each;
	OK(all > (N + 2 + want) * 0.95 && all < (N + 3 + 4) * 1.05);
	free(a.body);
	stop = 1;
	pthread_join(t, NULL);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("reads stacks of running threads on purpose");
#endif
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	pthread_t t[N];
	OK(pipe(fds) == 0);
	EQ(pprofd_start(&o), 0);
	for (int i = 0; i < N; i++)
		OK(pthread_create(&t[i], NULL, RUN[i], NULL) == 0);
	EQ(samplers(), 0);
	known_truth();
	together();
	coming_and_going();
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	EQ(pprofd_stop(), 0);
	DONE();
}
