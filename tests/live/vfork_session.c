/* A child that inherited the service makes a session in a vfork()ed one, which shares its memory: nothing starts there. */
#include <errno.h>
#include <sys/wait.h>

#include "http.h"
#include "test.h"

static int child(void)
{
	char address[128];
	alarm(10);
	pid_t pid = vfork();
	if (pid == 0) {
		setsid();
		usleep(300000); /* longer than a daemon in the making waits */
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	int status = -1;
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
	EQ(pprofd_address(address, sizeof address), -ENOTCONN);
	EQ(pprofd_stop(), -EALREADY);
	DONE();
}

int main(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("sanitizers leave locks of their own taken in children of threaded programs");
#endif
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(child());
	int status = -1;
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
	EQ(pprofd_stop(), 0);
	DONE();
}
