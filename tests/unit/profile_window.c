/* Windows between snapshots, merging and order: what every encoder relies on. */
#include "../test.h"
#include "server/profile/profile.h"

static const uint64_t PC[] = { 0x10, 0x20, 0x30, 0x10, 0x20, 0x99 };
static const struct pd_label LABELS[] = { { "a", "1" }, { "b", "2" } };

/* Stacks 2 and 4 have the same frames; 5 has none; 9 is not known. */
static bool stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	static const struct {
		uint32_t at, n;
	} STACK[] = { [2] = { 0, 2 }, [3] = { 2, 1 }, [4] = { 3, 2 }, [5] = { 0, 0 }, [6] = { 3, 3 } };
	if (id >= sizeof STACK / sizeof *STACK)
		return false;
	*out = (struct pd_stack){ .pc = PC + STACK[id].at, .n = STACK[id].n, .epoch = 1 };
	return true;
}

static size_t labels(uint32_t id, const struct pd_label **out)
{
	*out = LABELS;
	return id;
}

static size_t modules(const struct pd_module *const **list)
{
	static const struct pd_module m;
	static const struct pd_module *const all[] = { &m };
	*list = all;
	return 1;
}

static const struct pd_agent AGENT = { .stack = stack, .labels = labels, .modules = modules };

static struct pd_profile window(enum pd_kind kind, const char *type, const struct pd_snapshot *from,
                                const struct pd_snapshot *to)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type(type));
	pd_profile_window(&p, &AGENT, kind, from, to);
	EQ(pd_profile_finish(&p), 0);
	return p;
}

static void test_difference(void)
{
	struct pd_row before[] = { { { 3, 0, 0, 0 }, { 5, 50 } }, { { 2, 0, 0, 0 }, { 1, 10 } }, { { 2, 1, 0, 0 }, { 4, 40 } } };
	struct pd_row after[] = { { { 2, 1, 0, 0 }, { 9, 95 } }, { { 6, 0, 0, 0 }, { 2, 20 } },  { { 2, 0, 0, 0 }, { 1, 10 } },
	                          { { 4, 0, 0, 0 }, { 7, 70 } }, { { 3, 0, 0, 0 }, { 6, 60 } },  { { 1, 2, 0, 0 }, { 3, 30 } },
	                          { { 5, 0, 0, 0 }, { 1, 11 } }, { { 9, 0, 0, 0 }, { 1, 12 } } };
	struct pd_snapshot from = { .mono_ns = 1000, .real_ns = 77, .rate = 100, .n = 3, .row = before };
	struct pd_snapshot to = { .mono_ns = 5000, .real_ns = 88, .rate = 250, .n = 8, .row = after };
	struct pd_profile p = window(PD_CPU, "profile", &from, &to);
	EQ(p.time_ns, 77);
	EQ(p.duration_ns, 4000);
	EQ(p.period, 4000000);
	EQ(p.nmodules, 1);
	EQ(p.n, 6);
	EQ(p.sample[0].value[0], 7);
	EQ(p.sample[0].stack.n, 2);
	EQ(p.sample[0].nlabels, 0);
	EQ(p.sample[1].value[0], 5); /* 9 - 4 */
	EQ(p.sample[1].value[1], 55);
	EQ(p.sample[1].nlabels, 1);
	EQ(p.sample[2].pseudo, PD_PSEUDO_OVERFLOW);
	STREQ(pd_pseudo_name(p.sample[2].pseudo), "[overflow]");
	EQ(p.sample[2].nlabels, 2);
	EQ(p.sample[3].pseudo, PD_PSEUDO_NO_STACK); /* 5 and 9 together */
	EQ(p.sample[3].value[1], 23);
	EQ(p.sample[4].stack.n, 3); /* 2 samples as well, but less time */
	EQ(p.sample[5].stack.pc[0], 0x30);
	EQ(p.sample[5].value[0], 1);
	pd_profile_free(&p);

	p = window(PD_THREADCREATE, "threadcreate", NULL, &to);
	EQ(p.time_ns, 88);
	EQ(p.duration_ns, 0);
	EQ(p.period, 1);
	EQ(p.n, 6); /* 2 and 4 are one */
	EQ(p.sample[0].value[0], 9);
	EQ(p.sample[1].value[0], 8);
	pd_profile_free(&p);
}

