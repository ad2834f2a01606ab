/*
 * What a process can do only without threads beside its own: change its user with other capabilities than ours have, for
 * glibc makes every thread change and ends the process when they get different answers; and leave its name spaces, which
 * the kernel refuses to a process with threads. The service ends before such a call and starts anew after it. Must not know
 * what the service is made of.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/hook/hook.h"
#include "agent/life.h"
#include "agent/os/os.h"
#include "base/atomic.h"
#include "base/log.h"

static pid_t served; /* the process; in a child of vfork() it is another, with our memory */
static bool confined;

struct census {
	unsigned host;    /* threads that are not ours */
	unsigned differ;  /* of ours, those with other capabilities than `mine` */
	uint64_t mine;    /* the caller's */
};

/* Effective capabilities of a thread, 0 = this one. False: there is no such thread any more. */
static bool capabilities(int tid, uint64_t *out)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, tid };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	if (syscall(SYS_capget, &head, data) != 0)
		return false;
	*out = (uint64_t)data[1].effective << 32 | data[0].effective;
	return true;
}

static void count(int tid, void *arg)
{
	struct census *c = arg;
	const struct pd_thread *t = pd_thread_find(tid);
	uint64_t theirs;
	if (!t || !t->own)
		c->host++;
	else if (capabilities(tid, &theirs) && theirs != c->mine)
		c->differ++;
}

bool pd_rights_serving(void)
{
	return pd_started() && getpid() == served;
}

void pd_rights_confined(void)
{
	pd_store_relaxed(&confined, true);
}

static bool serving(void)
{
	return pd_rights_serving() && !pd_load_relaxed(&confined);
}

/* Before a change of the user. True: the service was stopped. */
static bool before_change(void)
{
	int saved = errno;
	struct census c = { 0 };
	bool pause = serving() && capabilities(0, &c.mine) && pd_each_task(count, &c) == 0 && c.differ && pd_start_pause();
	if (pause)
		pd_log("the program changes its user with capabilities that threads do not share: the service starts anew");
	errno = saved;
	return pause;
}

/* Has the program no other thread than this? One of ours that has just begun is known as such in a moment. */
static bool alone(void)
{
	struct census c = { 0 };
	int err = pd_each_task(count, &c);
	for (int i = 0; !err && c.host > 1 && i < 100; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		c = (struct census){ 0 };
		err = pd_each_task(count, &c);
	}
	return !err && c.host == 1;
}

/* After the kernel has refused to let a process with threads leave a name space. Where the program has others than
 * ours, that is as it would be without us. */
static bool before_leaving(void)
{
	int saved = errno;
	bool pause = saved == EINVAL && serving() && alone() && pd_start_pause();
	if (pause)
		pd_log("the program leaves a name space, which threads do not allow: the service starts anew");
	errno = saved;
	return pause;
}

static void after(bool paused)
{
	int saved = errno;
	if (paused)
		pd_start_resume();
	errno = saved;
}

#define CHANGE(fn, parameters, arguments) \
	static int (*real_##fn) parameters; \
	static int hook_##fn parameters \
	{ \
		bool paused = before_change(); \
		int got = real_##fn arguments; \
		after(paused); \
		return got; \
	}
CHANGE(setuid, (uid_t u), (u))
CHANGE(seteuid, (uid_t e), (e))
CHANGE(setreuid, (uid_t r, uid_t e), (r, e))
CHANGE(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
CHANGE(setgid, (gid_t g), (g))
CHANGE(setegid, (gid_t e), (e))
CHANGE(setregid, (gid_t r, gid_t e), (r, e))
CHANGE(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
CHANGE(setgroups, (size_t n, const gid_t *list), (n, list))
CHANGE(initgroups, (const char *user, gid_t g), (user, g))

#define LEAVE(fn, parameters, arguments) \
	static int (*real_##fn) parameters; \
	static int hook_##fn parameters \
	{ \
		int got = real_##fn arguments; \
		if (got == 0 || !before_leaving()) \
			return got; \
		got = real_##fn arguments; \
		after(true); \
		return got; \
	}
LEAVE(unshare, (int flags), (flags))
LEAVE(setns, (int fd, int type), (fd, type))

#define HOOK(fn) { .name = #fn, .replacement = (void *)hook_##fn, .real = (void **)(void *)&real_##fn }
static struct pd_hook hooks[] = {
	HOOK(setuid), HOOK(seteuid), HOOK(setreuid), HOOK(setresuid), HOOK(setgid), HOOK(setegid), HOOK(setregid),
	HOOK(setresgid), HOOK(setgroups), HOOK(initgroups), HOOK(unshare), HOOK(setns),
};

int pd_rights_on(void)
{
	served = getpid();
	return pd_hooks_on(hooks, sizeof hooks / sizeof *hooks);
}

void pd_rights_off(void)
{
	pd_hooks_off(hooks);
}
