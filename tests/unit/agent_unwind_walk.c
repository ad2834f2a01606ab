/* Walks on this very program: each way of calling is compared with the functions known to be there. */
#include <alloca.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "base/atomic.h"
#include "walk_kit.h"

enum { MAX = 128 };

static struct pd_budget budget = { .cap = 64 << 20 };
static uint64_t pc[MAX];
static size_t n;
static enum pd_walk_end end;
static uint64_t stack_lo, stack_hi; /* of the thread */

/* Walk from inside a handler that the calling function is interrupted by. */
static void walk_context(const void *context)
{
	struct pd_regs regs;
	pd_regs_from_context(context, &regs);
	uint64_t sp = regs.r[7];
	bool on_stack = sp >= stack_lo && sp < stack_hi;
	struct pd_view all = view_at(stack_lo, stack_hi), own = view_at(sp - 128, sp + 16384);
	n = pd_walk(&regs, true, on_stack ? &all : &own, on_stack ? NULL : &all, NULL, pc, MAX, &end);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	walk_context(context);
}

/* Functions that a walk has to find say where they were called from; nothing may melt them into one another. */
#define KEEP __attribute__((noinline))
#define STAY() __asm__ volatile("" ::: "memory")
#define ENTERED() (called_from[n_called++] = (uint64_t)__builtin_return_address(0))
static uint64_t called_from[64];
static unsigned n_called;

KEEP static void stop_here(void)
{
	ENTERED();
	raise(SIGUSR1);
	STAY();
}

/* Index of the first frame from i on that is the call before `ra`, or `ra` itself; MAX when there is none. */
static size_t frame_at(uint64_t ra, size_t from)
{
	for (size_t i = from; i < n; i++)
		if (pc[i] == ra - 1 || pc[i] == ra)
			return i;
	return MAX;
}

/* Of an assembler function: they are small */
static bool frame_in(void (*function)(void), size_t from)
{
	for (size_t i = from; i < n; i++)
		if (pc[i] >= (uint64_t)function && pc[i] < (uint64_t)function + 64)
			return true;
	return false;
}

/* The last walk went through every function that was entered since the last check, innermost first. */
static void check_at(int line)
{
	size_t at = 0;
	int entered = (int)n_called;
	for (; n_called > 0 && at < MAX; n_called--)
		at = frame_at(called_from[n_called - 1], at);
	if (entered == 0 || at >= MAX) {
		fprintf(stderr, "line %d: call %u of %d is missing from %zu frames, end %d\n", line, n_called + 1,
		        entered, n, (int)end);
		test_failures++;
	}
	n_called = 0;
}
#define CHECK() (check_at(__LINE__), (void)0)

KEEP static int varying(int size)
{
	ENTERED();
	volatile char *p = alloca((size_t)size);
	volatile char *q = alloca((size_t)size / 2 + 1);
	p[0] = q[size / 2] = 1;
	stop_here();
	return p[0] + q[size / 2];
}

KEEP static int realigned(int x)
{
	ENTERED();
	_Alignas(128) volatile char wide[256];
	volatile char *p = alloca((size_t)x);
	wide[x] = p[0] = 1;
	int got = varying(x);
	return wide[x] + p[0] + got;
}

static int by_value(const void *a, const void *b)
{
	if (n == 0) {
		ENTERED();
		stop_here();
	}
	return *(const int *)a - *(const int *)b;
}

KEEP static int sorting(void)
{
	ENTERED();
	int v[] = { 5, 4, 3, 2, 1 };
	n = 0;
	qsort(v, 5, sizeof(v[0]), by_value);
	return v[0];
}

KEEP static void calls(void)
{
	ENTERED();
	OK(realigned(100) > 0);
	EQ(end, PD_END_BOTTOM);
	CHECK();
	EQ(sorting(), 1);
	EQ(end, PD_END_BOTTOM);
	CHECK();
}

/* ---- signals ---- */

#ifndef __SANITIZE_THREAD__ /* it runs handlers later, from elsewhere */
static void on_outer(int sig)
{
	ENTERED();
	stop_here();
	STAY();
}

