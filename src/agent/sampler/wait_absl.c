/*
 * absl::Mutex is no pthread mutex, but tells one listener of each unlock that lets waiters in, on the unlocking thread,
 * with what they have waited. There is one place for a listener, for good, and a build with assertions ends the process
 * when two want it: so it is taken only when no object of the process calls the function that takes it.
 * Knows the mangled names of absl's releases, and no hook.
 */
#include <dlfcn.h>
#include <string.h>
#include <time.h>

#include "agent/sampler/wait.h"
#include "base/time.h"

/* The inline namespace is that of a long-term release, of Debian's builds, or none. Mangled. */
static const char *const within[] = {
	"", "12lts_20190808", "12lts_20200225", "12lts_20200923", "12lts_20210324", "12lts_20211102", "12lts_20220623",
	"12lts_20230125", "12lts_20230802", "12lts_20240116", "12lts_20240722", "12lts_20250127", "12lts_20250512",
	"12lts_20250814", "7debian1", "7debian2", "7debian3", "7debian4", "7debian5", "7debian6", "7debian7",
	"7debian8", "7debian9",
};

static bool watching;
static const char *note; /* for the reader of a profile */
static uint64_t ns_per_cycle; /* times 2^32 */

/* absl::<within>::<rest> */
static void *find(const char *space, const char *rest, char *name)
{
	strcpy(name, "_ZN4absl");
	strcat(strcat(name, space), rest);
	pd_loader_lock();
	void *at = dlsym(RTLD_DEFAULT, name);
	pd_loader_unlock();
	return at;
}

/* How long a cycle of absl's clock is; 0 = nothing to go by. */
static uint64_t measure(int64_t (*cycles)(void))
{
	int64_t c = cycles ? cycles() : 0;
	uint64_t t = (uint64_t)pd_mono_ns();
	if (c)
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	c = c ? cycles() - c : 0;
	t = (uint64_t)pd_mono_ns() - t;
	return c > 0 && t >> 30 == 0 ? (t << 32) / (uint64_t)c : 0;
}

static void waited(int64_t cycles)
{
	uint64_t fraction = pd_sums_fraction();
	bool own;
	struct pd_thread *t = fraction ? pd_wait_self(&own) : NULL;
	if (!t || own || !pd_sums_chance(t->waits, fraction))
		return;
	uint64_t ns = (uint64_t)((unsigned __int128)(cycles > 0 ? cycles : 0) * ns_per_cycle >> 32);
	struct pd_charge c = { .waits = 1, .ticks = pd_ns_to_ticks(ns), .fraction = fraction };
	pd_charge_put(&c, PD_SITE(NULL));
}

void pd_absl_watch(void)
{
	for (size_t i = 0; i < sizeof within / sizeof *within && !watching; i++) {
		char name[128];
		int64_t (*now)(void) = (int64_t (*)(void))find(within[i], "13base_internal10CycleClock3NowEv", name);
		void (*listen)(void (*)(int64_t)) =
			(void (*)(void (*)(int64_t)))find(within[i], "21RegisterMutexProfilerEPFvlE", name);
		if (!listen)
			continue;
		ns_per_cycle = measure(now);
		bool listened_to = pd_hooks_callers(name) != 0;
		if (!ns_per_cycle || listened_to) {
			note = listened_to ? "absl::Mutex is not in it: the program listens to absl itself." :
			                     "absl::Mutex is not in it: absl does not tell the speed of its clock.";
			return;
		}
		note = "For absl::Mutex absl counts: the whole of a wait is charged to the unlock that ends it.";
		watching = true;
		listen(waited);
	}
}

const char *pd_absl_note(void)
{
	return note;
}
