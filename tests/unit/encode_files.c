/* Writes one file in each form into a directory (argument or $T), for the readers that other tests start on them. */
#include "../test.h"
#include "../inputs.h"
#include "../validate.h"

static const struct pd_label LABELS[] = { { "handler", "check\"out" }, { "tenant", "caf\xc3\xa9" } };
static uint64_t pc_real[2];
static const uint64_t pc_ghost[] = { INPUTS_GHOST + 0x10, INPUTS_GHOST + 0x20 };

static void fill(struct pd_profile *p, const char *type)
{
	pd_profile_init(p, pd_profile_type(type));
	p->time_ns = 1700000000000000000;
	p->duration_ns = strcmp(type, "profile") == 0 ? 2000000000 : 0;
	p->period = p->duration_ns ? 10000000 : 1;
	p->modules = inputs_list;
	p->nmodules = inputs_nmodules;
	struct pd_sample all[] = {
		{ .stack = inputs_stack(pc_real, 2), .value = { 5, 50000000 } },
		{ .stack = inputs_stack(pc_real, 2), .label = LABELS, .nlabels = 2, .value = { 5, 50000000 } },
		{ .stack = inputs_stack(pc_real + 1, 1), .value = { 20, 200000000 } },
		{ .stack = inputs_stack(pc_ghost, 2), .value = { 2, 20000000 } },
		{ .pseudo = PD_PSEUDO_OVERFLOW, .value = { 3, 30000000 } },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		pd_profile_add(p, &all[i]);
	pd_profile_comment(p, "Lost: 3 samples.");
	EQ(pd_profile_finish(p), 0);
}

static void save(const char *dir, const char *name, struct pd_buf *b)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f) {
		perror(path);
		exit(1);
	}
	EQ(fwrite(b->data, 1, b->len, f), b->len);
	EQ(fclose(f), 0);
	pd_buf_free(b);
}

static bool no_stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	return false;
}

static void save_dump(const char *dir, struct pd_symbols *s)
{
	struct pd_thread_rec thread[] = {
		{ .tid = 4242, .name = "main", .state = PD_RUNNING, .syscall = -1, .n = 2, .pc = pc_real },
		{ .tid = 4243, .name = "goroutine 1 [", .state = PD_WAITING, .kernel_state = 'S', .syscall = 202,
		  .n = 2, .pc = pc_ghost, .flags = PD_TRUNCATED, .wait_ns = 61000000000 },
		{ .tid = 4244, .name = "a\nb", .state = PD_WAITING, .kernel_state = 'S', .syscall = 999, .cpu_ns = -1 },
	};
	struct pd_dump d = { .real_ns = 1700000000000000000, .took_ns = 1900000, .epoch = 1, .n = 3, .thread = thread };
	struct pd_agent agent = { .stack = no_stack };
	struct pd_encode_options o = { 0 };
	struct pd_buf out = { 0 };
	EQ(pd_encode_threads(&d, &agent, inputs_list, inputs_nmodules, s, &o, &out), 0);
	save(dir, "threads.txt", &out);
}

int main(int argc, char **argv)
{
	static const char *const TYPES[] = { "profile", "goroutine" };
	const char *dir = argc > 1 ? argv[1] : getenv("T");
	if (!dir)
		SKIP("no directory to write to");
	inputs_init();
	pc_real[0] = inputs_outer();
	pc_real[1] = inputs_root();
	struct pd_symbols *s = pd_symbols_open(1 << 24);
	for (size_t i = 0; i < 2; i++) {
		struct pd_profile p = { 0 };
		struct pd_buf out = { 0 };
		struct pd_encode_options o = { 0 };
		char name[64];
		fill(&p, TYPES[i]);
		EQ(pd_encode_pprof(&p, s, &o, &out), 0);
		OK(!validate(out.data, out.len));
		snprintf(name, sizeof name, "%s.pb.gz", TYPES[i]);
		save(dir, name, &out);
		o.split_inlines = o.plain = true;
		EQ(pd_encode_pprof(&p, s, &o, &out), 0);
		OK(!validate(out.data, out.len));
		snprintf(name, sizeof name, "%s.split.pb", TYPES[i]);
		save(dir, name, &out);
		EQ(pd_encode_text(&p, s, &o, &out), 0);
		snprintf(name, sizeof name, "%s.txt", TYPES[i]);
		save(dir, name, &out);
		pd_profile_free(&p);
	}
	save_dump(dir, s);
	pd_symbols_close(s);
	DONE();
}
