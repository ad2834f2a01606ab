/* Threads nobody told the library of, threads without a timer of their own, threads that block the signal: sampled
 * where that can be, and told where it cannot. Labels and changes of the rate meanwhile. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "http.h"
#include "test.h"

static volatile int stop;
static volatile unsigned long sink;

static void burn(void)
{
	for (int i = 0; i < 20000; i++)
		sink++;
}

__attribute__((noinline)) static int raw_burner(void *arg)
{
	(void)arg;
	while (!stop)
		burn();
	return 0;
}

__attribute__((noinline)) static void *common_burner(void *arg)
{
	(void)arg;
	while (!stop)
		burn();
	return NULL;
}

__attribute__((noinline)) static void *masked_burner(void *arg)
{
	sigset_t all;
	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (!stop)
		burn();
	return NULL;
}

static struct http_answer profile(const char *query)
{
	char path[128];
	snprintf(path, sizeof path, "/debug/pprof/profile?debug=1&%s", query);
	struct http_answer a = http_get(path);
	EQ(a.status, 200);
	return a;
}

/* The count of all records whose text has `what`. */
static long samples_with(const char *text, const char *what)
{
	long sum = 0;
	for (const char *p = strstr(text, "\n"); p && p[1]; ) {
		const char *end = strstr(p + 1, "\n\n");
		size_t len = end ? (size_t)(end - p) : strlen(p);
		char *rec = strndup(p + 1, len);
		if (strstr(rec, what))
			sum += atol(rec);
		free(rec);
		p = end ? end + 1 : NULL;
	}
	return sum;
}

/* Made by clone() itself, before and during the window: libc knows nothing of it. */
static void raw_clone(void)
{
	size_t size = 256 << 10;
	stop = 0;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	struct http_job window;
	http_start(&window, "/debug/pprof/profile?debug=1&seconds=2");
	usleep(200000);
	int tid = clone(raw_burner, stack + size, flags, NULL);
	OK(tid > 0);
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	OK(samples_with(window.answer.body, "raw_burner") > 20);
	free(window.answer.body);
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
	char header[64];
	snprintf(header, sizeof header, "\ngoroutine %d [", tid);
	OK(strstr(a.body, header) != NULL);
	OK(strstr(a.body, "raw_burner(") != NULL);
	free(a.body);
	stop = 1;
	OK(WITHIN(2000, syscall(SYS_tgkill, getpid(), tid, 0) != 0));
	munmap(stack, size);
}

