/* What the kernel tells of one thread: /proc/self/task/<tid>/{stat,syscall,wchan} and its CPU clock. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/sampler/dump.h"

/* Write "<tid>/<file>" into path, which has room for both. */
static void path_of(char *path, int tid, const char *file)
{
	char digits[12];
	size_t n = 0;
	do {
		digits[n++] = (char)('0' + tid % 10);
		tid /= 10;
	} while (tid);
	while (n)
		*path++ = digits[--n];
	*path++ = '/';
	memcpy(path, file, strlen(file) + 1);
}

/* One read of a file of a thread; length or -errno. */
static ssize_t read_task_file(int task_dir, int tid, const char *file, char *buf, size_t n)
{
	char path[32];
	buf[0] = 0;
	path_of(path, tid, file);
	int fd = openat(task_dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, buf, n - 1);
	if (got < 0)
		got = -errno;
	else
		buf[got] = 0;
	close(fd);
	return got;
}

int pd_proc_stat(int task_dir, struct pd_thread_rec *rec)
{
	char buf[512];
	ssize_t got = read_task_file(task_dir, rec->tid, "stat", buf, sizeof buf);
	if (got <= 0)
		return got < 0 ? (int)got : -ESRCH;
	/* The name may hold any character, parentheses included. */
	char *name = strchr(buf, '('), *end = strrchr(buf, ')');
	if (!name || !end || end[1] != ' ')
		return -EIO;
	size_t len = (size_t)(end - ++name);
	if (len >= sizeof rec->name)
		len = sizeof rec->name - 1;
	memcpy(rec->name, name, len);
	rec->name[len] = 0;
	rec->kernel_state = end[2];
	rec->wchan[0] = 0;
	if (rec->kernel_state == 'D')
		read_task_file(task_dir, rec->tid, "wchan", rec->wchan, sizeof rec->wchan);
	return 0;
}

/* A number of either base, and past the blank behind it. */
static uint64_t number(const char **p)
{
	uint64_t v = 0, base = 10;
	if ((*p)[0] == '0' && (*p)[1] == 'x') {
		base = 16;
		*p += 2;
	}
	for (; **p > ' '; ++*p)
		v = v * base + (uint64_t)(**p <= '9' ? **p - '0' : **p - 'a' + 10);
	if (**p)
		++*p;
	return v;
}

int pd_proc_where(int task_dir, int tid, struct pd_where *out)
{
	char buf[256];
	*out = (struct pd_where){ .nr = -1 };
	ssize_t got = read_task_file(task_dir, tid, "syscall", buf, sizeof buf);
	if (got <= 0)
		return got < 0 ? (int)got : -ESRCH;
	const char *p = buf;
	if (*p == 'r') {
		out->running = true;
		return 0;
	}
	if (*p == '-') {
		p++;
		number(&p);
	} else {
		out->nr = (int)number(&p);
		for (int i = 0; i < 6; i++)
			out->args[i] = number(&p);
	}
	out->sp = number(&p);
	out->pc = number(&p);
	return 0;
}
