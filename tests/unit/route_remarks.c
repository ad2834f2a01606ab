/* What the comments of a profile say, from counters made by hand. */
#include "server/route/inside.h"
#include "../test.h"

static const char *const DROP[PD_DROP_REASONS] = { "busy", "stack", "thread", "memory", "late" };
static const struct pd_agent agent = { .version = "9.9.9", .drop_name = DROP };

/* Does a comment of p have these words? */
static bool says(const struct pd_profile *p, const char *words)
{
	for (size_t i = 0; i < p->ncomments; i++)
		if (strstr(p->comment[i], words))
			return true;
	return false;
}

static void add_sample(struct pd_profile *p, int64_t n)
{
	static const uint64_t pc[] = { 1 };
	pd_profile_add(p, &(struct pd_sample){ .stack = { .pc = pc, .n = 1 },
	                                       .value = { n, n * 10000000 } });
}

static struct pd_profile window(struct pd_snapshot from, struct pd_snapshot to, int64_t samples)
{
	struct pd_profile p;
	pd_profile_init(&p, pd_profile_type("profile"));
	p.period = 10000000;
	if (samples)
		add_sample(&p, samples);
	if (!from.rate)
		from.rate = to.rate = 100;
	pd_remarks_window(&p, &agent, &from, &to);
	OK(!p.failed);
	return p;
}

static void a_quiet_window(void)
{
	struct pd_snapshot from = { .mono_ns = 7,
		                    .counters = { .ticks = 50,
		                                  .recorded = 50,
		                                  .process_cpu_ns = 9000000000,
		                                  .own_cpu_ns = 1000000000 } };
	struct pd_snapshot to = { .mono_ns = 5000000007,
		                  .counters = { .ticks = 148,
		                                .recorded = 148,
		                                .process_cpu_ns = 10040000000,
		                                .own_cpu_ns = 1020000000,
		                                .self_ns = 1200000 } };
	struct pd_profile p = window(from, to, 98);
	OK(says(&p, "pprofd 9.9.9, 100 samples per second of CPU time"));
	OK(says(&p, "CPU used: 1.02 s of 5.00 s wall (20 %); the rest was off-CPU: see wall and "
	            "goroutine?debug=2"));
	OK(says(&p, "Samples stand for 980.0 ms of CPU: 96 % of the CPU used."));
	OK(says(&p, "Cost of profiling: 1.2 ms in the sampled threads, 20.0 ms in pprofd's own."));
	/* Nothing is said of what did not happen. */
	EQ(p.ncomments, 4);
	pd_profile_free(&p);
}

static void everything_wrong(void)
{
	struct pd_snapshot from = { .rate = 100 };
	struct pd_snapshot to = { .rate = 200,
		                  .mono_ns = 1000000000,
		                  .counters = {
					  .ticks = 1000,
					  .recorded = 990,
					  .dropped = { [PD_DROP_BUSY] = 7, [PD_DROP_MEMORY] = 3 },
					  .truncated = 99,
					  .overflow = 33,
					  .masked_threads = 2,
					  .threads_looked_at = 8,
					  .timerless_threads = 4,
					  .process_cpu_ns = 2000000000 } };
	struct pd_profile p = window(from, to, 990);
	OK(says(&p, "from 100 to 200 samples per second"));
	OK(says(&p, "CPU used: 2.00 s of 1.00 s wall (200 %); more than 100 %"));
	OK(says(&p, "Lost: 10 of 1000 samples due (1.0 %), by reason: busy 7, memory 3."));
	OK(says(&p, "Truncated: 99 samples (10.0 %)"));
	OK(says(&p, "Overflow: 33 samples (3.3 %) are under [overflow]"));
	OK(says(&p, "2 of 8 threads looked at block the profiling signal"));
	OK(says(&p, "4 threads have no timer of their own"));
	for (size_t i = 0; i < p.ncomments; i++)
		OK(!strchr(p.comment[i], '\n'));
	pd_profile_free(&p);
}

