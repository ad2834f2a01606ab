/*
 * All threads seen from outside, tick after tick. A thread that has used no CPU time since it was last looked at is
 * where it was: that costs one read of its clock. Others are looked at as the dump does, and asked when they run.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/sampler/cpu.h"
#include "agent/sampler/dump.h"
#include "agent/sampler/wall.h"
#include "base/atomic.h"
#include "base/time.h"

#define THREADS ((size_t)1 << 17)  /* more get no ticks */
#define SHARE 10                   /* of a core, one part in so many may be spent here, */
#define CREDIT 150000000           /* and so many ns at once */
#define ANSWER_WITHIN 1000000000   /* ns */

/* A thread as it was last seen. */
struct seen {
	int tid;
	bool fresh;       /* not visited yet */
	bool truncated;
	bool empty;       /* it is ending: not there any more for a reader */
	int64_t cpu_ns;   /* CPU time used when it was seen waiting; -1 = it was not */
	struct pd_thread *t; /* its entry; NULL = none. Reused for others after its end */
	struct pd_key key;   /* as recorded */
	uint32_t row;        /* of that key; 0 = to be looked up */
	uint32_t generation; /* of the tables the stack was walked with */
	struct pd_wall_ask *ask;
};

/* What this thread alone uses; mapped once, as nobody else needs it. */
static struct {
	struct pd_look look;
	struct seen a[2][THREADS];
	int tids[THREADS];
} *mem;
static struct seen *now; /* one of mem->a, by tid */
static size_t n, ntids;
static nlink_t links; /* of /proc/self/task, which tell how many threads there are */
static uint64_t row_period;
static int64_t credit, counted_at; /* CPU time in ns that may be spent, and when that was reckoned */
static int64_t spent_until;        /* of this thread's CPU time */
static uint64_t due; /* ticks, in this scan */

