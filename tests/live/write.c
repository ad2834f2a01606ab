/* Profiles into descriptors, without a listener: the same bytes a client gets, and no harm from bad descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pprofd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static char dir[200];
static volatile int stop_burning;

static int temp(const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static char *content(int fd, size_t *len)
{
	*len = (size_t)lseek(fd, 0, SEEK_END);
	char *all = calloc(1, *len + 1);
	EQ(pread(fd, all, *len, 0), (long long)*len);
	return all;
}

NOIPA static void write_burn_a(long n)
{
	for (volatile long i = 0; i < n; i++)
		;
}

NOIPA static void write_burn_b(long n)
{
	for (volatile long i = 0; i < n; i++)
		;
}

static void *burner(void *arg)
{
	while (!stop_burning) {
		write_burn_a(300000);
		write_burn_b(100000);
	}
	return NULL;
}

static void start(const char *listen)
{
	struct pprofd_options o = { .size = sizeof o, .listen = listen };
	EQ(pprofd_start(&o), 0);
}

/* What python's reader says of a file; the program's output must hold `want`. */
static int told(const char *name, const char *how, const char *want)
{
	char command[600], line[4096];
	snprintf(command, sizeof command, "tests/pb.py %s/%s %s", dir, name, how);
	int found = 0;
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof line, f))
		found |= strstr(line, want) != NULL;
	return (f ? pclose(f) : 1) == 0 && found;
}

/* Percent that a function has itself of the last type of value. */
static double flat(const char *name, const char *function)
{
	char command[600], line[4096];
	double percent, got = 0;
	snprintf(command, sizeof command, "tests/pb.py %s/%s --top", dir, name);
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof line, f))
		if (strstr(line, function) && sscanf(line, "%*d %lf%%", &percent) == 1)
			got = percent;
	if (f)
		pclose(f);
	return got;
}

/* Numbers that differ from one moment to the next are left out. */
static void same_as_http(void)
{
	size_t len;
	start("127.0.0.1:0");
	int fd = temp("threads");
	EQ(pprofd_write("threadcreate", 1, fd), 0);
	char *written = content(fd, &len);
	struct http_answer a = http_get("/debug/pprof/threadcreate?debug=1");
	EQ(a.status, 200);
	STREQ(written, a.body);
	OK(strncmp(written, "threadcreate profile: total ", 28) == 0);
	free(written);
	free(a.body);
	OK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	EQ(pprofd_write("goroutine", 2, fd), 0);
	written = content(fd, &len);
	OK(strstr(written, "\ngoroutine ") != NULL);
	OK(strstr(written, "same_as_http(...)") != NULL);
	free(written);
	close(fd);
	fd = temp("proto");
	EQ(pprofd_write("goroutine", 0, fd), 0);
	close(fd);
	OK(told("proto", "--check", "") || told("proto", "--top", "goroutine/count"));
	EQ(pprofd_stop(), 0);
}

static void cpu(void)
{
	pthread_t t;
	stop_burning = 0;
	pthread_create(&t, NULL, burner, NULL);
	int fd = temp("cpu"), other = temp("other");
	EQ(pprofd_cpu_start(fd), 0);
	EQ(pprofd_cpu_start(other), -EALREADY);
	usleep(1500000);
	EQ(pprofd_cpu_stop(), 0);
	EQ(pprofd_cpu_stop(), -EALREADY);
	OK(told("cpu", "--top", "cpu/nanoseconds"));
	double a = flat("cpu", "write_burn_a"), b = flat("cpu", "write_burn_b");
	if (a < 60 || a > 90 || b < 10 || b > 40)
		fprintf(stderr, "shares %.1f %.1f\n", a, b);
	OK(a >= 60 && a <= 90);
	OK(b >= 10 && b <= 40);
	/* The number is another file's by the time of the stop. */
	EQ(pprofd_cpu_start(fd), 0);
	OK(dup2(other, fd) == fd);
	EQ(pprofd_cpu_stop(), -EBADF);
	EQ(lseek(other, 0, SEEK_END), 0);
	/* Stopped in between: the profile is lost, the next can be taken. */
	EQ(pprofd_cpu_start(other), 0);
	EQ(pprofd_stop(), 0);
	EQ(pprofd_cpu_stop(), -ECANCELED);
	EQ(pprofd_cpu_stop(), -EALREADY);
	start("none");
	EQ(pprofd_cpu_start(other), 0);
	EQ(pprofd_cpu_stop(), 0);
	stop_burning = 1;
	pthread_join(t, NULL);
	close(fd);
	close(other);
}

static volatile sig_atomic_t pipes, sizes;

static void count(int signo)
{
	*(signo == SIGPIPE ? &pipes : &sizes) += 1;
}

static void *slow_reader(void *arg)
{
	static char all[1 << 20];
	size_t n = 0;
	ssize_t got;
	int fd = *(int *)arg;
	usleep(50000);
	while (n < sizeof all - 1 && (got = read(fd, all + n, 7)) > 0)
		n += (size_t)got;
	return all;
}

