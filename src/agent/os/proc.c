/* /proc and memory of this very process by bare system calls: no stdio, no malloc. */
#include "agent/os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t pd_read_file(const char *path, char *buf, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = 0;
	ssize_t got = 0;
	while (len < n - 1 && (got = read(fd, buf + len, n - 1 - len)) > 0)
		len += (size_t)got;
	int err = got < 0 ? -errno : 0;
	close(fd);
	buf[len] = 0;
	return err && len == 0 ? err : (ssize_t)len;
}

ssize_t pd_read_task_file(int tid, const char *name, char *buf, size_t n)
{
	char path[64] = "/proc/self/task/", digits[12], *p = path + strlen(path);
	int len = 0;
	for (int v = tid; v; v /= 10)
		digits[len++] = (char)('0' + v % 10);
	while (len)
		*p++ = digits[--len];
	strcpy(p, name);
	return pd_read_file(path, buf, n);
}

struct entry { /* linux_dirent64 */
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static int number(const char *s)
{
	int v = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (*s - '0');
	return *s ? 0 : v;
}

int pd_each_task(void (*fn)(int tid, void *arg), void *arg)
{
	_Alignas(struct entry) char buf[8192];
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	long n;
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(buf + at);
			int tid = number(e->name);
			if (tid > 0)
				fn(tid, arg);
			at += e->reclen;
		}
	}
	int err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

ssize_t pd_peek(void *to, uint64_t from, size_t n)
{
	int saved = errno;
	struct iovec local = { to, n };
	struct iovec remote = { (void *)from, n }; /* NOLINT: an address that may be bad */
	int pid = (int)syscall(SYS_getpid);
	ssize_t got = syscall(SYS_process_vm_readv, pid, &local, 1ul, &remote, 1ul, 0ul);
	if (got < 0)
		got = -errno;
	errno = saved;
	return got;
}
