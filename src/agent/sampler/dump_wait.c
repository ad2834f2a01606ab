/*
 * The memory around the words that threads wait at, copied while they do. Knows the kernel's call; what lies there
 * (a mutex, a thread's number) is told by others who know the C library.
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include "agent/sampler/dump.h"

#define BEFORE 16 /* bytes before the word: it need not be the first of its object */

static bool waits_at_a_word(const struct pd_thread_rec *rec)
{
	if (rec->state != PD_WAITING || rec->syscall != SYS_futex || !rec->args[0])
		return false;
	switch (rec->args[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return true;
	default:
		return false;
	}
}

static void copy(struct pd_thread_rec *rec)
{
	/* An object on two pages has both; where the page before is missing, nothing of it lies there. */
	for (uint64_t before = BEFORE;; before = 0) {
		uint64_t lo = rec->args[0] - before;
		ssize_t got = pd_peek(rec->wait_bytes, lo, sizeof rec->wait_bytes);
		rec->wait_lo = lo;
		rec->wait_len = got > (ssize_t)before ? (uint32_t)got : 0;
		if (rec->wait_len || !before)
			return;
	}
}

/*
 * All are copied after all were looked at, and a copy is good when its thread has used no CPU time from then until all
 * were copied. So there is a moment at which all of them waited, and at which what a waiting thread holds cannot
 * have changed hands since it was copied: a circle found in the copies was one.
 */
void pd_look_at_waits(struct pd_dump *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (waits_at_a_word(&d->thread[i]))
			copy(&d->thread[i]);
	for (size_t i = 0; i < d->n; i++) {
		struct pd_thread_rec *rec = &d->thread[i];
		if (rec->wait_len && pd_thread_cpu_ns(rec->tid) != rec->cpu_ns)
			rec->wait_len = 0;
	}
}
