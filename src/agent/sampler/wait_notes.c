/* What the samplers of waits tell of themselves. Ordinary threads only. */
#include <stdarg.h>
#include <stdio.h>

#include "agent/sampler/wait.h"
#include "base/atomic.h"

struct notes {
	char (*out)[PD_NOTE];
	size_t n, max;
};

static __attribute__((format(printf, 2, 3))) void say(struct notes *s, const char *fmt, ...)
{
	va_list ap;
	if (s->n == s->max)
		return;
	va_start(ap, fmt);
	vsnprintf(s->out[s->n++], PD_NOTE, fmt, ap);
	va_end(ap);
}

/* Off, and nothing there from before: nothing to say. */
static bool silent(const struct pd_waits *k)
{
	return !pd_load_relaxed(&k->rate) && !pd_load_relaxed(&k->count.recorded);
}

static void unseen(struct notes *s)
{
	say(s, "Seen are waits in calls to libc (pthread, C11, C++, futex) from shared objects and the program; not "
	       "those of locks that spin, or that are linked in statically together with their system calls.");
}

size_t pd_block_notes(char (*out)[PD_NOTE], size_t max)
{
	struct notes s = { .out = out, .max = max };
	if (silent(&pd_block))
		return 0;
	say(&s, "A wait is counted when it ends: threads that wait just now are not in it.");
	unseen(&s);
	return s.n;
}

size_t pd_mutex_notes(char (*out)[PD_NOTE], size_t max)
{
	struct notes s = { .out = out, .max = max };
	struct pd_sums_stats stats;
	const char *absl = pd_absl_note();
	pd_sums_stats(&stats);
	if (silent(&pd_mutex))
		return 0;
	say(&s, "Stacks are those of unlocks. Each is charged with what all waiters have waited since the unlock "
	        "before it; a wait counts once, at the first unlock that it waited for.");
	say(&s, "Not charged to anybody: the time a waiter takes to wake up, and waits for the mutex when a condition "
	        "wait ends.");
	unseen(&s);
	if (stats.full)
		say(&s, "%llu waits are missing because too many locks were waited for at the same time.",
		    (unsigned long long)stats.full);
	if (absl)
		say(&s, "%s", absl);
	return s.n;
}

size_t pd_io_notes(char (*out)[PD_NOTE], size_t max)
{
	struct notes s = { .out = out, .max = max };
	if (silent(&pd_io))
		return 0;
	say(&s, "It is the time spent in calls that can wait, from 1 microsecond on. A call is counted when it ends; "
	        "those that libc makes by itself, as for stdio, are not seen.");
	return s.n;
}

static size_t common(const struct pd_waits *k, struct pd_fact *out, size_t max)
{
	const struct pd_fact all[] = {
		{ "stacks", pd_load_relaxed(&k->table.stacks) },
		{ "rows", pd_load_relaxed(&k->table.rows) },
		{ "table_bytes", pd_load_relaxed(&k->table.arena.used) },
	};
	size_t n = 0;
	for (; n < sizeof all / sizeof *all && n < max; n++)
		out[n] = all[n];
	return n;
}

size_t pd_block_facts(struct pd_fact *out, size_t max)
{
	size_t n = common(&pd_block, out, max);
	if (n < max)
		out[n++] = (struct pd_fact){ "late_stacks", pd_lock_late_stacks() };
	return n;
}

size_t pd_mutex_facts(struct pd_fact *out, size_t max)
{
	struct pd_sums_stats stats;
	size_t n = common(&pd_mutex, out, max);
	pd_sums_stats(&stats);
	if (n < max)
		out[n++] = (struct pd_fact){ "uncounted_waits", stats.full };
	if (n < max)
		out[n++] = (struct pd_fact){ "healed_waiters", stats.healed };
	return n;
}

size_t pd_io_facts(struct pd_fact *out, size_t max)
{
	return common(&pd_io, out, max);
}
