/* Rates of a live service: set by the program, by options and by the environment; in force at once; forgotten on stop
 * and in a forked child. */
#include <errno.h>
#include <pprofd.h>
#include <pthread.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int stop_burning; /* atomic */

static void *burn(void *arg)
{
	for (volatile unsigned long i = 0; !__atomic_load_n(&stop_burning, __ATOMIC_RELAXED); i++)
		continue;
	return NULL;
}

static uint64_t rate(const char *name)
{
	uint64_t v = 12345678;
	int err = pprofd_rate_get(name, &v);
	return err ? (uint64_t)err : v;
}

static struct http_answer post(const char *query)
{
	struct http_answer a = { 0 };
	char request[512], reply[4096];
	int port = http_port(), fd = http_connect(port);
	int n = snprintf(request, sizeof request,
	                 "POST /debug/pprof/admin?%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 0\r\n"
	                 "Connection: close\r\n\r\n", query, port);
	size_t len = 0;
	if (write(fd, request, (size_t)n) == n)
		for (ssize_t k; (k = read(fd, reply + len, sizeof reply - 1 - len)) > 0;)
			len += (size_t)k;
	close(fd);
	reply[len] = 0;
	sscanf(reply, "HTTP/1.1 %d", &a.status);
	return a;
}

static int start(const struct pprofd_options *more)
{
	struct pprofd_options o = *more;
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	return pprofd_start(&o);
}

static void initial_values(void)
{
	EQ(rate("cpu_hz"), (uint64_t)-ENOTCONN);
	EQ(pprofd_rate_set("cpu_hz", 1), -ENOTCONN);
	EQ(start(&(struct pprofd_options){ 0 }), 0);
	EQ(rate("cpu_hz"), 100);
	EQ(rate("heap_rate"), 512 << 10);
	EQ(rate("block_rate"), 0);
	EQ(rate("mutex_fraction"), 0);
	EQ(rate("io_rate"), 0);
	EQ(rate("wall_hz"), 20);
	EQ(rate("colour"), (uint64_t)-ENOENT);
	EQ(pprofd_rate_set("cpu_hz", 7), 0);
	EQ(pprofd_rate_set("wall_hz", 7), 0);
	EQ(pprofd_rate_set("cpu_hz", 0), -EINVAL);
	EQ(pprofd_rate_set("colour", 0), -ENOENT);
	EQ(rate("cpu_hz"), 7);
	EQ(pprofd_stop(), 0);

	setenv("PPROFD_HEAP_RATE", "1M", 1);
	setenv("PPROFD_IO_RATE", "50", 1);
	EQ(start(&(struct pprofd_options){ .cpu_hz = 50, .heap_rate = PPROFD_RATE_OFF, .block_rate = 1000,
	                                   .mutex_fraction = 10, .io_rate = 9, .wall_hz = 99 }), 0);
	EQ(rate("cpu_hz"), 50);
	EQ(rate("heap_rate"), 1 << 20);
	EQ(rate("block_rate"), 1000);
	EQ(rate("mutex_fraction"), 10);
	EQ(rate("io_rate"), 50);
	EQ(rate("wall_hz"), 99);
	EQ(pprofd_stop(), 0);
	unsetenv("PPROFD_HEAP_RATE");
	unsetenv("PPROFD_IO_RATE");
	EQ(start(&(struct pprofd_options){ .heap_rate = PPROFD_RATE_OFF }), 0);
	EQ(rate("heap_rate"), 0);
	EQ(rate("cpu_hz"), 100);
	EQ(pprofd_stop(), 0);
}

static void refusals(void)
{
	static const struct {
		const char *name, *value;
	} BAD[] = { { "PPROFD_HEAP_RATE", "-1" }, { "PPROFD_HEAP_RATE", "2000G" }, { "PPROFD_HEAP_RATE", "1m" },
		{ "PPROFD_BLOCK_RATE", "1us" }, { "PPROFD_BLOCK_RATE", "" }, { "PPROFD_MUTEX_FRACTION", "1000000001" },
		{ "PPROFD_IO_RATE", " 1" }, { "PPROFD_WALL_HZ", "0" }, { "PPROFD_WALL_HZ", "1001" },
		{ "PPROFD_CPU_HZ", "18446744073709551716" } };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		setenv(BAD[i].name, BAD[i].value, 1);
		EQ(start(&(struct pprofd_options){ 0 }), -EINVAL);
		unsetenv(BAD[i].name);
	}
	EQ(start(&(struct pprofd_options){ .wall_hz = PPROFD_RATE_OFF }), -EINVAL);
	EQ(start(&(struct pprofd_options){ .cpu_hz = PPROFD_RATE_OFF }), -EINVAL);
	EQ(start(&(struct pprofd_options){ .mutex_fraction = 2000000000 }), -EINVAL);
}

