/* Low descriptor numbers belong to the host: scripts and daemons reckon with them. Knows numbers only. */
#include "agent/os/os.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(PD_FDS_FLOOR <= 64, "a bit for each number");

int pd_fds_floor(void)
{
	struct rlimit lim;
	bool few = getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur < 4 * PD_FDS_FLOOR;
	return few ? STDERR_FILENO + 1 : PD_FDS_FLOOR;
}

static ino_t inode(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

void pd_fds_fill(struct pd_fds_filled *f)
{
	int floor = pd_fds_floor(), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*f = (struct pd_fds_filled){ .ino = fd < 0 ? 0 : inode(fd) };
	while (fd >= 0 && fd < floor) {
		f->taken |= (uint64_t)1 << fd;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	if (fd >= 0)
		close(fd);
}

void pd_fds_free(const struct pd_fds_filled *f)
{
	/* Another thread may have put something else in the place of one. */
	for (int fd = 0; fd < PD_FDS_FLOOR; fd++)
		if (f->taken >> fd & 1 && inode(fd) == f->ino)
			close(fd);
}
