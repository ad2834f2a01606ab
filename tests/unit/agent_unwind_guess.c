/* Code without unwind tables that keeps no frame pointer: callers are found among what else is on the stack. */
#include "walk_kit.h"

#include <signal.h>

enum { MAX = 64 };

static struct pd_budget budget = { .cap = 64 << 20 };
static uint64_t pc[MAX];
static size_t n;
static enum pd_walk_end end;
static struct pd_view stack;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct pd_regs regs;
	pd_regs_from_context(context, &regs);
	n = pd_walk(&regs, true, &stack, NULL, NULL, pc, MAX, &end);
}

#define KEEP __attribute__((noinline))
#define STAY() __asm__ volatile("" ::: "memory")

KEEP static void stop_here(void)
{
	raise(SIGUSR1);
	STAY();
}

/*
 * Each calls fn(left), with `left` in its frame, as if it were left from calls before. left_* are
 * places behind calls: of code without a table, through a register and to elsewhere; and of code with one.
 */
typedef void calls_fn(void (*fn)(void), const void *left);
calls_fn plain_frame, by_pointer, by_pointer_inner;
extern const char left_register[], left_elsewhere[], left_tabled[];
#define FRAME(name, call) \
	".balign 16\n.type " name ",@function\n" name ":\n" \
	"push %rbx\npush %r12\nsub $56, %rsp\nmov %rsi, (%rsp)\nmov %rsi, 8(%rsp)\nmovq $0, 16(%rsp)\n" \
	"movq $0, 24(%rsp)\nmovq $0, 32(%rsp)\nmov %rsi, 40(%rsp)\n" call \
	"add $56, %rsp\npop %r12\npop %rbx\nret\n.balign 16\n"
__asm__(".text\n.balign 64\nnop\n.balign 64\n"
        "call *%rax\nleft_register: nop\ncall end_of_text\nleft_elsewhere: nop\n.balign 64\n"
        FRAME("plain_frame", "call *%rdi\n")
        /* called through a register by the next, which is called by name */
        FRAME("by_pointer_inner", "call *%rdi\n")
        FRAME("by_pointer", "lea by_pointer_inner(%rip), %rax\nxor %esi, %esi\ncall *%rax\n")
        ".balign 64\nnop\n.balign 64\n.type tabled,@function\ntabled:\n.cfi_startproc\n"
        "sub $8, %rsp\n.cfi_adjust_cfa_offset 8\ncall *%rdi\nleft_tabled: add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\nend_of_text: ret\n");

static bool frame_in(calls_fn *function)
{
	for (size_t i = 0; i < n; i++)
		if (pc[i] - (uint64_t)function < 96)
			return true;
	return false;
}

static bool frame_called(uint64_t ra)
{
	for (size_t i = 0; i < n; i++)
		if (pc[i] == ra - 1)
			return true;
	return false;
}

static bool frame_left(void)
{
	return frame_called((uint64_t)left_register) || frame_called((uint64_t)left_elsewhere) ||
	       frame_called((uint64_t)left_tabled);
}

static uint64_t root;

KEEP static void calls_plain(const void *left)
{
	root = (uint64_t)__builtin_return_address(0);
	plain_frame(stop_here, left);
	STAY();
}

KEEP static void calls_pointer(const void *left)
{
	root = (uint64_t)__builtin_return_address(0);
	by_pointer(stop_here, left);
	STAY();
}

static const void *const left[] = { NULL, left_register, left_elsewhere, left_tabled };

static void *frames(void *arg)
{
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		n = 0;
		calls_plain(left[i]);
		OK(frame_in(plain_frame));
		OK(frame_called(root));
		OK(!frame_left());
		EQ(end, PD_END_BOTTOM);
	}
	n = 0;
	calls_pointer(NULL);
	OK(frame_in(by_pointer_inner));
	OK(frame_in(by_pointer));
	OK(frame_called(root));
	EQ(end, PD_END_BOTTOM);
	return NULL;
}

static void on_this_stack(void)
{
	stack = stack_of(pthread_self());
	frames(NULL);
}

static void *thread(void *arg)
{
	on_this_stack();
	return arg;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	pthread_t t;
	EQ(pd_unwind_open(&budget), 0);
	pd_unwind_refresh();
	sigaction(SIGUSR1, &sa, NULL);
	on_this_stack();
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	pd_unwind_close();
	DONE();
}
