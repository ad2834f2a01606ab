/* Sampled allocations as samples: what they are scaled by, what a window shows, and what is merged. */
#include <math.h>

#include "../test.h"
#include "server/profile/profile.h"

#define R 524288

static const uint64_t PC[] = { 0x10, 0x20, 0x30 };
static const struct pd_label LABELS[] = { { "route", "/a" }, { "route", "/b" } };

static bool stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	*out = (struct pd_stack){ .pc = PC + id - 2, .n = 1, .epoch = 1 };
	return id >= 2 && id < 5;
}

static size_t labels(uint32_t id, const struct pd_label **out)
{
	*out = &LABELS[id - 1];
	return 1;
}

static size_t modules(const struct pd_module *const **list)
{
	static const struct pd_module *const none[1];
	*list = none;
	return 0;
}

static const struct pd_agent AGENT = { .stack = stack, .labels = labels, .modules = modules };

/* A row of n allocations and f frees of one size. */
#define ROW(stack, labels, size, rate, n, f) { { stack, labels, size, rate }, { n, (n) * (size), f, (f) * (size) } }
#define SNAPSHOT(rows, now) { .real_ns = 1, .rate = now, .n = sizeof rows / sizeof *rows, .row = rows }

static struct pd_profile window(unsigned how, const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	struct pd_profile p = { 0 };
	pd_profile_init(&p, pd_profile_type("heap"));
	p.how = how;
	pd_profile_window(&p, &AGENT, PD_HEAP, from, to);
	EQ(pd_profile_finish(&p), 0);
	return p;
}

static void values(const struct pd_sample *s, int64_t allocs, int64_t bytes, int64_t inuse, int64_t inuse_bytes)
{
	EQ(s->value[0], allocs);
	EQ(s->value[1], bytes);
	EQ(s->value[2], inuse);
	EQ(s->value[3], inuse_bytes);
}

static void test_scale(void)
{
	/* Small objects stand for rate / size of them and a half, large ones for themselves. */
	OK(fabs(pd_heap_scale(96, R) - (R / 96.0 + 0.5)) < 0.01);
	OK(fabs(pd_heap_scale(R, R) - 1 / (1 - exp(-1))) < 1e-12);
	OK(pd_heap_scale(1000 * R, R) == 1);
	OK(fabs(pd_heap_scale(1, 1ull << 40) - (double)(1ull << 40)) < 1);
	OK(pd_heap_scale(96, 1) == 1);
	OK(pd_heap_scale(96, 0) == 1);
	OK(pd_heap_scale(0, 1) == 1);
}

static void test_scaled(void)
{
	struct pd_row rows[] = { ROW(2, 0, 96, R, 3, 1), ROW(3, 0, 4 * R, R, 2, 2),
		                 { { PD_STACK_OVERFLOW, 0, 0, 1 }, { 10, 1000, 4, 400 } } };
	struct pd_snapshot to = SNAPSHOT(rows, 65536);
	struct pd_profile p = window(0, NULL, &to);
	EQ(p.period, 65536);
	EQ(p.raw_rate, 0);
	EQ(p.duration_ns, 0);
	EQ(p.n, 3);
	values(&p.sample[0], 16386, 1573008, 10924, 1048672); /* 3 and 2 times 5461.83..., 524336.00... */
	EQ(p.sample[0].size, 96);
	EQ(p.sample[1].pseudo, PD_PSEUDO_OVERFLOW);
	values(&p.sample[1], 10, 1000, 6, 600);
	EQ(p.sample[1].size, 0);
	values(&p.sample[2], 2, 4272559, 0, 0); /* 2 * 1.01866 */
	pd_profile_free(&p);
}

/* Rate 1: no number is touched, be it beyond what a double holds. */
static void test_exact(void)
{
	struct pd_row rows[] = { { { 2, 0, 7, 1 }, { 1ll << 60 | 1, (1ll << 60 | 1) * 7, 1, 7 } } };
	struct pd_snapshot to = SNAPSHOT(rows, 1);
	struct pd_profile p = window(0, NULL, &to);
	EQ(p.n, 1);
	values(&p.sample[0], 1ll << 60 | 1, (1ll << 60 | 1) * 7, 1ll << 60, (1ll << 60) * 7);
	pd_profile_free(&p);
}

/* One stack and size at three rates is one sample: each part scaled by its own. */
static void test_rates_merge(void)
{
	struct pd_row rows[] = { ROW(2, 0, 1000, R, 1, 0), ROW(2, 0, 1000, 1, 50, 20), ROW(2, 0, 1000, 10000, 4, 4),
		                 ROW(2, 0, 2000, 1, 1, 0) };
	struct pd_snapshot to = SNAPSHOT(rows, R);
	struct pd_profile p = window(0, NULL, &to);
	EQ(p.n, 2);
	values(&p.sample[0], 525 + 50 + 42, 524788 + 50000 + 42033, 525 + 30, 524788 + 30000);
	values(&p.sample[1], 1, 2000, 1, 2000);
	pd_profile_free(&p);
}

