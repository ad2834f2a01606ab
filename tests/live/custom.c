/* Profiles of the program's own: who added what is still there, over HTTP and into files. */
#include <errno.h>
#include <fcntl.h>
#include <pprofd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static int conns, heaps;
static char keys[4096];

static void start(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
}

NOIPA static int custom_open(const void *key)
{
	int err = pprofd_profile_add(conns, key, 0);
	return err + (int)*(const volatile char *)keys;
}

NOIPA static int custom_wrapped(const void *key)
{
	int err = pprofd_profile_add(conns, key, 1);
	return err + (int)*(const volatile char *)keys;
}

NOIPA static void custom_first(int from, int n)
{
	for (int i = from; i < from + n; i++)
		EQ(custom_open(&keys[i]), 0);
}

NOIPA static void custom_second(int from, int n)
{
	for (int i = from; i < from + n; i++)
		EQ(custom_wrapped(&keys[i]), 0);
}

static void names(void)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\nb",
		"a\x7f", "\xff", "a\xc3" };
	static const char *const taken[] = { "heap", "allocs", "goroutine", "threads", "profile", "cmdline", "symbol", "trace",
		"heap/x", "my.pkg/conns" };
	char longer[200];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		EQ(pprofd_profile_new(bad[i]), -EINVAL);
	EQ(pprofd_profile_new(NULL), -EINVAL);
	memset(longer, 'x', sizeof longer);
	longer[128] = 0;
	EQ(pprofd_profile_new(longer), -EINVAL);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		EQ(pprofd_profile_new(taken[i]), -EEXIST);
	longer[127] = 0;
	OK(pprofd_profile_new(longer) > 0);
	OK((heaps = pprofd_profile_new("heaps")) > 0);
	OK(pprofd_profile_new("a<b>&'\"? %2f#é") > 0);
}

static void numbers(void)
{
	static const int none[] = { -1, 63, 1 << 30 };
	for (size_t i = 0; i < 3; i++) {
		EQ(pprofd_profile_add(none[i], keys, 0), -EINVAL);
		EQ(pprofd_profile_remove(none[i], keys), -EINVAL);
		EQ(pprofd_profile_count(none[i]), -EINVAL);
	}
}

/* The tables by which stacks are walked may take a busy machine longer than the start waits for them. */
static void ready(void)
{
	bool whole = false;
	for (int i = 0; i < 500 && !whole; i++) {
		EQ(pprofd_profile_add(heaps, keys, 0), 0);
		struct http_answer a = http_get("/debug/pprof/heaps?debug=1");
		whole = strstr(a.body, "\tmain+0x") != NULL;
		free(a.body);
		EQ(pprofd_profile_remove(heaps, keys), 0);
	}
	OK(whole);
}

static void counted(void)
{
	custom_first(0, 300);
	custom_second(300, 100);
	EQ(pprofd_profile_count(conns), 400);
	EQ(pprofd_profile_add(conns, &keys[5], 0), -EEXIST);
	EQ(pprofd_profile_add(conns, NULL, 0), 0);
	EQ(pprofd_profile_remove(conns, NULL), 0);
	EQ(pprofd_profile_remove(conns, NULL), -ENOENT);
	for (int i = 0; i < 100; i++)
		EQ(pprofd_profile_remove(conns, &keys[i]), 0);
	EQ(pprofd_profile_remove(conns, &keys[5]), -ENOENT);
	EQ(pprofd_profile_add(conns, &keys[5], 9999), 0);
	EQ(pprofd_profile_remove(conns, &keys[5]), 0);
	EQ(pprofd_profile_count(conns), 300);
}

