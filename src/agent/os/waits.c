/* Threads that block all signals and wait for one: those of our timers are not what they wait for. */
#include <errno.h>
#include <time.h>

#include "agent/os/os.h"
#include "base/time.h"

int pd_signal_host_wait(const sigset_t *set, siginfo_t *info, const struct timespec *limit, pd_signal_wait_fn *real)
{
	siginfo_t own;
	struct timespec left;
	siginfo_t *to = info ? info : &own;
	int64_t began = limit ? pd_mono_ns() : 0;
	for (const struct timespec *wait = limit;; wait = limit ? &left : NULL) {
		int got = real(set, to, wait);
		if (got <= 0 || !pd_timer_target(to))
			return got;
		if (!limit)
			continue;
		int64_t gone = pd_mono_ns() - began;
		left.tv_sec = limit->tv_sec - gone / 1000000000;
		left.tv_nsec = limit->tv_nsec - gone % 1000000000;
		if (left.tv_nsec < 0) {
			left.tv_nsec += 1000000000;
			left.tv_sec--;
		}
		if (left.tv_sec < 0)
			left = (struct timespec){ 0 };
	}
}
