/* A busy service, as its users see it: every thread waits for a peer that takes its time. "spin": one asks all the time
 * whether its answer has come. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int backend[2], upstream[2], spin;

__attribute__((noinline)) static void *read_backend(void *arg)
{
	char c;
	while (read(backend[0], &c, 1) != 0)
		;
	return arg;
}

__attribute__((noinline)) static void *ask_upstream(void *arg)
{
	char c;
	while (recv(upstream[0], &c, 1, spin ? MSG_DONTWAIT : 0) > 0 || errno == EAGAIN)
		;
	return arg;
}

__attribute__((noinline)) static void serve_clients(int fd)
{
	struct epoll_event event;
	while (epoll_wait(fd, &event, 1, -1) != 0)
		;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int fd = epoll_create1(0);
	spin = argc > 1 && strcmp(argv[1], "spin") == 0;
	if (fd < 0 || pipe(backend) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, upstream) != 0)
		return 1;
	pthread_create(&t, NULL, read_backend, NULL);
	pthread_create(&t, NULL, ask_upstream, NULL);
	serve_clients(fd);
}
