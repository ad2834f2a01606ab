/* Which registry entry the calling thread is. The part of the registry that handlers use. */
#include "agent/os/os.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "agent/os/registry.h"
#include "base/atomic.h"

/* ENDED: the entry was given up at the thread's end; no new one is to be made. */
#define ENDED ((struct pd_thread *)1)

static __thread struct pd_thread *self;
static __thread uint32_t own_work; /* how deep the thread is in work of the profiler's */

/*
 *              find   insert/remove
 * find          -          -
 * insert        -     X (the registry's lock)
 * Open addressing by tid. A removed entry leaves GONE, so a probe under way goes on past it.
 */
struct pd_thread *pd_by_tid[PD_BY_TID];

struct pd_thread *pd_thread_find(int tid)
{
	uint32_t at = (uint32_t)tid;
	for (uint32_t i = 0; i < PD_BY_TID; i++) {
		struct pd_thread *t = pd_load_acquire(&pd_by_tid[(at + i) % PD_BY_TID]);
		if (!t)
			return NULL;
		if (t != PD_TID_GONE && pd_load_relaxed(&t->tid) == tid)
			return t;
	}
	return NULL;
}

struct pd_thread *pd_thread_self(void)
{
	struct pd_thread *t = self;
	return t == ENDED ? NULL : t;
}

struct pd_thread *pd_thread_adopt(void)
{
	struct pd_thread *t = self;
	if (t)
		return t == ENDED ? NULL : t;
	t = pd_thread_find((int)syscall(SYS_gettid));
	if (t)
		self = t;
	return t;
}

bool pd_self_ended(void)
{
	return self == ENDED;
}

void pd_self_set(struct pd_thread *t)
{
	self = t;
}

void pd_self_end(void)
{
	self = ENDED;
}

void pd_own_work_begin(void)
{
	own_work++;
}

void pd_own_work_end(void)
{
	own_work--;
}

bool pd_own_work(void)
{
	return own_work != 0;
}