static void empty_ones(void)
{
	struct pd_snapshot idle = { .mono_ns = 1000000000,
		                    .counters = { .process_cpu_ns = 300000 } };
	struct pd_profile p = window((struct pd_snapshot){ 0 }, idle, 0);
	OK(says(&p, "No samples: with 300 us of CPU used and a sample every 10.0 ms"));
	OK(says(&p, "wall and goroutine?debug=2 show where"));
	pd_profile_free(&p);
	struct pd_snapshot busy = { .mono_ns = 1000000000,
		                    .counters = { .process_cpu_ns = 900000000 } };
	p = window((struct pd_snapshot){ 0 }, busy, 0);
	OK(says(&p, "No samples, although 900.0 ms of CPU were used"));
	pd_profile_free(&p);
}

static void dumps(void)
{
	struct pd_thread_rec t[] = { { .n = 2 }, { .n = 1, .flags = PD_TRUNCATED }, { .n = 0 } };
	struct pd_dump d = { .n = 3, .thread = t, .took_ns = 2500000, .signalled = 4, .missed = 1 };
	struct pd_profile p;
	pd_profile_init(&p, pd_profile_type("goroutine"));
	pd_remarks_dump(&p, &agent, &d);
	OK(says(&p, "pprofd 9.9.9: 3 threads"));
	OK(says(&p, "within 2.5 ms"));
	OK(says(&p, "1 threads are under [stack unavailable]; 1 of 4 that were asked did not "
	            "answer in time."));
	OK(says(&p, "1 stacks end before"));
	pd_profile_free(&p);
}

static size_t rates(struct pd_rate *out, size_t max)
{
	out[0] = (struct pd_rate){ .name = "cpu_hz", .help = "", .value = 100 };
	out[1] = (struct pd_rate){ .name = "io_rate", .help = "so long" };
	return 2;
}

/* What turns a kind on, as it has to be typed for this service. */
static void turn_on(void)
{
	static const struct {
		struct pd_config config;
		const char *command;
	} CASES[] = {
		{ { .address = "http://127.0.0.1:7" }, "curl -X POST 'http://127.0.0.1:7/debug" },
		{ { .address = "http://127.0.0.1:7", .token_file = "/t" },
		  "curl -H \"Authorization: Bearer $TOKEN\" -X POST 'http://127.0.0.1:7/debug" },
		{ { .address = "unix:/run/x.sock" },
		  "curl --unix-socket '/run/x.sock' -X POST 'http://localhost/debug/pprof/admin?io_rate=1000000&for=60s'" },
		{ { .address = "unix:/a 'b/x" }, "curl --unix-socket '/a '\\''b/x' -X POST 'http://localhost/debug/" },
		{ { .address = "" }, "To turn it on: pprofd_rate_set(\"io_rate\", 1000000)." },
	};
	static const struct pd_agent rated = { .version = "9.9.9", .drop_name = DROP, .rates = rates };
	static const struct pd_route io = { .kind = PD_IO }, cpu = { .kind = PD_CPU };
	char hint[PD_NOTE];
	OK(pd_rate_hint(&rated, PD_IO, hint) && strcmp(hint, "Now off: POST admin?io_rate=1000000&for=60s.") == 0);
	OK(!pd_rate_hint(&rated, PD_CPU, hint));
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct pd_profile p;
		struct pd_routes routes = { .config = &CASES[i].config };
		struct pd_job job = { .agent = &rated, .routes = &routes, .route = &io };
		pd_profile_init(&p, pd_profile_type("io"));
		pd_remarks_rate(&p, &job, NULL);
		OK(says(&p, "Off: io_rate is 0, nothing is sampled."));
		OK(says(&p, CASES[i].command));
		job.route = &cpu;
		pd_remarks_rate(&p, &job, NULL);
		EQ(p.ncomments, 2); /* nothing more */
		pd_profile_free(&p);
	}
}

