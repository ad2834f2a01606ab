/* What the program itself hands over: requests without a connection, and how they end when the service does. */
#include "http_kit.h"

static unsigned asked; /* and to be released */

static int ask(const struct kit *k, const char *path, const char *query, struct pd_buf *body)
{
	struct pd_ask *a;
	int error = pd_ask(k->http, path, query, false, &a);
	asked += !error;
	return error ? error : pd_ask_answer(a, body);
}

static void is(struct pd_buf *b, const char *want)
{
	pd_buf_char(b, 0);
	STREQ(b->data, want);
	pd_buf_free(b);
}

static void answers(const struct kit *k)
{
	struct pd_buf b;
	EQ(ask(k, "/echo", "q=a%20b", &b), 200);
	is(&b, "GET /echo ?q=a%20b q=a b agent=- body=0:");
	EQ(ask(k, "/work", "ms=5", &b), 200);
	is(&b, "worked");
	EQ(ask(k, "/wait", "ms=30", &b), 200);
	is(&b, "then");
	EQ(ask(k, "/waitwork", "ms=5", &b), 200);
	is(&b, "worked");
	EQ(ask(k, "/error", "", &b), 404);
	is(&b, "Unknown profile\n");
	EQ(ask(k, "/none", "", &b), 500);
	pd_buf_free(&b);
	EQ(ask(k, "/big", "n=5000000", &b), 200);
	EQ(b.len, 5000000 / 64 * 64 + (5000000 % 64 ? 5000000 % 64 : 0));
	pd_buf_free(&b);
}

/* Many at once, and in any order. */
static void overlap(const struct kit *k)
{
	struct pd_ask *a[200];
	struct pd_buf b;
	char ms[16];
	for (int i = 0; i < 200; i++) {
		snprintf(ms, sizeof ms, "ms=%d", 50 - i % 50);
		asked++;
		EQ(pd_ask(k->http, i % 2 ? "/wait" : "/work", i % 2 ? ms : "", false, &a[i]), 0);
	}
	for (int i = 199; i >= 0; i--) {
		EQ(pd_ask_answer(a[i], &b), 200);
		is(&b, i % 2 ? "then" : "worked");
	}
}

static void cut(const struct kit *k)
{
	struct pd_ask *a;
	struct pd_buf b;
	long long start = test_now_ns();
	asked += 2;
	EQ(pd_ask(k->http, "/wait", "ms=60000", true, &a), 0);
	usleep(20000);
	pd_ask_cut(k->http, a);
	EQ(pd_ask_answer(a, &b), 200);
	is(&b, "then");
	OK(test_now_ns() - start < 5000000000ll);
	/* Answered without having begun. */
	EQ(pd_ask(k->http, "/echo", "", true, &a), 0);
	OK(!pd_ask_begun(a));
	EQ(pd_ask_answer(a, &b), 200);
	pd_buf_free(&b);
}

static void stopped(struct kit *k)
{
	struct pd_ask *a[3];
	struct pd_buf b;
	asked += 3;
	EQ(pd_ask(k->http, "/wait", "", false, &a[0]), 0);
	EQ(pd_ask(k->http, "/work", "ms=100", false, &a[1]), 0);
	EQ(pd_ask(k->http, "/work", "ms=100", false, &a[2]), 0);
	usleep(20000);
	kit_stop(k);
	for (int i = 0; i < 3; i++) {
		EQ(pd_ask_answer(a[i], &b), -ECANCELED);
		pd_buf_free(&b);
	}
	EQ(pd_load_relaxed(&kit_released), asked);
}

/* The program closes what is not its own: who waits is told, and so is who comes later. */
static void closed(struct kit *k)
{
	struct pd_ask *a[2];
	struct pd_buf b;
	int end[2];
	EQ(pd_ask(k->http, "/wait", "", false, &a[0]), 0);
	EQ(pd_ask(k->http, "/work", "ms=300", false, &a[1]), 0);
	usleep(20000);
	close(k->http->epoll);
	for (int i = 0; i < 2; i++) {
		EQ(pd_ask_answer(a[i], &b), -ESHUTDOWN);
		pd_buf_free(&b);
	}
	EQ(ask(k, "/echo", "", &b), -ESHUTDOWN);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	EQ(pd_http_give(k->http, end[0]), -ESHUTDOWN);
	close(end[0]);
	close(end[1]);
	kit_stop(k);
}

int main(void)
{
	struct kit k = { .http = NULL };
	kit_start(&k, AF_INET);
	answers(&k);
	overlap(&k);
	cut(&k);
	stopped(&k);
#ifndef __SANITIZE_THREAD__ /* to which a close from outside is a race */
	struct kit other = { .http = NULL };
	kit_start(&other, AF_INET);
	closed(&other);
#else
	(void)closed;
#endif
	DONE();
}
