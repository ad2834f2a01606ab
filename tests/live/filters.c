/* Programs that put themselves under a filter of system calls while a profile is taken: they go on as without it. A
 * filter that lets pass what samples need leaves the service as it is. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pprofd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

static struct pprofd_options options = { .size = sizeof options, .listen = "none", .cpu_hz = 4000, .block_rate = 1 };
static bool serve, is_strict;

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define CASE(nr, action) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##action)

/* What a program with threads needs, and no more. */
static struct sock_filter tight[] = {
	LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), LOAD(nr),
	CASE(futex, ALLOW), CASE(mmap, ALLOW), CASE(munmap, ALLOW), CASE(mprotect, ALLOW), CASE(madvise, ALLOW),
	CASE(brk, ALLOW), CASE(clone3, ERRNO | ENOSYS), CASE(clone, ALLOW), CASE(set_robust_list, ALLOW), CASE(rseq, ALLOW),
	CASE(rt_sigprocmask, ALLOW), CASE(rt_sigaction, ALLOW), CASE(sched_getaffinity, ALLOW), CASE(exit, ALLOW),
	CASE(exit_group, ALLOW), CASE(write, ALLOW), CASE(getrandom, ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static struct sock_filter lenient[] = {
	LOAD(nr), CASE(ptrace, KILL_PROCESS), CASE(reboot, TRAP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
#define PROGRAM(f) { sizeof (f) / sizeof *(f), f }
static struct sock_fprog tight_program = PROGRAM(tight), lenient_program = PROGRAM(lenient);

static void *burn(void *arg)
{
	for (volatile long i = 0; i < 3000000; i++)
		;
	free(malloc(700000));
	return NULL;
}

static int by_prctl(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &tight_program, 0, 0);
}

static int by_call(void)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &tight_program);
}

static int for_all(void)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &tight_program);
}

static int bad(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 16, 0, 0) == -1 && errno == EFAULT ? by_prctl() : -1;
}

static int strict(void)
{
	is_strict = true;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
}

static int lenient_for_all(void)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &lenient_program);
}

/* The strict filter knows no end but exit(2) itself, which is the process's only when it has no other thread. */
static void end(int status)
{
	syscall(is_strict ? SYS_exit : SYS_exit_group, status);
}

/* Status of a child that puts itself under the filter and works on; 256 and more: it was killed. */
static int result(int (*filter)(void), bool threads, bool stays)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		alarm(10);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		if (serve && (pprofd_start(&options) != 0 || pprofd_cpu_start(fd) != 0))
			_exit(203);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || filter() != 0)
			_exit(204);
		for (int i = 0; i < 40; i++) {
			pthread_t t[2];
			for (int k = 0; k < 2 && threads; k++)
				if (pthread_create(&t[k], NULL, burn, NULL) != 0)
					end(205);
			for (int k = 0; k < 2 && threads; k++)
				pthread_join(t[k], NULL);
			for (volatile long n = 0; n < 300000; n++)
				;
		}
		if (stays && pprofd_cpu_stop() != (serve ? 0 : -EALREADY))
			end(206);
		end(7);
	}
	EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int main(void)
{
	for (int i = 0; i < 2; i++) {
		serve = i;
		int without = result(by_prctl, true, false);
		if (without == 204)
			SKIP("no filters of system calls here");
		EQ(without, 7);
		EQ(result(by_call, true, false), 7);
		EQ(result(for_all, true, false), 7);
		EQ(result(bad, true, false), 7);
		EQ(result(strict, false, false), 7);
		EQ(result(lenient_for_all, true, true), 7);
	}
	DONE();
}
