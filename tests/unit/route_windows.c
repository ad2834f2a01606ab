/* Windows: each gets its own difference, each is closed exactly once however it ends, and there are
 * not too many. */
#include "route_fake.h"

#define PREFIX "/debug/pprof/"

/* "NAME profile: total N" of a text answer. */
static long total(const struct answer *a, const char *name)
{
	size_t n = strlen(name);
	bool mine =
		strncmp(a->body, name, n) == 0 && strncmp(a->body + n, " profile: total ", 16) == 0;
	return mine ? atol(a->body + n + 16) : -1;
}

static void add(int64_t n)
{
	LOCKED(fake.count += n; fake.counters.ticks += (uint64_t)n;
	       fake.counters.recorded += (uint64_t)n;
	       fake.counters.process_cpu_ns += (uint64_t)n * 10000000);
}

static bool told_seconds(const struct answer *a)
{
	return body_has(a, "CPU used: ") && body_has(a, " wall (");
}

/* Each window sees what was added while it was open. */
static void overlapping(void)
{
	int fd[5];
	long want[5] = { 0 };
	add(1000);
	for (int i = 0; i < 5; i++) {
		fd[i] = ask("GET", PREFIX "profile?seconds=1&debug=1", "");
		OK(WITHIN(2000, fake_open_now(PD_CPU) > i));
		/* This one and all that are open already. */
		for (int k = 0; k <= i; k++)
			want[k] += 10 << i;
		add(10 << i);
	}
	OK(fake_open_now(PD_CPU) >= 5);
	for (int i = 0; i < 5; i++) {
		struct answer a = hear(fd[i]);
		EQ(a.status, 200);
		EQ(total(&a, "profile"), want[i]);
		OK(told_seconds(&a));
		free(a.bytes);
	}
	OK(WITHIN(1000, fake_balanced()));
}

static void shape(void)
{
	int before, looks;
	LOCKED(before = fake.snapshots);
	long long start = test_now_ns();
	struct answer a = get(PREFIX "profile?seconds=1&gzip=0");
	long long took = test_now_ns() - start;
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "application/octet-stream");
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"profile\"");
	OK(took >= 990000000 && took < 3000000000);
	OK(body_has(&a, "No samples: with 0 us of CPU used"));
	/* One at the start, one at the end, and at least one to look symbols up ahead. */
	LOCKED(looks = fake.snapshots - before);
	OK(looks >= 3 && looks <= 5);
	free(a.bytes);
	/* The same of the time of all threads, by each of its names. */
	static const char *const WALL[] = { PREFIX "wall?seconds=1&gzip=0", PREFIX "fgprof?seconds=1&gzip=0",
		                            "/debug/fgprof?seconds=1&gzip=0" };
	int wall[3];
	for (int i = 0; i < 3; i++)
		wall[i] = ask("GET", WALL[i], "");
	for (int i = 0; i < 3; i++) {
		a = hear(wall[i]);
		EQ(a.status, 200);
		STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"wall\"");
		OK(body_has(&a, "wallclock") && body_has(&a, "samples per second of every thread"));
		OK(!body_has(&a, "samples per second of CPU time"));
		free(a.bytes);
	}
	EQ(fake_open_now(PD_WALL), 0);
	/* Deltas of the other kinds; what there is less of is left out. */
	LOCKED(fake.threads = 5);
	int fd = ask("GET", PREFIX "goroutine?seconds=1&gzip=0", "");
	int other = ask("GET", PREFIX "threadcreate?seconds=1&gzip=0", "");
	OK(WITHIN(2000, ({
			  int n;
			  LOCKED(n = fake.dumps);
			  n == 1;
		  })));
	OK(WITHIN(2000, fake_open_now(PD_THREADCREATE) == 1));
	LOCKED(fake.threads = 8; fake.created += 3);
	a = hear(fd);
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"goroutine-delta\"");
	/* value: 3, of the one stack there is more of; unpacked or packed. */
	OK(body_has(&a, "\x10\x03") || body_has(&a, "\x12\x01\x03"));
	free(a.bytes);
	a = hear(other);
	STREQ(header(&a, "Content-Disposition"), "attachment; filename=\"threadcreate-delta\"");
	OK(body_has(&a, "\x10\x03") || body_has(&a, "\x12\x01\x03"));
	free(a.bytes);
	OK(WITHIN(1000, fake_balanced()));
}

