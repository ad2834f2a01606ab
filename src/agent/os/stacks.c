/* Bounds of stacks nobody told us about, from /proc/self/maps. */
#include "agent/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"

#define WANTED 256

struct wanted {
	struct pd_thread *t;
	bool first; /* the process's first thread: its stack is marked, wherever it may be running just now */
	uint64_t sp, lo, hi;
};
struct search {
	size_t n;
	struct wanted w[WANTED];
};

static bool first_sought; /* the stack of the first thread, without its asking */
static bool first_moved; /* the first thread of this process was made with a stack of its own, in the parent */

void pd_stacks_forked(bool by_first)
{
	first_moved = first_moved || !by_first;
	first_sought = false;
}

static void want(struct pd_thread *t, void *arg)
{
	struct search *s = arg;
	uint64_t sp = pd_load_relaxed(&t->sp_seen);
	bool first = t->tid == getpid() && !first_moved;
	/* Before it runs on a stack of a handler, from which its own could not be found. */
	bool early = first && !first_sought && !pd_load_relaxed(&t->stack_hi);
	first_sought = first_sought || early;
	if ((sp || early) && s->n < WANTED)
		s->w[s->n++] = (struct wanted){ .t = t, .first = first, .sp = sp };
}

static void give(struct pd_thread *t, void *arg)
{
	const struct search *s = arg;
	for (size_t i = 0; i < s->n; i++) {
		if (s->w[i].t != t)
			continue;
		if (s->w[i].hi) {
			/* A sample in between sees lo > sp or hi = 0 and takes the careful way. */
			pd_store_release(&t->stack_hi, 0);
			pd_store_release(&t->stack_lo, s->w[i].lo);
			pd_store_release(&t->stack_hi, s->w[i].hi);
		}
		pd_store_relaxed(&t->sp_seen, 0);
	}
}

static uint64_t hex(const char **p)
{
	uint64_t v = 0;
	for (;; ++*p) {
		char c = **p;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return v;
	}
}

/* One line "lo-hi rw-p ... name": does it hold a stack that is looked for? */
static void line(const char *p, struct search *s)
{
	uint64_t lo = hex(&p);
	if (*p++ != '-')
		return;
	uint64_t hi = hex(&p);
	if (p[0] != ' ' || p[1] != 'r' || p[2] != 'w')
		return;
	bool marked = strstr(p, "[stack]");
	for (size_t i = 0; i < s->n; i++)
		if (s->w[i].first ? marked : s->w[i].sp >= lo && s->w[i].sp < hi) {
			s->w[i].lo = lo;
			s->w[i].hi = hi;
		}
}

void pd_threads_find_stacks(void)
{
	struct search s = { 0 };
	pd_threads_each(want, &s);
	if (!s.n)
		return;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	char buf[8192 + 1];
	size_t have = 0;
	ssize_t got;
	while ((got = read(fd, buf + have, sizeof buf - 1 - have)) > 0) {
		have += (size_t)got;
		buf[have] = 0;
		char *at = buf, *nl;
		for (; (nl = strchr(at, '\n')); at = nl + 1)
			line(at, &s);
		have -= (size_t)(at - buf);
		memmove(buf, at, have);
		if (have == sizeof buf - 1)
			have = 0; /* a line longer than any path */
	}
	close(fd);
	pd_threads_each(give, &s);
}