/* So few signals allowed that most threads get no timer: the clock of the process stands in for them. */
static void few_timers(void)
{
	struct rlimit before, few;
	pthread_t t[12];
	getrlimit(RLIMIT_SIGPENDING, &before);
	few = before;
	few.rlim_cur = 20;
	OK(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
	stop = 0;
	for (int i = 0; i < 12; i++)
		pthread_create(&t[i], NULL, common_burner, NULL);
	struct http_answer p = profile("seconds=2");
	stop = 1;
	for (int i = 0; i < 12; i++)
		pthread_join(t[i], NULL);
	setrlimit(RLIMIT_SIGPENDING, &before);
	/* Of the CPU time used within the window, by the profile's own account. */
	const char *stand = strstr(p.body, "Samples stand for "), *percent = stand ? strchr(stand, ':') : NULL;
	int share = percent ? atoi(percent + 1) : 0;
	printf("few timers: %d %% of the CPU time sampled, %ld samples\n", share, samples_with(p.body, "common_burner"));
	OK(share >= 75 && share <= 115);
	OK(strstr(p.body, "have no timer of their own") != NULL);
	free(p.body);
}

static void masked(void)
{
	pthread_t t;
	stop = 0;
	pthread_create(&t, NULL, masked_burner, NULL);
	struct http_answer a = profile("seconds=1");
	OK(strstr(a.body, "block the profiling signal") != NULL);
	EQ(samples_with(a.body, "masked_burner"), 0);
	free(a.body);
	stop = 1;
	pthread_join(t, NULL);
}

static void labelled_work(void *arg)
{
	pthread_t t;
	(void)arg;
	pthread_create(&t, NULL, common_burner, NULL);
	pthread_join(t, NULL);
}

static void *labeller(void *arg)
{
	(void)arg;
	const char *pairs[] = { "route", "/json", "tenant", "a \"b\"" };
	EQ(pprofd_do(pairs, 2, labelled_work, NULL), 0);
	return NULL;
}

/* A thread made under labels has them too, and keeps them when its maker has dropped them. */
static void labels(void)
{
	pthread_t t;
	stop = 0;
	pthread_create(&t, NULL, labeller, NULL);
	struct http_answer a = profile("seconds=1");
	OK(samples_with(a.body, "# labels: {\"route\":\"/json\", \"tenant\":\"a \\\"b\\\"\"}") > 20);
	OK(samples_with(a.body, "common_burner") == samples_with(a.body, "# labels: {\"route\""));
	free(a.body);
	a = profile("seconds=1&labels=0");
	OK(strstr(a.body, "# labels") == NULL);
	free(a.body);
	stop = 1;
	pthread_join(t, NULL);
	for (int i = 0; i < 20; i++)
		EQ(pprofd_labels_push("k", "v"), i < 16 ? 0 : -E2BIG);
	for (int i = 0; i < 20; i++)
		EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_pop(), -EINVAL);
}

static long long cpu_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The rate changes in the middle: CPU time still adds up. */
static void rates(void)
{
	pthread_t t;
	uint64_t hz = 0;
	stop = 0;
	EQ(pprofd_rate_set("cpu_hz", 0), -EINVAL);
	EQ(pprofd_rate_set("cpu_hz", 4001), -EINVAL);
	EQ(pprofd_rate_set("heap_hz", 1), -ENOENT);
	pthread_create(&t, NULL, common_burner, NULL);
	clockid_t clock;
	EQ(pthread_getcpuclockid(t, &clock), 0);
	long long began = test_now_ns(), cpu = cpu_ns(clock);
	struct http_job window;
	http_start(&window, "/debug/pprof/profile?seconds=3");
	for (int i = 0; i < 5; i++) {
		usleep(450000);
		EQ(pprofd_rate_set("cpu_hz", i % 2 ? 100 : 1000), 0);
	}
	EQ(pprofd_rate_get("cpu_hz", &hz), 0);
	EQ(hz, 1000);
	pthread_join(window.thread, NULL);
	/* The answer came after the window's end; meanwhile the thread went on as before. */
	double used = 3.0 * (double)(cpu_ns(clock) - cpu) / (double)(test_now_ns() - began);
	EQ(pprofd_rate_set("cpu_hz", 100), 0);
	const char *dir = getenv("T") ? getenv("T") : "/tmp";
	char path[300], line[400];
	snprintf(path, sizeof path, "%s/rates.pb.gz", dir);
	FILE *f = fopen(path, "w");
	fwrite(window.answer.body, 1, window.answer.len, f);
	fclose(f);
	snprintf(line, sizeof line, "tests/pb.py %s --top | sed -n 's/^cpu.nanoseconds total //p'", path);
	f = popen(line, "r");
	double ns = 0;
	OK(f && fscanf(f, "%lf", &ns) == 1);
	if (f)
		pclose(f);
	printf("rates: %.2f s sampled of %.2f s\n", ns / 1e9, used);
	OK(ns / 1e9 > used * 0.9 && ns / 1e9 < used * 1.05);
	unlink(path);
	free(window.answer.body);
	stop = 1;
	pthread_join(t, NULL);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("the sanitizer does not allow threads made by clone()");
#endif
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	raw_clone();
	few_timers();
	masked();
	labels();
	rates();
	EQ(pprofd_stop(), 0);
	DONE();
}
