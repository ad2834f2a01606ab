/* Start and stop give everything back; whatever is wrong with the settings is told and leaves nothing behind. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pprofd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "http.h"
#include "test.h"

static char log_path[256];

static int count_dir(const char *path)
{
	int n = 0;
	DIR *d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static int timers(void)
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/timers", "r");
	while (f && fgets(line, sizeof line, f))
		n += strncmp(line, "ID:", 3) == 0;
	if (f)
		fclose(f);
	return n;
}

struct state {
	int threads, fds, timers;
	void *create;
	struct sigaction prof;
};

/* What a call of pthread_create in this program would go to. */
static void *slot_of_create(void)
{
	int (*volatile p)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = pthread_create;
	return (void *)p;
}

static struct state look(void)
{
	struct state s = { .timers = timers() };
	s.threads = count_dir("/proc/self/task");
	s.fds = count_dir("/proc/self/fd");
	s.create = slot_of_create();
	sigaction(SIGPROF, NULL, &s.prof);
	return s;
}

static void same(const struct state *a, const struct state *b)
{
	EQ(a->threads, b->threads);
	EQ(a->fds, b->fds);
	EQ(a->timers, b->timers);
	OK(a->create == b->create);
	OK(a->prof.sa_handler == b->prof.sa_handler);
}

static int log_has(const char *what)
{
	static char text[65536];
	FILE *f = fopen(log_path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	text[n] = 0;
	if (f)
		fclose(f);
	return strstr(text, what) != NULL;
}

static int try_options(const char *listen, uint64_t hz, uint64_t memory, int signo, const char *access, const char *token)
{
	struct pprofd_options o = { .size = sizeof o, .listen = listen, .cpu_hz = hz, .memory = memory, .signal = signo,
		.access = access, .token_file = token, .log = log_path };
	int err = pprofd_start(&o);
	if (err == 0)
		pprofd_stop();
	return err;
}

static void refusals(void)
{
	struct state before = look();
	static const char *const bad_listen[] = { "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "256.0.0.1:1", "127.1:80",
		"example.com:80", "[::1", "::1:80", "unix:", "unix:/tmp/%q", "127.0.0.1:80x", " 6060", "" };
	for (size_t i = 0; i < sizeof bad_listen / sizeof *bad_listen; i++) {
		int err = try_options(bad_listen[i], 0, 0, 0, NULL, NULL);
		if (err != -EINVAL)
			fprintf(stderr, "listen \"%s\": %d\n", bad_listen[i], err);
		EQ(err, -EINVAL);
	}
	EQ(try_options("off", 0, 0, 0, NULL, NULL), -ECANCELED);
	EQ(try_options("127.0.0.1:0", 4001, 0, 0, NULL, NULL), -EINVAL);
	OK(log_has("PPROFD_CPU_HZ is \"4001\", not 1..4000"));
	EQ(try_options("127.0.0.1:0", 0, 1000, 0, NULL, NULL), -EINVAL);
	EQ(try_options("127.0.0.1:0", 0, 0, SIGKILL, NULL, NULL), -EINVAL);
	EQ(try_options("127.0.0.1:0", 0, 0, -3, NULL, NULL), -EINVAL);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, "all", NULL), -EINVAL);
	static const char *const bad_prefix[] = { "name", "/", "/a/", "//a", "/a//b", "/.", "/a/..", "/a b", "/a%20", "/a?", "/\"" };
	for (size_t i = 0; i < sizeof bad_prefix / sizeof *bad_prefix; i++) {
		struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .prefix = bad_prefix[i] };
		EQ(pprofd_start(&o), -EINVAL);
	}
	setenv("PPROFD_PREFIX", "/a/", 1);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, NULL, NULL), -EINVAL);
	unsetenv("PPROFD_PREFIX");
	OK(log_has("PPROFD_PREFIX is \"/a/\", not a path like /name"));
	EQ(try_options("0.0.0.0:0", 0, 0, 0, NULL, NULL), -EACCES);
	OK(log_has("0.0.0.0:0 is not a loopback address and there is no PPROFD_TOKEN_FILE"));
	EQ(try_options("unix:/no/such/folder/s.sock", 0, 0, 0, NULL, NULL), -ENOENT);
	OK(log_has("cannot listen on unix:/no/such/folder/s.sock: No such file or directory"));
	setenv("PPROFD_CPU_HZ", "ten", 1);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, NULL, NULL), -EINVAL);
	unsetenv("PPROFD_CPU_HZ");
	OK(log_has("PPROFD_CPU_HZ is \"ten\", not 1..4000"));
	setenv("PPROFD_COLOUR", "red", 1);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, NULL, NULL), -EINVAL);
	unsetenv("PPROFD_COLOUR");
	OK(log_has("PPROFD_COLOUR is no setting of pprofd"));
	setenv("PPROFD_OFF", "1", 1);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, NULL, NULL), -ECANCELED);
	unsetenv("PPROFD_OFF");
	struct state after = look();
	same(&before, &after);
}