static void descriptors(void)
{
	int end[2];
	OK(pipe(end) == 0);
	EQ(pprofd_write("goroutine", 0, -1), -EBADF);
	EQ(pprofd_write("goroutine", 0, 100000), -EBADF);
	EQ(pprofd_write("goroutine", 0, end[0]), -EBADF);
	EQ(pprofd_cpu_start(end[0]), -EBADF);
	EQ(pprofd_cpu_start(-1), -EBADF);
	/* A slow reader of a pipe that does not block. */
	OK(fcntl(end[1], F_SETPIPE_SZ, 4096) > 0 && fcntl(end[1], F_SETFL, O_NONBLOCK) == 0);
	pthread_t t;
	void *all;
	pthread_create(&t, NULL, slow_reader, &end[0]);
	EQ(pprofd_write("goroutine", 2, end[1]), 0);
	close(end[1]);
	pthread_join(t, &all);
	OK(strncmp(all, "# ", 2) == 0 && strstr(all, "descriptors(...)") != NULL);
	close(end[0]);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	EQ(pprofd_write("goroutine", 0, full), -ENOSPC);
	close(full);
	/* Nobody reads: an error, and no signal, blocked or not. */
	signal(SIGPIPE, count);
	signal(SIGXFSZ, count);
	OK(pipe(end) == 0);
	close(end[0]);
	EQ(pprofd_write("goroutine", 0, end[1]), -EPIPE);
	close(end[1]);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	close(end[0]);
	EQ(pprofd_write("goroutine", 0, end[1]), -EPIPE);
	close(end[1]);
	struct rlimit before, small;
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 10;
	int fd = temp("limited");
	setrlimit(RLIMIT_FSIZE, &small);
	EQ(pprofd_write("goroutine", 0, fd), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	close(fd);
	EQ(pipes, 0);
	EQ(sizes, 0);
	/* One that was pending before is the program's. */
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	OK(pipe(end) == 0);
	close(end[0]);
	EQ(pprofd_write("goroutine", 0, end[1]), -EPIPE);
	close(end[1]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	EQ(pipes, 1);
}

static void names(void)
{
	int fd = temp("names");
	size_t len;
	errno = 77;
	EQ(pprofd_write(NULL, 0, fd), -EINVAL);
	EQ(pprofd_write("", 0, fd), -EINVAL);
	EQ(pprofd_write("nonsense", 0, fd), -ENOENT);
	EQ(pprofd_write("goroutine?debug=2", 0, fd), -ENOENT);
	EQ(pprofd_write("../goroutine", 0, fd), -ENOENT);
	EQ(pprofd_write("profile", 0, fd), -EINVAL);
	EQ(pprofd_write("symbol", 0, fd), -EINVAL);
	EQ(errno, 77);
	free(content(fd, &len));
	EQ(len, 0);
	close(fd);
}

static void *writes(void *arg)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), err = 0;
	while (!err)
		err = pprofd_write("goroutine", 1, fd);
	close(fd);
	return (void *)(intptr_t)err;
}

/* Threads that wait for their profile get an answer when the service is stopped. */
static void stopped_meanwhile(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_t t[4];
		for (int k = 0; k < 4; k++)
			pthread_create(&t[k], NULL, writes, NULL);
		usleep(20000);
		EQ(pprofd_stop(), 0);
		for (int k = 0; k < 4; k++) {
			void *err;
			pthread_join(t[k], &err);
			int e = (int)(intptr_t)err;
			OK(e == -ECANCELED || e == -ENOTCONN);
		}
		start("none");
	}
}

static void not_started(void)
{
	int fd = temp("none");
	EQ(pprofd_write("goroutine", 0, fd), -ENOTCONN);
	EQ(pprofd_cpu_start(fd), -ENOTCONN);
	EQ(pprofd_cpu_stop(), -EALREADY);
	EQ(pprofd_serve(fd), -ENOTCONN);
	close(fd);
}

static void forked(void)
{
	int fd = temp("forked"), status;
	EQ(pprofd_cpu_start(fd), 0);
	pid_t child = fork();
	if (child == 0) {
		test_failures = 0;
		not_started();
		_exit(test_failures ? 1 : 0);
	}
	OK(waitpid(child, &status, 0) == child && status == 0);
	EQ(pprofd_cpu_stop(), 0);
	close(fd);
}

int main(void)
{
	char address[64] = "x";
	snprintf(dir, sizeof dir, "%s", getenv("T") ? getenv("T") : "/tmp");
	not_started();
	same_as_http();
	not_started();
	start("none");
	EQ(pprofd_address(address, sizeof address), -ENOENT);
	STREQ(address, "");
	names();
	descriptors();
	cpu();
	stopped_meanwhile();
	forked();
	EQ(pprofd_stop(), 0);
	not_started();
	DONE();
}