static bool have_memory(void)
{
	if (mem)
		return true;
	void *p = mmap(NULL, sizeof *mem, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	mem = p;
	now = mem->a[0];
	return true;
}

/* ---- who there is ---- */

static void note_tid(int tid, void *arg)
{
	if (ntids < THREADS)
		mem->tids[ntids++] = tid;
}

/* Nearly in order as they come. */
static void sort_tids(void)
{
	for (size_t gap = ntids / 2; gap; gap /= 2) {
		for (size_t i = gap; i < ntids; i++) {
			int v = mem->tids[i];
			size_t k = i;
			for (; k >= gap && mem->tids[k - gap] > v; k -= gap)
				mem->tids[k] = mem->tids[k - gap];
			mem->tids[k] = v;
		}
	}
}

static void let_go(struct seen *s)
{
	if (s->ask)
		pd_wall_ask_free(s->ask);
	s->ask = NULL;
}

/* Read the list of threads anew; what is known of those that stay is kept. */
static void list_threads(void)
{
	ntids = 0;
	if (pd_each_task(note_tid, NULL) != 0)
		return;
	sort_tids();
	struct seen *next = now == mem->a[0] ? mem->a[1] : mem->a[0];
	size_t old = 0, made = 0;
	for (size_t i = 0; i < ntids; i++) {
		int tid = mem->tids[i];
		if (i && tid == mem->tids[i - 1])
			continue;
		while (old < n && now[old].tid < tid)
			let_go(&now[old++]);
		if (old < n && now[old].tid == tid)
			next[made++] = now[old++];
		else
			next[made++] = (struct seen){ .tid = tid, .fresh = true, .cpu_ns = -1 };
	}
	while (old < n)
		let_go(&now[old++]);
	now = next;
	n = made;
}

static void list_if_changed(void)
{
	struct stat st;
	if (stat("/proc/self/task", &st) == 0 && st.st_nlink == links)
		return;
	list_threads();
	links = st.st_nlink;
}

/* ---- one thread ---- */

static struct pd_thread *entry_of(struct seen *s)
{
	if (!s->t || pd_load_relaxed(&s->t->tid) != s->tid)
		s->t = pd_thread_find(s->tid);
	return s->t;
}

static uint32_t labels_of(const struct seen *s)
{
	return s->t ? pd_load_relaxed(&s->t->labels) : 0;
}

static bool is_own(struct seen *s)
{
	const struct pd_thread *t = entry_of(s);
	return t && pd_load_relaxed(&t->own);
}

/* Threads that wait at the same place come one after the other: their ticks are added up. */
static struct {
	uint32_t row;
	int64_t ticks, truncated;
} sum;

static void add_sum(void)
{
	if (!sum.ticks)
		return;
	pd_table_count(&pd_wall.table, sum.row, &sum.ticks, 1);
	pd_add_relaxed(&pd_wall.count.recorded, (uint64_t)sum.ticks);
	pd_add_relaxed(&pd_wall.count.truncated, (uint64_t)sum.truncated);
	sum.ticks = sum.truncated = 0;
}

static void record_waiting(struct seen *s, uint64_t ticks)
{
	if (!s->row && s->key.stack != PD_STACK_OVERFLOW)
		s->row = pd_table_row(&pd_wall.table, &s->key);
	if (!s->row) {
		pd_wall_record(&s->key, s->truncated, ticks);
		return;
	}
	if (sum.row != s->row)
		add_sum();
	sum.row = s->row;
	sum.ticks += (int64_t)ticks;
	sum.truncated += s->truncated ? (int64_t)ticks : 0;
}

/* The kernel keeps from us where it is, but not the letter of its state. */
static bool seems_running(int tid)
{
	struct pd_thread_rec rec = { .tid = tid };
	return pd_proc_stat(mem->look.task_dir, &rec) == 0 && rec.kernel_state == 'R';
}

static struct pd_looked hidden(void)
{
	pd_store_relaxed(&pd_wall.hidden, 1);
	return (struct pd_looked){ .end = PD_END_LOST };
}

enum found { WAITS, RUNS, RESTLESS, ENDED };

/* Where it waits, walked while it used no CPU time. */
static enum found look(struct seen *s)
{
	struct pd_look *l = &mem->look;
	for (int tries = 0; tries < 2; tries++) {
		struct pd_where at;
		struct pd_looked f;
		uint32_t generation = pd_unwind_generation();
		int64_t cpu = pd_thread_cpu_ns(s->tid);
		int err = cpu < 0 ? -ESRCH : pd_proc_where(l->task_dir, s->tid, &at);
		if (err && err != -EACCES)
			return ENDED;
		if (err ? seems_running(s->tid) : at.running)
			return RUNS;
		if (err)
			f = hidden();
		else
			pd_look_walk(l, s->t, &at, &f);
		if (pd_thread_cpu_ns(s->tid) != cpu)
			continue;
		s->empty = !err && !at.sp; /* a first thread that ended before the process */
		s->cpu_ns = cpu;
		s->generation = generation;
		s->truncated = f.end != PD_END_BOTTOM;
		s->row = 0;
		uint32_t stack = pd_table_stack(&pd_wall.table, l->pc, (uint32_t)f.n, pd_unwind_epoch(),
		                                s->truncated ? PD_TRUNCATED : 0);
		/* Which it keeps until it runs. */
		s->key = pd_wall_key(stack, pd_wall_labels(labels_of(s), "waiting"), s->t);
		return WAITS;
	}
	return RESTLESS;
}

static bool ask(struct seen *s, uint64_t ticks, int64_t at_ns)
{
	if (!s->ask)
		s->ask = pd_wall_ask_new(s->tid);
	if (!s->ask) {
		pd_wall_drop(PD_DROP_LATE, ticks);
		return true;
	}
	if (pd_wall_owed(s->ask) && at_ns - s->ask->since_ns > ANSWER_WITHIN)
		pd_wall_ask_end(s->ask);
	return pd_wall_ask_for(s->ask, labels_of(s), ticks, at_ns);
}

/* Give it its ticks. False: it has ended. */
static bool visit(struct seen *s, uint64_t ticks, int64_t at_ns)
{
	s->fresh = false;
	int64_t cpu = pd_thread_cpu_ns(s->tid);
	bool still = cpu >= 0 && cpu == s->cpu_ns && s->generation == pd_unwind_generation();
	if (!still && is_own(s))
		return true;
	enum found found = cpu < 0 ? ENDED : still ? WAITS : look(s);
	if (found == ENDED)
		return false;
	if (found == WAITS && s->empty)
		return true;
	due += ticks;
	if (found == WAITS) {
		record_waiting(s, ticks);
		if (s->ask && (!pd_wall_owed(s->ask) || at_ns - s->ask->since_ns > ANSWER_WITHIN))
			let_go(s);
		return true;
	}
	s->cpu_ns = -1;
	if (found == RESTLESS) {
		pd_wall_drop(PD_DROP_BUSY, ticks);
		return true;
	}
	if (ask(s, ticks, at_ns))
		return true;
	due -= ticks;
	return false;
}

/* Not looked at for lack of time. */
static void pass_over(struct seen *s, uint64_t ticks)
{
	s->fresh = false;
	if (s->empty || is_own(s))
		return;
	due += ticks;
	pd_wall_drop(PD_DROP_LATE, ticks);
}

/* From a thread chosen at random on, so that those left out when time is short are any. False: some have ended. */
static bool visit_all(uint64_t ticks, int64_t at_ns, bool only_fresh)
{
	size_t first = n ? pd_phase(n) - 1 : 0;
	bool ended = false, short_of_time = false;
	for (size_t i = 0; i < n; i++) {
		struct seen *s = &now[(first + i) % n];
		if (only_fresh && !s->fresh)
			continue;
		if (i % 16 == 15 && pd_clock_ns(CLOCK_THREAD_CPUTIME_ID) > spent_until)
			short_of_time = true;
		if (short_of_time)
			pass_over(s, ticks);
		else if (!visit(s, ticks, at_ns))
			ended = true;
	}
	return !ended;
}

void pd_wall_scan(uint64_t ticks)
{
	int64_t at = pd_mono_ns();
	if (!have_memory())
		return;
	mem->look.task_dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mem->look.task_dir < 0)
		return;
	if (!counted_at)
		credit = CREDIT;
	else if ((credit += (at - counted_at) / SHARE) > CREDIT)
		credit = CREDIT;
	counted_at = at;
	spent_until = pd_clock_ns(CLOCK_THREAD_CPUTIME_ID) + credit;
	if (row_period != pd_wall.period_ns) {
		row_period = pd_wall.period_ns;
		for (size_t i = 0; i < n; i++) {
			now[i].key.rate = row_period;
			now[i].row = 0;
		}
	}
	due = 0;
	list_if_changed();
	/* Where somebody has ended somebody else may have begun, with the number of threads unchanged. */
	if (!visit_all(ticks, at, false)) {
		list_threads();
		visit_all(ticks, at, true);
	}
	add_sum();
	pd_add_relaxed(&pd_wall.count.ticks, due);
	credit = spent_until - pd_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	close(mem->look.task_dir);
}

void pd_wall_forget(void)
{
	if (mem)
		munmap(mem, sizeof *mem);
	mem = NULL;
	n = 0;
	links = 0;
	counted_at = 0;
	row_period = 0;
}