static void served(void)
{
	struct http_answer a = http_get("/debug/pprof/my.pkg/conns?debug=1");
	EQ(a.status, 200);
	OK(strncmp(a.body, "my.pkg/conns profile: total 300\n200 @ 0x", 40) == 0);
	char *second = strstr(a.body, "\n100 @ 0x");
	OK(second != NULL);
	char *open = strstr(a.body, "\tcustom_open+0x"), *first = strstr(a.body, "\tcustom_first+0x");
	OK(open && first && open < first && first < second);
	/* skip leaves out the wrapper. */
	OK(second && strstr(second, "\tcustom_second+0x") && !strstr(a.body, "custom_wrapped"));
	free(a.body);
	a = http_get("/debug/pprof/my.pkg/conns?seconds=1");
	EQ(a.status, 400);
	STREQ(a.body, "\"seconds\" parameter is not supported for this profile type\n");
	free(a.body);
	a = http_get("/debug/pprof/my.pkg/conns");
	EQ(a.status, 200);
	OK(strstr(a.head, "filename=\"my.pkg/conns\"") != NULL);
	OK(a.len > 2 && memcmp(a.body, "\x1f\x8b", 2) == 0);
	free(a.body);
	a = http_get("/debug/pprof/");
	OK(strstr(a.body, "     300  my.pkg/conns") != NULL);
	OK(strstr(a.body, "       0  heaps") != NULL);
	free(a.body);
	a = http_get("/debug/pprof/a%3Cb%3E&'%22%3F%20%252f%23%C3%A9?debug=1");
	EQ(a.status, 200);
	OK(strncmp(a.body, "a<b>&'\"? %2f#é profile: total 0\n", 33) == 0);
	free(a.body);
	a = http_get("/debug/pprof/a%3Cb%3E&'%22%3F%20%252f%23%C3%A9");
	OK(strstr(a.head, "filename=\"a<b>&'_? %2f#é\"\r\n") != NULL);
	free(a.body);
	a = http_get("/debug/pprof/my.pkg");
	EQ(a.status, 404);
	free(a.body);
}

static int run(const char *command, const char *want)
{
	char line[4096];
	int found = 0;
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof line, f))
		found |= strstr(line, want) != NULL;
	return (f ? pclose(f) : 1) == 0 && found;
}

/* The same through the readers people have. */
static void read_by_tools(void)
{
	char command[600], path[200];
	snprintf(path, sizeof path, "%s/custom.pb.gz", getenv("T") ? getenv("T") : "/tmp");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	EQ(pprofd_write("my.pkg/conns", 0, fd), 0);
	close(fd);
	snprintf(command, sizeof command, "tests/pb.py %s --check && tests/pb.py %s --top", path, path);
	OK(run(command, "my.pkg/conns/count total 300"));
	if (system("command -v go >/dev/null") != 0) {
		fprintf(stderr, "no go here: its pprof was not asked\n");
		return;
	}
	char address[100];
	pprofd_address(address, sizeof address);
	snprintf(command, sizeof command, "go tool pprof -top -cum %s/debug/pprof/my.pkg/conns 2>/dev/null", address);
	OK(run(command, "custom_open"));
	OK(run(command, "Type: my.pkg/conns"));
}

struct churn {
	pthread_t thread;
	int from;
};

static void *churn(void *arg)
{
	int from = ((struct churn *)arg)->from;
	for (int round = 0; round < 200; round++) {
		for (int i = from; i < from + 50; i++)
			pprofd_profile_add(conns, &keys[i], 0);
		for (int i = from; i < from + 50; i++)
			pprofd_profile_remove(conns, &keys[i]);
	}
	custom_first(from, 7);
	return NULL;
}

