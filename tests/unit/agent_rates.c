/*
 * Rates over samplers made by hand, one of which can be told to fail: all or nothing, values that come back, the
 * history. rates.c is compiled in here under other names, so that the list of samplers is this file's.
 */
#include <errno.h>

#define pd_samplers test_samplers
#define pd_samplers_lock test_lock
#define pd_samplers_unlock test_unlock
#define pd_agent_wake test_wake
#define pd_rates test_rates
#define pd_rates_set test_rates_set
#define pd_rate_events test_rate_events
#define pd_rates_on test_rates_on
#define pd_rates_off test_rates_off
#define pd_rates_expire test_rates_expire
#define pd_rates_forked test_rates_forked
#include "agent/rates.c" /* NOLINT */

#include "../test.h"

static uint64_t value[PD_KINDS];
static int fails[PD_KINDS]; /* the error that set_rate returns */
static int calls, wakes, locked;

#define SAMPLER(kind, rname, least, most)                                                         \
	static uint64_t kind##_rate(void)                                                         \
	{                                                                                         \
		return value[kind];                                                               \
	}                                                                                         \
	static int kind##_set(uint64_t v)                                                         \
	{                                                                                         \
		calls++;                                                                          \
		OK(locked == 1);                                                                  \
		if (!fails[kind])                                                                 \
			value[kind] = v;                                                          \
		return fails[kind];                                                               \
	}                                                                                         \
	static const struct pd_sampler kind##_sampler = { .rate_name = rname, .rate_min = least, .rate_max = most, \
		.rate = kind##_rate, .set_rate = kind##_set };

SAMPLER(PD_CPU, "cpu_hz", 1, 4000)
SAMPLER(PD_HEAP, "heap_rate", 0, 1ull << 40)
SAMPLER(PD_BLOCK, "block_rate", 0, 1ull << 60)
SAMPLER(PD_MUTEX, "mutex_fraction", 0, 1000000000)
SAMPLER(PD_IO, "io_rate", 0, 1ull << 60)
SAMPLER(PD_WALL, "wall_hz", 1, 1000)
static const struct pd_sampler without;

const struct pd_sampler *const test_samplers[PD_KINDS] = {
	[PD_CPU] = &PD_CPU_sampler,     [PD_THREADCREATE] = &without,  [PD_HEAP] = &PD_HEAP_sampler,
	[PD_BLOCK] = &PD_BLOCK_sampler, [PD_MUTEX] = &PD_MUTEX_sampler, [PD_IO] = &PD_IO_sampler,
	[PD_WALL] = &PD_WALL_sampler,
};

void test_lock(void)
{
	locked++;
}

void test_unlock(void)
{
	locked--;
}

void test_wake(void)
{
	EQ(locked, 0);
	wakes++;
}

#define MS 1000000ll
#define C(rate, v) { .name = rate, .value = v }
#define SET(for_ns, bad, ...)                                                                              \
	({                                                                                                 \
		struct pd_rate_change set_[] = { __VA_ARGS__ };                                            \
		test_rates_set(set_, sizeof set_ / sizeof *set_, for_ns, PD_RATE_HTTP, bad);               \
	})

static struct pd_rate get(const char *name)
{
	struct pd_rate r[PD_RATES];
	size_t n = test_rates(r, PD_RATES);
	for (size_t i = 0; i < n; i++)
		if (strcmp(r[i].name, name) == 0)
			return r[i];
	return (struct pd_rate){ .name = NULL };
}

static size_t event_count(void)
{
	static struct pd_rate_event e[PD_RATE_EVENTS];
	return test_rate_events(e, PD_RATE_EVENTS);
}

static struct pd_rate_event last(void)
{
	struct pd_rate_event e = { .name = "none" };
	test_rate_events(&e, 1);
	return e;
}

/* As the agent's thread does it. */
static int64_t expire(void)
{
	test_lock();
	int64_t next = test_rates_expire(INT64_MAX);
	test_unlock();
	return next;
}

