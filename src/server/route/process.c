/* The process in numbers: /proc, limits, the allocator's account. Must not know who asks. */
#include "server/route/process.h"

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/time.h"

int pd_file_read(const char *path, struct pd_buf *out)
{
	char part[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n;
	while ((n = read(fd, part, sizeof part)) > 0)
		pd_buf_add(out, part, (size_t)n);
	int error = n < 0 ? -errno : 0;
	close(fd);
	if (!error && out->failed)
		error = out->max ? -EOVERFLOW : -ENOMEM;
	return error;
}

static uint64_t limit(int resource)
{
	struct rlimit l;
	return getrlimit(resource, &l) != 0 || l.rlim_cur == RLIM_INFINITY ? UINT64_MAX : l.rlim_cur;
}

static uint64_t open_fds(void)
{
	uint64_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n; /* the one that looks is in its thread's own table */
}

/* When the machine was started. Once only: later reads differ by what the clock was set by. */
static double boot_time(void)
{
	static double boot;
	struct pd_buf text = { 0 };
	if (boot != 0)
		return boot;
	if (pd_file_read("/proc/stat", &text) == 0)
		pd_buf_char(&text, '\0');
	const char *at = text.data && !text.failed ? strstr(text.data, "\nbtime ") : NULL;
	boot = at ? strtod(at + 7, NULL) : (double)(pd_clock_ns(CLOCK_REALTIME) - pd_clock_ns(CLOCK_BOOTTIME)) / 1e9;
	pd_buf_free(&text);
	return boot;
}

/* Fields of /proc/self/stat, counted as proc(5) counts them. */
enum { MINFLT = 10, MAJFLT = 12, THREADS = 20, START = 22, VSIZE = 23, RSS = 24, FIELDS };

static int read_stat(unsigned long long field[static FIELDS])
{
	struct pd_buf text = { 0 };
	int error = pd_file_read("/proc/self/stat", &text);
	pd_buf_char(&text, '\0');
	/* The name in parentheses may hold anything, so the last one ends it. */
	char *at = error || text.failed ? NULL : strrchr(text.data, ')');
	int i = 3;
	if (at)
		at = strchr(at + 2, ' ');
	for (; at && *at && i < FIELDS - 1; i++)
		field[i + 1] = strtoull(at, &at, 10);
	pd_buf_free(&text);
	return error ? error : i < FIELDS - 1 ? -EIO : 0;
}

int pd_process_read(struct pd_process *out)
{
	unsigned long long field[FIELDS] = { 0 };
	cpu_set_t cpus;
	int error = read_stat(field);
	if (error)
		return error;
	CPU_ZERO(&cpus);
	if (sched_getaffinity(getpid(), sizeof cpus, &cpus) != 0)
		CPU_ZERO(&cpus);
	*out = (struct pd_process){
		.cpu_ns = pd_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.start_s = boot_time() + (double)field[START] / (double)sysconf(_SC_CLK_TCK),
		.rss = field[RSS] * (uint64_t)sysconf(_SC_PAGESIZE),
		.virtual = field[VSIZE],
		.virtual_max = limit(RLIMIT_AS),
		.threads = field[THREADS],
		.fds = open_fds(),
		.fds_max = limit(RLIMIT_NOFILE),
		.faults = field[MINFLT] + field[MAJFLT],
		.faults_major = field[MAJFLT],
		.cpus = (unsigned)CPU_COUNT(&cpus),
	};
	return 0;
}

/* malloc itself. In a program at a fixed address that takes its address, dlsym() finds the program's PLT entry. */
static void *malloc_itself(void)
{
	Dl_info in;
	ElfW(Sym) *sym = NULL;
	void *fn = dlsym(RTLD_DEFAULT, "malloc"), *found = NULL;
	if (!fn || !dladdr1(fn, &in, (void **)&sym, RTLD_DL_SYMENT) || !sym || sym->st_shndx != SHN_UNDEF)
		return fn;
	struct link_map *program = dlopen(NULL, RTLD_LAZY);
	for (struct link_map *m = program ? program->l_next : NULL; m && !found; m = m->l_next) {
		void *object = dlopen(m->l_name, RTLD_LAZY | RTLD_NOLOAD);
		void *there = object ? dlsym(object, "malloc") : NULL;
		if (there && dladdr(there, &in) && (ElfW(Addr))in.dli_fbase == m->l_addr)
			found = there;
		if (object)
			dlclose(object);
	}
	if (program)
		dlclose(program);
	return found;
}

void *pd_malloc_function(const char *name)
{
	Dl_info malloc_in, in;
	void *base = malloc_itself(), *fn = dlsym(RTLD_DEFAULT, name);
	bool beside = base && fn && dladdr(base, &malloc_in) && dladdr(fn, &in) && malloc_in.dli_fbase == in.dli_fbase;
	return beside ? fn : NULL;
}

/* Who defines malloc for the program: the first object of the global scope that does. */
static void find_malloc(struct pd_malloc *out)
{
	Dl_info in;
	void *at = malloc_itself();
	if (!at || !dladdr(at, &in) || !in.dli_fname)
		return;
	const char *slash = strrchr(in.dli_fname, '/');
	snprintf(out->library, sizeof out->library, "%s", slash ? slash + 1 : in.dli_fname);
	out->glibc = pd_malloc_function("gnu_get_libc_version") != NULL;
}

void pd_malloc_read(struct pd_malloc *out)
{
	static struct pd_malloc seen;
	static int64_t next;
	int64_t now = pd_mono_ns();
	if (now >= next) {
		seen = (struct pd_malloc){ .glibc = false };
		find_malloc(&seen);
		struct mallinfo2 m = seen.glibc ? mallinfo2() : (struct mallinfo2){ 0 };
		seen.heap = m.arena;
		seen.mapped = m.hblkhd;
		seen.used = m.uordblks + m.hblkhd;
		seen.free = m.fordblks;
		seen.trimmable = m.keepcost;
		next = now + 1000 * (pd_mono_ns() - now);
	}
	*out = seen;
}

bool pd_process_path(char out[static 4096])
{
	ssize_t n = readlink("/proc/self/exe", out, 4095);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void pd_build_id(const struct pd_agent *agent, const void *address, char out[static PD_BUILD_ID_TEXT])
{
	const struct pd_module *const *list;
	uint64_t at = (uint64_t)(uintptr_t)address;
	size_t n = agent->modules(&list);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct pd_module *m = list[i];
		if (!pd_load_relaxed(&m->loaded) || at < m->start || at >= m->end)
			continue;
		for (int k = 0; k < m->build_id_len && k < 32; k++)
			sprintf(out + 2 * k, "%02x", m->build_id[k]);
	}
}
