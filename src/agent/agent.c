/* The agent at work: its thread, the samplers' openers, and the table of functions the server gets. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/hook/hook.h"
#include "agent/life.h"
#include "agent/os/os.h"
#include "agent/sampler/sampler.h"
#include "agent/stack/stack.h"
#include "agent/unwind/unwind.h"
#include "base/atomic.h"
#include "base/thread.h"
#include "base/time.h"

const struct pd_sampler *const pd_samplers[PD_KINDS] = {
	[PD_CPU] = &pd_sampler_cpu,
	[PD_THREADCREATE] = &pd_sampler_threadcreate,
	[PD_HEAP] = &pd_sampler_heap,
	[PD_BLOCK] = &pd_sampler_block,
	[PD_MUTEX] = &pd_sampler_mutex,
	[PD_IO] = &pd_sampler_io,
	[PD_WALL] = &pd_sampler_wall,
};
static const char *const drop_name[PD_DROP_REASONS] = {
	[PD_DROP_BUSY] = "busy",
	[PD_DROP_STACK] = "small_altstack",
	[PD_DROP_THREAD] = "unknown_thread",
	[PD_DROP_MEMORY] = "memory",
	[PD_DROP_LATE] = "late",
};

static struct pd_budget budget;
/* Of it, for all that grows as long as the service runs: an eighth is left to the tables of windows. */
static struct pd_budget lasting = { .outer = &budget };
#define FOR_WINDOWS 8

