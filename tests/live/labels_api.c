/* Labels of threads: on samples with the right shares, inherited or not, cleared, traced; misuse harms nothing. */
#include <errno.h>
#include <fcntl.h>
#include <pprofd.h>
#include <pthread.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static char dir[200];
static volatile int stop_burning, ready;

NOIPA static void burn_ms(long ms)
{
	struct timespec ts;
	long long end = -1, now;
	do {
		for (volatile int i = 0; i < 20000; i++)
			;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		now = ts.tv_sec * 1000000000ll + ts.tv_nsec;
		end = end < 0 ? now + ms * 1000000 : end;
	} while (now < end);
}

/* The percentages of one label's values in a file, "value=percent value=percent ", most first. */
static const char *tags(const char *file, const char *key)
{
	static char text[4096];
	char command[900];
	snprintf(command, sizeof command, "tests/pb.py %s/%s | python3 -c '"
	         "import json, sys, collections\n"
	         "p, sums = json.load(sys.stdin), collections.Counter()\n"
	         "for s in p[\"sample\"]:\n"
	         "    sums[s[\"labels\"].get(\"%s\", \"-\")] += s[\"value\"][-1]\n"
	         "print(*(\"%%s=%%d\" %% (k, round(100 * v / sum(sums.values()))) for k, v in sums.most_common()))'",
	         dir, file, key);
	FILE *f = popen(command, "r");
	size_t n = f ? fread(text, 1, sizeof text - 2, f) : 0;
	if (f)
		pclose(f);
	text[n] = 0;
	if (n && text[n - 1] == '\n')
		text[n - 1] = ' ';
	return text;
}

static int share(const char *list, const char *value)
{
	char want[300];
	snprintf(want, sizeof want, "%s=", value);
	const char *at = strstr(list, want);
	return at ? atoi(at + strlen(want)) : 0;
}

static int temp(const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void near(const char *list, const char *value, int want)
{
	int got = share(list, value);
	if (got < want - 8 || got > want + 8) {
		test_failures++;
		fprintf(stderr, "%s: %d %%, not %d, in %s\n", value, got, want, list);
	}
}

static void *burner(void *arg)
{
	burn_ms((long)(intptr_t)arg);
	return NULL;
}

static void *bare_burner(void *arg)
{
	EQ(pprofd_labels_clear(), 0);
	burn_ms((long)(intptr_t)arg);
	EQ(pprofd_labels_pop(), 0);
	return NULL;
}

static void run(void *(*fn)(void *), long ms)
{
	pthread_t t;
	pthread_create(&t, NULL, fn, (void *)(intptr_t)ms);
	pthread_join(t, NULL);
}

static void burn_arg(void *arg)
{
	burn_ms((long)(intptr_t)arg);
}

static void shares(void)
{
	static const char *const pairs[] = { "route", "/do", "method", "GET" };
	int fd = temp("shares");
	EQ(pprofd_cpu_start(fd), 0);
	EQ(pprofd_labels_push("route", "/a"), 0);
	burn_ms(300);
	EQ(pprofd_labels_push("route", "/b"), 0);
	burn_ms(200);
	EQ(pprofd_labels_pop(), 0);
	run(burner, 100);              /* inherits /a */
	run(bare_burner, 100);         /* lets go of it */
	EQ(pprofd_labels_clear(), 0);
	run(burner, 100);              /* has nothing to inherit */
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_inherit(0), 0);
	run(burner, 100);              /* may not */
	EQ(pprofd_labels_inherit(1), 0);
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_do(pairs, 2, burn_arg, (void *)100), 0);
	EQ(pprofd_labels_pop(), -EINVAL);
	EQ(pprofd_cpu_stop(), 0);
	close(fd);
	char list[4096];
	snprintf(list, sizeof list, "%s", tags("shares", "route"));
	near(list, "/a", 40);
	near(list, "/b", 20);
	near(list, "-", 30);
	near(list, "/do", 10);
	near(tags("shares", "method"), "GET", 10);
}

/* The same file through the reader people have: percentages and all. */
static void go_sees_tags(void)
{
	char command[400], line[1000];
	int a = 0, b = 0;
	double percent;
	if (system("command -v go >/dev/null") != 0)
		return;
	snprintf(command, sizeof command, "go tool pprof -tags %s/shares 2>/dev/null", dir);
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, " %*s (%lf%%): /a", &percent) == 1 && strstr(line, ": /a\n"))
			a = (int)percent;
		if (sscanf(line, " %*s (%lf%%): /b", &percent) == 1 && strstr(line, ": /b\n"))
			b = (int)percent;
	}
	if (f)
		pclose(f);
	/* Of all samples, or of those with the tag: versions differ. 40 and 20, or 57 and 29. */
	OK(a >= 32 && a <= 66 && b >= 12 && b <= 37);
	OK(a >= 1.4 * b && a <= 2.8 * b);
}

static const unsigned char trace[16] = { 0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e,
	0x0e, 0x47, 0x36 };
