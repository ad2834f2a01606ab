/*
 * Heap, allocs, block, mutex and io over a real connection, from tables the test fills in. With an argument: serves
 * such tables under the names of this program's own functions until its input ends, for other people's clients; each
 * SIGUSR1 adds MORE.
 */
#include <signal.h>
#include <unistd.h>

#include "route_fake.h"

#include "../inputs.h"

#define PREFIX "/debug/pprof/"
#define R 524288

/* A sanitizer's allocator tells nothing. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TRIMMED "# gc=1: nothing done"
#define ARENA "the allocator has in use is not known"
#define INUSE "# SampledInUse = "
#else
#define TRIMMED "# gc=1: malloc_trim(0) "
#define ARENA "# mallinfo2.arena = "
#define INUSE "# AllocatorInUse = "
#endif

static uint64_t stacks[2][2];
static const struct pd_label LABEL[] = { { "route", "/pay" } };

/* ROW: size, allocated, freed. */
#define ROW(stack, labels, size, n, f) { { stack, labels, size, R }, { n, (n) * (size), f, (f) * (size) } }
#define ROWS 8

static struct {
	size_t n;
	struct pd_row row[ROWS];
} rows[PD_KINDS] = {
	[PD_CPU] = { 2, { { { 10, 0, 0, 0 }, { 60, 600000000 } }, { { 11, 0, 0, 0 }, { 40, 400000000 } } } },
	[PD_HEAP] = { 4, { ROW(10, 0, 96, 1000, 400), ROW(11, 1, 1 << 20, 2, 0), ROW(11, 0, 1 << 20, 1, 0),
	                   ROW(10, 0, 4096, 100, 100) } },
	[PD_BLOCK] = { 1, { { { 11, 0, 0, 0 }, { 7, 7000000000 } } } },
	[PD_MUTEX] = { 2, { { { 10, 0, 0, 0 }, { 100, 1000000000 } }, { { 11, 0, 0, 0 }, { 3, 3000000000 } } } },
};
static const struct pd_row MORE[] = { ROW(10, 0, 96, 500, 0), ROW(10, 0, 4096, 10, 0) };

static size_t row_cap = 1000; /* of a snapshot */

static struct pd_rate rates[] = {
	{ .name = "heap_rate", .help = "bytes between two", .value = R },
	{ .name = "block_rate", .help = "so long", .value = 0, .since_ns = 1700000000000000000 },
	{ .name = "mutex_fraction", .help = "one in so many", .value = 10, .since_ns = 1700000000000000000,
	  .until_ns = 1700000060000000000, .then = 0 },
	{ .name = "io_rate", .help = "so long", .value = 0 },
};

static int table_snapshot(enum pd_kind kind, struct pd_snapshot *out)
{
	*out = (struct pd_snapshot){ .mono_ns = fake_clock(CLOCK_MONOTONIC), .real_ns = fake_clock(CLOCK_REALTIME),
		                     .rate = kind == PD_CPU ? 100 : 0 };
	pthread_mutex_lock(&fake.lock);
	if (kind == PD_HEAP)
		out->rate = rates[0].value;
	out->n = rows[kind].n;
	out->row_cap = row_cap;
	out->row = calloc(out->row_cap, sizeof *out->row);
	memcpy(out->row, rows[kind].row, sizeof rows[kind].row);
	/* A CPU table in which something happens in every window. */
	for (size_t i = 0; kind == PD_CPU && i < out->n; i++)
		for (size_t k = 0; k < 2; k++)
			out->row[i].value[k] *= 1 + fake.snapshots;
	fake.snapshots++;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static bool table_stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	bool known = id == 10 || id == 11;
	if (known)
		*out = inputs_stack(stacks[id - 10], id == 10 ? 2 : 1);
	return known;
}

static size_t table_labels(uint32_t id, const struct pd_label **out)
{
	*out = LABEL;
	return id ? 1 : 0;
}

static size_t table_modules(const struct pd_module *const **list)
{
	*list = inputs_list;
	return inputs_nmodules;
}

static size_t table_rates(struct pd_rate *out, size_t max)
{
	LOCKED(memcpy(out, rates, sizeof rates));
	return sizeof rates / sizeof *rates;
}

static size_t table_notes(enum pd_kind kind, char (*out)[PD_NOTE], size_t max)
{
	snprintf(out[0], PD_NOTE, "A note of kind %d.", kind);
	return 1;
}

