/*
 * What one stack costs in a signal handler: pd_walk with and without memo, libunwind's unw_backtrace, glibc's
 * backtrace(); 10, 30 and 100 frames deep, caches warm and flushed. All in one run, turn by turn.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "agent/unwind/unwind.h"

enum { WARM_ROUNDS = 101, WARM_REPEATS = 64, FLUSHED_ROUNDS = 41, MAX = 256, METHODS = 4 };

static const char *const method_name[METHODS] = { "pd_walk", "pd_walk + memo", "unw_backtrace", "backtrace()" };
static struct pd_view view;
static struct pd_memo memo;
static int (*libc_backtrace)(void **, int); /* libunwind has a backtrace() of its own */
static size_t frames[METHODS];
static double warm[METHODS][WARM_ROUNDS], flushed[METHODS][FLUSHED_ROUNDS];
static unsigned char *sweep;
enum { SWEEP = 96 << 20 };
static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static size_t walk(unsigned method, const struct pd_regs *regs)
{
	static uint64_t pc[MAX];
	enum pd_walk_end end;
	switch (method) {
	case 0: return pd_walk(regs, true, &view, NULL, NULL, pc, MAX, &end);
	case 1: return pd_walk(regs, true, &view, NULL, &memo, pc, MAX, &end);
	case 2: return (size_t)unw_backtrace((void **)pc, MAX);
	default: return (size_t)libc_backtrace((void **)pc, MAX);
	}
}

static void flush(void)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < SWEEP; i += 64)
		sum += ++sweep[i];
	sink += sum;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct pd_regs regs;
	pd_regs_from_context(context, &regs);
	for (unsigned m = 0; m < METHODS; m++)
		frames[m] = walk(m, &regs);
	for (unsigned i = 0; i < WARM_ROUNDS; i++) {
		for (unsigned m = 0; m < METHODS; m++) {
			walk(m, &regs);
			double start = now_ns();
			for (unsigned k = 0; k < WARM_REPEATS; k++)
				walk(m, &regs);
			warm[m][i] = (now_ns() - start) / WARM_REPEATS;
		}
	}
	for (unsigned i = 0; i < FLUSHED_ROUNDS; i++) {
		for (unsigned m = 0; m < METHODS; m++) {
			walk(m, &regs);
			flush();
			double start = now_ns();
			walk(m, &regs);
			flushed[m][i] = now_ns() - start;
		}
	}
}

/* Functions with frames of different sizes, in different cache lines and pages of code. */
typedef unsigned fn(unsigned left, unsigned a);
static fn *const chain[8];
#define BODY(name, size)                                                                   \
	__attribute__((noinline, aligned(4096))) static unsigned name(unsigned left, unsigned a) \
	{                                                                                  \
		volatile unsigned char local[size];                                        \
		local[a % (size)] = (unsigned char)left;                                   \
		if (left == 0) {                                                           \
			raise(SIGUSR1);                                                    \
			return a;                                                          \
		}                                                                          \
		unsigned got = chain[(a * 2654435761u >> 7) % 8](left - 1, a * 5 + 1);     \
		return got + local[a % (size)];                                            \
	}
BODY(f0, 8)
BODY(f1, 24)
BODY(f2, 40)
BODY(f3, 72)
BODY(f4, 104)
BODY(f5, 152)
BODY(f6, 200)
BODY(f7, 296)
static fn *const chain[8] = { f0, f1, f2, f3, f4, f5, f6, f7 };

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

int main(void)
{
	static struct pd_budget budget = { .cap = 64 << 20 };
	static const unsigned depth[] = { 10, 30, 100 };
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	libc_backtrace = libc ? (int (*)(void **, int))dlsym(libc, "backtrace") : NULL;
	if (!libc_backtrace)
		return 1;
	double start = now_ns();
	if (pd_unwind_open(&budget) != 0)
		return 1;
	pd_unwind_refresh();
	struct pd_unwind_stats stats;
	pd_unwind_stats(&stats);
	printf("tables: %zu of %.2f MB code, %zu rows, %zu rules, %.3f MB, made in %.2f ms\n", stats.tables,
	       (double)stats.text / 1e6, stats.rows, stats.rules, (double)stats.bytes / 1e6, (now_ns() - start) / 1e6);
	uint64_t here = (uint64_t)&start;
	view.lo = here - (1 << 20);
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx", &lo, &hi) == 2 && here >= lo && here < hi)
			view.hi = hi;
	}
	if (f)
		fclose(f);
	view.at = (const unsigned char *)view.lo;
	sweep = mmap(NULL, SWEEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction on = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &on, NULL);
	for (unsigned d = 0; d < 3; d++) {
		memset(&memo, 0, sizeof(memo));
		sink += chain[0](depth[d] - 7, 1);
		printf("\n%-16s %6s %26s %26s\n", "", "", "warm, ns", "flushed, ns");
		printf("%-16s %6s %8s %8s %8s %8s %8s %8s\n", "method", "frames", "min", "median", "ratio", "min",
		       "median", "ratio");
		double base_warm = median(warm[0], WARM_ROUNDS), base_flushed = median(flushed[0], FLUSHED_ROUNDS);
		for (unsigned m = 0; m < METHODS; m++) {
			double w = median(warm[m], WARM_ROUNDS), c = median(flushed[m], FLUSHED_ROUNDS);
			printf("%-16s %6zu %8.0f %8.0f %8.2f", method_name[m], frames[m], warm[m][0], w, w / base_warm);
			printf(" %8.0f %8.0f %8.2f\n", flushed[m][0], c, c / base_flushed);
		}
	}
	return 0;
}
