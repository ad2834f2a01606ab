/* Before anybody asks for anything, samples of the first thread stop to need system calls that read its memory: a sandbox
 * that a program makes for its work must not meet them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pprofd.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "test.h"

static volatile int reads;

static void on_call(int signo, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	reads++;
	c->uc_mcontext.gregs[REG_RAX] = -EPERM;
}

/* Past the hooks: the service would end before such a filter. */
static long bare_call(long nr, long a, long b, long c)
{
	register long none __asm__("r10") = 0;
	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c), "r"(none) : "rcx", "r11", "memory");
	return nr;
}

static int trap_reads(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof f / sizeof *f, f };
	sigaction(SIGSYS, &(struct sigaction){ .sa_sigaction = on_call, .sa_flags = SA_SIGINFO }, NULL);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       bare_call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&p);
}

static int reads_of_samples(void)
{
	reads = 0;
	for (int i = 0; i < 100; i++) {
		void *volatile p = malloc(100);
		free(p);
	}
	return reads;
}

int main(void)
{
	struct pprofd_options o = { .size = sizeof o, .listen = "none", .heap_rate = 1 };
	EQ(pprofd_start(&o), 0);
	if (trap_reads() != 0)
		SKIP("no filters of system calls");
	OK(WITHIN(5000, reads_of_samples() == 0));
	EQ(pprofd_stop(), 0);
	DONE();
}
