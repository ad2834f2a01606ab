/* Files that are cut, altered, or written to while they are read: no crash, no hang, bounded memory. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "symbol_tool.h"
#include "../test.h"

#define ADDRESSES 64

static char copy[4200];
static uint8_t *image;
static size_t size;
static uint64_t pc[4096];
static size_t npc;
static uint32_t seed = 12345;
static bool stop;

static uint32_t chance(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void image_read(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		exit(2);
	size = (size_t)st.st_size;
	image = malloc(size);
	OK(image && read(fd, image, size) == (ssize_t)size);
	close(fd);
}

static void image_write(size_t n)
{
	int fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	OK(fd >= 0 && write(fd, image, n) == (ssize_t)n);
	close(fd);
}

/* Look all addresses up; returns how many have a name. */
static size_t lookup(void)
{
	struct pd_module m = tool_module(copy, false);
	const struct pd_module *list = &m;
	struct pd_symbols *s = pd_symbols_open(1 << 20);
	struct pd_symbol out;
	size_t named = 0;
	pd_symbols_prepare(s, &list, 1, pc, npc, 0, NULL);
	for (size_t i = 0; i < npc; i++) {
		pd_symbols_resolve(s, &m, pc[i], &out);
		OK(out.n >= 1 && out.frame[0].name[0]);
		named += !out.placeholder;
	}
	pd_symbols_close(s);
	return named;
}

static void truncations(void)
{
	for (size_t i = 0; i <= 64; i++) {
		image_write(size * i / 64);
		size_t named = lookup();
		if (i == 0)
			EQ(named, 0);
		if (i == 64)
			OK(named > npc / 2);
	}
}

/* Damage within one section, so that what is found in it is reached; n places. */
static void section_flip(const struct pd_elf *e, enum pd_sec sec, int n)
{
	const struct pd_section *s = &e->sec[sec];
	static uint8_t was[64];
	static size_t where[64];
	if (!s->stored)
		return;
	for (int i = 0; i < n; i++) {
		/* Mostly near the beginning, where headers are. */
		size_t range = chance() % 2 ? s->stored : s->stored < 512 ? s->stored : 512;
		where[i] = s->off + chance() % range;
		was[i] = image[where[i]];
		image[where[i]] = chance() % 3 ? (uint8_t)chance() : chance() % 2 ? 0xff : 0;
	}
	image_write(size);
	lookup();
	while (n--)
		image[where[n]] = was[n];
}

static void flips(const char *path)
{
	struct pd_elf e;
	if (pd_elf_open(&e, path))
		exit(2);
	for (int round = 0; round < 12; round++)
		for (enum pd_sec sec = 0; sec < PD_SECS; sec++)
			section_flip(&e, sec, 1 + (int)(chance() % 48));
	/* The tables that lead to all others. */
	for (int round = 0; round < 60; round++) {
		size_t headers = round % 2 ? e.eh.e_shoff : 0, range = round % 2 ? e.nsh * 64 : 64;
		size_t at = headers + chance() % range;
		uint8_t was = image[at];
		image[at] = (uint8_t)chance();
		image_write(size);
		lookup();
		image[at] = was;
	}
	pd_elf_close(&e);
}

static void *writer(void *arg)
{
	int fd = open(copy, O_WRONLY);
	while (!pd_load_relaxed(&stop)) {
		if (ftruncate(fd, (off_t)(chance() % size)) || pwrite(fd, image, size, 0) < 0)
			break;
		size_t at = chance() % (size - 4096);
		if (pwrite(fd, image + size - at - 4096, 4096, (off_t)at) < 0)
			break;
	}
	close(fd);
	return arg;
}

static void changing_file(void)
{
	pthread_t t;
	image_write(size);
	EQ(pthread_create(&t, NULL, writer, NULL), 0);
	long long until = test_now_ns() + 1000000000ll;
	while (test_now_ns() < until)
		lookup();
	pd_store_relaxed(&stop, true);
	pthread_join(t, NULL);
}

int main(void)
{
	const char *dir = getenv("T");
	char exe[4096];
	snprintf(copy, sizeof(copy), "%s/pprofd-damage.%d", dir ? dir : "/tmp", (int)getpid());
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return 2;
	exe[n] = 0;
	image_read(exe);
	size_t all = tool_addresses(exe, 97, pc, 4096);
	for (npc = 0; npc < ADDRESSES; npc++)
		pc[npc] = pc[npc * (all / ADDRESSES)];
	long long from = test_now_ns();
	truncations();
	flips(exe);
	changing_file();
	OK(test_now_ns() - from < 100000000000ll);
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
#ifndef __SANITIZE_ADDRESS__
	OK(use.ru_maxrss < (long)(size / 1024) + 150 * 1024);
#endif
	unlink(copy);
	DONE();
}