KEEP static void signalled(void)
{
	ENTERED();
	raise(SIGUSR2);
	STAY();
}

static void nested(int flags)
{
	struct sigaction sa = { .sa_handler = on_outer, .sa_flags = flags };
	sigaction(SIGUSR2, &sa, NULL);
	n = 0;
	signalled();
	EQ(end, PD_END_BOTTOM);
	CHECK();
}

static void signals(void)
{
	static char alt[1 << 16];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, off = { .ss_flags = SS_DISABLE };
	nested(0);
	sigaltstack(&ss, NULL);
	nested(SA_ONSTACK);
	sigaltstack(&off, NULL);
}
#else
static void signals(void)
{
}
#endif

/* ---- contexts ---- */

static ucontext_t here, there;

static void in_context(void)
{
	ENTERED();
	stop_here();
	swapcontext(&there, &here);
}

static void contexts(ucontext_t *link)
{
	size_t len = 1 << 17;
	char *stack = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t lo = stack_lo, hi = stack_hi;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = len;
	there.uc_link = link;
	makecontext(&there, in_context, 0);
	uint64_t there_returns = (uint64_t)there.uc_mcontext.gregs[REG_RSP];
	stack_lo = (uint64_t)stack;
	stack_hi = stack_lo + len;
	n = 0;
	swapcontext(&here, &there);
	CHECK();
	EQ(end, PD_END_BOTTOM);
	EQ(pc[n - 1], *(uint64_t *)there_returns); /* nothing called it: its first instruction */
	stack_lo = lo;
	stack_hi = hi;
	munmap(stack, len);
}

/* ---- frames whose CFA is in a register, or needs arithmetic ---- */

void by_r12(void (*f)(void));
void by_product(void (*f)(void), long words);
void no_rules(void (*f)(void));
__asm__(".text\n"
        ".type by_r12,@function\nby_r12:\n.cfi_startproc\n"
        "push %r12\n.cfi_adjust_cfa_offset 8\n.cfi_offset %r12, -16\n"
        "mov %rsp, %r12\n.cfi_def_cfa_register %r12\n"
        "sub $40, %rsp\nand $-64, %rsp\ncall *%rdi\n"
        "mov %r12, %rsp\n.cfi_def_cfa_register %rsp\n"
        "pop %r12\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r12\nret\n.cfi_endproc\n"
        /* the old rsp is stored above a buffer of rbx words: CFA = memory[rsp + 8 * rbx] + 16 */
        ".type by_product,@function\nby_product:\n.cfi_startproc\n"
        "push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbx, -16\n"
        "mov %rsi, %rbx\nmov %rsp, %rax\n.cfi_def_cfa_register %rax\n"
        "lea (,%rsi,8), %rcx\nsub %rcx, %rsp\nsub $16, %rsp\nand $-16, %rsp\nmov %rax, (%rsp,%rbx,8)\n"
        ".cfi_escape 0x0f, 0x0c, 0x77, 0x00, 0x73, 0x00, 0x38, 0x1e, 0x22, 0x06, 0x23, 0x10, 0x96, 0x96\n"
        "call *%rdi\n"
        "mov (%rsp,%rbx,8), %rsp\n.cfi_def_cfa %rsp, 16\n"
        "pop %rbx\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbx\nret\n.cfi_endproc\n"
        /* a frame pointer, and nobody says so */
        ".balign 64\nnop\n.balign 64\n"
        ".type no_rules,@function\nno_rules:\n"
        "push %rbp\nmov %rsp, %rbp\nsub $48, %rsp\ncall *%rdi\nleave\nret\n.balign 64\n");

KEEP static void through_r12(void)
{
	ENTERED();
	by_r12(stop_here);
	STAY();
}

KEEP static void registers(void)
{
	through_r12();
	EQ(end, PD_END_BOTTOM);
	OK(frame_in((void (*)(void))by_r12, 0));
	CHECK();
	by_product(through_r12, 5);
	EQ(end, PD_END_BOTTOM);
	OK(frame_in((void (*)(void))by_r12, 0) && frame_in((void (*)(void))by_product, 0));
	CHECK();
	ENTERED();
	no_rules(through_r12);
	OK(frame_in((void (*)(void))no_rules, 0));
	CHECK();
	EQ(end, PD_END_BOTTOM); /* guessed, but for the end */
}