static void begin(void)
{
	static const struct pd_settings s = { .cpu_hz = 100, .heap_rate = 1024, .block_rate = 0, .wall_hz = 20 };
	memset(value, 0, sizeof value);
	memset(fails, 0, sizeof fails);
	value[PD_CPU] = 100; /* set before by the sampler's own start */
	EQ(test_rates_on(&s), 0);
	wakes = calls = 0;
}

static void at_start(void)
{
	struct pd_rate r[PD_RATES];
	size_t bad;
	EQ(SET(0, &bad, C("cpu_hz", 1)), -ENOTCONN);
	EQ(test_rates(r, PD_RATES), 0);
	begin();
	EQ(test_rates(r, PD_RATES), 6);
	EQ(test_rates(r, 2), 2);
	struct pd_rate heap = get("heap_rate");
	EQ(heap.value, 1024);
	EQ(heap.initial, 1024);
	EQ(heap.then, 1024);
	EQ(heap.until_ns, 0);
	OK(heap.since_ns > 0);
	EQ(get("wall_hz").initial, 20);
	/* Only what was changed is in the history: cpu_hz had its value. */
	EQ(event_count(), 2);
	EQ(last().source, PD_RATE_START);
	STREQ(last().name, "wall_hz");
	static const struct pd_settings broken = { .cpu_hz = 100, .heap_rate = 7, .wall_hz = 20 };
	fails[PD_WALL] = -EPERM;
	value[PD_WALL] = 1;
	EQ(test_rates_on(&broken), -EPERM);
	EQ(value[PD_HEAP], 1024);
	EQ(test_rates(r, PD_RATES), 0);
}

static void all_or_nothing(void)
{
	size_t bad = 9;
	begin();
	size_t events_before = event_count();
	EQ(SET(0, &bad, C("heap_rate", 5), C("block_rates", 5)), -ENOENT);
	EQ(bad, 1);
	EQ(SET(0, &bad, C("block_rate", 5), C("heap_rate", 5), C("wall_hz", 0)), -EINVAL);
	EQ(bad, 2);
	EQ(SET(0, &bad, C("wall_hz", 1001), C("heap_rate", 5)), -EINVAL);
	EQ(bad, 0);
	EQ(SET(0, &bad, C("heap_rate", 5), C("cpu_hz", 5), C("heap_rate", 6)), -EINVAL);
	EQ(bad, 2);
	EQ(SET(-1, &bad, C("heap_rate", 5)), -ERANGE);
	EQ(SET(PD_RATE_FOR_MAX + 1, &bad, C("heap_rate", 5)), -ERANGE);
	EQ(SET(0, &bad, C(NULL, 5)), -ENOENT);
	EQ(calls, 0);
	EQ(wakes, 0);
	fails[PD_MUTEX] = -ENOMEM;
	EQ(SET(1000 * MS, &bad, C("heap_rate", 5), C("block_rate", 6), C("mutex_fraction", 7), C("io_rate", 8)),
	   -ENOMEM);
	EQ(bad, 2);
	EQ(value[PD_HEAP], 1024);
	EQ(value[PD_BLOCK], 0);
	EQ(value[PD_IO], 0);
	EQ(calls, 5);
	EQ(event_count(), events_before);
	EQ(get("heap_rate").until_ns, 0);
	fails[PD_MUTEX] = 0;
	struct pd_rate_change two[] = { C("heap_rate", 5), C("block_rate", 6) };
	EQ(test_rates_set(two, 2, 0, PD_RATE_API, NULL), 0);
	EQ(two[0].was, 1024);
	EQ(two[0].until_ns, 0);
	EQ(two[0].then, 5);
	EQ(value[PD_HEAP], 5);
	EQ(value[PD_BLOCK], 6);
	EQ(wakes, 1);
	EQ(event_count(), events_before + 2);
	EQ(last().source, PD_RATE_API);
	EQ(last().was, 0);
	EQ(last().now, 6);
	/* The same again is no change, and no sampler hears of it. */
	calls = 0;
	EQ(SET(0, NULL, C("heap_rate", 5)), 0);
	EQ(calls, 0);
	EQ(event_count(), events_before + 2);
}

