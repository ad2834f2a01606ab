/*
 * Hooks for calls that wait for the world outside: files, sockets, time. All are cancellation points: nothing is kept
 * while they wait. The _chk ones are the same calls as compiled with fortification. Knows nothing of samples.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/wait.h"

#define IO_HOOK(type, fn, params, ...)                                                                                \
	static type(*real_##fn) params;                                                                               \
	static type hook_##fn params                                                                                  \
	{                                                                                                             \
		PD_WAIT(&pd_io, true, type, real_##fn, __VA_ARGS__);                                                  \
	}

typedef struct pollfd *fds;
typedef struct epoll_event *events;
typedef const struct timespec *span;
typedef struct sockaddr *address;

IO_HOOK(int, poll, (fds f, nfds_t n, int ms), f, n, ms)
IO_HOOK(int, __poll_chk, (fds f, nfds_t n, int ms, size_t room), f, n, ms, room)
IO_HOOK(int, ppoll, (fds f, nfds_t n, span t, const sigset_t *s), f, n, t, s)
IO_HOOK(int, __ppoll_chk, (fds f, nfds_t n, span t, const sigset_t *s, size_t room), f, n, t, s, room)
IO_HOOK(int, select, (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t), n, r, w, e, t)
IO_HOOK(int, pselect, (int n, fd_set *r, fd_set *w, fd_set *e, span t, const sigset_t *s), n, r, w, e, t, s)
IO_HOOK(int, epoll_wait, (int fd, events e, int max, int ms), fd, e, max, ms)
IO_HOOK(int, epoll_pwait, (int fd, events e, int max, int ms, const sigset_t *s), fd, e, max, ms, s)
IO_HOOK(int, epoll_pwait2, (int fd, events e, int max, span t, const sigset_t *s), fd, e, max, t, s)
IO_HOOK(ssize_t, read, (int fd, void *to, size_t n), fd, to, n)
IO_HOOK(ssize_t, __read_chk, (int fd, void *to, size_t n, size_t room), fd, to, n, room)
IO_HOOK(ssize_t, readv, (int fd, const struct iovec *v, int n), fd, v, n)
IO_HOOK(ssize_t, recv, (int fd, void *to, size_t n, int flags), fd, to, n, flags)
IO_HOOK(ssize_t, __recv_chk, (int fd, void *to, size_t n, size_t room, int flags), fd, to, n, room, flags)
IO_HOOK(ssize_t, recvfrom, (int fd, void *to, size_t n, int flags, address a, socklen_t *len), fd, to, n, flags, a, len)
IO_HOOK(ssize_t, __recvfrom_chk, (int fd, void *to, size_t n, size_t room, int flags, address a, socklen_t *len), fd,
        to, n, room, flags, a, len)
IO_HOOK(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), fd, m, flags)
IO_HOOK(int, accept, (int fd, address a, socklen_t *len), fd, a, len)
IO_HOOK(int, accept4, (int fd, address a, socklen_t *len, int flags), fd, a, len, flags)
IO_HOOK(int, connect, (int fd, const struct sockaddr *a, socklen_t len), fd, a, len)
IO_HOOK(int, nanosleep, (span t, struct timespec *left), t, left)
IO_HOOK(int, clock_nanosleep, (clockid_t clock, int flags, span t, struct timespec *left), clock, flags, t, left)
IO_HOOK(int, usleep, (useconds_t us), us)
IO_HOOK(unsigned, sleep, (unsigned s), s)

static struct pd_hook hooks[] = {
	PD_HOOK(poll), PD_HOOK(__poll_chk), PD_HOOK(ppoll), PD_HOOK(__ppoll_chk), PD_HOOK(select), PD_HOOK(pselect),
	PD_HOOK(epoll_wait), PD_HOOK(epoll_pwait), PD_HOOK(epoll_pwait2), PD_HOOK(read), PD_HOOK(__read_chk),
	PD_HOOK(readv), PD_HOOK(recv), PD_HOOK(__recv_chk), PD_HOOK(recvfrom), PD_HOOK(__recvfrom_chk),
	PD_HOOK(recvmsg), PD_HOOK(accept), PD_HOOK(accept4), PD_HOOK(connect), PD_HOOK(nanosleep),
	PD_HOOK(clock_nanosleep), PD_HOOK(usleep), PD_HOOK(sleep),
};
const struct pd_hook_list pd_io_hooks = PD_HOOK_LIST(hooks);
