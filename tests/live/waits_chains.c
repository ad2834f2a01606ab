/* Who waits for whom in a thread dump: chains, deadlocks, locks whose holder has ended. */
#include "waits_kit.h"

static void take_other_then_object(struct thread *t)
{
	if (t->other)
		pthread_mutex_lock((pthread_mutex_t *)t->other);
	about_to_wait(t);
	hold();
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
	if (t->other)
		pthread_mutex_unlock((pthread_mutex_t *)t->other);
}

/* Three threads for ever in a circle, and one behind them. They are left to the end of the process. */
static void circle(void)
{
	static pthread_mutex_t m[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
	static struct thread t[4] = { { .name = "alpha" }, { .name = "be ta" }, { .name = "gamma" }, { .name = "behind" } };
	finish = 0;
	for (int i = 0; i < 3; i++) {
		t[i].run = take_other_then_object;
		t[i].other = &m[i];
		t[i].object = &m[(i + 1) % 3];
		launch(&t[i]);
	}
	let_go();
	t[3].run = plain_lock;
	t[3].object = &m[0];
	launch(&t[3]);
	for (int i = 0; i < 4; i++)
		OK(WITHIN(5000, asleep(t[i].tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# deadlock: 3 threads wait for each other");
	char text[8][200];
	const char *quoted[] = { "alpha", "\"be ta\"", "gamma", "behind" };
	for (int i = 0; i < 4; i++) {
		int of = (i + 1) % 3;
		if (i == 3)
			of = 0;
		snprintf(text[i], sizeof *text, "%d %s waits for mutex %p held by %d %s", t[i].tid, quoted[i],
		         t[i].object, t[of].tid, quoted[of]);
		says(&a, "#   %s", text[i]);
		says(&a, "goroutine %d [mutex wait (%p held by %d)]:", t[i].tid, t[i].object, t[of].tid);
	}
	says(&a, "# behind this deadlock\n#   %s", text[3]);
	OK(strstr(a.body, "# wait chains") == NULL);
	free(a.body);

	/* Seen again they have waited at least as long as that. */
	usleep(150000);
	a = dump();
	char *at = strstr(a.body, text[0]);
	double seconds = 0;
	OK(at && sscanf(at + strlen(text[0]), ", for at least %lf s", &seconds) == 1 && seconds >= 0.1 && seconds < 60);
	free(a.body);
	/* Every other form says it too. */
	a = http_get("/debug/pprof/goroutine?debug=1");
	OK(strstr(a.body, "\n# Deadlock: ") && strstr(a.body, text[0]) && strstr(a.body, text[1]) && strstr(a.body, text[2]));
	OK(strstr(a.body, text[3]) == NULL);
	free(a.body);
	a = http_get("/debug/pprof/goroutine?debug=1&labels=1");
	snprintf(text[0], sizeof *text, "# labels: {\"holder\":\"%d\", \"object\":\"mutex %p\", \"state\":\"mutex wait\", "
	         "\"thread\":\"be ta\", \"tid\":\"%d\"}", t[2].tid, t[1].object, t[1].tid);
	says(&a, "%s", text[0]);
	free(a.body);
}

static void lock_and_hold(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
	hold();
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
}

static void lock_other_then_object(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->other);
	about_to_wait(t);
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->object);
	pthread_mutex_unlock((pthread_mutex_t *)t->other);
}

static void end(struct thread *t, size_t n)
{
	let_go();
	for (size_t i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
}

/* c waits for b, b for a, a for nobody's lock. */
static void chain(void)
{
	static pthread_mutex_t m[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
	struct thread t[3] = {
		{ .name = "a", .run = lock_and_hold, .object = &m[0] },
		{ .name = "b", .run = lock_other_then_object, .other = &m[1], .object = &m[0] },
		{ .name = "c", .run = plain_lock, .object = &m[1] },
	};
	finish = 0;
	for (int i = 0; i < 3; i++)
		launch(&t[i]);
	for (int i = 0; i < 3; i++)
		OK(WITHIN(5000, asleep(t[i].tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# wait chains, each below the thread that it waits for");
	says(&a, "#   %d a: futex wait\n#     %d b waits for mutex %p held by %d a\n#       %d c waits for mutex %p held by %d b",
	     t[0].tid, t[1].tid, (void *)&m[0], t[0].tid, t[2].tid, (void *)&m[1], t[1].tid);
	free(a.body);
	end(t, 3);
}

static void lock_and_leave(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
}

/* Whoever held it has ended: nobody is named, least of all the number that was. */
static void orphan(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static struct thread gone = { .name = "gone", .run = lock_and_leave, .object = &m };
	static struct thread stuck = { .name = "stuck", .run = plain_lock, .object = &m };
	launch(&gone);
	pthread_join(gone.id, NULL);
	launch(&stuck);
	OK(WITHIN(5000, asleep(stuck.tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "goroutine %d [mutex wait (%p held by no living thread)]:", stuck.tid, (void *)&m);
	char number[16];
	snprintf(number, sizeof number, " %d", gone.tid);
	OK(strstr(a.body, number) == NULL);
	free(a.body);
}

static void lock_twice(struct thread *t)
{
	pthread_mutex_lock((pthread_mutex_t *)t->object);
	about_to_wait(t);
	pthread_mutex_lock((pthread_mutex_t *)t->object);
}

static void self(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static struct thread t = { .name = "twice", .run = lock_twice, .object = &m };
	launch(&t);
	OK(WITHIN(5000, asleep(t.tid)));
	usleep(20000);
	struct http_answer a = dump();
	says(&a, "# deadlock: a thread waits for itself\n#   %d twice waits for mutex %p held by %d twice", t.tid,
	     (void *)&m, t.tid);
	free(a.body);
}

int main(void)
{
	serve();
	chain();
	circle();
	orphan();
	self();
	leave();
}