static void comes_back(void)
{
	begin();
	struct pd_rate_change one = C("block_rate", 5);
	EQ(test_rates_set(&one, 1, 30 * MS, PD_RATE_HTTP, NULL), 0);
	EQ(one.was, 0);
	EQ(one.then, 0);
	OK(one.until_ns > 0 && one.until_ns == get("block_rate").until_ns);
	EQ(last().for_ns, 30 * MS);
	int64_t next = expire();
	OK(next < test_now_ns() + 30 * MS);
	EQ(value[PD_BLOCK], 5);
	OK(WITHIN(2000, test_now_ns() >= next));
	EQ(expire(), INT64_MAX);
	EQ(value[PD_BLOCK], 0);
	EQ(get("block_rate").until_ns, 0);
	EQ(last().source, PD_RATE_EXPIRED);
	EQ(last().was, 5);
	EQ(last().now, 0);
}

/* Of two times the later call's counts; what comes back is the last value set for good. */
static void overlapping(void)
{
	begin();
	EQ(SET(0, NULL, C("heap_rate", 2000)), 0);
	EQ(SET(3600000 * MS, NULL, C("heap_rate", 1)), 0);
	EQ(SET(20 * MS, NULL, C("heap_rate", 2)), 0);
	EQ(get("heap_rate").then, 2000);
	EQ(value[PD_HEAP], 2);
	OK(WITHIN(2000, expire() == INT64_MAX));
	EQ(value[PD_HEAP], 2000);
	/* The longer one last. */
	EQ(SET(1, NULL, C("heap_rate", 1), C("block_rate", 1)), 0);
	EQ(SET(3600000 * MS, NULL, C("heap_rate", 1)), 0);
	OK(WITHIN(2000, (expire(), value[PD_BLOCK] == 0)));
	EQ(value[PD_HEAP], 1);
	/* A change for good ends it, even to the value there is. */
	size_t before = event_count();
	EQ(SET(0, NULL, C("heap_rate", 1)), 0);
	EQ(event_count(), before + 1);
	EQ(get("heap_rate").until_ns, 0);
	EQ(expire(), INT64_MAX);
	EQ(value[PD_HEAP], 1);
}

static void cannot_come_back(void)
{
	begin();
	EQ(SET(1, NULL, C("block_rate", 5)), 0);
	fails[PD_BLOCK] = -ENOMEM;
	int64_t next = expire();
	OK(next > test_now_ns() + 500 * MS && next < test_now_ns() + 1500 * MS);
	EQ(value[PD_BLOCK], 5);
	OK(get("block_rate").until_ns != 0);
	EQ(get("block_rate").then, 0);
	fails[PD_BLOCK] = 0;
	OK(WITHIN(3000, expire() == INT64_MAX));
	EQ(value[PD_BLOCK], 0);
}

static void history_and_end(void)
{
	struct pd_rate_event e[PD_RATE_EVENTS + 10];
	begin();
	for (uint64_t i = 1; i <= PD_RATE_EVENTS + 50; i++)
		EQ(SET(0, NULL, C("block_rate", i)), 0);
	EQ(test_rate_events(e, PD_RATE_EVENTS + 10), PD_RATE_EVENTS);
	EQ(e[0].now, PD_RATE_EVENTS + 50);
	EQ(e[PD_RATE_EVENTS - 1].now, 51);
	EQ(test_rate_events(e, 3), 3);
	EQ(e[2].now, PD_RATE_EVENTS + 48);
	EQ(SET(1, NULL, C("block_rate", 1)), 0);
	test_lock();
	test_rates_off();
	test_unlock();
	EQ(expire(), INT64_MAX);
	EQ(value[PD_BLOCK], 1);
	EQ(SET(0, NULL, C("block_rate", 1)), -ENOTCONN);
	begin();
	test_rates_forked();
	EQ(event_count(), 0);
	EQ(SET(0, NULL, C("block_rate", 1)), -ENOTCONN);
}

int main(void)
{
	at_start();
	all_or_nothing();
	comes_back();
	overlapping();
	cannot_come_back();
	history_and_end();
	DONE();
}
