/* Which clock the hooks read, and how long its ticks are. */
#include "agent/os/clock.h"

#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "agent/os/os.h"
#include "base/time.h"

struct pd_clock pd_clock = { .ns_per_tick = (uint64_t)1 << 32, .ticks_per_ns = (uint64_t)1 << 32 };
static bool opened;

#define BASELINE 10000000 /* ns; two readings are each right to some 100 ns */

/* Both clocks at one moment: the closest of some tries. */
static void both(uint64_t *tsc, uint64_t *ns)
{
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < 8; i++) {
		uint64_t before = pd_tsc(), now = (uint64_t)pd_mono_ns(), took = pd_tsc() - before;
		if (took >= least)
			continue;
		least = took;
		*tsc = before + took / 2;
		*ns = now;
	}
}

static bool trusted(void)
{
	int may = PR_TSC_ENABLE;
	char source[64] = "";
	/* The kernel falls back to these when it has seen counters of processors drift apart. */
	pd_read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", source, sizeof source);
	bool fallen = strncmp(source, "hpet", 4) == 0 || strncmp(source, "acpi_pm", 7) == 0 || strncmp(source, "jiffies", 7) == 0;
	return !fallen && pd_tsc_invariant() && (prctl(PR_GET_TSC, &may, 0, 0, 0) != 0 || may == PR_TSC_ENABLE);
}

void pd_clock_open(void)
{
	if (opened)
		return;
	opened = true;
	if (!trusted())
		return;
	uint64_t tsc[2] = { 0 }, ns[2] = { 0 };
	both(&tsc[0], &ns[0]);
	nanosleep(&(struct timespec){ 0, BASELINE }, NULL);
	both(&tsc[1], &ns[1]);
	uint64_t ticks = tsc[1] - tsc[0], time = ns[1] - ns[0];
	if (!ticks || !time || ticks >> 40 || time >> 40)
		return;
	pd_clock.ns_per_tick = (uint64_t)(((unsigned __int128)time << 32) / ticks);
	pd_clock.ticks_per_ns = (uint64_t)(((unsigned __int128)ticks << 32) / time);
	pd_clock.tsc = true;
}
