/*
 * Preloaded (or linked) into a program: stops it after single instructions and on CPU timer ticks, walks its stack
 * with pd_walk and with libgcc's unwinder, and counts where they differ.
 *
 * ORACLE_OUT: file of struct results. ORACLE_EVERY: compare after so many instructions. ORACLE_STEPS: instructions
 * stepped through at start. ORACLE_BURST: the same after each tick. ORACLE_HZ: ticks per CPU second.
 * ORACLE_POINTS: compare at most so often. ORACLE_ALONE: do not ask libgcc, only count walks that reach the bottom.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "agent/unwind/unwind.h"
#include "base/atomic.h"
#include "results.h"

enum { TRAP_FLAG = 0x100, TICK = 60 };

static struct pd_budget budget = { .cap = (uint64_t)256 << 20 };
static struct results *results;
static struct pd_memo memo;
static long every, burst_len, left, phase, ticks_hz, points;
static bool alone;
static int busy;
static pid_t owner;
static uint64_t main_hi;

static long setting(const char *name, long otherwise)
{
	const char *v = getenv(name);
	return v ? atol(v) : otherwise;
}

/* End of the mapping that sp is in, from maps, with system calls only. */
static uint64_t mapping_end(uint64_t sp)
{
	static struct {
		uint64_t lo, hi;
	} seen[16];
	static unsigned next;
	for (unsigned i = 0; i < 16; i++)
		if (sp >= seen[i].lo && sp < seen[i].hi)
			return seen[i].hi;
	static char buf[4096];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	uint64_t v[2] = { 0, 0 }, end = sp + 8;
	unsigned field = 0;
	long n;
	while (fd >= 0 && (n = syscall(SYS_read, fd, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++) {
			char c = buf[i];
			if (field < 2 && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
				v[field] = v[field] << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
			else if (c == '\n') {
				if (sp >= v[0] && sp < v[1]) {
					end = v[1];
					seen[next % 16].lo = v[0];
					seen[next++ % 16].hi = v[1];
				}
				v[0] = v[1] = field = 0;
			} else if (field < 2) {
				field++;
			}
		}
	}
	if (fd >= 0)
		syscall(SYS_close, fd);
	return end;
}

struct asked {
	struct stack *s;
	uint64_t from;
	bool inside;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *c, void *arg)
{
	struct asked *a = arg;
	int before = 0;
	uint64_t ip = _Unwind_GetIPInfo(c, &before);
	if (ip == a->from && before)
		a->inside = true;
	if (!a->inside || !ip)
		return _URC_NO_REASON;
	if (a->s->n == FRAMES)
		return _URC_END_OF_STACK;
	a->s->exact[a->s->n] = (uint8_t)before;
	a->s->pc[a->s->n++] = ip;
	return _URC_NO_REASON;
}

static const struct pd_module *module_of(uint64_t pc)
{
	const struct pd_module *const *list;
	size_t n = pd_unwind_modules(&list);
	for (size_t i = 0; i < n; i++)
		if (list[i]->loaded && pc >= list[i]->start && pc < list[i]->end)
			return list[i];
	return NULL;
}

/* Theirs tells the first instruction of a signal frame as a return address; ours, as what it is. Where theirs ends,
 * nothing says whether it is one. */
static bool equal(const struct stack *ours, const struct stack *theirs, unsigned i)
{
	uint64_t pc = theirs->pc[i];
	bool signal_frame = i + 1 == theirs->n || theirs->exact[i + 1];
	return ours->pc[i] == pc - !theirs->exact[i] || (signal_frame && ours->pc[i] == pc);
}

/* libgcc believes every rule and reads whatever it leads to. */
static sigjmp_buf faulted;
static volatile sig_atomic_t asking;

static void on_fault(int sig)
{
	if (asking)
		siglongjmp(faulted, 1);
	signal(sig, SIG_DFL);
}

static bool ask(uint64_t from, struct stack *theirs)
{
	struct asked a = { .s = theirs, .from = from };
	theirs->n = 0;
	asking = 1;
	bool done = sigsetjmp(faulted, 1) == 0;
	if (done)
		_Unwind_Backtrace(on_frame, &a);
	asking = 0;
	return done;
}

/* libgcc takes rbp from its slot after it was popped, and so may leave out frames that are there. */
static bool leaves_out(const struct stack *theirs, const struct stack *ours)
{
	unsigned k = 0;
	for (unsigned i = 0; i < ours->n && k < theirs->n; i++)
		k += ours->pc[i] == theirs->pc[k] - !theirs->exact[k];
	return k == theirs->n && theirs->n < ours->n;
}

static enum verdict judge(const struct stack *ours, const struct stack *theirs, enum pd_walk_end end)
{
	unsigned same = 0;
	while (same < ours->n && same < theirs->n && equal(ours, theirs, same))
		same++;
	if (same == ours->n && same == theirs->n)
		return SAME;
	for (unsigned i = 0; i < theirs->n; i++)
		if (!module_of(theirs->pc[i]))
			return UNSEEN;
	/* Half-way from one stack to another, registers lead to a stack that a handler cannot know. */
	if (same == ours->n && end == PD_END_VIEW)
		return CUT;
	return same == theirs->n || (end == PD_END_BOTTOM && leaves_out(theirs, ours)) ? BETTER : WORSE;
}

static void keep(const struct stack *s, uint64_t *n, uint64_t *pc, uint64_t *bias, char (*object)[24])
{
	*n = s->n;
	for (unsigned i = 0; i < s->n && i < SHOWN; i++) {
		const struct pd_module *m = module_of(s->pc[i]);
		pc[i] = s->pc[i];
		bias[i] = m ? m->bias : 0;
		const char *name = m ? m->path : "?", *slash = strrchr(name, '/');
		strncpy(object[i], slash ? slash + 1 : name, 23);
	}
}

static void walk(const struct pd_regs *regs, struct pd_memo *with, struct stack *out, enum pd_walk_end *end)
{
	uint64_t sp = regs->r[7];
	struct pd_view view = { .lo = sp - 128, .hi = mapping_end(sp), .at = (const unsigned char *)(sp - 128) };
	uint64_t lo = main_hi - 4096;
	struct pd_view outer = { .lo = lo, .hi = main_hi, .at = (const unsigned char *)lo };
	if (sp < lo) {
		/* the whole of the first stack, as far as it has grown */
		outer.lo = outer.hi - (64 << 10);
		outer.at = (const unsigned char *)outer.lo;
	}
	bool on_first = view.hi == main_hi;
	out->n = (uint32_t)pd_walk(regs, true, &view, on_first ? NULL : &outer, with, out->pc, FRAMES, end);
}

static void compare(const ucontext_t *u)
{
	static struct stack ours, again, theirs;
	struct pd_regs regs;
	enum pd_walk_end end, end_again;
	points--;
	pd_regs_from_context(u, &regs);
	walk(&regs, NULL, &ours, &end);
	walk(&regs, &memo, &again, &end_again);
	theirs.n = 0;
	enum verdict v = SAME;
	if (alone)
		v = end == PD_END_BOTTOM || end == PD_END_FULL ? SAME : WORSE;
	else
		v = ask(regs.r[16], &theirs) ? judge(&ours, &theirs, end) : FAULT;
	bool memo_differs = ours.n != again.n || memcmp(ours.pc, again.pc, ours.n * 8) != 0 || end != end_again;
	if (memo_differs)
		v = WORSE;
	pd_add_relaxed(&results->verdict[v], 1);
	pd_add_relaxed(&results->frames, ours.n);
	pd_add_relaxed(&results->end[end], 1);
	if (v == SAME || pd_load_relaxed(&results->differences) >= KEPT)
		return;
	uint64_t at = pd_add_relaxed(&results->differences, 1);
	if (at >= KEPT)
		return;
	struct difference *d = &results->difference[at];
	d->kind = v;
	d->end = end + (memo_differs ? 100 : 0);
	keep(&ours, &d->ours.n, d->ours.pc, d->ours.bias, d->ours.object);
	if (memo_differs)
		theirs = again;
	keep(&theirs, &d->theirs.n, d->theirs.pc, d->theirs.bias, d->theirs.object);
}

/* Instructions of the preloaded object itself are not the program's. */
static bool own_code(uint64_t pc)
{
#ifdef ORACLE_LINKED
	return false;
#else
	static const struct pd_module *own;
	if (!own)
		own = module_of((uint64_t)&own_code);
	return own && pc >= own->start && pc < own->end;
#endif
}

/* Is the next instruction the system call that blocks SIGTRAP? A trap that comes while it is blocked kills. */
static bool about_to_block(const ucontext_t *u)
{
	const greg_t *r = u->uc_mcontext.gregs;
	const unsigned char *next = (const unsigned char *)r[REG_RIP];
	if (next[0] != 0x0f || next[1] != 0x05 || r[REG_RAX] != SYS_rt_sigprocmask || r[REG_RDI] == SIG_UNBLOCK)
		return false;
	const uint64_t *set = (const uint64_t *)r[REG_RSI];
	return set && (*set >> (SIGTRAP - 1) & 1);
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	if (busy || points <= 0 || about_to_block(u) || syscall(SYS_getpid) != owner) {
		u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	busy = 1;
	if (left-- <= 0)
		u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	results->traps++;
	if (++phase % every == 0 && !own_code((uint64_t)u->uc_mcontext.gregs[REG_RIP]))
		compare(u);
	busy = 0;
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	if (busy || points <= 0 || syscall(SYS_getpid) != owner)
		return;
	busy = 1;
	pd_add_relaxed(&results->ticks, 1);
	if (burst_len && !about_to_block(u) && !sigismember(&u->uc_sigmask, SIGTRAP)) {
		left = left > burst_len ? left : burst_len;
		u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	}
	if (!own_code((uint64_t)u->uc_mcontext.gregs[REG_RIP]))
		compare(u);
	busy = 0;
}

#ifndef ORACLE_LINKED
void *dlopen(const char *file, int mode)
{
	static void *(*real)(const char *, int);
	if (!real)
		real = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	void *h = real(file, mode);
	if (results)
		pd_unwind_refresh();
	return h;
}
#endif

static _Unwind_Reason_Code prime(struct _Unwind_Context *c, void *arg)
{
	return _URC_END_OF_STACK;
}

/* A program's end may hold the lock that libgcc would wait for in a handler. */
static void at_the_end(void)
{
	points = 0;
}

__attribute__((constructor)) static void start(void)
{
	const char *out = getenv("ORACLE_OUT");
	int fd = out ? open(out, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd < 0 || ftruncate(fd, sizeof(*results)) != 0)
		return;
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (results == MAP_FAILED || pd_unwind_open(&budget) != 0)
		abort();
	pd_unwind_refresh();
	every = setting("ORACLE_EVERY", 7);
	left = setting("ORACLE_STEPS", 0);
	burst_len = setting("ORACLE_BURST", 0);
	ticks_hz = setting("ORACLE_HZ", 0);
	points = setting("ORACLE_POINTS", 20000);
	alone = setting("ORACLE_ALONE", 0);
	owner = getpid();
	main_hi = mapping_end((uint64_t)&fd);
	pd_add_relaxed(&results->processes, 1);
	_Unwind_Backtrace(prime, NULL);
	atexit(at_the_end);
	struct sigaction on = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_RESTART };
	sigaddset(&on.sa_mask, TICK);
	sigaction(SIGTRAP, &on, NULL);
	signal(SIGSEGV, on_fault);
	on.sa_sigaction = on_tick;
	sigaction(TICK, &on, NULL);
	if (ticks_hz) {
		struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK };
		ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
		timer_t t;
		struct itimerspec every_tick = { { 0, 1000000000 / ticks_hz }, { 0, 1000000000 / ticks_hz } };
		if (timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t) == 0)
			timer_settime(t, 0, &every_tick, NULL);
	}
	if (left)
		__asm__ volatile("pushfq; orl %0, (%%rsp); popfq" : : "i"(TRAP_FLAG) : "memory", "cc");
}