static void more(void)
{
	LOCKED(for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++)
	               for (size_t k = 0; k < 4; k++) rows[PD_HEAP].row[i ? 3 : 0].value[k] += MORE[i].value[k]);
}

static struct answer ask_for(const char *target)
{
	struct answer a = get(target);
	EQ(a.status, 200);
	return a;
}

/* A GET whose body has (or has not, after a '!') the words that follow, up to a NULL. */
static void has(const char *target, const char *const *words)
{
	struct answer a = ask_for(target);
	for (; *words; words++)
		if (body_has(&a, *words + (**words == '!')) == (**words == '!')) {
			test_failures++;
			fprintf(stderr, "%s: %s in\n%s\n", target, *words, a.body);
		}
	free(a.bytes);
}
#define HAS(target, ...) has(target, (const char *const[]){ __VA_ARGS__, NULL })

static void named(const char *target, const char *file)
{
	char want[100];
	struct answer a = ask_for(target);
	snprintf(want, sizeof want, "attachment; filename=\"%s\"", file);
	STREQ(header(&a, "Content-Type"), "application/octet-stream");
	STREQ(header(&a, "Content-Disposition"), want);
	free(a.bytes);
}

static void headers(void)
{
	named(PREFIX "heap", "heap");
	named(PREFIX "allocs", "allocs");
	named(PREFIX "block", "block");
	named(PREFIX "mutex", "mutex");
	named(PREFIX "io", "io");
	named(PREFIX "heap?seconds=1", "heap-delta");
	named(PREFIX "delta_heap?client=headers", "heap.pprof.gz");
	named(PREFIX "delta_mutex?client=headers", "mutex.pprof.gz");
	named(PREFIX "delta_block?client=headers", "block.pprof.gz");
	struct answer a = get(PREFIX "delta_heap?seconds=1");
	EQ(a.status, 400);
	free(a.bytes);
}

static void texts(void)
{
	HAS(PREFIX "heap?debug=1", "heap profile: 603: 3203328 [1103: 3651328] @ heap/1048576\n",
	    "3: 3145728 [3: 3145728] @ 0x", "600: 57600 [1000: 96000] @ 0x", "\tinputs_root+0x", "\tinputs_inner+0x",
	    "\n\n\n# pprofd 9.9.9", "# heap_rate is 524288: bytes between two.\n", "# A note of kind 2.\n", ARENA,
	    INUSE, "# SampledInUse = 318", "# VmRSS = ", "# smaps_rollup.Pss = ",
	    "!labels: {", "!gc=1", "go tool pprof scales them; in all, 3277");
	HAS(PREFIX "allocs?debug=1", "heap profile: 603: 3203328 [1103: 3651328] @ heap/1048576\n");
	HAS(PREFIX "heap?debug=1&labels=1", "# labels: {\"route\":\"/pay\"}\n", "2: 2097152 [2: 2097152] @ 0x",
	    "1: 1048576 [1: 1048576] @ 0x");
	HAS(PREFIX "mutex?debug=1", "--- mutex:\ncycles/second=1000000000\nsampling period=1\n3000000000 3 @ 0x",
	    "\n1000000000 100 @ 0x");
	HAS(PREFIX "block?debug=1", "--- contention:\ncycles/second=1000000000\n7000000000 7 @ 0x");
}

static void switches(void)
{
	HAS(PREFIX "heap?debug=1&gc=1", TRIMMED);
	HAS(PREFIX "delta_heap?debug=1&gc=1&client=gc", TRIMMED);
	HAS(PREFIX "allocs?debug=1&gc=1", "!gc=1");
	HAS(PREFIX "heap?gzip=0", "!/pay", "bytes", "alloc_space", "inputs_root");
	HAS(PREFIX "heap?gzip=0&labels=1", "/pay");
	HAS(PREFIX "heap?gzip=0&labels=1&symbolize=0", "!inputs_root");
}

#define TURN_ON "To turn it on for a minute: curl -X POST 'http://localhost:6060/debug/pprof/admin?"

