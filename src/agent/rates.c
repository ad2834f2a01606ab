/*
 * The rates of all samplers: read, set all or nothing, given back when their time is over, and the last changes.
 * Knows no sampler by name. Everything here is guarded by the samplers' lock.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/life.h"
#include "agent/sampler/sampler.h"
#include "base/log.h"
#include "base/time.h"

#define RETRY 1000000000ll /* ns, when a rate could not be given back */

static struct {
	uint64_t initial;
	int64_t since_ns; /* real time */
	int64_t until_ns; /* real time; 0 = the value stays */
	int64_t due_ns;   /* until_ns on the monotonic clock, or the next try */
	uint64_t then;    /* what a value with an end gives way to: the last one set for good */
	bool told;        /* the log knows that it cannot be given back */
} held[PD_KINDS];
static struct pd_rate_event event[PD_RATE_EVENTS];
static uint64_t events;
static bool on;

/* The kind with a rate of that name; -1 = none. */
static int by_name(const char *name)
{
	for (int k = 0; k < PD_KINDS && name; k++)
		if (pd_samplers[k]->rate_name && strcmp(pd_samplers[k]->rate_name, name) == 0)
			return k;
	return -1;
}

size_t pd_rates(struct pd_rate *out, size_t max)
{
	size_t n = 0;
	pd_samplers_lock();
	for (int k = 0; k < PD_KINDS && n < max && on; k++) {
		const struct pd_sampler *s = pd_samplers[k];
		if (!s->rate_name)
			continue;
		uint64_t value = s->rate();
		out[n++] = (struct pd_rate){
			.name = s->rate_name,
			.unit = s->rate_unit,
			.help = s->rate_help,
			.value = value,
			.min = s->rate_min,
			.max = s->rate_max,
			.initial = held[k].initial,
			.since_ns = held[k].since_ns,
			.until_ns = held[k].until_ns,
			.then = held[k].until_ns ? held[k].then : value,
		};
	}
	pd_samplers_unlock();
	return n;
}

/* Kinds of all the changes, or what is wrong with change[*bad]. */
static int check(const struct pd_rate_change *change, size_t n, int *kind, size_t *bad)
{
	for (size_t i = 0; i < n; i++) {
		int k = by_name(change[i].name);
		*bad = i;
		if (k < 0)
			return -ENOENT;
		if (change[i].value < pd_samplers[k]->rate_min || change[i].value > pd_samplers[k]->rate_max)
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (kind[j] == k)
				return -EINVAL;
		kind[i] = k;
	}
	return 0;
}

/* A rate got a value: until when, since when, and a line in the history unless all is as it was. */
static void note(int k, uint64_t was, uint64_t now, int64_t for_ns, enum pd_rate_source source)
{
	int64_t real = pd_clock_ns(CLOCK_REALTIME);
	bool ends = held[k].until_ns != 0;
	if (was == now && !for_ns && !ends)
		return;
	if (for_ns && !ends)
		held[k].then = was;
	if (was != now)
		held[k].since_ns = real;
	held[k].until_ns = for_ns ? real + for_ns : 0;
	held[k].due_ns = for_ns ? pd_mono_ns() + for_ns : 0;
	held[k].told = false;
	const char *name = pd_samplers[k]->rate_name;
	event[events++ % PD_RATE_EVENTS] = (struct pd_rate_event){ real, name, was, now, for_ns, source };
}

static int put(int k, uint64_t value)
{
	return pd_samplers[k]->rate() == value ? 0 : pd_samplers[k]->set_rate(value);
}

/* Undo the first n changes. One that cannot be undone is in force, and the history must say so. */
static void undo(const struct pd_rate_change *change, const int *kind, size_t n, enum pd_rate_source source)
{
	while (n-- > 0) {
		int err = put(kind[n], change[n].was);
		if (!err)
			continue;
		pd_log("%s stays %llu: %s", change[n].name, (unsigned long long)change[n].value, strerrordesc_np(-err));
		note(kind[n], change[n].was, pd_samplers[kind[n]]->rate(), 0, source);
	}
}