static void test_window(void)
{
	struct pd_row before[] = { ROW(2, 0, 100, 1, 10, 0), ROW(3, 0, 100, 1, 5, 5), ROW(4, 0, 100, 1, 8, 2) };
	struct pd_row after[] = { ROW(2, 0, 100, 1, 14, 9), /* 4 more, 9 fewer in use than allocated */
		                  ROW(3, 0, 100, 1, 9, 6), ROW(4, 0, 100, 1, 8, 2), ROW(4, 0, 200, 1, 1, 0) };
	struct pd_snapshot from = SNAPSHOT(before, 1), to = SNAPSHOT(after, 1);
	struct pd_profile p = window(0, &from, &to);
	EQ(p.n, 3);
	values(&p.sample[0], 4, 400, 3, 300);
	EQ(p.sample[0].stack.pc[0], 0x20);
	values(&p.sample[1], 1, 200, 1, 200);
	values(&p.sample[2], 4, 400, 0, 0);
	EQ(p.sample[2].stack.pc[0], 0x10);
	pd_profile_free(&p);

	/* The same with in use as it is at the end: what did not change is there too. */
	p = window(PD_INUSE_NOW, &from, &to);
	EQ(p.n, 4);
	values(&p.sample[0], 0, 0, 6, 600);
	values(&p.sample[1], 4, 400, 5, 500);
	values(&p.sample[2], 4, 400, 3, 300);
	values(&p.sample[3], 1, 200, 1, 200);
	pd_profile_free(&p);
}

/* Memory that one rate saw freed and another one allocated again has not grown. */
static void test_clamped_after_merging(void)
{
	struct pd_row before[] = { ROW(2, 1, 100, 1, 10, 0) };
	struct pd_row after[] = { ROW(2, 1, 100, 1, 10, 10), ROW(2, 2, 100, 0, 10, 0) };
	struct pd_snapshot from = SNAPSHOT(before, 1), to = SNAPSHOT(after, 1);
	struct pd_profile p = window(PD_NO_LABELS, &from, &to);
	EQ(p.n, 1);
	EQ(p.sample[0].nlabels, 0);
	values(&p.sample[0], 10, 1000, 0, 0);
	pd_profile_free(&p);

	p = window(0, &from, &to);
	EQ(p.n, 1); /* with labels, all of the first one's change is below 0 */
	STREQ(p.sample[0].label[0].value, "/b");
	values(&p.sample[0], 10, 1000, 10, 1000);
	pd_profile_free(&p);
}

static void test_raw(void)
{
	struct pd_row rows[] = { ROW(2, 0, 96, R, 3, 1), ROW(3, 0, 100, R, 1, 1), ROW(4, 0, 96, 1, 5, 0) };
	struct pd_snapshot one = { .rate = 77, .n = 2, .row = rows }, two = { .rate = 77, .n = 3, .row = rows };
	struct pd_profile p = window(PD_RAW, NULL, &one);
	EQ(p.raw_rate, R);
	EQ(p.period, 77);
	values(&p.sample[0], 3, 288, 2, 192);
	values(&p.sample[1], 1, 100, 0, 0);
	pd_profile_free(&p);
	/* Different rates have no raw form that a reader could scale. */
	p = window(PD_RAW, NULL, &two);
	EQ(p.raw_rate, 0);
	values(&p.sample[0], 16386, 1573008, 10924, 1048672);
	pd_profile_free(&p);
	struct pd_snapshot none = { .rate = 77 };
	p = window(PD_RAW, NULL, &none);
	EQ(p.raw_rate, 77);
	EQ(p.n, 0);
	pd_profile_free(&p);
}

static void test_totals(void)
{
	struct pd_row rows[] = { ROW(2, 0, 96, R, 3, 1), ROW(4, 0, 96, 1, 5, 2) };
	struct pd_snapshot s = SNAPSHOT(rows, R);
	struct pd_heap_totals t = pd_heap_totals(&s);
	OK(t.mixed);
	EQ(llround(t.alloc_objects), 16386 + 5);
	EQ(llround(t.alloc_bytes), 1573008 + 480);
	EQ(llround(t.inuse_objects), 10924 + 3);
	EQ(llround(t.inuse_bytes), 1048672 + 288);
	/* sqrt(samples * (1 - p)) / p * size, with p = 1 - exp(-96 / R); what rate 1 has counted has none */
	EQ(llround(t.inuse_error), 741455);
	s.n = 1;
	t = pd_heap_totals(&s);
	OK(!t.mixed);
	EQ(t.rate, R);
	s.n = 0;
	EQ(pd_heap_totals(&s).rate, 0);
}

int main(void)
{
	test_scale();
	test_scaled();
	test_exact();
	test_rates_merge();
	test_window();
	test_clamped_after_merging();
	test_raw();
	test_totals();
	DONE();
}