static void sizes(void)
{
	struct {
		struct pprofd_options o;
		uint64_t more;
	} newer = { .o = { .size = sizeof newer, .listen = "127.0.0.1:0" } };
	EQ(pprofd_start(&newer.o), 0);
	EQ(pprofd_stop(), 0);
	newer.more = 1;
	EQ(pprofd_start(&newer.o), -E2BIG);
	struct pprofd_options older = { .size = offsetof(struct pprofd_options, token_file), .listen = "127.0.0.1:0" };
	older.cpu_hz = 99999; /* lies behind what it says it has */
	EQ(pprofd_start(&older), 0);
	EQ(pprofd_stop(), 0);
	struct pprofd_options none = { .size = 0 };
	EQ(pprofd_start(&none), -EINVAL);
}

static void busy(void)
{
	char address[64], path[300];
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	OK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
	EQ(try_options(address, 0, 0, 0, NULL, NULL), -EADDRINUSE);
	OK(log_has("Address already in use"));
	close(fd);
	EQ(try_options(address, 0, 0, 0, NULL, NULL), 0);
	/* A file that is no socket is not removed. */
	snprintf(path, sizeof path, "unix:%s", log_path);
	EQ(try_options(path, 0, 0, 0, NULL, NULL), -EADDRINUSE);
	OK(access(log_path, F_OK) == 0);
}

static void unix_socket(void)
{
	char path[300], want[300], got[300];
	struct stat st;
	const char *dir = getenv("T") ? getenv("T") : "/tmp";
	snprintf(path, sizeof path, "unix:%s/a%%%%-%%p.sock", dir);
	snprintf(want, sizeof want, "unix:%s/a%%-%d.sock", dir, (int)getpid());
	for (int i = 0; i < 2; i++) {
		struct pprofd_options o = { .size = sizeof o, .listen = path, .log = log_path };
		EQ(pprofd_start(&o), 0);
		EQ(pprofd_address(got, sizeof got), 0);
		STREQ(got, want);
		EQ(pprofd_address(got, 5), -ERANGE);
		STREQ(got, "");
		OK(stat(want + 5, &st) == 0 && S_ISSOCK(st.st_mode));
		EQ(st.st_mode & 0777, 0600);
		EQ(pprofd_stop(), 0);
		OK(stat(want + 5, &st) != 0);
	}
}

static void cycles(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .log = log_path };
	EQ(pprofd_start(&o), 0); /* what the loader and libc keep for good is there after the first */
	EQ(pprofd_stop(), 0);
	struct state before = look();
	for (int i = 0; i < 20; i++) {
		struct http_job window;
		EQ(pprofd_start(&o), 0);
		EQ(pprofd_start(&o), -EALREADY);
		OK(http_port() > 0);
		if (i == 0) {
			struct state now = look();
			EQ(now.threads - before.threads, 3);
			OK(now.create != before.create);
		}
		/* Stop with a window open every other time. */
		if (i % 2) {
			http_start(&window, "/debug/pprof/profile?seconds=30");
			OK(WITHIN(2000, timers() > 0));
		} else {
			struct http_answer a = http_get("/debug/pprof/cmdline");
			EQ(a.status, 200);
			free(a.body);
		}
		EQ(pprofd_stop(), 0);
		if (i % 2) {
			pthread_join(window.thread, NULL);
			free(window.answer.body);
		}
		struct state after = look();
		same(&before, &after);
	}
	EQ(pprofd_stop(), -EALREADY);
}

int main(void)
{
	char got[16];
	uint64_t hz;
	const char *dir = getenv("T") ? getenv("T") : "/tmp";
	snprintf(log_path, sizeof log_path, "%s/lifecycle.log", dir);
	EQ(pprofd_address(got, sizeof got), -ENOTCONN);
	EQ(pprofd_stop(), -EALREADY);
	EQ(pprofd_labels_push("k", "v"), 0);
	EQ(pprofd_labels_pop(), 0);
	EQ(pprofd_rate_get("cpu_hz", &hz), -ENOTCONN);
	/* Before the first start: what is loaded stays. */
	setenv("PPROFD_SERVER", "/no/such/object.so", 1);
	EQ(try_options("127.0.0.1:0", 0, 0, 0, NULL, NULL), -ELIBACC);
	unsetenv("PPROFD_SERVER");
	OK(log_has("cannot load /no/such/object.so"));
	cycles();
	refusals();
	sizes();
	busy();
	unix_socket();
	unlink(log_path);
	DONE();
}