static int set_all(struct pd_rate_change *change, size_t n, int64_t for_ns, enum pd_rate_source source, size_t *bad)
{
	int kind[PD_KINDS];
	int err = check(change, n, kind, bad);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		change[i].was = pd_samplers[kind[i]]->rate();
		err = put(kind[i], change[i].value);
		if (err) {
			*bad = i;
			undo(change, kind, i, source);
			return err;
		}
	}
	for (size_t i = 0; i < n; i++) {
		note(kind[i], change[i].was, change[i].value, for_ns, source);
		change[i].until_ns = held[kind[i]].until_ns;
		change[i].then = for_ns ? held[kind[i]].then : change[i].value;
	}
	return 0;
}

int pd_rates_set(struct pd_rate_change *change, size_t n, int64_t for_ns, enum pd_rate_source source, size_t *bad)
{
	size_t at = 0;
	if (for_ns < 0 || for_ns > PD_RATE_FOR_MAX)
		return -ERANGE;
	pd_samplers_lock();
	int err = on ? set_all(change, n, for_ns, source, &at) : -ENOTCONN;
	pd_samplers_unlock();
	/* Its thread looks after what is on now, and gives back what has an end. */
	if (!err)
		pd_agent_wake();
	if (bad)
		*bad = at;
	return err;
}

size_t pd_rate_events(struct pd_rate_event *out, size_t max)
{
	pd_samplers_lock();
	size_t n = events < PD_RATE_EVENTS ? events : PD_RATE_EVENTS;
	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++)
		out[i] = event[(events - 1 - i) % PD_RATE_EVENTS];
	pd_samplers_unlock();
	return n;
}

static void forget(void)
{
	memset(held, 0, sizeof held);
	events = 0;
	on = false;
}

int pd_rates_on(const struct pd_settings *s)
{
	struct pd_rate_change start[] = {
		{ .name = "cpu_hz", .value = s->cpu_hz },
		{ .name = "heap_rate", .value = s->heap_rate },
		{ .name = "block_rate", .value = s->block_rate },
		{ .name = "mutex_fraction", .value = s->mutex_fraction },
		{ .name = "io_rate", .value = s->io_rate },
		{ .name = "wall_hz", .value = s->wall_hz },
	};
	size_t n = sizeof start / sizeof *start, bad = 0;
	pd_samplers_lock();
	forget();
	int err = set_all(start, n, 0, PD_RATE_START, &bad);
	for (int k = 0; k < PD_KINDS && !err; k++) {
		if (!pd_samplers[k]->rate_name)
			continue;
		held[k].initial = pd_samplers[k]->rate();
		held[k].since_ns = pd_clock_ns(CLOCK_REALTIME);
	}
	on = !err;
	pd_samplers_unlock();
	if (err)
		pd_log("not started: %s cannot be set: %s", start[bad].name, strerrordesc_np(-err));
	return err;
}

void pd_rates_off(void)
{
	forget();
}

static void give_back(int k, int64_t now)
{
	uint64_t was = pd_samplers[k]->rate();
	int err = put(k, held[k].then);
	if (!err) {
		note(k, was, held[k].then, 0, PD_RATE_EXPIRED);
		return;
	}
	if (!held[k].told)
		pd_log("%s cannot go back to %llu, tried again each second: %s", pd_samplers[k]->rate_name,
		       (unsigned long long)held[k].then, strerrordesc_np(-err));
	held[k].told = true;
	held[k].due_ns = now + RETRY;
}

int64_t pd_rates_expire(int64_t next)
{
	int64_t now = pd_mono_ns();
	for (int k = 0; k < PD_KINDS; k++) {
		if (held[k].due_ns && held[k].due_ns <= now)
			give_back(k, now);
		if (held[k].due_ns && held[k].due_ns < next)
			next = held[k].due_ns;
	}
	return next;
}

void pd_rates_forked(void)
{
	forget();
}