static void on_or_off(void)
{
	HAS(PREFIX "block?gzip=0",
	    "Off since 2023-11-14 22:13:20 UTC: block_rate is 0, what is here was sampled before",
	    TURN_ON "block_rate=10000&for=60s'", "A note of kind 3.");
	HAS(PREFIX "io?debug=1", "--- contention:\ncycles/second=1000000000\n# ",
	    "# Off: io_rate is 0, nothing is sampled.\n# " TURN_ON "io_rate=1000000&for=60s'");
	HAS(PREFIX "mutex?gzip=0", "mutex_fraction is 10 since 2023-11-14 22:13:20 UTC: one in so many.",
	    "At 2023-11-14 22:14:20 UTC it goes back to 0, off.", "!Off");
	LOCKED(rates[0].value = 0);
	HAS(PREFIX "heap?gzip=0", "Off: heap_rate is 0, ", "What was freed since it was turned off still counts as in use.",
	    TURN_ON "heap_rate=524288&for=60s'");
	LOCKED(rates[0].value = R; rates[3].value = 1);
	HAS(PREFIX "io?gzip=0", "No samples: no thread waited for input or output.");
	LOCKED(rates[3].value = 0);
}

static void windows(void)
{
	int before = fake_open_now(PD_HEAP), fd = ask("GET", PREFIX "heap?seconds=1&gzip=0", "");
	OK(WITHIN(2000, fake_open_now(PD_HEAP) > before));
	LOCKED(rows[PD_HEAP].row[0].value[2] += 100; rows[PD_HEAP].row[0].value[3] += 9600; rates[0].value = 1);
	struct answer a = hear(fd);
	EQ(a.status, 200);
	OK(body_has(&a, "In use changed by -50.00 MiB meanwhile."));
	OK(body_has(&a, "heap_rate was changed meanwhile, from 524288 to 1; "));
	free(a.bytes);
	LOCKED(rows[PD_HEAP].row[0].value[2] -= 100; rows[PD_HEAP].row[0].value[3] -= 9600; rates[0].value = R);
}

#define FIRST "The first request of this client"

/* Each client gets what is new to it; what is in use is told in full. */
static void deltas(void)
{
	HAS(PREFIX "delta_heap?debug=1&client=a", FIRST, "600: 57600 [1000: 96000] @ 0x");
	more();
	struct answer a = hear(ask("HEAD", PREFIX "delta_heap?client=a", ""));
	EQ(a.status, 200);
	EQ(a.body_len, 0);
	free(a.bytes);
	HAS(PREFIX "delta_heap?debug=1&client=a", "!" FIRST, "1100: 105600 [500: 48000] @ 0x",
	    "3: 3145728 [0: 0] @ 0x", "10: 40960 [10: 40960] @ 0x", "counted over");
	HAS(PREFIX "delta_heap?debug=1&client=a", "1100: 105600 [0: 0] @ 0x");
	HAS(PREFIX "delta_heap?debug=1&client=b", FIRST, "client=NAME", "1100: 105600 [1500: 144000] @ 0x");
	/* Another kind is another table, a client without a name goes by its address and program. */
	HAS(PREFIX "delta_mutex?debug=1&client=a", FIRST, "3000000000 3 @");
	HAS(PREFIX "delta_mutex?debug=1&client=a", "!" FIRST, "!3000000000 3 @");
	HAS(PREFIX "delta_mutex?debug=1", FIRST);
	HAS(PREFIX "delta_mutex?debug=1", "!" FIRST);
	a = hear(ask("GET", PREFIX "delta_mutex?debug=1", "User-Agent: another/1.0\r\n"));
	OK(body_has(&a, FIRST));
	free(a.bytes);
}

/* Too many: the oldest are forgotten, and never too much is held. */
static void many_clients(void)
{
	char target[100];
	HAS(PREFIX "delta_block?debug=1&client=old", FIRST);
	HAS(PREFIX "delta_block?debug=1&client=old", "!" FIRST);
	for (int i = 0; i < 32; i++) {
		snprintf(target, sizeof target, PREFIX "delta_block?debug=1&client=c%d", i);
		HAS(target, FIRST);
		OK(fake_open_now(PD_BLOCK) <= 32);
	}
	HAS(PREFIX "delta_block?debug=1&client=old", FIRST);
	HAS(PREFIX "delta_block?debug=1&client=c31", "!" FIRST);
	HAS(PREFIX "delta_block?debug=1&client=c1", "!" FIRST);
	HAS(PREFIX "delta_block?debug=1&client=c0", FIRST);
	/* Large tables: one is remembered, not two. */
	LOCKED(row_cap = 200000);
	HAS(PREFIX "delta_block?debug=1&client=x", FIRST);
	HAS(PREFIX "delta_block?debug=1&client=x", "!" FIRST);
	HAS(PREFIX "delta_block?debug=1&client=y", FIRST);
	HAS(PREFIX "delta_block?debug=1&client=x", FIRST);
	EQ(fake_open_now(PD_BLOCK), 1);
	LOCKED(row_cap = 1000);
}

