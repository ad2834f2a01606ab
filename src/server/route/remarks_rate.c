/* What a reader must know of a kind that is sampled at a rate: on or off, since when, and how to switch it. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "server/route/inside.h"

#define MOMENT 32

static const struct {
	const char *rate;
	const char *example; /* a value to begin with */
	const char *nothing; /* why a profile may be empty although it is on */
} KINDS[PD_KINDS] = {
	[PD_HEAP] = { "heap_rate", "524288", "nothing was allocated, or by no way that is seen" },
	[PD_BLOCK] = { "block_rate", "10000", "no thread had to wait, or only for less than is sampled" },
	[PD_MUTEX] = { "mutex_fraction", "10", "no thread had to wait for a lock when it was released" },
	[PD_IO] = { "io_rate", "1000000", "no thread waited for input or output" },
};

static const char *moment(char buf[static MOMENT], int64_t real_ns)
{
	time_t t = real_ns / PD_SECOND;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(buf, MOMENT, "%Y-%m-%d %H:%M:%S UTC", &tm);
	return buf;
}

static bool find_rate(const struct pd_agent *agent, const char *name, struct pd_rate *out)
{
	struct pd_rate rate[PD_RATES];
	size_t n = agent->rates(rate, PD_RATES);
	for (size_t i = 0; i < n; i++)
		if (strcmp(rate[i].name, name) == 0) {
			*out = rate[i];
			return true;
		}
	return false;
}

bool pd_rate_hint(const struct pd_agent *agent, enum pd_kind kind, char out[static PD_NOTE])
{
	struct pd_rate r;
	if (!KINDS[kind].rate || !find_rate(agent, KINDS[kind].rate, &r) || r.value)
		return false;
	snprintf(out, PD_NOTE, "Now off: POST admin?%s=%s&for=60s.", KINDS[kind].rate,
	         KINDS[kind].example);
	return true;
}

/* The command that turns it on, as it can be typed where the request came from. */
static void say_how(struct pd_profile *p, const struct pd_job *job)
{
	const struct pd_config *c = job->routes->config;
	const char *rate = KINDS[job->route->kind].rate, *example = KINDS[job->route->kind].example;
	struct pd_buf curl = { 0 }, url = { 0 };
	bool known = pd_command_url(&url, c, job->request);
	pd_command_curl(&curl, c);
	pd_buf_char(&url, '\0');
	pd_buf_char(&curl, '\0');
	p->failed |= url.failed || curl.failed;
	if (known && !p->failed)
		pd_profile_comment(p, "To turn it on for a minute: %s -X POST '%sadmin?%s=%s&for=60s'", curl.data, url.data,
		                   rate, example);
	else if (!p->failed)
		pd_profile_comment(p, "To turn it on: pprofd_rate_set(\"%s\", %s).", rate, example);
	pd_buf_free(&url);
	pd_buf_free(&curl);
}

static void say_on(struct pd_profile *p, const struct pd_rate *r, const char *since, const char *nothing)
{
	char at[MOMENT];
	pd_profile_comment(p, "%s is %" PRIu64 "%s: %s.", r->name, r->value, since, r->help);
	if (r->until_ns)
		pd_profile_comment(p, "At %s it goes back to %" PRIu64 "%s.", moment(at, r->until_ns), r->then,
		                   r->then ? "" : ", off");
	if (!p->n)
		pd_profile_comment(p, "No samples: %s.", nothing);
}

void pd_remarks_rate(struct pd_profile *p, const struct pd_job *job, const struct pd_snapshot *from)
{
	enum pd_kind kind = job->route->kind;
	struct pd_rate r;
	if (!KINDS[kind].rate || !find_rate(job->agent, KINDS[kind].rate, &r))
		return;
	char since[MOMENT + 8] = "", at[MOMENT];
	if (r.since_ns)
		snprintf(since, sizeof since, " since %s", moment(at, r.since_ns));
	if (from && from->rate != job->to.rate)
		pd_profile_comment(p, "%s was changed meanwhile, from %" PRIu64 " to %" PRIu64 "; what was sampled is"
		                   " scaled by the rate of its time.", r.name, from->rate, job->to.rate);
	if (r.value)
		return say_on(p, &r, since, KINDS[kind].nothing);
	pd_profile_comment(p, "Off%s: %s is 0, %s.", since, r.name,
	                   p->n ? "what is here was sampled before" : "nothing is sampled");
	if (kind == PD_HEAP && p->n)
		pd_profile_comment(p, "What was freed since it was turned off still counts as in use.");
	say_how(p, job);
}
