/* Requests that take time: waits, the worker, clients that leave, and a stop in the middle. */
#include "http_kit.h"

static unsigned order, background_at; /* atomic */

static long long since_ms(long long start)
{
	return (test_now_ns() - start) / 1000000;
}

static int open_with(const struct kit *k, const char *target)
{
	char text[256];
	int fd = kit_connect(k);
	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
	OK(kit_puts(fd, text));
	return fd;
}

static void times(const struct kit *k)
{
	long long start = test_now_ns();
	STREQ(kit_get(k, "/wait?ms=300")->body, "then");
	OK(since_ms(start) >= 300 && since_ms(start) < 1300);
	STREQ(kit_get(k, "/waitwork?ms=5")->body, "worked");
	/* Waits overlap; work does not. */
	int fd[20];
	start = test_now_ns();
	for (int i = 0; i < 20; i++)
		fd[i] = open_with(k, "/wait?ms=300");
	OK(WITHIN(1000, kit_stats(k).waiting == 20));
	for (int i = 0; i < 20; i++) {
		STREQ(kit_read(fd[i], 5000, false)->body, "then");
		close(fd[i]);
	}
	OK(since_ms(start) < 1500);
	start = test_now_ns();
	for (int i = 0; i < 4; i++)
		fd[i] = open_with(k, "/work?ms=60");
	for (int i = 0; i < 4; i++) {
		STREQ(kit_read(fd[i], 5000, false)->body, "worked");
		close(fd[i]);
	}
	OK(since_ms(start) >= 240);
}

