/*
 * Filters of system calls (seccomp) that the program is about to be put under. One that ends the process, or calls a
 * handler, for what samples do on its threads would make a profile end the program: the service ends before. Knows calls
 * by number only, with all arguments zero.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/life.h"
#include "agent/os/os.h"
#include "base/log.h"

/* What hooks and handlers may call on any thread of the program. */
static const short of_samples[] = {
	SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_gettid, SYS_getpid, SYS_futex, SYS_timer_create, SYS_timer_settime,
	SYS_timer_delete, SYS_prlimit64, SYS_process_vm_readv, SYS_mmap, SYS_munmap, SYS_getrusage, SYS_sigaltstack,
};
/* And the service's own threads, which a filter for all threads is for, too, and which children would have to start. */
static const short of_service[] = {
	SYS_openat, SYS_close, SYS_read, SYS_write, SYS_pread64, SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_fcntl,
	SYS_getdents64, SYS_readlink, SYS_ioctl, SYS_poll, SYS_ppoll, SYS_epoll_wait, SYS_epoll_ctl, SYS_socket, SYS_bind,
	SYS_listen, SYS_accept4, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto,
	SYS_sendmsg, SYS_recvfrom, SYS_shutdown, SYS_clone, SYS_clone3, SYS_mprotect, SYS_madvise, SYS_prctl,
	SYS_set_robust_list, SYS_rseq, SYS_clock_nanosleep, SYS_sched_getaffinity, SYS_close_range, SYS_exit,
};

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static uint32_t alu(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_DIV: return b ? a / b : 0;
	case BPF_AND: return a & b;
	case BPF_OR: return a | b;
	case BPF_XOR: return a ^ b;
	case BPF_LSH: return a << (b & 31);
	case BPF_RSH: return a >> (b & 31);
	case BPF_NEG: return -a;
	default: return 0;
	}
}

static bool jumps(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ: return a == b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	default: return a & b;
	}
}

/* What a load puts into its register; offsets are those into struct seccomp_data. */
static uint32_t loaded(const struct machine *m, const struct sock_filter *f, unsigned nr)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM: return f->k;
	case BPF_MEM: return m->mem[f->k % BPF_MEMWORDS];
	case BPF_LEN: return sizeof(struct seccomp_data);
	default:
		return f->k == offsetof(struct seccomp_data, nr) ? nr :
		       f->k == offsetof(struct seccomp_data, arch) ? AUDIT_ARCH_X86_64 : 0;
	}
}

/* What the filter decides for a call. */
static uint32_t decision(const struct sock_filter *f, unsigned n, unsigned nr)
{
	struct machine m = { 0 };
	/* Jumps lead forward only. */
	for (unsigned at = 0; at < n; at++) {
		const struct sock_filter *i = &f[at];
		uint32_t operand = BPF_SRC(i->code) == BPF_X ? m.x : i->k;
		switch (BPF_CLASS(i->code)) {
		case BPF_LD: m.a = loaded(&m, i, nr); break;
		case BPF_LDX: m.x = loaded(&m, i, nr); break;
		case BPF_ST: m.mem[i->k % BPF_MEMWORDS] = m.a; break;
		case BPF_STX: m.mem[i->k % BPF_MEMWORDS] = m.x; break;
		case BPF_ALU: m.a = alu(BPF_OP(i->code), m.a, operand); break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				at += i->k < n ? i->k : n;
			else
				at += jumps(BPF_OP(i->code), m.a, operand) ? i->jt : i->jf;
			break;
		case BPF_RET: return BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
		default:
			if (BPF_MISCOP(i->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* The first of these calls that the filter does more about than let it pass or fail; -1 = none. */
static int forbidden(const struct sock_filter *f, unsigned n, const short *nr, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t action = decision(f, n, (unsigned)nr[i]) & SECCOMP_RET_ACTION_FULL;
		if (action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG && action != SECCOMP_RET_ERRNO)
			return nr[i];
	}
	return -1;
}

/* The program's filter, when it is where it says. */
static bool readable(const void *prog, struct sock_fprog *out)
{
	char end;
	return pd_peek(out, (uint64_t)(uintptr_t)prog, sizeof *out) == sizeof *out && out->len &&
	       pd_peek(&end, (uint64_t)(uintptr_t)out->filter, 1) == 1 &&
	       pd_peek(&end, (uint64_t)(uintptr_t)(out->filter + out->len) - 1, 1) == 1;
}

void pd_filter_ahead(bool strict, bool all_threads, const void *prog)
{
	struct sock_fprog p;
	int nr = SYS_gettid;
	if (!strict) {
		if (!readable(prog, &p))
			return; /* the kernel will say so */
		nr = forbidden(p.filter, p.len, of_samples, sizeof of_samples / sizeof *of_samples);
		int later = forbidden(p.filter, p.len, of_service, sizeof of_service / sizeof *of_service);
		if (later >= 0)
			pd_fork_confined();
		if (all_threads && nr < 0)
			nr = later;
	}
	pd_rights_confined();
	if (nr >= 0 && pd_rights_serving() && pprofd_stop() == 0)
		pd_log("no longer serves: the program puts itself under a filter that does not let system call %d pass", nr);
}
