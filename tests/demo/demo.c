/*
 * A small service to look at with pprofd. It knows where its CPU time goes, and holds to it: each
 * worker measures what its requests cost and always serves next the route that is furthest behind
 * its share, so the shares below hold on any machine. Uses the public API only.
 */
#include <errno.h>
#include <poll.h>
#include <pprofd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum {
	PAGE_SIZE = 16384,
	CACHE_ENTRIES = 4096, /* live all the time ... */
	CACHE_ENTRY = 4096,   /* ... of this many bytes each */
	QUEUE_ROOM = 4,
};

/* What each worker has of its own. */
static __thread struct {
	int64_t used_ns[3]; /* CPU time by route */
	uint32_t random;
	uint32_t result; /* so that no work can be optimised away */
	char page[PAGE_SIZE];
	uint16_t last_seen[4096];
} self;

static void sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static int64_t thread_cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static uint32_t next_random(void)
{
	if (!self.random)
		self.random = (uint32_t)gettid() * 2654435761u | 1;
	self.random ^= self.random << 13;
	self.random ^= self.random >> 17;
	self.random ^= self.random << 5;
	return self.random;
}

/* The three routes. Each takes about half a millisecond: long beside what measuring it costs. */

static const char request[] =
	"GET /json?user=17&sort=name HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n"
	"User-Agent: curl/8.5\r\nCookie: session=0123456789abcdef; theme=dark\r\nConnection: close\r\n\r\n";

NOINLINE static void parse_request(void *arg)
{
	uint32_t headers = 0, hash = 0;
	for (int i = 0; i < 3000; i++) {
		for (const char *p = request; *p; p++) {
			if (*p == ':')
				headers++;
			hash = hash * 31 + (uint8_t)(*p | 0x20);
		}
	}
	self.result += headers + hash;
}