static const unsigned char span[8] = { 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7 };
#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void traces(void)
{
	int fd = temp("traces");
	EQ(pprofd_cpu_start(fd), 0);
	EQ(pprofd_labels_push("route", "/t"), 0);
	EQ(pprofd_labels_push("trace_id", "hidden"), 0);
	EQ(pprofd_labels_trace(trace, span), 0);
	burn_ms(300);
	run(burner, 100); /* not inherited */
	EQ(pprofd_labels_trace(trace, NULL), 0);
	burn_ms(100);
	EQ(pprofd_labels_trace(NULL, span), 0);
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_pop(), 0);
	burn_ms(100);
	EQ(pprofd_cpu_stop(), 0);
	close(fd);
	char list[4096];
	snprintf(list, sizeof list, "%s", tags("traces", "trace_id"));
	near(list, TRACE, 67);
	near(list, "hidden", 16);
	near(list, "-", 16);
	near(tags("traces", "span_id"), SPAN, 50);
	near(tags("traces", "route"), "/t", 84);
}

static void *waits(void *arg)
{
	EQ(pprofd_labels_push("job", "ta\"ble"), 0);
	EQ(pprofd_labels_push("tenant", "x"), 0);
	EQ(pprofd_labels_trace(trace, span), 0);
	ready = 1;
	while (!stop_burning)
		usleep(1000);
	return NULL;
}

/* Threads as they are listed. */
static void listed(void)
{
	pthread_t t;
	ready = stop_burning = 0;
	pthread_create(&t, NULL, waits, NULL);
	OK(WITHIN(2000, ready));
	int fd = temp("threads");
	EQ(pprofd_write("goroutine", 0, fd), 0);
	close(fd);
	OK(share(tags("threads", "job"), "ta\"ble") > 0);
	OK(share(tags("threads", "trace_id"), TRACE) > 0);
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=1");
	OK(strstr(a.body, "\n# labels: {\"job\":\"ta\\\"ble\", \"span_id\":\"" SPAN
	          "\", \"tenant\":\"x\", \"trace_id\":\"" TRACE "\"}\n") != NULL);
	free(a.body);
	a = http_get("/debug/pprof/goroutine?debug=2");
	OK(strstr(a.body, "  job=\"ta\\\"ble\" tenant=x  trace_id=" TRACE "  span_id=" SPAN "\n") != NULL);
	OK(strstr(a.body, "] {name: ") == NULL);
	free(a.body);
	a = http_get("/debug/pprof/goroutine?debug=2&labels=1");
	OK(strstr(a.body, ", job: \"ta\\\"ble\", tenant: x, trace_id: " TRACE ", span_id: " SPAN "}:\n") != NULL);
	free(a.body);
	a = http_get("/debug/pprof/goroutine?debug=1&labels=0");
	OK(strstr(a.body, "# labels") == NULL);
	free(a.body);
	stop_burning = 1;
	pthread_join(t, NULL);
}

static void misuse(void)
{
	char longer[300];
	memset(longer, 'x', sizeof longer);
	longer[257] = 0;
	EQ(pprofd_labels_push(NULL, "v"), -EINVAL);
	EQ(pprofd_labels_push("k", NULL), -EINVAL);
	EQ(pprofd_labels_push("", "v"), -E2BIG);
	EQ(pprofd_labels_push("k", longer), -E2BIG);
	EQ(pprofd_labels_push(longer, "v"), -E2BIG);
	for (int i = 0; i < 5; i++)
		EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_pop(), -EINVAL);
	for (int i = 0; i < 16; i++)
		EQ(pprofd_labels_push("k", "v"), 0);
	EQ(pprofd_labels_push("k", "v"), -E2BIG);
	EQ(pprofd_labels_clear(), -E2BIG);
	for (int i = 0; i < 18; i++)
		EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_pop(), -EINVAL);
	EQ(pprofd_do(NULL, 1, burn_arg, NULL), -EINVAL);
	EQ(pprofd_do(NULL, 0, NULL, NULL), -EINVAL);
	EQ(pprofd_do(NULL, 0, burn_arg, (void *)1), 0);
}

static void not_started(void)
{
	EQ(pprofd_labels_push("k", "v"), 0);
	EQ(pprofd_labels_clear(), 0);
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_labels_trace(trace, span), 0);
	EQ(pprofd_labels_inherit(1), 0);
}

static void forked(void)
{
	int status;
	EQ(pprofd_labels_push("k", "v"), 0);
	pid_t child = fork();
	if (child == 0) {
		test_failures = 0;
		not_started();
		_exit(test_failures ? 1 : 0);
	}
	OK(waitpid(child, &status, 0) == child && status == 0);
	EQ(pprofd_labels_pop(), 0);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .cpu_hz = 1000 };
	snprintf(dir, sizeof dir, "%s", getenv("T") ? getenv("T") : "/tmp");
	not_started();
	EQ(pprofd_start(&o), 0);
	misuse();
	shares();
	go_sees_tags();
	traces();
	listed();
	forked();
	EQ(pprofd_stop(), 0);
	not_started();
	DONE();
}
