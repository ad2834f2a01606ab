/* x86-64 Linux: registers in a ucontext_t, call instructions, safe reads. Knows no tables and no stacks. */
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "agent/unwind/machine.h"
#include "agent/unwind/unwind.h"

#define GREG(i) (offsetof(ucontext_t, uc_mcontext.gregs) + 8 * (i))

const uint16_t pd_context_offset[PD_NREGS] = {
	GREG(REG_RAX), GREG(REG_RDX), GREG(REG_RCX), GREG(REG_RBX), GREG(REG_RSI), GREG(REG_RDI),
	GREG(REG_RBP), GREG(REG_RSP), GREG(REG_R8),  GREG(REG_R9),  GREG(REG_R10), GREG(REG_R11),
	GREG(REG_R12), GREG(REG_R13), GREG(REG_R14), GREG(REG_R15), GREG(REG_RIP),
};
_Static_assert(PD_CONTEXT_LEN >= GREG(NGREG), "registers end inside PD_CONTEXT_LEN");

PD_RAW void pd_regs_from_context(const void *ucontext, struct pd_regs *out)
{
	const unsigned char *at = ucontext;
	for (unsigned i = 0; i < PD_NREGS; i++)
		out->r[i] = *(const uint64_t *)(at + pd_context_offset[i]);
	out->only_sp = false;
}

/* Raw, because libc's wrappers would write errno. */
static PD_RAW long raw_call(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return ret;
}

PD_RAW bool pd_read_self(uint64_t addr, void *to, size_t n)
{
	struct iovec local = { .iov_base = to, .iov_len = n };
	struct iovec remote = { .iov_base = (void *)addr, .iov_len = n };
	long pid = raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	return raw_call(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)n;
}

bool pd_read_self_works(void)
{
	uint64_t from = 1, to = 0;
	return pd_read_self((uint64_t)&from, &to, sizeof(to)) && to == from;
}

/* Bytes of the "ff /2" call whose mod-r/m byte is given and whose SIB byte is sib. */
static unsigned indirect_call_len(unsigned char modrm, unsigned char sib)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	if ((modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return 2;
	unsigned len = 2 + (rm == 4);
	if (mod == 0)
		return len + (rm == 5 || (rm == 4 && (sib & 7) == 5) ? 4 : 0);
	return len + (mod == 1 ? 1 : 4);
}

/* 4 bytes that count from the end of their instruction */
static PD_RAW uint64_t relative(const unsigned char *at, uint64_t end)
{
	uint32_t off = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
	return end + (uint64_t)(int64_t)(int32_t)off;
}

static PD_RAW uint64_t value_at(uint64_t slot)
{
	uint64_t value = 0;
	return pd_read_self(slot, &value, sizeof(value)) ? value : 0;
}

PD_RAW uint64_t pd_jumps_to(uint64_t at)
{
	/* [endbr64] [bnd] jmp *slot(%rip) */
	unsigned char code[11];
	unsigned i = 0;
	if (at < 4096 || !pd_read_self(at, code, sizeof(code)))
		return 0;
	if (code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && code[3] == 0xfa)
		i = 4;
	if (code[i] == 0xf2)
		i++;
	return code[i] == 0xff && code[i + 1] == 0x25 ? value_at(relative(code + i + 2, at + i + 6)) : 0;
}

PD_RAW bool pd_follows_call(uint64_t ra, uint64_t *target)
{
	enum { BACK = 7 };
	unsigned char code[BACK + 1];
	*target = 0;
	if (ra < 4096 || !pd_read_self(ra - BACK, code, BACK))
		return false;
	code[BACK] = 0;
	if (code[BACK - 5] == 0xe8) {
		*target = relative(code + BACK - 4, ra);
		return true;
	}
	for (unsigned len = 2; len <= BACK; len++) {
		const unsigned char *at = code + BACK - len;
		if (at[0] != 0xff || indirect_call_len(at[1], at[2]) != len)
			continue;
		if (at[1] == 0x15) /* *slot(%rip) */
			*target = value_at(relative(at + 2, ra));
		return true;
	}
	return false;
}

PD_RAW enum pd_landing pd_landing_at(uint64_t ra)
{
	/* mov $15,%rax; syscall */
	static const unsigned char sigreturn[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	/* endbr64, which may come first; mov %rbx,%rsp */
	static const unsigned char endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static const unsigned char context[] = { 0x48, 0x89, 0xdc };
	unsigned char code[sizeof(sigreturn)];
	uint64_t target;
	if (!pd_read_self(ra, code, sizeof(code)))
		return PD_LANDING_NONE;
	unsigned same = 0;
	while (same < sizeof(sigreturn) && code[same] == sigreturn[same])
		same++;
	if (same == sizeof(sigreturn))
		return PD_LANDING_SIGRETURN;
	const unsigned char *at = code;
	if (at[0] == endbr[0] && at[1] == endbr[1] && at[2] == endbr[2] && at[3] == endbr[3])
		at += sizeof(endbr);
	bool moves = at[0] == context[0] && at[1] == context[1] && at[2] == context[2];
	return moves && !pd_follows_call(ra, &target) ? PD_LANDING_CONTEXT : PD_LANDING_NONE;
}
