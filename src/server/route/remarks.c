/* What a reader must know of a profile, in sentences. Pure: counters in, comments out. */
#include <string.h>

#include "server/route/inside.h"

#define N(number) ((unsigned long long)(number))

const char *pd_span(char buf[static PD_SPAN], int64_t ns)
{
	double s = (double)ns / 1e9;
	if (ns >= PD_SECOND)
		snprintf(buf, PD_SPAN, "%.2f s", s);
	else if (ns >= 1000000)
		snprintf(buf, PD_SPAN, "%.1f ms", s * 1e3);
	else
		snprintf(buf, PD_SPAN, "%.0f us", s * 1e6);
	return buf;
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* The counters of the window alone; those that tell a state are as at its end. */
static struct pd_counters between(const struct pd_counters *from, const struct pd_counters *to)
{
	struct pd_counters d = *to;
	d.ticks -= from->ticks;
	d.recorded -= from->recorded;
	for (int i = 0; i < PD_DROP_REASONS; i++)
		d.dropped[i] -= from->dropped[i];
	d.signals -= from->signals;
	d.truncated -= from->truncated;
	d.overflow -= from->overflow;
	d.self_ns -= from->self_ns;
	d.process_cpu_ns -= from->process_cpu_ns;
	d.own_cpu_ns -= from->own_cpu_ns;
	if (d.own_cpu_ns > d.process_cpu_ns)
		d.own_cpu_ns = d.process_cpu_ns;
	return d;
}

/* CPU used beside wall time; returns it in ns. */
static int64_t say_used(struct pd_profile *p, const struct pd_counters *c, int64_t wall)
{
	char used[PD_SPAN], span[PD_SPAN];
	int64_t cpu = (int64_t)(c->process_cpu_ns - c->own_cpu_ns);
	double share = percent((double)cpu, (double)wall);
	const char *rest = "";
	if (share < 95)
		rest = "; the rest was off-CPU: see wall and goroutine?debug=2";
	else if (share > 105)
		rest = "; more than 100 % is more than one thread at a time";
	pd_profile_comment(p, "CPU used: %s of %s wall (%.0f %%)%s", pd_span(used, cpu),
	                   pd_span(span, wall), share, rest);
	return cpu;
}

static void say_sampled(struct pd_profile *p, const struct pd_counters *c, int64_t cpu)
{
	char sampled[PD_SPAN];
	int64_t ns = (int64_t)c->recorded * p->period;
	if (c->recorded && cpu > 0)
		pd_profile_comment(p, "Samples stand for %s of CPU: %.0f %% of the CPU used.",
		                   pd_span(sampled, ns), percent((double)ns, (double)cpu));
}

static void say_lost(struct pd_profile *p, const struct pd_agent *agent,
                     const struct pd_counters *c)
{
	uint64_t lost = 0;
	char why[160] = "";
	for (int i = 0; i < PD_DROP_REASONS; i++) {
		size_t at = strlen(why);
		lost += c->dropped[i];
		if (c->dropped[i])
			snprintf(why + at, sizeof why - at, "%s%s %llu", at ? ", " : "",
			         agent->drop_name[i], N(c->dropped[i]));
	}
	if (lost)
		pd_profile_comment(p, "Lost: %llu of %llu samples due (%.1f %%), by reason: %s.",
		                   N(lost), N(c->ticks), percent((double)lost, (double)c->ticks),
		                   why);
}

/* Counters that deserve a sentence as soon as they are not 0. */
static void say_flaws(struct pd_profile *p, const struct pd_counters *c)
{
	double all = (double)c->recorded;
	if (c->truncated)
		pd_profile_comment(p, "Truncated: %llu samples (%.1f %%) end before the thread's"
		                   " first frame.", N(c->truncated),
		                   percent((double)c->truncated, all));
	if (c->overflow)
		pd_profile_comment(p, "Overflow: %llu samples (%.1f %%) are under [overflow],"
		                   " because the memory for stacks is used up; PPROFD_MEMORY sets"
		                   " the limit.", N(c->overflow),
		                   percent((double)c->overflow, all));
	if (c->masked_threads)
		pd_profile_comment(p, "Blind spot: %llu of %llu threads looked at block the"
		                   " profiling signal; their CPU time is not in here.",
		                   N(c->masked_threads), N(c->threads_looked_at));
	if (c->timerless_threads)
		pd_profile_comment(p, "%llu threads have no timer of their own, because a limit of"
		                   " the system is reached: the clock of the whole process stands in"
		                   " for them.", N(c->timerless_threads));
}

/* Who filters by a label must know what is left out. */
static void say_unlabelled(struct pd_profile *p)
{
	int64_t all = 0, without = 0;
	for (size_t i = 0; i < p->n; i++) {
		all += p->sample[i].value[0];
		without += p->sample[i].nlabels ? 0 : p->sample[i].value[0];
	}
	if (without && without < all)
		pd_profile_comment(p, "Labels: %.0f %% of the samples carry none.",
		                   percent((double)without, (double)all));
}

static void say_why_empty(struct pd_profile *p, const struct pd_counters *c, int64_t cpu)
{
	char used[PD_SPAN], step[PD_SPAN];
	pd_span(used, cpu);
	if (p->n)
		return;
	if (cpu < 10 * p->period)
		pd_profile_comment(p, "No samples: with %s of CPU used and a sample every %s there"
		                   " was next to nothing to see. The threads waited;"
		                   " wall and goroutine?debug=2 show where.", used,
		                   pd_span(step, p->period));
	else
		pd_profile_comment(p, "No samples, although %s of CPU were used: the samples were"
		                   " lost, or the threads that used it cannot be sampled.", used);
}

static void say_rate_changed(struct pd_profile *p, const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	if (from->rate != to->rate)
		pd_profile_comment(p, "The rate was changed from %llu to %llu samples per second"
		                   " meanwhile; the period is that of the new one.", N(from->rate),
		                   N(to->rate));
}

static void say_cost(struct pd_profile *p, const struct pd_counters *c)
{
	char handlers[PD_SPAN], threads[PD_SPAN];
	pd_profile_comment(p, "Cost of profiling: %s in the sampled threads, %s in pprofd's own.",
	                   pd_span(handlers, (int64_t)c->self_ns),
	                   pd_span(threads, (int64_t)c->own_cpu_ns));
}

void pd_remarks_window(struct pd_profile *p, const struct pd_agent *agent,
                       const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	struct pd_counters c = between(&from->counters, &to->counters);
	pd_profile_comment(p, "pprofd %s, %llu samples per second of CPU time.", agent->version,
	                   N(to->rate));
	say_rate_changed(p, from, to);
	int64_t cpu = say_used(p, &c, to->mono_ns - from->mono_ns);
	say_sampled(p, &c, cpu);
	say_lost(p, agent, &c);
	say_flaws(p, &c);
	say_unlabelled(p);
	say_cost(p, &c);
	say_why_empty(p, &c, cpu);
}

void pd_remarks_wall(struct pd_profile *p, const struct pd_agent *agent,
                     const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	char all[PD_SPAN], span[PD_SPAN], used[PD_SPAN];
	struct pd_counters c = between(&from->counters, &to->counters);
	int64_t wall = to->mono_ns - from->mono_ns, cpu = (int64_t)(c.process_cpu_ns - c.own_cpu_ns);
	int64_t ns = 0;
	pd_profile_comment(p, "pprofd %s, %llu samples per second of every thread, running or waiting.",
	                   agent->version, N(to->rate));
	say_rate_changed(p, from, to);
	for (size_t i = 0; i < p->n; i++)
		ns += p->sample[i].value[1];
	pd_profile_comment(p, "Samples stand for %s of all threads' time: %.1f threads over %s. CPU used meanwhile:"
	                   " %s.", pd_span(all, ns), wall > 0 ? (double)ns / (double)wall : 0, pd_span(span, wall),
	                   pd_span(used, cpu));
	say_lost(p, agent, &c);
	say_flaws(p, &c);
	say_cost(p, &c);
}

void pd_remarks_table(struct pd_profile *p, const struct pd_agent *agent,
                      const struct pd_snapshot *from, const struct pd_snapshot *to)
{
	static const struct pd_counters nothing;
	char span[PD_SPAN];
	if (from)
		pd_profile_comment(p, "pprofd %s, counted over %s.", agent->version,
		                   pd_span(span, to->mono_ns - from->mono_ns));
	else
		pd_profile_comment(p, "pprofd %s, counted since it was started.", agent->version);
	struct pd_counters c = between(from ? &from->counters : &nothing, &to->counters);
	say_lost(p, agent, &c);
	say_flaws(p, &c);
}

void pd_remarks_dump(struct pd_profile *p, const struct pd_agent *agent, const struct pd_dump *d)
{
	char took[PD_SPAN];
	size_t without = 0, truncated = 0, hidden = 0;
	for (size_t i = 0; i < d->n; i++) {
		without += !d->thread[i].n;
		truncated += d->thread[i].n && d->thread[i].flags & PD_TRUNCATED;
		hidden += !d->thread[i].n && d->thread[i].flags & PD_HIDDEN;
	}
	pd_profile_comment(p, "pprofd %s: %zu threads, looked at one after the other within %s.",
	                   agent->version, d->n, pd_span(took, d->took_ns));
	if (without)
		pd_profile_comment(p, "%zu threads are under [stack unavailable]; %zu of %zu that"
		                   " were asked did not answer in time.", without, d->missed,
		                   d->signalled);
	if (hidden)
		pd_profile_comment(p, "%zu of these wait: the process has changed its user, or made itself undumpable;"
		                   " then the kernel does not tell where its threads wait.", hidden);
	if (truncated)
		pd_profile_comment(p, "%zu stacks end before the thread's first frame.", truncated);
}

/* One circle: each of its threads waits for the next. */
static void say_deadlock(struct pd_profile *p, const struct pd_dump *d, const struct pd_waits *w, size_t first)
{
	struct pd_buf text = { 0 };
	size_t i = first;
	do {
		pd_buf_str(&text, i == first ? "" : "; ");
		pd_wait_sentence(&text, d, w, i);
		i = w->of[i].holder_at;
	} while (i != first);
	pd_buf_char(&text, '\0');
	p->failed |= text.failed;
	if (!text.failed)
		pd_profile_comment(p, "Deadlock: %s.", text.data);
	pd_buf_free(&text);
}

void pd_remarks_waits(struct pd_profile *p, const struct pd_dump *d, const struct pd_waits *w)
{
	uint32_t told = 0;
	size_t waiting = 0;
	for (size_t i = 0; i < w->n; i++) {
		waiting += w->of[i].holder_at != PD_NOBODY && w->of[i].object;
		if (w->of[i].circle > told) {
			told = w->of[i].circle;
			say_deadlock(p, d, w, i);
		}
	}
	if (waiting)
		pd_profile_comment(p, "Threads that wait for a lock another thread holds: %zu;"
		                   " goroutine?debug=2 tells which.", waiting);
}