static void leave_waiting(const struct kit *k)
{
	unsigned released = pd_load_relaxed(&kit_released), ran = pd_load_relaxed(&kit_ran), tries = 5;
	uint64_t left = kit_stats(k).left_early;
	long long soonest = 1000;
	for (unsigned i = 1; i <= tries; i++) {
		int fd = open_with(k, "/wait");
		OK(WITHIN(2000, kit_stats(k).waiting == 1));
		long long start = test_now_ns();
		close(fd);
		OK(WITHIN(5000, pd_load_relaxed(&kit_released) >= released + i));
		if (since_ms(start) < soonest)
			soonest = since_ms(start);
		OK(WITHIN(2000, kit_stats(k).connections == 0));
	}
	/* A busy machine may be late; but not every time. */
	OK(soonest <= 200);
	released += tries;
	EQ(kit_stats(k).waiting, 0);
	EQ(kit_stats(k).left_early, left + tries);
	EQ(pd_load_relaxed(&kit_ran), ran);
	/* One that breaks off hard. */
	int fd = open_with(k, "/wait");
	OK(WITHIN(1000, kit_stats(k).waiting == 1));
	struct linger hard = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fd);
	OK(WITHIN(2000, kit_stats(k).connections == 0));
	OK(WITHIN(2000, pd_load_relaxed(&kit_released) >= released + 1));
	/* A request sent after the one that waits does not hide the leaving. */
	fd = open_with(k, "/wait");
	OK(kit_puts(fd, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	OK(WITHIN(1000, kit_stats(k).waiting == 1));
	close(fd);
	OK(WITHIN(2000, kit_stats(k).connections == 0));
}

/* A client that has sent all it will send, and listens. */
static void half_closed(const struct kit *k)
{
	static const char *const targets[] = { "/wait?ms=400", "/work?ms=400", "/echo" };
	uint64_t left = kit_stats(k).left_early;
	for (size_t i = 0; i < 3; i++) {
		long long start = test_now_ns();
		int fd = open_with(k, targets[i]);
		shutdown(fd, SHUT_WR);
		struct kit_reply *p = kit_read(fd, 5000, false);
		EQ(p->status, 200);
		OK(since_ms(start) >= 400 || i == 2);
		OK(kit_closed(fd, 2000));
		close(fd);
	}
	EQ(kit_stats(k).left_early, left);
	/* It leaves after all; no packet tells of that. */
	int fd = open_with(k, "/wait");
	shutdown(fd, SHUT_WR);
	OK(WITHIN(1000, kit_stats(k).waiting == 1));
	usleep(150000);
	EQ(kit_stats(k).waiting, 1);
	unsigned released = pd_load_relaxed(&kit_released);
	close(fd);
	OK(WITHIN(2000, pd_load_relaxed(&kit_released) == released + 1));
	EQ(kit_stats(k).left_early, left + 1);
	OK(WITHIN(2000, kit_stats(k).connections == 0));
}

static void leave_working(const struct kit *k)
{
	unsigned released = pd_load_relaxed(&kit_released), gone = pd_load_relaxed(&kit_gone);
	unsigned ran = pd_load_relaxed(&kit_ran);
	int running = open_with(k, "/work?ms=5000");
	OK(WITHIN(1000, pd_load_relaxed(&kit_ran) == ran + 1));
	int queued = open_with(k, "/work?ms=5000");
	OK(WITHIN(1000, kit_stats(k).waiting == 2));
	/* The one not yet begun ends at once and never runs. */
	close(queued);
	OK(WITHIN(2000, pd_load_relaxed(&kit_released) == released + 1));
	EQ(pd_load_relaxed(&kit_gone), gone);
	/* The one that runs is told. */
	close(running);
	OK(WITHIN(2000, kit_stats(k).connections == 0));
	OK(WITHIN(2000, pd_load_relaxed(&kit_gone) == gone + 1));
	OK(WITHIN(2000, pd_load_relaxed(&kit_released) == released + 2));
	EQ(pd_load_relaxed(&kit_ran), ran + 1);
	STREQ(kit_get(k, "/work?ms=1")->body, "worked");
}

static void in_background(void *arg)
{
	pd_store_relaxed(&background_at, pd_add_relaxed(&order, 1) + 1);
	if (arg)
		pd_background(arg, in_background, NULL);
}

static void background(const struct kit *k)
{
	pd_background(k->http, in_background, k->http);
	OK(WITHIN(1000, pd_load_relaxed(&background_at) == 2));
}

static void churn(const struct kit *k)
{
	unsigned released = pd_load_relaxed(&kit_released);
	static const char *const targets[] = { "/wait?ms=3", "/work?ms=1", "/wait", "/waitwork?ms=2", "/echo" };
	for (int i = 0; i < 400; i++) {
		int fd = open_with(k, targets[i % 5]);
		if (i % 3 == 0)
			usleep(1500);
		close(fd);
	}
	OK(WITHIN(3000, kit_stats(k).connections == 0));
	OK(WITHIN(3000, pd_load_relaxed(&kit_released) > released));
	EQ(kit_stats(k).waiting, 0);
	EQ(kit_get(k, "/echo")->status, 200);
}

static void stop_in_the_middle(int family)
{
	struct kit k = { .port = 0 };
	int fd[12];
	kit_start(&k, family);
	unsigned released = pd_load_relaxed(&kit_released);
	for (int i = 0; i < 12; i++)
		fd[i] = open_with(&k, i < 8 ? "/wait" : "/work?ms=60000");
	OK(WITHIN(2000, kit_stats(&k).waiting == 12));
	int idle = kit_connect(&k), half = kit_connect(&k);
	kit_puts(half, "GET /echo HT");
	long long start = test_now_ns();
	kit_stop(&k);
	OK(since_ms(start) < 1000);
	EQ(pd_load_relaxed(&kit_released), released + 12);
	for (int i = 0; i < 12; i++) {
		OK(kit_closed(fd[i], 200));
		close(fd[i]);
	}
	OK(kit_closed(idle, 200) && kit_closed(half, 200));
	close(idle);
	close(half);
	EQ(kit_connect(&k), -1);
}

int main(void)
{
	struct kit k = { .port = 0 };
	kit_start(&k, AF_INET);
	times(&k);
	leave_waiting(&k);
	half_closed(&k);
	leave_working(&k);
	background(&k);
	churn(&k);
	kit_stop(&k);
	struct kit u = { .port = 0 };
	kit_start(&u, AF_UNIX);
	leave_waiting(&u);
	half_closed(&u);
	leave_working(&u);
	kit_stop(&u);
	for (int i = 0; i < 10; i++)
		stop_in_the_middle(i % 2 ? AF_UNIX : AF_INET);
	DONE();
}