static void head(void)
{
	int before;
	LOCKED(before = fake.opened[PD_CPU] + fake.dumps);
	static const char *const TARGET[] = { PREFIX "profile", PREFIX "goroutine?seconds=30" };
	for (int i = 0; i < 2; i++) {
		long long start = test_now_ns();
		struct answer a = hear(ask("HEAD", TARGET[i], ""));
		EQ(a.status, 200);
		EQ(a.body_len, 0);
		STREQ(header(&a, "Content-Type"), "application/octet-stream");
		/* It is not known how long the profile would be. */
		OK(!header(&a, "Content-Length"));
		OK(test_now_ns() - start < 1000000000);
		free(a.bytes);
	}
	int after;
	LOCKED(after = fake.opened[PD_CPU] + fake.dumps);
	EQ(after, before);
}

static void left_early(void)
{
	static const char *const TARGET[] = { PREFIX "profile", PREFIX "profile?seconds=abc",
		                              PREFIX "threadcreate?seconds=60",
		                              PREFIX "goroutine?seconds=60" };
	for (size_t i = 0; i < sizeof TARGET / sizeof *TARGET; i++) {
		int opened;
		LOCKED(opened = fake.opened[PD_CPU] + fake.opened[PD_THREADCREATE] + fake.dumps);
		int fd = ask("GET", TARGET[i], "");
		OK(WITHIN(2000, ({
				  int n;
				  LOCKED(n = fake.opened[PD_CPU] + fake.opened[PD_THREADCREATE] +
			                     fake.dumps);
				  n > opened;
			  })));
		usleep(50000);
		OK(!fake_balanced());
		close(fd);
		OK(WITHIN(400, fake_balanced()));
	}
}

/* Cut windows tell so. The service is stopped long before they end. */
static void stopped(void)
{
	int fd[4];
	fd[0] = ask("GET", PREFIX "profile?seconds=1000", "");
	fd[1] = ask("GET", PREFIX "profile", "");
	fd[2] = ask("GET", PREFIX "goroutine?seconds=100", "");
	fd[3] = ask("GET", PREFIX "threadcreate?seconds=100", "");
	OK(WITHIN(2000, fake_open_now(PD_CPU) == 2 && fake_open_now(PD_THREADCREATE) == 1));
	long long start = test_now_ns();
	pprofd_server_stop(false);
	OK(test_now_ns() - start < 1500000000);
	OK(fake_balanced());
	for (int i = 0; i < 4; i++) {
		struct answer a = hear(fd[i]);
		OK(a.status != 200);
		free(a.bytes);
	}
	EQ(serve(), 0);
}

static void seventeen(void)
{
	int fd[16];
	for (int i = 0; i < 16; i++)
		fd[i] = ask("GET",
		            i % 2 ? PREFIX "profile?seconds=20" : PREFIX "profile?seconds=200", "");
	OK(WITHIN(3000, fake_open_now(PD_CPU) >= 16));
	struct answer a = get(PREFIX "profile?seconds=5");
	EQ(a.status, 429);
	STREQ(header(&a, "X-Go-Pprof"), "1");
	OK(strncmp(a.body, "Too many windows: 16 are open; the first one ends in ", 53) == 0);
	const char *retry = header(&a, "Retry-After");
	OK(retry && atoi(retry) >= 10 && atoi(retry) <= 20);
	free(a.bytes);
	/* A place that gets free can be had. */
	close(fd[3]);
	OK(WITHIN(1000, fake_open_now(PD_CPU) < 16));
	fd[3] = ask("GET", PREFIX "profile?seconds=1&debug=1", "");
	a = hear(fd[3]);
	EQ(a.status, 200);
	free(a.bytes);
	for (int i = 0; i < 16; i++)
		if (i != 3)
			close(fd[i]);
	OK(WITHIN(1000, fake_balanced()));
}

int main(void)
{
	EQ(serve(), 0);
	shape();
	overlapping();
	head();
	left_early();
	stopped();
	seventeen();
	pprofd_server_stop(false);
	OK(fake_balanced());
	DONE();
}