/* Ticks of the CPU sampler so far. */
static long ticks(void)
{
	struct http_answer a = http_get("/metrics");
	const char *at = a.body ? strstr(a.body, "\npprofd_samples_due_total{kind=\"profile\"} ") : NULL;
	long n = at ? atol(strchr(at, '}') + 1) : -1;
	free(a.body);
	return n;
}

/* A window is open on a busy thread: samples come by the new rate from the moment it is set. */
static void in_force_at_once(void)
{
	pthread_t t;
	struct http_job window;
	EQ(start(&(struct pprofd_options){ .cpu_hz = 1 }), 0);
	pthread_create(&t, NULL, burn, NULL);
	http_start(&window, "/debug/pprof/profile?seconds=3");
	OK(WITHIN(2000, ticks() >= 0));
	usleep(100000);
	long before = ticks();
	EQ(post("cpu_hz=1000&for=1s").status, 200);
	OK(WITHIN(1000, ticks() >= before + 50));
	OK(WITHIN(3000, rate("cpu_hz") == 1));
	long at_end = ticks();
	usleep(500000);
	OK(ticks() <= at_end + 3);
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	free(window.answer.body);
	__atomic_store_n(&stop_burning, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	EQ(pprofd_stop(), 0);
}

/* A value comes back within 50 ms of its time, and not before it. The scheduler may need a second chance. */
static void on_time(void)
{
	EQ(start(&(struct pprofd_options){ 0 }), 0);
	int good = 0;
	for (int i = 0; i < 10 && !good; i++) {
		EQ(post("block_rate=77&for=300ms").status, 200);
		long long set = test_now_ns();
		EQ(rate("block_rate"), 77);
		OK(WITHIN(2000, rate("block_rate") == 0));
		long long took = test_now_ns() - set;
		OK(took > 250000000);
		good = took < 350000000;
	}
	OK(good);
	/* What the program sets counts too: its change ends the time. */
	EQ(post("block_rate=77&for=50ms").status, 200);
	EQ(pprofd_rate_set("block_rate", 5), 0);
	usleep(150000);
	EQ(rate("block_rate"), 5);
	struct http_answer a = http_get("/debug/pprof/admin");
	OK(a.body && strstr(a.body, "\"rate\": \"block_rate\", \"was\": 77, \"now\": 5, \"for_s\": 0.000000, "
	                            "\"source\": \"program\"}"));
	OK(a.body && strstr(a.body, "\"was\": 77, \"now\": 0, \"for_s\": 0.000000, \"source\": \"expired\"}"));
	free(a.body);
	EQ(pprofd_stop(), 0);
	/* Nothing of it lives on. */
	EQ(start(&(struct pprofd_options){ 0 }), 0);
	EQ(rate("block_rate"), 0);
	a = http_get("/debug/pprof/admin");
	OK(a.body && !strstr(a.body, "\"source\": \"program\""));
	free(a.body);
	EQ(pprofd_stop(), 0);
}

static int in_child(void)
{
	EQ(pprofd_rate_set("cpu_hz", 5), -ENOTCONN);
	EQ(start(&(struct pprofd_options){ 0 }), 0);
	EQ(rate("cpu_hz"), 100);
	EQ(rate("block_rate"), 0);
	struct http_answer a = http_get("/debug/pprof/admin");
	OK(a.body && !strstr(a.body, "\"source\": \"program\""));
	EQ(pprofd_stop(), 0);
	DONE();
}

static void forked(void)
{
	int status = -1;
	EQ(start(&(struct pprofd_options){ 0 }), 0);
	EQ(pprofd_rate_set("cpu_hz", 300), 0);
	EQ(post("block_rate=9&for=100ms").status, 200);
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_child());
	OK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	EQ(WEXITSTATUS(status), 0);
	EQ(rate("cpu_hz"), 300);
	OK(WITHIN(2000, rate("block_rate") == 0));
	EQ(pprofd_stop(), 0);
}

/* Stopping while others set rates: each call succeeds or says that there is no service. */
static void *set_often(void *arg)
{
	while (!__atomic_load_n(&stop_burning, __ATOMIC_RELAXED)) {
		int err = pprofd_rate_set("mutex_fraction", 3);
		OK(err == 0 || err == -ENOTCONN);
	}
	return NULL;
}

static void against_stop(void)
{
	pthread_t t[2];
	stop_burning = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, set_often, NULL);
	for (int i = 0; i < 10; i++) {
		EQ(start(&(struct pprofd_options){ 0 }), 0);
		OK(WITHIN(2000, rate("mutex_fraction") == 3));
		EQ(pprofd_stop(), 0);
	}
	__atomic_store_n(&stop_burning, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	initial_values();
	refusals();
	in_force_at_once();
	on_time();
	/* A sanitizer's own locks may be taken in a child of a program with threads. */
	if (!SANITIZED)
		forked();
	against_stop();
	DONE();
}
