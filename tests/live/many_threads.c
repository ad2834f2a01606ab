/* Thousands of parked threads: each is listed, quickly, and none of them notices. */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#include "http.h"
#include "test.h"

#ifdef __SANITIZE_ADDRESS__
#define N 1000 /* each costs the sanitizer much more than a thread */
#else
#define N 10000
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go = PTHREAD_COND_INITIALIZER;
static int done, parked, eintr;

__attribute__((noinline)) static void park_in_cond(void)
{
	pthread_mutex_lock(&lock);
	__atomic_add_fetch(&parked, 1, __ATOMIC_SEQ_CST);
	while (!done)
		pthread_cond_wait(&go, &lock);
	pthread_mutex_unlock(&lock);
	__asm__ volatile("");
}

__attribute__((noinline)) static void park_in_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	__atomic_add_fetch(&parked, 1, __ATOMIC_SEQ_CST);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		__atomic_add_fetch(&eintr, 1, __ATOMIC_SEQ_CST);
	__asm__ volatile("");
}

static int pipe_fd[2];

static void *parked_thread(void *arg)
{
	if ((size_t)arg % 2)
		park_in_cond();
	else
		park_in_poll(pipe_fd[0]);
	return NULL;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0, len = strlen(what);
	for (const char *p = text; (p = strstr(p, what)); p += len)
		n += p == text || what[0] != 'g' || p[-1] == '\n';
	return n;
}

int main(void)
{
	static pthread_t t[N];
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	OK(pipe(pipe_fd) == 0);
	size_t n = 0;
	while (n < N && pthread_create(&t[n], &attr, parked_thread, (void *)n) == 0)
		n++;
	if (n < N)
		SKIP("this machine does not allow that many threads");
	OK(WITHIN(20000, __atomic_load_n(&parked, __ATOMIC_SEQ_CST) == N));
	for (int i = 0; i < 3; i++) {
		double ms = 0;
		struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
		EQ(a.status, 200);
		EQ(count(a.body, "goroutine "), N + 1);
		EQ(count(a.body, "park_in_cond("), N / 2);
		EQ(count(a.body, "park_in_poll("), N / 2);
		EQ(count(a.body, "[stack unavailable]"), 0);
		EQ(count(a.body, "created by main in goroutine"), N);
		const char *took = strstr(a.body, "over ");
		OK(took && sscanf(took, "over %lf", &ms) == 1);
		printf("captured in %.1f ms\n", ms);
		free(a.body);
	}
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=1");
	char want[64];
	snprintf(want, sizeof want, "goroutine profile: total %d\n%d @ 0x", N + 1, N / 2);
	OK(strncmp(a.body, want, strlen(want)) == 0);
	free(a.body);
	a = http_get("/debug/pprof/threadcreate?debug=1");
	snprintf(want, sizeof want, "threadcreate profile: total %d\n%d @ 0x", N, N);
	OK(strncmp(a.body, want, strlen(want)) == 0);
	free(a.body);
	/* A CPU window over all of them: a timer for each, and all are gone again after it. */
	a = http_get("/debug/pprof/profile?seconds=1&debug=1");
	EQ(a.status, 200);
	free(a.body);
	EQ(eintr, 0);
	pthread_mutex_lock(&lock);
	done = 1;
	pthread_cond_broadcast(&go);
	pthread_mutex_unlock(&lock);
	OK(write(pipe_fd[1], "x", 1) == 1);
	for (size_t i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	EQ(pprofd_stop(), 0);
	DONE();
}
