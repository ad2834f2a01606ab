/* Programs that change their user with rights kept by one thread only, or that go into a namespace for which they must
 * have one thread: they do it with the service as without it. An ordinary change of user leaves the service as it is. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pprofd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test.h"

int capset(void *head, const void *data);
int capget(void *head, void *data);

static struct pprofd_options options = { .size = sizeof options, .listen = "none" };

/* As setpriv does: the user first, the group with the rights that were kept. */
static int user_first(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2];
	if (capget(&head, all) != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresuid(65534, 65534, 65534) != 0 ||
	        capset(&head, all) != 0 || setresgid(65534, 65534, 65534) != 0 || setgroups(0, NULL) != 0)
		return errno;
	return 0;
}

/* Rights given up without changing the user: what then fails is to fail, and not to succeed on other threads. */
static int rights_given_up(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { { 0 } };
	return capset(&head, none) != 0 ? 200 : setuid(65534) == 0 ? 0 : errno;
}

static int ordinary(void)
{
	char address[100];
	if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
		return errno;
	return setuid(0) == 0 ? 201 : pprofd_address(address, sizeof address) == -ENOTCONN ? 0 : 202;
}

static int new_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

/* What fn returned in a child of its own; 256 and more: it was killed. */
static int result(int (*fn)(void), int serve)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		if (serve && pprofd_start(&options) != 0)
			_exit(203);
		_exit(fn());
	}
	EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int still_served(void)
{
	char address[100];
	int err = ordinary();
	return err == 202 && pprofd_address(address, sizeof address) == -ENOENT ? 0 : err;
}

int main(void)
{
	EQ(result(new_user_namespace, 1), result(new_user_namespace, 0));
	if (getuid() != 0)
		SKIP("only root can change its user");
	EQ(result(user_first, 0), 0);
	EQ(result(user_first, 1), 0);
	EQ(result(rights_given_up, 0), EPERM);
	EQ(result(rights_given_up, 1), EPERM);
	EQ(result(ordinary, 0), 0);
	EQ(result(still_served, 1), 0);
	DONE();
}