static void many_threads(void)
{
	struct churn c[8];
	for (int i = 0; i < 8; i++) {
		c[i].from = 1000 + 100 * i;
		pthread_create(&c[i].thread, NULL, churn, &c[i]);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(c[i].thread, NULL);
	EQ(pprofd_profile_count(conns), 300 + 8 * 7);
}

static void *named(void *arg)
{
	return (void *)(intptr_t)(pprofd_profile_new("all/want\xc3\xa9") >= 0);
}

/* Read while eight threads change it: every answer is whole, and one of those that want a name gets it. */
static void served_meanwhile(void)
{
	struct churn c[8];
	pthread_t t[8];
	int got = 0;
	for (int i = 0; i < 8; i++) {
		c[i].from = 2000 + 100 * i;
		pthread_create(&c[i].thread, NULL, churn, &c[i]);
		pthread_create(&t[i], NULL, named, NULL);
	}
	for (int i = 0; i < 40; i++) {
		struct http_answer a = http_get(i % 2 ? "/debug/pprof/my.pkg/conns" : "/debug/pprof/my.pkg/conns?debug=1");
		EQ(a.status, 200);
		OK(i % 2 ? memcmp(a.body, "\x1f\x8b", 2) == 0 : strstr(a.body, "--- Memory map: ---\n") != NULL);
		free(a.body);
	}
	for (int i = 0; i < 8; i++) {
		void *won;
		pthread_join(c[i].thread, NULL);
		pthread_join(t[i], &won);
		got += won != NULL;
	}
	EQ(got, 1);
	struct http_answer a = http_get("/debug/pprof/all/want%C3%A9?debug=1");
	OK(strncmp(a.body, "all/want\xc3\xa9 profile: total 0\n", 27) == 0);
	free(a.body);
}

/* Up to the memory limit and no further; and all of it is free again afterwards. */
static void limit(void)
{
	int got = 0, err = 0;
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0", .memory = 4 << 20 };
	EQ(pprofd_stop(), 0);
	EQ(pprofd_start(&o), 0);
	EQ(pprofd_profile_count(conns), 0);
	for (intptr_t i = 1; i < 100000 && !err; i++, got += !err)
		err = pprofd_profile_add(conns, (void *)i, 0);
	EQ(err, -ENOMEM);
	OK(got > 5000);
	struct http_answer a = http_get("/debug/pprof/my.pkg/conns?debug=1");
	OK(strstr(a.body, "# Lost: 1 of ") != NULL);
	free(a.body);
	for (intptr_t i = 1; i <= got; i++)
		EQ(pprofd_profile_remove(conns, (void *)i), 0);
	EQ(pprofd_profile_add(conns, keys, 0), 0);
	EQ(pprofd_profile_count(conns), 1);
}

static void forked(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		test_failures = 0;
		EQ(pprofd_profile_add(conns, &keys[1], 0), -ENOTCONN);
		EQ(pprofd_profile_remove(conns, keys), -ENOTCONN);
		EQ(pprofd_profile_count(conns), 0);
		start();
		EQ(pprofd_profile_remove(conns, keys), -ENOENT);
		EQ(pprofd_profile_add(conns, keys, 0), 0);
		EQ(pprofd_profile_count(conns), 1);
		EQ(pprofd_stop(), 0);
		_exit(test_failures ? 1 : 0);
	}
	OK(waitpid(child, &status, 0) == child && status == 0);
	EQ(pprofd_profile_count(conns), 1);
}

int main(void)
{
	conns = pprofd_profile_new("my.pkg/conns");
	EQ(conns, 0);
	EQ(pprofd_profile_add(conns, keys, 0), -ENOTCONN);
	EQ(pprofd_profile_remove(conns, keys), -ENOTCONN);
	EQ(pprofd_profile_count(conns), 0);
	names();
	numbers();
	start();
	ready();
	counted();
	served();
	read_by_tools();
	many_threads();
	served_meanwhile();
	limit();
	forked();
	for (int i = 0; i < 59; i++) {
		char name[20];
		snprintf(name, sizeof name, "more%d", i);
		OK(pprofd_profile_new(name) > 0);
	}
	EQ(pprofd_profile_new("too-many"), -ENOSPC);
	EQ(pprofd_stop(), 0);
	EQ(pprofd_profile_count(conns), 0);
	DONE();
}
