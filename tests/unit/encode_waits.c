/* Waits told from copies of memory: what fits is named, what is torn, foreign or damaged is not. */
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "../test.h"
#include "../inputs.h"
#include "server/encode/inside.h"

#define AT 0x10000010ull /* of the futex word; the copy begins 16 bytes before */

static struct pd_symbols *symbols;
static uint64_t stack[3]; /* in pthread_mutex_lock, called from this program */

static struct pd_thread_rec waiter(int tid, uint64_t op, uint64_t value)
{
	return (struct pd_thread_rec){ .tid = tid, .name = "w", .state = PD_WAITING, .kernel_state = 'S',
		                       .syscall = SYS_futex, .args = { AT, op, value }, .wait_ns = -1, .cpu_ns = 1,
		                       .n = 2, .pc = stack, .wait_lo = AT - 16, .wait_len = PD_WAIT_BYTES };
}

static void put(struct pd_thread_rec *t, size_t offset, uint32_t word)
{
	memcpy(t->wait_bytes + 16 + offset, &word, sizeof word);
}

static struct pd_thread_rec mutex_waiter(int tid, uint32_t lock, uint32_t owner, uint32_t kind)
{
	struct pd_thread_rec t = waiter(tid, FUTEX_WAIT_PRIVATE, 2);
	put(&t, 0, lock);
	put(&t, 8, owner);
	put(&t, 16, kind);
	return t;
}

/* Of one thread among three others, of which 12 is gone. */
static struct pd_wait one(struct pd_thread_rec t)
{
	struct pd_thread_rec thread[] = { { .tid = 50, .state = PD_RUNNING }, { .tid = 11, .state = PD_WAITING, .syscall = -1 },
		                          { .tid = 12, .state = PD_GONE }, t };
	struct pd_dump d = { .epoch = 1, .n = 4, .thread = thread };
	struct pd_waits w;
	EQ(pd_waits_find(&d, inputs_list, inputs_nmodules, symbols, &w), 0);
	struct pd_wait x = w.of[3];
	pd_waits_free(&w);
	return x;
}

static void test_mutex(void)
{
	static const struct {
		uint32_t lock, owner, kind;
		int holder;
		bool orphan;
	} CASE[] = {
		{ 2, 11, 0, 11, false },  /* an ordinary one */
		{ 2, 50, 0, 50, false },  /* of the main thread, which comes first whatever its number */
		{ 2, 99, 0, 99, false },  /* its own */
		{ 0, 11, 0, 0, false },   /* free at that moment */
		{ 2, 0, 0, 0, false },    /* taken, the owner not written yet */
		{ 2, 12, 0, 0, true },    /* that thread has ended */
		{ 2, 13, 0, 0, true },    /* never heard of */
		{ 2, 11, 0x4000, 0, false },                  /* not a mutex's kind */
		{ 0x8000000b, 77, 0x10, 11, false },          /* robust: the word tells */
		{ 0x4000000b, 77, 0x10, 11, false },
		{ 0x8000000b, 77, 0x20, 0, false },           /* of PI kind, but not waited for as such */
		{ 0xffffffff, 0xffffffff, 3, 0, false },
	};
	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		struct pd_wait w = one(mutex_waiter(99, CASE[i].lock, CASE[i].owner, CASE[i].kind));
		OK(w.kind && strcmp(w.kind->word, "mutex wait") == 0);
		EQ(w.object, AT);
		EQ(w.holder, CASE[i].holder);
		EQ(w.orphan, CASE[i].orphan);
		EQ(w.holder_at == PD_NOBODY, !CASE[i].holder);
		if (test_failures)
			fprintf(stderr, "case %zu\n", i);
	}
	struct pd_thread_rec pi = mutex_waiter(99, 0x8000000b, 0, 0x20);
	pi.args[1] = FUTEX_LOCK_PI_PRIVATE;
	EQ(one(pi).holder, 11);
}

/* A copy that is missing or short tells nothing of the holder, one of a call from elsewhere nothing at all. */
static void test_little_known(void)
{
	struct pd_thread_rec t = mutex_waiter(99, 2, 11, 0);
	for (uint32_t len = 0; len <= PD_WAIT_BYTES; len++) {
		t.wait_len = len;
		struct pd_wait w = one(t);
		EQ(w.kind != NULL, len > 0);
		EQ(w.holder, len >= 16 + 20 ? 11 : 0);
	}
	t.n = 0;
	OK(!one(t).kind);
	t.n = 1;
	t.pc = stack + 1; /* in this program */
	OK(!one(t).kind);
	t.pc = (const uint64_t[]){ INPUTS_GHOST + 5 };
	OK(!one(t).kind);
	struct pd_dump d = { .epoch = 1, .n = 1, .thread = &t };
	struct pd_waits w;
	t.pc = stack;
	EQ(pd_waits_find(&d, inputs_list, inputs_nmodules, NULL, &w), 0);
	OK(!w.of[0].kind && w.n == 1);
	pd_waits_free(&w);
}

