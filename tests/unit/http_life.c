/* Start, stop, fork, and a program that closes descriptors it did not open. */
#include <dirent.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "http_kit.h"

static int count_entries(const char *dir)
{
	int n = 0;
	DIR *d = opendir(dir);
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

static void start_and_stop(void)
{
	int fds = 0, threads = 0;
	for (int i = 0; i < 30; i++) {
		/* What the first round leaves behind is the test's or a sanitizer's; joined threads are listed a while.
		 */
		if (i == 1) {
			usleep(20000);
			fds = count_entries("/proc/self/fd");
			threads = count_entries("/proc/self/task");
		}
		struct kit k = { .port = 0 };
		kit_start(&k, i % 2 ? AF_UNIX : AF_INET);
		OK(!i || WITHIN(1000, count_entries("/proc/self/task") == threads + 2));
		if (i % 3)
			EQ(kit_get(&k, "/echo")->status, 200);
		kit_stop(&k);
	}
	EQ(count_entries("/proc/self/fd"), fds);
	OK(WITHIN(1000, count_entries("/proc/self/task") == threads));
	struct kit bad = { .config.token_file = "/nonexistent", .config.loopback = true };
	EQ(kit_try(&bad, AF_INET), -ENOENT);
	EQ(count_entries("/proc/self/fd"), fds);
}

/* The signal masks of our threads: all but what cannot be blocked. */
static void signals(void)
{
	struct kit k = { .port = 0 };
	sigset_t before, after;
	sigprocmask(SIG_SETMASK, NULL, &before);
	kit_start(&k, AF_INET);
	sigprocmask(SIG_SETMASK, NULL, &after);
	EQ(memcmp(&before, &after, 8), 0);
	DIR *d = opendir("/proc/self/task");
	int others = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char file[300], line[200];
		snprintf(file, sizeof file, "/proc/self/task/%s/status", e->d_name);
		FILE *f = e->d_name[0] == '.' || atoi(e->d_name) == getpid() ? NULL : fopen(file, "r");
		unsigned long long blocked = 0;
		while (f && fgets(line, sizeof line, f))
			sscanf(line, "SigBlk: %llx", &blocked);
		if (!f)
			continue;
		fclose(f);
		others++;
		/* glibc keeps its own two open. */
		EQ(blocked | 0x180000000ull | 1ull << 8 | 1ull << 18, ~0ull);
	}
	closedir(d);
	EQ(others, 2);
	kit_stop(&k);
}

/* A child lets go of everything, and the parent notices nothing. */
static void forked(void)
{
	struct kit k = { .port = 0 };
	int fds = count_entries("/proc/self/fd");
	kit_start(&k, AF_INET);
	int waiting = kit_connect(&k);
	kit_puts(waiting, "GET /wait?ms=600 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	OK(WITHIN(1000, kit_stats(&k).waiting == 1));
	pid_t pid = fork();
	if (pid == 0) {
		int own[2];
		pd_http_stop(k.http, true);
		close(waiting);
		int left = count_entries("/proc/self/fd");
		/* Numbers that are the child's own by now stay open. */
		OK(pipe(own) == 0);
		pd_http_stop(k.http, true);
		OK(fcntl(own[0], F_GETFD) >= 0 && fcntl(own[1], F_GETFD) >= 0);
		_exit(left == fds ? 0 : 1);
	}
	int status = -1;
	OK(waitpid(pid, &status, 0) == pid);
	EQ(status, 0);
	STREQ(kit_read(waiting, 3000, false)->body, "then");
	close(waiting);
	EQ(kit_get(&k, "/work?ms=1")->status, 200);
	/* Once the parent has stopped nobody holds the port. */
	int ready[2];
	char byte;
	OK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		pd_http_stop(k.http, true);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	EQ(read(ready[0], &byte, 1), 1);
	kit_stop(&k);
	EQ(kit_connect(&k), -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

struct taken {
	int fd, was;
	char file[200];
};

/* The program closes all it does not know and opens files of its own, on the same numbers. */
static void closed_by_program(void)
{
	const char *dir = getenv("T");
	char log[200];
	snprintf(log, sizeof log, "%.80s/life%d.log", dir ? dir : "/tmp", (int)getpid());
	OK(pd_log_open(log) == 0);
	struct kit k = { .port = 0 };
	kit_start(&k, AF_INET);
	int first = k.config.listen_fd, client = kit_connect(&k), worker = kit_connect(&k);
	kit_puts(client, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
	kit_puts(worker, "GET /work?ms=500 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	OK(WITHIN(1000, kit_stats(&k).waiting == 2));
	unsigned released = pd_load_relaxed(&kit_released);
	close_range((unsigned)first, ~0u, 0);
	struct taken own[24];
	for (int i = 0; i < 24; i++) {
		snprintf(own[i].file, sizeof own[i].file, "%.80s/own%d.%d", dir ? dir : "/tmp", (int)getpid(), i);
		own[i].fd = i % 4 == 3 ? eventfd(0, EFD_NONBLOCK) : open(own[i].file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	}
	OK(WITHIN(2500, pd_load_relaxed(&kit_released) >= released + 1)); /* the wait; the work goes on */
	long long start = test_now_ns();
	kit_stop(&k);
	OK(test_now_ns() - start < 1500000000ll);
	EQ(pd_load_relaxed(&kit_released), released + 2);
	for (int i = 0; i < 24; i++) {
		struct stat st;
		uint64_t value;
		OK(fstat(own[i].fd, &st) == 0); /* not closed */
		EQ(i % 4 == 3 ? read(own[i].fd, &value, sizeof value) : st.st_size,
		        i % 4 == 3 ? -1 : 0); /* not written */
		close(own[i].fd);
		unlink(own[i].file);
	}
	char text[4000] = "";
	FILE *f = fopen(log, "r");
	OK(f && fread(text, 1, sizeof text - 1, f) > 0);
	if (f)
		fclose(f);
	char *line = strstr(text, "no longer serves");
	OK(line && !strstr(line + 1, "no longer serves"));
	pd_log_open(NULL);
	unlink(log);
}

/* Only the listener, or only the epoll instance, is gone. */
static void one_closed(int what)
{
	struct kit k = { .port = 0 };
	kit_start(&k, AF_INET);
	int waiting = kit_connect(&k);
	kit_puts(waiting, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
	OK(WITHIN(1000, kit_stats(&k).waiting == 1));
	int fd = what == 0 ? k.http->listener.fd : what == 1 ? k.http->epoll : k.http->wake_w.fd;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, fd);
	OK(kit_closed(waiting, 2500));
	OK(WITHIN(2500, kit_connect(&k) == -1));
	kit_stop(&k);
	OK(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	close(null);
	close(waiting);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("closes descriptors under the service on purpose");
#endif
	start_and_stop();
	signals();
	forked();
	for (int i = 0; i < 3; i++)
		one_closed(i);
	closed_by_program();
	DONE();
}