static void index_lines(void)
{
	HAS(PREFIX, "\n       3  heap ", "\n       3  allocs ", "\n       1  block ", "\n       2  mutex ",
	    "\n       0  io ", "!delta_");
}

/* Up to the maps, as the encoder's tests have it; then those, and nothing else. */
static void legacy(void)
{
	HAS("/pprof/heap", "heap profile: 1113: 3292288 [1613: 3740288] @ heap_v2/524288\n", "\nMAPPED_LIBRARIES:\n",
	    "r-xp ", "route_tables\n");
	HAS("/pprof/growth", " @ growthz\n", "\nMAPPED_LIBRARIES:\n");
	HAS("/pprof/contention", "--- contention:\ncycles/second = 1000000000\nsampling period = 1\n3000000000 3 @ 0x",
	    "# mutex_fraction is 10", "--- Memory map: ---\n", "r-xp ");
	HAS("/pprof/cmdline", "route_tables");
	HAS("/pprof/symbol", "num_symbols: 1\n");
	struct answer a = ask_for("/pprof/heap");
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	free(a.bytes);
	a = ask_for("/pprof/profile?seconds=1");
	STREQ(header(&a, "Content-Type"), "application/octet-stream");
	uint64_t word[8] = { 0 };
	memcpy(word, a.body, a.body_len < sizeof word ? 0 : sizeof word);
	EQ(word[1], 3);
	EQ(word[3], 10000);
	EQ(word[6], 2);
	EQ(word[7], stacks[0][0]);
	OK(body_has(&a, "r-xp "));
	free(a.bytes);
	a = get("/pprof/nothing");
	EQ(a.status, 404);
	free(a.bytes);
}

/* Inlined frames only for who splits them, which is who posts forms. */
static void legacy_symbols(void)
{
	static const struct {
		const char *target, *type;
		bool inlined;
	} CASES[] = { { "/pprof/symbol", "application/x-www-form-urlencoded", true },
		      { "/pprof/symbol", "application/octet-stream", false },
		      { PREFIX "symbol", "application/x-www-form-urlencoded; charset=x", true } };
	char query[64], more_header[128], want[200];
	int n = snprintf(query, sizeof query, "0x%016lx+0x1", stacks[0][0]);
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		snprintf(more_header, sizeof more_header, "Content-Type: %s\r\nContent-Length: %d\r\n",
		         CASES[i].type, n);
		int fd = ask("POST", CASES[i].target, more_header);
		send_all(fd, query, (size_t)n);
		struct answer a = hear(fd);
		snprintf(want, sizeof want, "num_symbols: 1\n0x%lx %sinputs_inner\n%s", stacks[0][0],
		         CASES[i].inlined ? "inputs_outer--" : "", CASES[i].inlined ? "0x1 [overflow]\n" : "");
		STREQ(a.body, want);
		free(a.bytes);
	}
}

static void on_signal(int signo)
{
	struct pd_row *row = rows[PD_HEAP].row;
	for (size_t k = 0; k < 4; k++) {
		row[0].value[k] += MORE[0].value[k];
		row[3].value[k] += MORE[1].value[k];
	}
}

static int serve_others(void)
{
	char byte;
	signal(SIGUSR1, on_signal);
	printf("%s\n", fake_config.address);
	fflush(stdout);
	while (read(0, &byte, 1) > 0 || errno == EINTR)
		errno = 0;
	pprofd_server_stop(false);
	return 0;
}

int main(int argc, char **argv)
{
	inputs_init();
	stacks[0][0] = inputs_outer();
	stacks[0][1] = stacks[1][0] = inputs_root();
	fake_agent.snapshot = table_snapshot;
	fake_agent.stack = table_stack;
	fake_agent.labels = table_labels;
	fake_agent.modules = table_modules;
	fake_agent.rates = table_rates;
	fake_agent.notes = table_notes;
	EQ(serve(), 0);
	if (argc > 1)
		return serve_others();
	headers();
	texts();
	switches();
	on_or_off();
	windows();
	deltas();
	many_clients();
	index_lines();
	legacy();
	legacy_symbols();
	pprofd_server_stop(false);
	OK(fake_balanced());
	DONE();
}
