/* A program that reckons with low descriptor numbers and closes some of them twice, as shells do with their pipes: while
 * profiles are taken, the library's threads neither show up there nor close what the program opens. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pprofd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "test.h"

static atomic_int done;
static struct pprofd_options options = { .size = sizeof options, .listen = "none", .block_rate = 1 };

static void *profiles(void *arg)
{
	static const char *const name[] = { "goroutine", "heap", "threadcreate", "block" };
	for (unsigned i = 0; !done; i++)
		EQ(pprofd_write(name[i % 4], i % 3 == 0 && i % 4 == 0 ? 2 : 0, *(int *)arg), 0);
	return NULL;
}

/* The descriptors below 60, as bits; none of ours needs one to see them. */
static uint64_t low(int dir)
{
	char buf[4096];
	uint64_t seen = 0;
	lseek(dir, 0, SEEK_SET);
	for (long n; (n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0;)
		for (long at = 0; at < n; at += *(unsigned short *)(void *)(buf + at + 16)) {
			int fd = atoi(buf + at + 19);
			if (buf[at + 19] != '.' && fd < 60)
				seen |= 1ull << fd;
		}
	return seen;
}

/* As bash does for each part of a pipeline: the ends go to the children and are closed, twice. */
static int pipeline(void)
{
	int a[2], b[2];
	if (pipe(a) != 0)
		return 1;
	close(a[1]);
	close(a[1]);
	if (pipe(b) != 0)
		return 1;
	int lost = fcntl(a[0], F_GETFD) < 0;
	close(b[1]);
	close(b[1]);
	lost += fcntl(b[0], F_GETFD) < 0;
	close(a[0]);
	close(b[0]);
	return lost;
}

int main(void)
{
	pthread_t t;
	int null = fcntl(open("/dev/null", O_WRONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 200);
	int dir = fcntl(open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), F_DUPFD_CLOEXEC, 201);
	for (int i = 3; i < 10; i++)
		close(i);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("threads of the library keep the program's stderr for the sanitizer's reports");
#endif
	if (syscall(SYS_close_range, ~0u - 1, ~0u, 0) != 0)
		SKIP("this kernel has no close_range()");
	EQ(pprofd_start(&options), 0);
	uint64_t before = low(dir);
	EQ(pthread_create(&t, NULL, profiles, &null), 0);
	int lost = 0, seen = 0;
	long rounds = 0;
	for (long long end = test_now_ns() + 2000000000; test_now_ns() < end; rounds++) {
		lost += pipeline();
		seen += low(dir) != before;
	}
	done = 1;
	pthread_join(t, NULL);
	printf("%ld rounds\n", rounds);
	EQ(lost, 0);
	EQ(seen, 0);
	EQ(pprofd_stop(), 0);
	DONE();
}