/* A table that shrank (it was made anew) yields nothing rather than negative values. */
static void test_never_negative(void)
{
	struct pd_row before[] = { { { 2, 0, 0, 0 }, { 5, 50 } }, { { 3, 0, 0, 0 }, { 5, 50 } } };
	struct pd_row after[] = { { { 2, 0, 0, 0 }, { 4, 40 } }, { { 3, 0, 0, 0 }, { 6, 40 } } };
	struct pd_snapshot from = { .n = 2, .row = before, .rate = 100 }, to = { .n = 2, .row = after, .rate = 100 };
	struct pd_profile p = window(PD_CPU, "profile", &from, &to);
	EQ(p.n, 1);
	EQ(p.sample[0].value[0], 1);
	EQ(p.sample[0].value[1], 0);
	pd_profile_free(&p);
	struct pd_snapshot none = { .rate = 100 };
	p = window(PD_CPU, "profile", &none, &none);
	EQ(p.n, 0);
	pd_profile_free(&p);
}

/* Readers divide by the count of waits, in every form. */
static void test_delay_has_a_count(void)
{
	struct pd_row rows[] = { { { 2, 0, 0, 0 }, { 0, 50 } }, { { 4, 0, 0, 0 }, { 0, 5 } }, { { 3, 0, 0, 0 }, { 7, 40 } },
	                         { { 6, 0, 0, 0 }, { 0, 0 } } };
	struct pd_snapshot from = { .n = 1, .row = &rows[2] }, to = { .n = 4, .row = rows };
	static const char *const names[] = { "block", "mutex", "io" };
	static const enum pd_kind kinds[] = { PD_BLOCK, PD_MUTEX, PD_IO };
	for (size_t i = 0; i < 6; i++) {
		struct pd_profile p = window(kinds[i % 3], names[i % 3], i < 3 ? NULL : &from, &to);
		EQ(p.n, i < 3 ? 2 : 1);
		EQ(p.sample[0].value[0], 1); /* of 2 and 4 together */
		EQ(p.sample[0].value[1], 55);
		if (i < 3)
			EQ(p.sample[1].value[0], 7);
		pd_profile_free(&p);
	}
	/* Of other kinds a count of 0 is one. */
	struct pd_profile p = window(PD_CPU, "profile", NULL, &to);
	EQ(p.sample[0].value[0], 0);
	pd_profile_free(&p);
}

static void test_order_is_one(void)
{
	struct pd_profile p = { 0 }, q = { 0 };
	pd_profile_init(&p, pd_profile_type("heap"));
	pd_profile_init(&q, pd_profile_type("heap"));
	struct pd_sample s[12];
	for (size_t i = 0; i < 12; i++)
		s[i] = (struct pd_sample){ .stack = { PC + i % 3, 1 + i % 2, 1, 0 }, .size = i / 6,
			                   .value = { 1, -1, 2, 3 }, .label = LABELS, .nlabels = i % 4 == 1 };
	for (size_t i = 0; i < 12; i++) {
		pd_profile_add(&p, &s[i]);
		pd_profile_add(&q, &s[(i * 7 + 3) % 12]);
	}
	EQ(pd_profile_finish(&p), 0);
	EQ(pd_profile_finish(&q), 0);
	EQ(p.n, q.n);
	int64_t total = 0;
	for (size_t i = 0; i < p.n && i < q.n; i++) {
		EQ(p.sample[i].stack.pc[0], q.sample[i].stack.pc[0]);
		EQ(p.sample[i].size, q.sample[i].size);
		EQ(p.sample[i].nlabels, q.sample[i].nlabels);
		EQ(p.sample[i].value[1], 0);
		total += p.sample[i].value[3];
	}
	EQ(total, 36);
	pd_profile_free(&p);
	pd_profile_free(&q);
}

static void test_comments_and_types(void)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("goroutine"));
	for (int i = 0; i < 9; i++)
		pd_profile_comment(&p, "sentence %d.", i);
	EQ(p.ncomments, 9);
	STREQ(p.comment[8], "sentence 8.");
	pd_profile_free(&p);
	OK(!pd_profile_type("nothing"));
	static const char *const NAMES[] = { "profile", "wall", "heap", "allocs", "block", "mutex", "goroutine",
		                             "threadcreate" };
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		const struct pd_profile_type *t = pd_profile_type(NAMES[i]);
		STREQ(t->name, NAMES[i]);
		OK(t->ntypes >= 1 && t->type[t->ntypes - 1].unit && t->period.unit);
	}
	STREQ(pd_profile_type("allocs")->default_type, "alloc_space");
}

int main(void)
{
	test_difference();
	test_never_negative();
	test_delay_has_a_count();
	test_order_is_one();
	test_comments_and_types();
	DONE();
}