/* Small and called from one place: the compiler makes it a part of render_page(). */
static uint32_t checksum(const char *data, size_t n, uint32_t a)
{
	uint32_t b = 0;
	for (size_t i = 0; i < n; i++) {
		a = (a + (uint8_t)data[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

NOINLINE static void render_page(void *arg)
{
	for (size_t i = 0; i + 16 < PAGE_SIZE; i += 512)
		memcpy(self.page + i, "<li class=item>", 15);
	for (int i = 0; i < 10; i++)
		self.result = checksum(self.page, PAGE_SIZE, self.result & 0xffff);
}

/* How long the copies of earlier text are that a compressor would find. */
NOINLINE static void compress_block(void *arg)
{
	for (size_t n = 0; n < 8 * PAGE_SIZE; n++) {
		size_t i = n % (PAGE_SIZE - 8);
		uint32_t next;
		memcpy(&next, self.page + i, sizeof(next));
		uint16_t *seen = &self.last_seen[next * 2654435761u >> 20];
		size_t length = 0;
		while (length < 8 && self.page[*seen + length] == self.page[i + length])
			length++;
		self.result += (uint32_t)length;
		*seen = (uint16_t)i;
	}
}

static const struct route {
	const char *path, *name;
	void (*serve)(void *);
	int percent; /* of the CPU time */
} routes[] = {
	{"/json", "parse_request", parse_request, 50},
	{"/page", "render_page", render_page, 30},
	{"/archive", "compress_block", compress_block, 20},
};

/* The innocent lock: every request takes it, none holds it for long. */
static pthread_mutex_t stats_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t requests_served;

NOINLINE static void count_request(void)
{
	pthread_mutex_lock(&stats_lock);
	requests_served++;
	pthread_mutex_unlock(&stats_lock);
}

NOINLINE static void serve_next(void)
{
	size_t next = 0;
	for (size_t i = 1; i < COUNT(routes); i++)
		if (self.used_ns[i] / routes[i].percent < self.used_ns[next] / routes[next].percent)
			next = i;
	int64_t before = thread_cpu_ns();
	pprofd_do((const char *const[]){"route", routes[next].path}, 1, routes[next].serve, NULL);
	self.used_ns[next] += thread_cpu_ns() - before;
	count_request();
}

/* A quarter of a core, in bursts of no fixed rhythm. */
static void work(void)
{
	int64_t before = thread_cpu_ns();
	for (uint32_t burst = 1 + next_random() % 16; burst; burst--)
		serve_next();
	sleep_us((thread_cpu_ns() - before) / 1000 * (2 + next_random() % 3));
}

/* Memory: the cache stays, the lines come and go. */

NOINLINE static char *cache_insert(void)
{
	char *entry = malloc(CACHE_ENTRY);
	if (entry)
		memset(entry, 'x', CACHE_ENTRY);
	return entry;
}

NOINLINE static void format_line(size_t n)
{
	char *volatile line = malloc(512);
	if (line)
		snprintf(line, 512, "line %zu", n);
	free(line);
}

static void remember(void)
{
	static char *cache[CACHE_ENTRIES];
	static size_t turn;
	char **entry = &cache[turn++ % CACHE_ENTRIES];
	bool full = *entry;
	pprofd_labels_push("job", "cache");
	free(*entry);
	*entry = cache_insert();
	pprofd_labels_pop();
	if (!full)
		return;
	for (size_t line = 0; line < 20; line++)
		format_line(line);
	sleep_us(10000);
}

/* The guilty lock: one thread keeps it while it waits for a disk, others queue for it. */
static pthread_mutex_t config_lock = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void hold_config_lock(void)
{
	pthread_mutex_lock(&config_lock);
	sleep_us(20000);
	pthread_mutex_unlock(&config_lock);
}

NOINLINE static void read_config(void)
{
	pthread_mutex_lock(&config_lock);
	pthread_mutex_unlock(&config_lock);
}

static void reload(void)
{
	hold_config_lock();
	sleep_us(5000);
}

static void look_up(void)
{
	read_config();
	sleep_us(10000);
}

/* A queue: the producer is quick, the consumer is not, so the producer waits for room. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int jobs;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

NOINLINE static void queue_move(int by, int not_at)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.jobs == not_at)
		pthread_cond_wait(&queue.changed, &queue.lock);
	queue.jobs += by;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

NOINLINE static void produce_job(void)
{
	queue_move(+1, QUEUE_ROOM);
}

NOINLINE static void consume_job(void)
{
	queue_move(-1, 0);
	sleep_us(20000);
}

/* Idle ones, each waiting in its own way. */

static void idle_poll(void)
{
	poll(NULL, 0, -1);
}

static void idle_cond(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	pthread_mutex_lock(&lock);
	pthread_cond_wait(&never, &lock);
	pthread_mutex_unlock(&lock);
}

static void idle_sleep(void)
{
	sleep(3600);
}

static const struct thread {
	const char *name;
	void (*step)(void); /* again and again */
} threads[] = {
	{"worker-1", work},        {"worker-2", work},        {"worker-3", work},
	{"memory", remember},      {"reload", reload},        {"config-1", look_up},
	{"config-2", look_up},     {"producer", produce_job}, {"consumer", consume_job},
	{"idle-poll", idle_poll},  {"idle-cond", idle_cond},  {"idle-sleep", idle_sleep},
};

static void *thread_main(void *arg)
{
	const struct thread *t = arg;
	pthread_setname_np(pthread_self(), t->name);
	for (;;)
		t->step();
	return NULL;
}

static int start_threads(void)
{
	for (size_t i = 0; i < COUNT(threads); i++) {
		pthread_t t;
		int err = pthread_create(&t, NULL, thread_main, (void *)&threads[i]);
		if (err)
			return -err;
		pthread_detach(t);
	}
	return 0;
}

static void print_truth(void)
{
	printf("{\"cpu_percent\":{");
	for (size_t i = 0; i < COUNT(routes); i++)
		printf("%s\"%s\":%d", i ? "," : "", routes[i].name, routes[i].percent);
	printf("},\"inlined\":{\"checksum\":\"render_page\"},\"threads\":%zu,"
	       "\"live_bytes\":{\"cache_insert\":%d}}\n", COUNT(threads) + 1, CACHE_ENTRIES * CACHE_ENTRY);
}

int main(int argc, char **argv)
{
	long seconds = 0; /* 0 = until a signal */
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--truth")) {
			print_truth();
		} else if (strcmp(argv[i], "--seconds") || i + 1 == argc || (seconds = atol(argv[++i])) <= 0) {
			fprintf(stderr, "usage: demo [--seconds N] [--truth]   (PPROFD_LISTEN: where to listen)\n");
			return 2;
		}
	}

	/* Blocked in every thread; the main thread waits for them. */
	sigset_t end_signals;
	sigemptyset(&end_signals);
	sigaddset(&end_signals, SIGINT);
	sigaddset(&end_signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end_signals, NULL);

	/* Under `pprofd run` it has been started already. */
	int err = pprofd_start(NULL);
	if (err == -EALREADY)
		err = 0;
	char address[256];
	if (!err)
		err = pprofd_address(address, sizeof(address));
	if (!err)
		err = start_threads();
	if (err) {
		fprintf(stderr, "demo: %s\n", strerror(-err));
		return err == -EADDRINUSE ? 98 : 1;
	}
	printf("%s/debug/pprof/\n", address);
	fflush(stdout);

	struct timespec limit = {.tv_sec = seconds ? seconds : 1000000000};
	while (sigtimedwait(&end_signals, NULL, &limit) < 0 && errno == EINTR)
		;
	return pprofd_stop() == 0 ? 0 : 1;
}
