/*
 * The public functions that give profiles without a client: into descriptors, and over connections the program has
 * accepted. Knows descriptors and the signals that writing to them raises; must not know how a profile is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/life.h"

#define API __attribute__((visibility("default")))

/* The CPU profile under way. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool on;
	void *window;
	int fd;
	dev_t dev;
	ino_t ino;
} cpu;

void pd_write_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	cpu.on = false;
}

/* 0, or -EBADF when nothing can be written there. */
static int check_writable(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	bool writable = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH);
	return writable ? 0 : -EBADF;
}

/* A write may raise SIGPIPE or SIGXFSZ (a file grown past RLIMIT_FSIZE), which end most programs: held back on this
 * thread, and taken away when it was ours. */
struct held {
	sigset_t ours, before;
};

static void hold_signals(struct held *h)
{
	sigset_t pending;
	sigemptyset(&h->ours);
	sigaddset(&h->ours, SIGPIPE);
	sigaddset(&h->ours, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &h->ours, &h->before);
	/* One that was there already is the program's. */
	sigpending(&pending);
	if (sigismember(&pending, SIGPIPE))
		sigdelset(&h->ours, SIGPIPE);
	if (sigismember(&pending, SIGXFSZ))
		sigdelset(&h->ours, SIGXFSZ);
}

static void let_signals(const struct held *h)
{
	static const struct timespec at_once;
	while (sigtimedwait(&h->ours, NULL, &at_once) > 0 || errno == EINTR)
		continue;
	pthread_sigmask(SIG_SETMASK, &h->before, NULL);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };
			if (poll(&p, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Give the body back, written when nothing went wrong so far. */
static int deliver(const struct pd_service *service, int fd, struct pd_body *body)
{
	struct held held;
	int state;
	/* Cancelled in the middle, the thread would keep the body and the blocked signals. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	hold_signals(&held);
	int err = write_all(fd, body->data, body->len);
	let_signals(&held);
	service->release(body);
	pthread_setcancelstate(state, NULL);
	return err;
}

API int pprofd_write(const char *name, int debug, int fd)
{
	int saved = errno;
	const struct pd_service *service = pd_service();
	struct pd_body body;
	if (!name || !*name)
		return -EINVAL;
	int err = check_writable(fd);
	if (!err)
		err = pd_started() ? service->get(name, debug, &body) : -ENOTCONN;
	if (!err)
		err = deliver(service, fd, &body);
	errno = saved;
	return err;
}

API int pprofd_cpu_start(int fd)
{
	int saved = errno, err = check_writable(fd);
	const struct pd_service *service = pd_service();
	struct stat st;
	pthread_mutex_lock(&lock);
	if (!err && fstat(fd, &st) != 0)
		err = -errno;
	if (!err && !pd_started())
		err = -ENOTCONN;
	if (!err && cpu.on)
		err = -EALREADY;
	if (!err)
		err = service->cpu_begin(&cpu.window);
	if (!err) {
		cpu.on = true;
		cpu.fd = fd;
		cpu.dev = st.st_dev;
		cpu.ino = st.st_ino;
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return err;
}

/* Is the number still what it was? The program may have closed it, and have another file there by now. */
static int check_same(void)
{
	struct stat st;
	if (fstat(cpu.fd, &st) != 0 || st.st_dev != cpu.dev || st.st_ino != cpu.ino)
		return -EBADF;
	return 0;
}

API int pprofd_cpu_stop(void)
{
	int saved = errno;
	const struct pd_service *service = pd_service();
	struct pd_body body;
	pthread_mutex_lock(&lock);
	int err = cpu.on ? 0 : -EALREADY;
	if (!err) {
		cpu.on = false;
		err = service->cpu_end(cpu.window, &body);
		if (!err && (err = check_same()))
			service->release(&body);
	}
	int fd = cpu.fd;
	pthread_mutex_unlock(&lock);
	if (!err)
		err = deliver(service, fd, &body);
	errno = saved;
	return err;
}

API int pprofd_serve(int fd)
{
	int saved = errno;
	int err = pd_started() ? pd_service()->serve(fd) : -ENOTCONN;
	errno = saved;
	return err;
}