/* Functions of a stripped library have no names: some words tell by themselves, others do not. */
static void test_nameless(void)
{
	struct pd_thread_rec t = mutex_waiter(99, 2, 11, 0);
	OK(!pd_wait_of_word(NULL, &t));
	t = mutex_waiter(99, 0x8000000b, 77, 0x10);
	OK(!pd_wait_of_word(NULL, &t));
	t.args[2] = 0x8000000b;
	OK(pd_wait_of_word(NULL, &t) == pd_wait_of_function("pthread_mutex_lock"));
	put(&t, 16, 0);
	OK(!pd_wait_of_word(NULL, &t));
	put(&t, 16, 0x20);
	t.args[1] = FUTEX_LOCK_PI2_PRIVATE;
	OK(pd_wait_of_word(NULL, &t) == pd_wait_of_function("__pthread_mutex_timedlock"));

	t = waiter(99, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 11);
	put(&t, 0, 11);
	OK(pd_wait_of_word(NULL, &t) == pd_wait_of_function("pthread_join"));
	put(&t, 0, 0);
	OK(!pd_wait_of_word(NULL, &t));
	put(&t, 0, 11);
	t.args[1] |= FUTEX_PRIVATE_FLAG;
	OK(!pd_wait_of_word(NULL, &t));

	/* The end of a wait for a condition takes the mutex. */
	const struct pd_wait_kind *cond = pd_wait_of_function("___pthread_cond_wait");
	t = mutex_waiter(99, 2, 11, 0);
	OK(pd_wait_of_word(cond, &t) == pd_wait_of_function("__pthread_mutex_cond_lock"));
	t.args[1] = FUTEX_WAIT_BITSET_PRIVATE;
	OK(cond && pd_wait_of_word(cond, &t) == cond);
	t = waiter(99, FUTEX_WAIT_PRIVATE, 0);
	OK(pd_wait_of_word(cond, &t) == cond);
	OK(!pd_wait_of_function("pthread_mutex_unlock") && !pd_wait_of_function("poll") && !pd_wait_of_function(""));
	OK(pd_is_libc("/lib/x86_64-linux-gnu/libc.so.6") && pd_is_libc("/lib/libpthread-2.31.so") &&
	   !pd_is_libc("/usr/lib/libcrypto.so.3") && !pd_is_libc("libc") && !pd_is_libc("/opt/libcurl.so"));
}

/* Two circles, found in whatever order, and those behind them; nothing is written twice and nothing for ever. */
static void test_graph(void)
{
	enum { N = 9 };
	/* by index: tid 100 + i; who holds what each waits for, -1 = it runs */
	static const int WAITS[N] = { 6, 2, 1, 1, 3, -1, 7, 8, 6 };
	struct pd_thread_rec thread[N];
	for (int i = 0; i < N; i++) {
		if (WAITS[i] < 0)
			thread[i] = (struct pd_thread_rec){ .tid = 100 + i, .state = PD_RUNNING, .wait_ns = -1 };
		else
			thread[i] = mutex_waiter(100 + i, 2, (uint32_t)(100 + WAITS[i]), 0);
	}
	thread[4].wait_ns = 2500000000;
	thread[7].args[3] = 1;
	struct pd_dump d = { .epoch = 1, .n = N, .thread = thread };
	struct pd_waits w;
	EQ(pd_waits_find(&d, inputs_list, inputs_nmodules, symbols, &w), 0);
	EQ(w.circles, 2);
	static const uint32_t CIRCLE[N] = { 0, 1, 1, 0, 0, 0, 2, 2, 2 };
	for (int i = 0; i < N; i++)
		EQ(w.of[i].circle, CIRCLE[i]);
	struct pd_buf out = { 0 };
	pd_write_waits(&out, &d, &w);
	pd_buf_char(&out, '\0');
	STREQ(out.data, "# deadlock: 2 threads wait for each other\n"
	                "#   101 w waits for mutex 0x10000010 held by 102 w\n"
	                "#   102 w waits for mutex 0x10000010 held by 101 w\n"
	                "# behind this deadlock\n"
	                "#   103 w waits for mutex 0x10000010 held by 101 w\n"
	                "#     104 w waits for mutex 0x10000010 held by 103 w, for at least 2.5 s\n"
	                "# deadlock: 3 threads wait for each other\n"
	                "#   106 w waits for mutex 0x10000010 held by 107 w\n"
	                "#   107 w waits for mutex 0x10000010 held by 108 w, with a time limit\n"
	                "#   108 w waits for mutex 0x10000010 held by 106 w\n"
	                "# behind this deadlock\n"
	                "#   100 w waits for mutex 0x10000010 held by 106 w\n");
	pd_buf_free(&out);
	pd_waits_free(&w);
}

int main(void)
{
	inputs_init();
	symbols = pd_symbols_open(1 << 24);
	/* The library's own: a sanitizer has one of that name, too. */
	stack[0] = (uint64_t)(uintptr_t)dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "pthread_mutex_lock") + 8;
	stack[1] = inputs_outer();
	test_mutex();
	test_little_known();
	test_nameless();
	test_graph();
	pd_symbols_close(symbols);
	DONE();
}
