/* Children of a sampled process: they run as if nothing were there, do not answer for their parent, and a daemon takes
 * the service over. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

extern char **environ;

static volatile int stop_spinning;

static void *spin(void *arg)
{
	(void)arg;
	volatile unsigned long x = 0;
	while (!stop_spinning)
		x++;
	return NULL;
}

static int status_of(pid_t pid)
{
	int status = -1;
	for (int i = 0; i < 5000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

/* Sockets that listen or that somebody's request came in by; the test's own client socket is no such. */
static int served_sockets(int port)
{
	int n = 0;
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in at;
		socklen_t len = sizeof at;
		n += getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.sin_family == AF_INET && ntohs(at.sin_port) == port;
	}
	return n;
}

/* What a child checks about itself; the exit status says which check failed. */
static int in_child(int port)
{
	char address[64];
	if (pprofd_address(address, sizeof address) != -ENOTCONN)
		return 2;
	if (served_sockets(port) != 0)
		return 3;
	pthread_t t;
	stop_spinning = 1;
	if (pthread_create(&t, NULL, spin, NULL) != 0 || pthread_join(t, NULL) != 0)
		return 4;
	if (pprofd_labels_push("a", "b") != 0 || pprofd_labels_pop() != 0)
		return 5;
	struct sigaction now;
	if (sigaction(SIGPROF, NULL, &now) != 0 || now.sa_handler != SIG_DFL)
		return 6;
	return 0;
}

static void children(void)
{
	int port = http_port();
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(in_child(port));
		EQ(status_of(pid), 0);
	}
}

static void executed(void)
{
	char *const argv[] = { "true", NULL };
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			execvp("true", argv);
			_exit(127);
		}
		EQ(status_of(pid), 0);
		EQ(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
		EQ(status_of(pid), 0);
		pid = vfork();
		if (pid == 0) {
			execvp("true", argv);
			_exit(127);
		}
		EQ(status_of(pid), 0);
	}
}

/* A child may start a service of its own; the parent's goes on. */
static void child_serves(void)
{
	int port = http_port();
	pid_t pid = fork();
	if (pid == 0) {
		struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
		if (pprofd_start(&o) != 0)
			_exit(2);
		struct http_answer a = http_get("/debug/pprof/profile?seconds=1");
		if (a.status != 200 || a.len < 50)
			_exit(3);
		struct http_answer parent = http_get_port(port, "/debug/pprof/cmdline");
		_exit(parent.status == 200 && pprofd_stop() == 0 ? 0 : 4);
	}
	EQ(status_of(pid), 0);
}

static int readable_within(int fd, int ms)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	char c;
	return WITHIN(ms, read(fd, &c, 1) == 0);
}

/* Whoever holds the write end of the pipe lives; the address must answer with the daemon's command line. */
static void daemons(void)
{
	for (int forks = 1; forks <= 2; forks++) {
		int life[2];
		OK(pipe(life) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			/* A process of its own that daemonises: starts, forks, and lets the parent end. */
			close(life[0]);
			struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
			if (pprofd_start(&o) != 0)
				_exit(2);
			char port_text[16];
			int n = snprintf(port_text, sizeof port_text, "%d", http_port());
			int port = atoi(port_text);
			/* The daemon has to find the same port: start again with it named. */
			pprofd_stop();
			char listen[32];
			snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
			o.listen = listen;
			if (pprofd_start(&o) != 0 || n <= 0)
				_exit(3);
			FILE *f = fopen(getenv("PORT_FILE"), "w");
			fprintf(f, "%d\n", port);
			fclose(f);
			if (fork() != 0)
				_exit(0);
			setsid();
			if (forks == 2 && fork() != 0)
				_exit(0);
			prctl(PR_SET_NAME, "the-daemon");
			for (int i = 0; i < 200; i++) {
				char address[64];
				if (pprofd_address(address, sizeof address) == 0) {
					usleep(1000000);
					_exit(0);
				}
				usleep(25000);
			}
			_exit(1);
		}
		close(life[1]);
		EQ(status_of(pid), 0);
		int port = 0;
		FILE *f = fopen(getenv("PORT_FILE"), "r");
		OK(f && fscanf(f, "%d", &port) == 1);
		if (f)
			fclose(f);
		struct http_answer a = { 0 };
		OK(WITHIN(4000, (a = http_get_port(port, "/debug/pprof/cmdline")).status == 200));
		free(a.body);
		OK(readable_within(life[0], 8000));
		close(life[0]);
	}
}

/* With %p in the address every child serves at an address of its own. */
static void child_with_pid_socket(void)
{
	char listen[300], want[300];
	const char *dir = getenv("T") ? getenv("T") : "/tmp";
	snprintf(listen, sizeof listen, "unix:%s/%%p.sock", dir);
	struct pprofd_options o = { .size = sizeof o, .listen = listen };
	EQ(pprofd_start(&o), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char got[300];
		snprintf(want, sizeof want, "unix:%s/%d.sock", dir, (int)getpid());
		int ok = WITHIN(3000, pprofd_address(got, sizeof got) == 0) && strcmp(got, want) == 0;
		_exit(ok && pprofd_stop() == 0 ? 0 : 1);
	}
	EQ(status_of(pid), 0);
	snprintf(want, sizeof want, "%s/%d.sock", dir, (int)getpid());
	OK(access(want, F_OK) == 0);
	EQ(pprofd_stop(), 0);
}

int main(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("sanitizers leave locks of their own taken in children of threaded programs");
#endif
	char port_file[300];
	snprintf(port_file, sizeof port_file, "%s/port", getenv("T") ? getenv("T") : "/tmp");
	setenv("PORT_FILE", port_file, 1);
	daemons();
	child_with_pid_socket();
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .cpu_hz = 1000 };
	EQ(pprofd_start(&o), 0);
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, spin, NULL);
	struct http_job window;
	http_start(&window, "/debug/pprof/profile?seconds=4");
	usleep(100000);
	children();
	executed();
	child_serves();
	pthread_join(window.thread, NULL);
	EQ(window.answer.status, 200);
	OK(window.answer.len > 200);
	free(window.answer.body);
	stop_spinning = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EQ(pprofd_stop(), 0);
	unlink(port_file);
	DONE();
}
