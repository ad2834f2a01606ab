/* A filter that forbids timers: the CPU profile says so, and everything else works. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "http.h"
#include "test.h"

static int forbid_timers(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_timer_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof code / sizeof *code, .filter = code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "127.0.0.1:0" };
	EQ(pprofd_start(&o), 0);
	if (forbid_timers() != 0)
		SKIP("no seccomp here");
	for (int i = 0; i < 2; i++) {
		struct http_answer a = http_get("/debug/pprof/profile?seconds=1");
		EQ(a.status, 500);
		STREQ(a.body, "Could not enable CPU profiling: Operation not permitted\n");
		free(a.body);
		a = http_get("/debug/pprof/goroutine?debug=2");
		EQ(a.status, 200);
		OK(a.body && strstr(a.body, "\ngoroutine ") != NULL);
		free(a.body);
	}
	struct sigaction now;
	EQ(sigaction(SIGPROF, NULL, &now), 0);
	OK(now.sa_handler == SIG_DFL);
	EQ(pprofd_stop(), 0);
	DONE();
}
