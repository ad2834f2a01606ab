/* Hosts that do what nobody expects: stacks that are not aligned, a first thread that runs on stacks of its own making,
 * handlers on stacks that are too small for more than malloc, and leak detectors that look for pointers in all memory. */
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "heap.h"

#ifdef __SANITIZE_ADDRESS__ /* its allocator keeps pointers itself, and minds such stacks */
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void *volatile keep;

/* malloc and free on a stack that is 8 bytes off; glibc's do not mind. */
FN(unaligned)
{
	void *(*volatile get)(size_t) = malloc;
	void (*volatile give)(void *) = free;
	for (size_t i = 0; i < 100; i++) {
		size_t n = 100 + i;
		__asm__ volatile("mov %%rsp, %%rbx\n\tsub $256, %%rsp\n\tand $-16, %%rsp\n\tsub $8, %%rsp\n\t"
		                 "mov %1, %%rdi\n\tcall *%0\n\tmov %%rax, %%rdi\n\tcall *%2\n\tmov %%rbx, %%rsp"
		                 :
		                 : "r"(get), "r"(n), "r"(give)
		                 : "rbx", "rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
	}
}

static void test_unaligned(void)
{
	if (SANITIZED)
		return;
	unaligned();
	struct sums s = sums_of((void *)unaligned);
	EQ(s.objects, 100);
	EQ(s.live_objects, 0);
}

static ucontext_t outside, coroutine;

FN(on_coroutine)
{
	for (int i = 0; i < 10; i++) {
		keep = malloc(10);
		free(keep);
	}
}

/* Nobody needs to read /proc/self/maps again and again for these. */
static void test_coroutine(void)
{
	struct pd_thread *t = pd_thread_here();
	keep = malloc(10);
	free(keep);
	pd_threads_find_stacks();
	OK(t->stack_hi);
	EQ(t->sp_seen, 0);
	size_t size = 256 << 10;
	void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = size;
	coroutine.uc_link = &outside;
	makecontext(&coroutine, on_coroutine, 0);
	swapcontext(&outside, &coroutine);
	EQ(sums_of((void *)on_coroutine).samples, 10);
	EQ(t->sp_seen, 0);
	munmap(stack, size);
}

static void on_signal(int signo)
{
	keep = malloc(77);
	free(keep);
}

static char *at_handler;

static void on_measure(int signo)
{
	at_handler = __builtin_frame_address(0);
}

/* Room for the handler's frame and for malloc, and a page below it that kills. What the kernel puts on a handler's stack
 * differs by processor, and is less than the most it may ever put there. */
static void test_small_stack(void)
{
	struct pd_counters before, after;
	size_t page = 4096, most = getauxval(AT_MINSIGSTKSZ) + 1024, all = (most + 2 * page) & -page;
	char *m = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t small = { .ss_sp = m + page, .ss_size = all - page }, none = { .ss_flags = SS_DISABLE };
	EQ(mprotect(m, page, PROT_NONE), 0);
	EQ(sigaltstack(&small, NULL), 0);
	EQ(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_measure, .sa_flags = SA_ONSTACK }, NULL), 0);
	raise(SIGUSR1);
	small.ss_size = (size_t)(m + all - at_handler) + 1024;
	EQ(sigaltstack(&small, NULL), 0);
	EQ(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal, .sa_flags = SA_ONSTACK }, NULL), 0);
	pd_sampler_heap.counters(&before);
	raise(SIGUSR1);
	pd_sampler_heap.counters(&after);
	EQ(after.dropped[PD_DROP_STACK] - before.dropped[PD_DROP_STACK], 1);
	EQ(after.recorded, before.recorded);
	EQ(sigaltstack(&none, NULL), 0);
	munmap(m, all);
}

#define LOST 1000
static uint64_t hidden[LOST]; /* inverted */

static __attribute__((noinline)) void lose(void)
{
	for (int i = 0; i < LOST; i++)
		hidden[i] = ~(uint64_t)(uintptr_t)malloc(100);
}

/* How many of the lost objects are some word of this memory the address of? Those of one malloc after the other rise. */
static size_t found_in(const uint64_t *word, const uint64_t *end)
{
	size_t found = 0;
	uint64_t lo = UINT64_MAX, hi = 0;
	for (int i = 0; i < LOST; i++) {
		lo = ~hidden[i] < lo ? ~hidden[i] : lo;
		hi = ~hidden[i] > hi ? ~hidden[i] : hi;
	}
	for (; word < end; word++)
		for (int i = 0; *word >= lo && *word <= hi && i < LOST; i++)
			found += *word == ~hidden[i];
	return found;
}

static void test_leaks(void)
{
	static char maps[1 << 18];
	size_t found = 0;
	lose();
	OK(pd_read_file("/proc/self/maps", maps, sizeof maps) > 0);
	for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n")) {
		uintptr_t from, to;
		char mode[5];
		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 && strncmp(mode, "rw", 2) == 0 &&
		    !strstr(line, "[stack]") && to - from < 64 << 20)
			found += found_in((const uint64_t *)from, (const uint64_t *)to);
	}
	EQ(found, 0);
	for (int i = 0; i < LOST; i++)
		free((void *)~hidden[i]);
}

int main(void)
{
	set_up(64 << 20);
	rate(1);
	test_unaligned();
	test_coroutine();
	if (!SANITIZED) {
		test_small_stack();
		test_leaks();
	}
	rate(0);
	pd_sampler_heap.off();
	DONE();
}