/* ---- views ---- */

KEEP static void views(void)
{
	ENTERED();
	struct pd_regs regs;
	ucontext_t u;
	getcontext(&u);
	pd_regs_from_context(&u, &regs);
	uint64_t sp = regs.r[7];
	size_t len = stack_hi - (sp - 128);
	unsigned char *copy = malloc(len);
	copy_stack(copy, sp - 128, len);
	struct pd_view of_copy = { .lo = sp - 128, .hi = stack_hi, .at = copy };
	n = pd_walk(&regs, false, &of_copy, NULL, NULL, pc, MAX, &end);
	EQ(end, PD_END_BOTTOM);
	CHECK();
	size_t whole = n;
	of_copy.hi = sp + 64; /* ends before the chain does */
	n = pd_walk(&regs, false, &of_copy, NULL, NULL, pc, MAX, &end);
	OK(n >= 1 && n < whole);
	EQ(end, PD_END_VIEW);
	of_copy.hi = stack_hi;
	n = pd_walk(&regs, false, &of_copy, NULL, NULL, pc, 2, &end);
	EQ(n, 2);
	EQ(end, PD_END_FULL);
	n = pd_walk(&regs, false, &of_copy, NULL, NULL, pc, whole, &end);
	EQ(n, whole);
	EQ(end, PD_END_BOTTOM);
	free(copy);
}

/* ---- threads seen from outside ---- */

static int waiting;
static int wait_pipe[2];

KEEP static int waits(void)
{
	char c;
	ENTERED();
	pd_store_release(&waiting, (int)syscall(SYS_gettid));
	return read(wait_pipe[0], &c, 1) == 1;
}

static void *thread(void *arg)
{
	ENTERED();
	volatile int got = waits();
	return (void *)(intptr_t)got;
}

static bool blocked_at(int tid, uint64_t *sp, uint64_t *at)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	FILE *f = fopen(path, "r");
	bool got = f && fgets(line, sizeof(line), f) && sscanf(line, "0 %*s %*s %*s %*s %*s %*s %lx %lx", sp, at) == 2;
	if (f)
		fclose(f);
	return got;
}

static void from_outside(void)
{
	pthread_t t;
	struct pd_regs regs = { .only_sp = true };
	OK(pipe(wait_pipe) == 0);
	pthread_create(&t, NULL, thread, NULL);
	OK(WITHIN(5000, pd_load_acquire(&waiting) && blocked_at(waiting, &regs.r[7], &regs.r[16])));
	struct pd_view v = stack_of(t);
	regs.r[6] = 0xdead; /* not to be used */
	n = pd_walk(&regs, true, &v, NULL, NULL, pc, MAX, &end);
	/* Without frame pointers it gets to the end; a frame that needs an rbp nobody saved ends it. */
	if (end == PD_END_BOTTOM)
		CHECK();
	else
		EQ(end, PD_END_LOST);
	OK(n >= 2);
	OK(write(wait_pipe[1], "x", 1) == 1);
	pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	struct pd_unwind_stats stats;
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct pd_regs none = { .only_sp = false };
	struct pd_view all = stack_of(pthread_self());
	stack_lo = all.lo;
	stack_hi = all.hi;
	EQ(pd_walk(&none, true, &all, NULL, NULL, pc, MAX, &end), 1); /* nothing is known yet */
	EQ(end, PD_END_LOST);
	EQ(pd_unwind_open(&budget), 0);
	pd_unwind_refresh();
	pd_unwind_stats(&stats);
	OK(stats.tables >= 1 && stats.rows > 1000 && stats.bytes <= budget.taken);
	sigaction(SIGUSR1, &sa, NULL);
	calls();
	signals();
	contexts(NULL);
	contexts(&here);
	registers();
	views();
	from_outside();
	pd_unwind_close();
	EQ(budget.taken, 0);
	DONE();
}