/* Which of its sums a heap profile shows, and what both are. */
static void heap_sums(void)
{
	struct pd_row row = { .key = { .size = 1 << 20, .rate = 1 }, .value = { 10, 10 << 20, 8, 8 << 20 } };
	struct pd_snapshot s = { .rate = 1, .n = 1, .row = &row };
	static const char *const NAMES[][2] = { { "heap", "Opens on inuse_space." }, { "allocs", "Opens on alloc_space." } };
	for (size_t i = 0; i < 2; i++) {
		struct pd_profile p;
		pd_profile_init(&p, pd_profile_type(NAMES[i][0]));
		pd_remarks_heap(&p, NULL, &s);
		EQ(p.ncomments, 0); /* nothing is in it */
		add_sample(&p, 1);
		pd_remarks_heap(&p, NULL, &s);
		OK(says(&p, NAMES[i][1]));
		OK(says(&p, "In use now: 2.00 MiB (inuse_space), with a standard error of 0 B from sampling; allocated"
		            " since the service was started, freed or not: 10.00 MiB (alloc_space)."));
		EQ(p.ncomments, 1);
		pd_profile_free(&p);
	}
}

static void wall_windows(void)
{
	struct pd_snapshot from = { .rate = 20 };
	struct pd_snapshot to = { .rate = 20,
		                  .mono_ns = 2000000000,
		                  .counters = { .ticks = 410,
		                                .recorded = 400,
		                                .dropped = { [PD_DROP_LATE] = 10 },
		                                .self_ns = 2000000,
		                                .process_cpu_ns = 1500000000,
		                                .own_cpu_ns = 500000000 } };
	struct pd_profile p;
	pd_profile_init(&p, pd_profile_type("wall"));
	p.period = 50000000;
	static const uint64_t pc[] = { 1 };
	pd_profile_add(&p, &(struct pd_sample){ .stack = { .pc = pc, .n = 1 }, .value = { 400, 20000000000 } });
	pd_remarks_wall(&p, &agent, &from, &to);
	OK(says(&p, "pprofd 9.9.9, 20 samples per second of every thread, running or waiting."));
	OK(says(&p, "Samples stand for 20.00 s of all threads' time: 10.0 threads over 2.00 s. CPU used meanwhile: 1.00 s."));
	OK(says(&p, "Lost: 10 of 410 samples due (2.4 %), by reason: late 10."));
	OK(says(&p, "Cost of profiling: 2.0 ms in the sampled threads, 500.0 ms in pprofd's own."));
	EQ(p.ncomments, 4);
	pd_profile_free(&p);
}

static void waits(void)
{
	static const struct pd_wait_kind mutex = { .word = "mutex wait", .object = "mutex", .owned = true };
	struct pd_thread_rec t[] = { { .tid = 7, .name = "a", .wait_ns = -1 }, { .tid = 8, .name = "b", .wait_ns = -1 },
		                     { .tid = 9, .name = "c", .wait_ns = -1 }, { .tid = 10, .name = "d" } };
	struct pd_wait of[] = { { .kind = &mutex, .object = 0xa0, .holder = 8, .holder_at = 1, .circle = 1 },
		                { .kind = &mutex, .object = 0xb0, .holder = 7, .holder_at = 0, .circle = 1 },
		                { .kind = &mutex, .object = 0xb0, .holder = 7, .holder_at = 0 },
		                { .holder_at = PD_NOBODY } };
	struct pd_dump d = { .n = 4, .thread = t };
	struct pd_waits w = { .of = of, .n = 4, .circles = 1 };
	struct pd_profile p;
	pd_profile_init(&p, pd_profile_type("goroutine"));
	pd_remarks_waits(&p, &d, &w);
	OK(says(&p, "Deadlock: 7 a waits for mutex 0xa0 held by 8 b; 8 b waits for mutex 0xb0 held by 7 a."));
	OK(says(&p, "Threads that wait for a lock another thread holds: 3; goroutine?debug=2 tells which."));
	EQ(p.ncomments, 2);
	pd_profile_free(&p);
}

int main(void)
{
	turn_on();
	heap_sums();
	wall_windows();
	waits();
	a_quiet_window();
	everything_wrong();
	empty_ones();
	dumps();
	DONE();
}
