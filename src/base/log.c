/* One line at a time into the file the user named. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char log_path[PATH_MAX]; /* "" = nowhere; set before threads are started */

static int open_log(void)
{
	if (strcmp(log_path, "stderr") == 0)
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
}

int pd_log_open(const char *where)
{
	log_path[0] = 0;
	if (!where || !*where)
		return 0;
	if (strlen(where) >= sizeof log_path)
		return -ENAMETOOLONG;
	strcpy(log_path, where);
	int fd = open_log();
	if (fd < 0) {
		log_path[0] = 0;
		return -errno;
	}
	close(fd);
	return 0;
}

/* UTC and pid. Not gmtime_r: it takes libc's time zone lock, which a child forked meanwhile would find taken. */
static size_t stamp(char *to, size_t room)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	long day = now.tv_sec / 86400, sec = now.tv_sec % 86400;
	/* Days since 1970 to a date of the Gregorian calendar, in years that begin with March. */
	long z = day + 719468, era = z / 146097, doe = z % 146097;
	long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	long d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9, y = yoe + era * 400 + (m <= 2);
	int n = snprintf(to, room, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ldZ pprofd[%d]: ", y, m, d, sec / 3600, sec / 60 % 60,
	                 sec % 60, (int)getpid());
	return n > 0 ? (size_t)n : 0;
}

/* The program's, for threads with descriptors of their own. */
static int program_stderr(void)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, STDERR_FILENO, 0);
	if (process >= 0)
		close(process);
	return fd;
}

static bool write_to(int fd, const char *line, size_t n)
{
	bool done = fd >= 0 && write(fd, line, n) >= 0;
	if (fd >= 0)
		close(fd);
	return done;
}

void pd_log(const char *fmt, ...)
{
	if (!log_path[0])
		return;
	int saved = errno;
	char line[1024];
	size_t n = stamp(line, sizeof line);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += (size_t)m < sizeof line - n - 1 ? (size_t)m : sizeof line - n - 2;
	line[n++] = '\n';
	if (!write_to(open_log(), line, n) && strcmp(log_path, "stderr") == 0)
		write_to(program_stderr(), line, n);
	errno = saved;
}
