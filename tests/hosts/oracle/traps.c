/* A program whose stacks are hard to walk: every way of leaving and entering functions that C has, and some of asm. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile unsigned long sink;
static unsigned rounds = 40;

__attribute__((noinline)) static void leaf(unsigned n)
{
	char digits[32];
	snprintf(digits, sizeof(digits), "%u", n * 2654435761u);
	sink += strlen(digits);
}

__attribute__((noinline)) static void with_alloca(unsigned n)
{
	char *p = alloca(n % 300 + 1);
	memset(p, (int)n, n % 300 + 1);
	unsigned long vla[n % 17 + 1];
	vla[n % 17] = n;
	leaf(n + (unsigned)vla[n % 17]);
	sink += (unsigned long)p[0];
}

/* Needs more alignment than the ABI gives, and a frame of unknown size. */
__attribute__((noinline)) static void realigned(unsigned n)
{
	_Alignas(64) volatile char wide[128];
	char *p = alloca(n % 200 + 1);
	wide[n % 128] = (char)n;
	p[0] = wide[n % 128];
	leaf(n + (unsigned)p[0]);
	sink += (unsigned long)wide[0];
}

__attribute__((noinline)) static unsigned recurse(unsigned n, unsigned long a, unsigned long b)
{
	if (n == 0) {
		with_alloca((unsigned)a);
		return 1;
	}
	unsigned got = recurse(n - 1, a * 3 + 1, b ^ a);
	sink += b;
	return got + 1;
}

static int by_value(const void *a, const void *b)
{
	sink++;
	return *(const int *)a - *(const int *)b;
}

static void sorts(unsigned n)
{
	int v[64];
	for (int i = 0; i < 64; i++)
		v[i] = (int)((unsigned)(i + 1) * 2654435761u * n >> 20);
	qsort(v, 64, sizeof(v[0]), by_value);
	sink += bsearch(&v[n % 64], v, 64, sizeof(v[0]), by_value) != NULL;
}

static jmp_buf away;

__attribute__((noinline)) static void jumps(unsigned depth)
{
	if (depth == 0)
		longjmp(away, 1);
	jumps(depth - 1);
	sink++;
}

static void on_usr2(int sig)
{
	with_alloca(7);
}

static void on_usr1(int sig)
{
	leaf(3);
	raise(SIGUSR2);
	recurse(3, 1, 2);
}

static ucontext_t here, there;

static void co(void)
{
	for (unsigned i = 0;; i++) {
		recurse(i % 5, i, 1);
		swapcontext(&there, &here);
	}
}

static void co_ends(void)
{
	leaf(11);
}

static void contexts(unsigned n)
{
	static char stack[2][1 << 16];
	if (!there.uc_stack.ss_sp) {
		getcontext(&there);
		there.uc_stack.ss_sp = stack[0];
		there.uc_stack.ss_size = sizeof(stack[0]);
		makecontext(&there, co, 0);
	}
	swapcontext(&here, &there);
	ucontext_t back, once;
	getcontext(&once);
	once.uc_stack.ss_sp = stack[1];
	once.uc_stack.ss_size = sizeof(stack[1]);
	once.uc_link = &back;
	makecontext(&once, co_ends, 0);
	swapcontext(&back, &once);
}

/* Frames found through r12 and rbx in functions that call, as dynamic linkers and crypto code do; a jump through a
 * register; a function with a frame of its own on another stack. */
void frame_by_r12(void (*f)(unsigned), unsigned long n);
void frame_by_rbx(void (*f)(unsigned), unsigned long n);
void frame_by_memory(void (*f)(unsigned), unsigned long n);
void on_other_stack(void (*f)(unsigned), unsigned long n, void *top);
__asm__(".text\n"
        "frame_by_r12:\n.cfi_startproc\n"
        "push %r12\n.cfi_adjust_cfa_offset 8\n.cfi_offset %r12, -16\n"
        "mov %rsp, %r12\n.cfi_def_cfa_register %r12\n"
        "sub $40, %rsp\nand $-64, %rsp\n"
        "mov %rdi, %rax\nmov %esi, %edi\ncall *%rax\n"
        "mov %r12, %rsp\n.cfi_def_cfa_register %rsp\n"
        "pop %r12\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r12\n"
        "ret\n.cfi_endproc\n"
        "frame_by_rbx:\n.cfi_startproc\n"
        "push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbx, -16\n"
        "lea 16(%rsp), %rbx\n.cfi_def_cfa %rbx, 0\n"
        "sub $56, %rsp\nand $-32, %rsp\n"
        "mov %rdi, %rax\nmov %esi, %edi\ncall *%rax\n"
        "lea -16(%rbx), %rsp\n.cfi_def_cfa %rsp, 16\n"
        "pop %rbx\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbx\n"
        "ret\n.cfi_endproc\n"
        "frame_by_memory:\n.cfi_startproc\n"
        "mov %rsp, %rax\n.cfi_def_cfa_register %rax\n"
        "sub $72, %rsp\nand $-64, %rsp\n"
        "mov %rax, 8(%rsp)\n"
        ".cfi_escape 0x0f, 0x05, 0x77, 0x08, 0x06, 0x23, 0x08\n" /* CFA = *(rsp + 8) + 8 */
        "mov %rdi, %rax\nmov %esi, %edi\ncall *%rax\n"
        "mov 8(%rsp), %rsp\n.cfi_def_cfa %rsp, 8\n"
        "ret\n.cfi_endproc\n"
        "on_other_stack:\n.cfi_startproc\n"
        "push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbp, -16\n"
        "mov %rsp, %rbp\n.cfi_def_cfa_register %rbp\n"
        "mov %rdx, %rsp\n"
        "mov %rdi, %rax\nmov %esi, %edi\ncall *%rax\n"
        "mov %rbp, %rsp\n.cfi_def_cfa_register %rsp\n"
        "pop %rbp\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbp\n"
        "ret\n.cfi_endproc\n");

static void by_hand(unsigned n)
{
	static char stack[1 << 15] __attribute__((aligned(16)));
	frame_by_r12(leaf, n);
	frame_by_rbx(with_alloca, n);
	frame_by_memory(realigned, n);
	on_other_stack(with_alloca, n, stack + sizeof(stack));
}

static void clocks(unsigned n)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	sink += (unsigned long)ts.tv_nsec + (unsigned long)time(NULL);
}

static void spawns(void)
{
	char *argv[] = { "true", NULL }, *env[] = { NULL };
	pid_t pid;
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env) == 0)
		waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	static char alt[1 << 16];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	sigaltstack(&ss, NULL);
	struct sigaction usr1 = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK }, usr2 = { .sa_handler = on_usr2 };
	sigaction(SIGUSR1, &usr1, NULL);
	sigaction(SIGUSR2, &usr2, NULL);
	if (argc > 1)
		rounds = (unsigned)atoi(argv[1]);
	for (unsigned i = 0; i < rounds; i++) {
		recurse(i % 20, i, i);
		realigned(i);
		sorts(i + 1);
		if (setjmp(away) == 0)
			jumps(i % 7);
		raise(SIGUSR1);
		contexts(i);
		by_hand(i);
		clocks(i);
	}
	spawns();
	return sink == 0;
}
