/*
 * Descriptors in a program that may close or replace any of them behind our back. Knows which numbers are ours and what
 * they stood for; must not know what is said over them.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/http/inside.h"

bool pd_fd_note(struct pd_fd *f, int fd)
{
	struct stat st;
	f->fd = -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	*f = (struct pd_fd){ fd, st.st_dev, st.st_ino };
	return true;
}

bool pd_fd_ours(const struct pd_fd *f)
{
	struct stat st;
	return f->fd >= 0 && fstat(f->fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

void pd_fd_close(struct pd_fd *f)
{
	if (pd_fd_ours(f))
		close(f->fd);
	f->fd = -1;
}

/* All epoll instances share one inode; but only ours has the wake-up pipe in it, and to set again what is set already
 * changes nothing. */
static bool epoll_ours(const struct pd_http *h)
{
	struct epoll_event none = { .events = 0 };
	return h->epoll >= 0 && pd_fd_ours(&h->wake_r) && epoll_ctl(h->epoll, EPOLL_CTL_MOD, h->wake_r.fd, &none) == 0;
}

bool pd_fds_ours(const struct pd_http *h)
{
	if ((h->listens && !pd_fd_ours(&h->listener)) || !pd_fd_ours(&h->wake_w) || !epoll_ours(h))
		return false;
	for (size_t i = 0; i < PD_SLOTS; i++) {
		if (h->conn[i].socket.fd >= 0 && !pd_fd_ours(&h->conn[i].socket))
			return false;
	}
	return true;
}

void pd_fds_close(struct pd_http *h)
{
	for (size_t i = 0; i < PD_SLOTS; i++)
		pd_fd_close(&h->conn[i].socket);
	pd_fd_close(&h->listener);
	if (epoll_ours(h))
		close(h->epoll);
	h->epoll = -1;
}
