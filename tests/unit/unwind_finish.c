/* Walks that were given up are finished from registers and a stack copy, by libunwind; and bad ones do no harm. */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "server/unwind/unwind.h"
#include "../test.h"

/* A function in a section of its own, so that its bounds are known. */
#define PLACED(name)                                               \
	extern const char __start_at_##name[], __stop_at_##name[]; \
	__attribute__((noinline, section("at_" #name)))

#define STACK 32768

static struct pd_module modules[64];
static const struct pd_module *list[64];
static size_t nmodules;
static uint64_t regs[PD_NREGS];
static uint8_t stack[STACK];
static uint64_t stack_at;
static size_t stack_len;
static uint32_t seed = 1;

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X) || nmodules == 64)
			continue;
		struct pd_module *m = &modules[nmodules];
		m->start = (info->dlpi_addr + ph->p_vaddr) & ~4095ull;
		m->end = (info->dlpi_addr + ph->p_vaddr + ph->p_memsz + 4095) & ~4095ull;
		m->offset = ph->p_offset & ~4095ull;
		m->bias = info->dlpi_addr;
		m->until = UINT32_MAX;
		m->loaded = true;
		m->path = info->dlpi_name;
		list[nmodules++] = m;
	}
	return 0;
}

/* Registers and stack as they are here, in the order of the record. */
PLACED(leaf) static void leaf(void)
{
	static const int GREG[PD_NREGS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		                            REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };
	ucontext_t uc;
	getcontext(&uc);
	for (int i = 0; i < PD_NREGS; i++)
		regs[i] = (uint64_t)uc.uc_mcontext.gregs[GREG[i]];
	stack_at = regs[7];
	struct iovec to = { stack, STACK }, from = { (void *)stack_at, STACK }; /* NOLINT */
	stack_len = (size_t)process_vm_readv(getpid(), &to, 1, &from, 1, 0);
}

PLACED(handler) static void handler(int signo)
{
	leaf();
	seed++;
}

PLACED(middle) static void middle(bool by_signal)
{
	volatile char room[300];
	room[3] = 1;
	if (by_signal)
		raise(SIGUSR1);
	else
		leaf();
	room[3]++;
}

PLACED(outer) static void *outer(void *arg)
{
	middle(arg != NULL);
	seed++;
	return NULL;
}

/* The first frame from `at` on that lies in [from, to); r->n = none. */
static uint32_t find(const struct pd_thread_rec *r, uint32_t at, const char *from, const char *to)
{
	while (at < r->n && (r->pc[at] < (uint64_t)(uintptr_t)from || r->pc[at] >= (uint64_t)(uintptr_t)to))
		at++;
	return at;
}

static struct pd_thread_rec record(void)
{
	return (struct pd_thread_rec){ .tid = 1, .flags = PD_TRUNCATED, .n = 1, .pc = &regs[16], .regs = regs,
		                       .stack = stack, .stack_lo = stack_at, .stack_len = stack_len };
}

static void *finish(struct pd_thread_rec *r, size_t n)
{
	struct pd_dump d = { .n = n, .thread = r };
	return pd_unwind_finish(&d, list, nmodules);
}

static void capture(bool by_signal)
{
	pthread_t id;
	pthread_create(&id, NULL, outer, by_signal ? &id : NULL);
	pthread_join(id, NULL);
}

static void test_whole(void)
{
	capture(false);
	struct pd_thread_rec r[2] = { record(), record() };
	r[1].flags = 0; /* nothing to do */
	void *memory = finish(r, 2);
	OK(memory);
	EQ(r[0].flags, 0);
	EQ(r[0].pc[0], regs[16]);
	EQ(find(&r[0], 0, __start_at_leaf, __stop_at_leaf), 0);
	EQ(find(&r[0], 0, __start_at_middle, __stop_at_middle), 1);
	EQ(find(&r[0], 0, __start_at_outer, __stop_at_outer), 2);
	OK(r[0].n >= 5 && r[0].n < 10);
	EQ(r[1].n, 1);
	free(memory);
}

static void test_signal_frame(void)
{
	capture(true);
	struct pd_thread_rec r = record();
	void *memory = finish(&r, 1);
	uint32_t in_handler = find(&r, 0, __start_at_handler, __stop_at_handler);
	uint32_t in_middle = find(&r, in_handler, __start_at_middle, __stop_at_middle);
	EQ(r.flags, 0);
	EQ(in_handler, 1);
	OK(in_middle > in_handler + 1);
	EQ(find(&r, in_middle, __start_at_outer, __stop_at_outer), in_middle + 1);
	free(memory);
}

static void test_cut_short(void)
{
	capture(false);
	struct pd_thread_rec r = record();
	r.stack_len = regs[6] + 32 - stack_at; /* up to the leaf's return address and a little */
	void *memory = finish(&r, 1);
	EQ(r.flags, PD_TRUNCATED);
	EQ(r.n, 2);
	EQ(find(&r, 0, __start_at_middle, __stop_at_middle), 1);
	free(memory);
}

/* These functions keep their frame by rbp: without it nothing can be said, and nothing must be. */
static void test_rbp_unknown(void)
{
	capture(false);
	uint64_t few[PD_NREGS] = { [7] = regs[7], [16] = regs[16] };
	struct pd_thread_rec r = record();
	r.regs = few;
	void *memory = finish(&r, 1);
	EQ(r.flags, PD_TRUNCATED);
	EQ(r.n, 1);
	free(memory);
}

static void test_damaged(void)
{
	capture(false);
	for (int round = 0; round < 200; round++) {
		for (size_t i = round % 8; i < stack_len; i += 1 + seed % 64) {
			seed = seed * 1103515245 + 12345;
			stack[i] = (uint8_t)(seed >> 16);
		}
		struct pd_thread_rec r = record();
		void *memory = finish(&r, 1);
		OK(r.n >= 1 && r.n <= 512);
		OK(r.pc[0] == regs[16]);
		free(memory);
	}
	uint64_t lost[PD_NREGS] = { [7] = regs[7], [16] = 4096 };
	struct pd_thread_rec r = record();
	r.regs = lost;
	free(finish(&r, 1));
	EQ(r.flags, PD_TRUNCATED);
	EQ(r.n, 1);
}

static void test_no_modules(void)
{
	capture(false);
	struct pd_thread_rec r = record();
	struct pd_dump d = { .n = 1, .thread = &r };
	OK(!pd_unwind_finish(&d, list, 0));
	EQ(r.flags, PD_TRUNCATED);
	/* A module that is gone, or was never one. */
	struct pd_module bad = { .start = 4096, .end = UINT64_MAX, .until = UINT32_MAX, .path = "" };
	const struct pd_module *one = &bad;
	free(pd_unwind_finish(&d, &one, 1));
	EQ(r.flags, PD_TRUNCATED);
	EQ(r.n, 1);
}

int main(void)
{
	dl_iterate_phdr(add_module, NULL);
	struct sigaction act = { .sa_handler = handler };
	sigaction(SIGUSR1, &act, NULL);
	test_whole();
	test_signal_frame();
	test_cut_short();
	test_rbp_unknown();
	test_damaged();
	test_no_modules();
	DONE();
}