static pthread_mutex_t samplers_lock = PTHREAD_MUTEX_INITIALIZER; /* guards openers, rates, starting and stopping */
static uint32_t openers[PD_KINDS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t wake, refreshed;
static pthread_t thread;
static bool stopping;
static uint64_t asked, served; /* passes asked for, and the last of these that is done */
static uint32_t loads_noticed; /* atomic: set by hooks without the lock */
static uint32_t sleeping;      /* atomic: the thread waits without a time limit */

static struct timespec at_ns(int64_t ns)
{
	return pd_timespec(ns);
}

static void refresh(void)
{
	pd_unwind_refresh();
	pd_hooks_refresh();
}

/* How long to wait for the next look, after a load was noticed `ago` ns ago: it ends some time after its notice. */
static int64_t loader_pause(int64_t ago)
{
	return ago < 50000000 ? 1000000 : ago < 1000000000 ? 10000000 : 100000000;
}

#define LOAD_WATCH 10000000000ll
#define MAINTAIN 100000000ll

/* Is there a sampler to look after? Do so when it is due. The samplers' lock is held. */
static bool maintain(bool due)
{
	bool any = false;
	for (int k = 0; k < PD_KINDS; k++) {
		const struct pd_sampler *s = pd_samplers[k];
		if (!s->maintain || !(openers[k] || (s->standing && s->rate())))
			continue;
		any = true;
		if (due)
			s->maintain();
	}
	return any;
}

static void *agent_thread(void *arg)
{
	pd_thread_own("pprofd-agent");
	pd_thread_own_descriptors(-1);
	int64_t noticed = 0, maintained = 0;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		uint64_t serving = asked;
		bool at_once = served != serving;
		pthread_mutex_unlock(&lock);

		if (pd_xchg_acq_rel(&loads_noticed, 0))
			noticed = pd_mono_ns();
		refresh();
		int64_t now = pd_mono_ns(), next = INT64_MAX;
		if (noticed && now - noticed < LOAD_WATCH)
			next = now + loader_pause(now - noticed);
		pthread_mutex_lock(&samplers_lock);
		bool due = now - maintained >= MAINTAIN || at_once;
		bool any = maintain(due);
		if (due)
			maintained = pd_mono_ns();
		if (any && next > now + MAINTAIN)
			next = now + MAINTAIN;
		next = pd_rates_expire(next);
		pthread_mutex_unlock(&samplers_lock);

		pthread_mutex_lock(&lock);
		served = serving;
		pthread_cond_broadcast(&refreshed);
		pd_store_seqcst(&sleeping, next == INT64_MAX);
		if (stopping || asked != served || pd_load_seqcst(&loads_noticed))
			continue;
		if (next == INT64_MAX) {
			pthread_cond_wait(&wake, &lock);
		} else {
			struct timespec until = at_ns(next);
			pthread_cond_timedwait(&wake, &lock, &until);
		}
		pd_store_seqcst(&sleeping, 0);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void pd_agent_loader_changed(void)
{
	pd_store_seqcst(&loads_noticed, 1);
	/* While it does not sleep, it looks by itself. */
	if (!pd_xchg_acq_rel(&sleeping, 0))
		return;
	pthread_mutex_lock(&lock);
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

static int start_thread(void)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &monotonic);
	pthread_cond_init(&refreshed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	stopping = false;
	asked = 1; /* the first pass, before anybody asks */
	served = 0;
	return pd_thread_start(&thread, 256 << 10, agent_thread, NULL);
}

/* The agent's lock is held; the ticket of the pass. */
static uint64_t ask_pass(void)
{
	pthread_cond_signal(&wake);
	return ++asked;
}

static void modules_refresh(void)
{
	struct timespec until = at_ns(pd_mono_ns() + 100000000);
	pthread_mutex_lock(&lock);
	uint64_t ticket = ask_pass();
	/* A loader that does not let us in is not waited for. */
	while (served < ticket && pthread_cond_timedwait(&refreshed, &lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&lock);
}

void pd_agent_wake(void)
{
	pthread_mutex_lock(&lock);
	ask_pass();
	pthread_mutex_unlock(&lock);
}

const struct pd_budget *pd_agent_budget(void)
{
	return &budget;
}

void pd_samplers_lock(void)
{
	pthread_mutex_lock(&samplers_lock);
}

void pd_samplers_unlock(void)
{
	pthread_mutex_unlock(&samplers_lock);
}

static int samplers_on(const struct pd_settings *s)
{
	int err = 0;
	for (int k = 0; k < PD_KINDS && !err; k++)
		if (pd_samplers[k]->on)
			err = pd_samplers[k]->on(pd_samplers[k]->standing ? &lasting : &budget);
	return err ? err : pd_rates_on(s);
}

int pd_agent_on(const struct pd_settings *s)
{
	budget.cap = s->memory;
	lasting.cap = s->memory - s->memory / FOR_WINDOWS;
	int err = pd_threads_on(&lasting);
	if (!err)
		err = pd_labels_on(&lasting);
	if (!err)
		err = pd_unwind_open(&lasting);
	if (err)
		return err;
	pd_samplers_on(&budget, s->cpu_hz, (int)s->signo);
	err = start_thread();
	if (!err) {
		/* The host's first threads may be made as soon as we return: their stacks need tables. */
		modules_refresh();
		err = pd_threadcreate_on(&lasting, pd_agent_loader_changed, pd_fork_new_session, pd_filter_ahead);
		if (!err)
			err = samplers_on(s);
		if (!err) {
			pd_custom_on(&lasting);
			/* It sleeps, and there are samplers to look after now. */
			pd_agent_wake();
			return 0;
		}
		pd_agent_off();
		return err;
	}
	pd_unwind_close();
	pd_threads_off();
	return err;
}

void pd_agent_off(void)
{
	pd_custom_off();
	pd_threadcreate_off();
	pthread_mutex_lock(&samplers_lock);
	pd_rates_off();
	for (int k = 0; k < PD_KINDS; k++) {
		if (openers[k])
			pd_samplers[k]->stop();
		openers[k] = 0;
		if (pd_samplers[k]->standing && pd_samplers[k]->rate())
			pd_samplers[k]->set_rate(0);
		if (pd_samplers[k]->off)
			pd_samplers[k]->off();
	}
	pthread_mutex_unlock(&samplers_lock);
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	pd_threads_off();
	pd_unwind_close();
}

void pd_agent_forked(void)
{
	samplers_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	memset(openers, 0, sizeof openers);
	loads_noticed = sleeping = 0;
	budget.taken = lasting.taken = 0;
	pd_loader_forked();
	pd_hooks_forked();
	pd_threadcreate_forked();
	pd_cpu_forked();
	for (int k = 0; k < PD_KINDS; k++)
		if (pd_samplers[k]->forked)
			pd_samplers[k]->forked();
	pd_custom_forked();
	pd_rates_forked();
	pd_timers_forked();
	pd_signal_forked();
	pd_threads_forked();
	pd_unwind_forked();
}

/* ---- what the server gets ---- */

static int kind_open(enum pd_kind kind)
{
	pthread_mutex_lock(&samplers_lock);
	int err = openers[kind] ? 0 : pd_samplers[kind]->start();
	if (!err)
		openers[kind]++;
	pthread_mutex_unlock(&samplers_lock);
	/* From now on the thread looks after it at its own pace. */
	if (!err)
		pd_agent_wake();
	return err;
}

static void kind_close(enum pd_kind kind)
{
	pthread_mutex_lock(&samplers_lock);
	if (openers[kind] && --openers[kind] == 0)
		pd_samplers[kind]->stop();
	pthread_mutex_unlock(&samplers_lock);
}

static int kind_snapshot(enum pd_kind kind, struct pd_snapshot *out)
{
	pthread_mutex_lock(&samplers_lock);
	int err = openers[kind] ? pd_samplers[kind]->snapshot(out) : -EINVAL;
	pthread_mutex_unlock(&samplers_lock);
	return err;
}

static const char *kind_name(enum pd_kind kind)
{
	return pd_samplers[kind]->name;
}

static int kind_counters(enum pd_kind kind, struct pd_counters *out)
{
	const struct pd_sampler *s = pd_samplers[kind];
	struct pd_snapshot table;
	int err = 0;
	pthread_mutex_lock(&samplers_lock);
	if (s->counters) {
		s->counters(out);
	} else {
		err = openers[kind] || (s->standing && s->rate()) ? s->snapshot(&table) : -ENODATA;
		if (!err) {
			*out = table.counters;
			pd_snapshot_free(&table);
		}
	}
	pthread_mutex_unlock(&samplers_lock);
	return err;
}

static bool kind_stack(enum pd_kind kind, uint32_t id, struct pd_stack *out)
{
	return pd_samplers[kind]->stack(id, out);
}

static size_t kind_facts(enum pd_kind kind, struct pd_fact *out, size_t max)
{
	return pd_samplers[kind]->facts ? pd_samplers[kind]->facts(out, max) : 0;
}

static size_t kind_notes(enum pd_kind kind, char (*out)[PD_NOTE], size_t max)
{
	return pd_samplers[kind]->notes ? pd_samplers[kind]->notes(out, max) : 0;
}

const struct pd_agent pd_agent = {
	.abi = PD_ABI,
	.version = PD_VERSION,
	.drop_name = drop_name,
	.thread_own = pd_thread_own,
	.open = kind_open,
	.close = kind_close,
	.snapshot = kind_snapshot,
	.snapshot_free = pd_snapshot_free,
	.stack = kind_stack,
	.labels = pd_labels_get,
	.modules_refresh = modules_refresh,
	.modules = pd_unwind_modules,
	.dump = pd_dump_take,
	.dump_free = pd_dump_free,
	.facts = kind_facts,
	.notes = kind_notes,
	.rates = pd_rates,
	.rates_set = pd_rates_set,
	.rate_events = pd_rate_events,
	.kind_name = kind_name,
	.counters = kind_counters,
	.self = pd_agent_self,
	.customs = pd_customs,
	.custom_snapshot = pd_custom_snapshot,
	.custom_stack = pd_custom_stack,
	.offer = pd_service_offer,
};
