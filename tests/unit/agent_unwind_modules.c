/* The list of modules against /proc/self/maps, through dlopen and dlclose; generations and epochs; small budgets. */
#include "walk_kit.h"
#include "base/atomic.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

static struct pd_budget budget = { .cap = 64 << 20 };
static char dir[PATH_MAX];

static const struct pd_module *loaded_at(uint64_t pc)
{
	const struct pd_module *const *list;
	size_t n = pd_unwind_modules(&list);
	for (size_t i = 0; i < n; i++)
		if (list[i]->loaded && pc >= list[i]->start && pc < list[i]->end)
			return list[i];
	return NULL;
}

/* Every executable mapping of a file is a module, with the same place, offset and file. */
static void like_maps(void)
{
	char line[PATH_MAX + 200], real[PATH_MAX];
	unsigned seen = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long lo, hi, off;
		char perms[5], path[PATH_MAX] = "";
		sscanf(line, "%lx-%lx %4s %lx %*s %*s %s", &lo, &hi, perms, &off, path);
		if (perms[2] != 'x' || (path[0] != '/' && strcmp(path, "[vdso]") != 0))
			continue;
		const struct pd_module *m = loaded_at(lo);
		OK(m != NULL);
		if (!m)
			continue;
		seen++;
		OK(m->start == lo && m->end == hi);
		EQ(m->is_vdso, path[0] == '[');
		if (m->is_vdso) {
			STREQ(m->path, "[vdso]");
			continue;
		}
		EQ(m->offset, off);
		STREQ(realpath(m->path, real), path);
	}
	if (f)
		fclose(f);
	OK(seen >= 1);
}

static int build_id_of(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct pd_module *m = arg;
	if (info->dlpi_addr != m->bias)
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_NOTE || ph->p_align == 8)
			continue;
		const unsigned char *p = (const unsigned char *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;
		while (p + sizeof(ElfW(Nhdr)) <= end) {
			const ElfW(Nhdr) *n = (const ElfW(Nhdr) *)p;
			p += sizeof(*n) + ((n->n_namesz + 3) & ~3u);
			if (n->n_type == NT_GNU_BUILD_ID) {
				EQ(m->build_id_len, n->n_descsz < 32 ? n->n_descsz : 32);
				OK(memcmp(m->build_id, p, m->build_id_len) == 0);
				return 1;
			}
			p += (n->n_descsz + 3) & ~3u;
		}
	}
	EQ(m->build_id_len, 0);
	return 1;
}

static void build_ids(void)
{
	const struct pd_module *const *list;
	size_t n = pd_unwind_modules(&list);
	for (size_t i = 0; i < n; i++)
		OK(dl_iterate_phdr(build_id_of, (void *)list[i]) == 1 || list[i]->is_vdso);
}

/* ---- loading and unloading ---- */

static bool copy_file(const char *from, const char *to)
{
	char buf[65536];
	ssize_t got = -1;
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	while (in >= 0 && out >= 0 && (got = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)got) != got)
			return false;
	close(in);
	close(out);
	return got == 0;
}

/* Whether a walk that starts in the module knows where it is. */
static bool known_at(uint64_t pc)
{
	struct pd_regs regs = { .only_sp = true };
	struct pd_view none = { .lo = 0 };
	enum pd_walk_end end;
	uint64_t out[4], before = pd_unwind_unknown();
	regs.r[16] = pc;
	pd_walk(&regs, true, &none, NULL, NULL, out, 4, &end);
	return pd_unwind_unknown() == before;
}

static const struct pd_module *opened(void *h, uint64_t *code)
{
	struct link_map *map = NULL;
	const struct pd_module *const *list;
	size_t n = pd_unwind_modules(&list);
	dlinfo(h, RTLD_DI_LINKMAP, &map);
	for (size_t i = n; i-- > 0;) {
		if (list[i]->loaded && list[i]->bias == map->l_addr) {
			*code = list[i]->start + 64;
			return list[i];
		}
	}
	return NULL;
}

static void loading(const char *library)
{
	char a[PATH_MAX + 8], b[PATH_MAX + 8];
	snprintf(a, sizeof(a), "%s/a.so", dir);
	snprintf(b, sizeof(b), "%s/b.so", dir);
	OK(copy_file(library, a) && copy_file(library, b));
	pd_unwind_refresh();
	uint32_t generation = pd_unwind_generation(), epoch = pd_unwind_epoch();
	pd_unwind_refresh();
	EQ(pd_unwind_generation(), generation);
	void *h = dlopen(a, RTLD_NOW);
	OK(h != NULL);
	EQ(pd_unwind_generation(), generation);
	pd_unwind_refresh();
	OK(pd_unwind_generation() != generation);
	uint64_t code = 0;
	const struct pd_module *first = opened(h, &code);
	OK(first && known_at(code));
	if (!first)
		return;
	STREQ(first->path, a);
	EQ(pd_unwind_epoch(), epoch);
	generation = pd_unwind_generation();
	/* gone: kept in the list, unknown to walks. Its place is held, so that tables do not take it. */
	void *place = (void *)first->bias;
	size_t len = first->end - first->bias;
	dlclose(h);
	OK(mmap(place, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == place);
	pd_unwind_refresh();
	OK(!first->loaded && first->until == UINT32_MAX && pd_unwind_generation() != generation);
	OK(!known_at(code));
	EQ(pd_unwind_epoch(), epoch);
	/* the same again: the same entry, when the kernel chose the same place */
	const struct pd_module *const *list;
	size_t before = pd_unwind_modules(&list);
	munmap(place, len);
	h = dlopen(a, RTLD_NOW);
	pd_unwind_refresh();
	const struct pd_module *again = opened(h, &code);
	OK(again && known_at(code));
	EQ(pd_unwind_epoch(), epoch);
	if (again == first)
		EQ(pd_unwind_modules(&list), before);
	else
		OK(again->start != first->start);
	/* another one in its place: a new epoch. One refresh for both changes. */
	dlclose(h);
	h = dlopen(b, RTLD_NOW);
	pd_unwind_refresh();
	const struct pd_module *other = opened(h, &code);
	OK(other && other != again && known_at(code));
	if (other && other->start == again->start) {
		EQ(pd_unwind_epoch(), epoch + 1);
		EQ(again->until, epoch);
		EQ(other->from, epoch + 1);
		EQ(other->until, UINT32_MAX);
		OK(!again->loaded && other->loaded);
	} else {
		printf("note: the libraries were not loaded at one place\n");
	}
	/* and back: what was displaced is not revived */
	dlclose(h);
	h = dlopen(a, RTLD_NOW);
	pd_unwind_refresh();
	const struct pd_module *back = opened(h, &code);
	if (back && other && back->start == other->start) {
		EQ(pd_unwind_epoch(), epoch + 2);
		OK(back != again && back->from == epoch + 2 && other->until == epoch + 1);
	}
	dlclose(h);
	pd_unwind_refresh();
	unlink(a);
	unlink(b);
}

static void relative_path(const char *library)
{
	char name[PATH_MAX + 8], real[PATH_MAX];
	snprintf(name, sizeof(name), "%s/c.so", dir);
	OK(copy_file(library, name) && realpath(name, real) && chdir(dir) == 0);
	void *h = dlopen("./c.so", RTLD_NOW);
	pd_unwind_refresh();
	uint64_t code;
	const struct pd_module *m = h ? opened(h, &code) : NULL;
	OK(m != NULL);
	if (m)
		STREQ(m->path, real);
	if (h)
		dlclose(h);
	unlink(name);
}

/* ---- walks in other threads meanwhile ---- */

static bool stop;
static uint64_t walked, bad;

static void *walking(void *arg)
{
	uint64_t pc[64];
	enum pd_walk_end end;
	struct pd_view view = stack_of(pthread_self());
	ucontext_t u;
	getcontext(&u);
	struct pd_regs regs;
	pd_regs_from_context(&u, &regs);
	static __thread struct pd_memo memo;
	while (!pd_load_relaxed(&stop)) {
		bool odd = pd_add_relaxed(&walked, 1) & 1;
		size_t n = pd_walk(&regs, false, &view, NULL, odd ? &memo : NULL, pc, 64, &end);
		pd_add_relaxed(&bad, end != PD_END_BOTTOM || n < 2);
	}
	return NULL;
}

static void changing(const char *library)
{
	pthread_t t[2];
	char name[PATH_MAX + 8];
	snprintf(name, sizeof(name), "%s/d.so", dir);
	OK(copy_file(library, name));
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, walking, NULL);
	struct pd_unwind_stats before, after;
	pd_unwind_refresh();
	pd_unwind_stats(&before);
	for (unsigned i = 0; i < 300; i++) {
		void *h = dlopen(name, RTLD_NOW);
		pd_unwind_refresh();
		dlclose(h);
		pd_unwind_refresh();
	}
	pd_store_relaxed(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	pd_unwind_refresh();
	pd_unwind_stats(&after);
	OK(walked > 1000);
	EQ(bad, 0);
	OK(after.bytes < before.bytes + (1 << 20)); /* nothing is piling up */
	unlink(name);
}

/* Whatever the budget, nothing fails but the tables. */
static void budgets(void)
{
	for (uint64_t cap = 0; cap < 3 << 20; cap += 40000) {
		struct pd_budget small = { .cap = cap };
		if (pd_unwind_open(&small) == 0) {
			pd_unwind_refresh();
			pd_unwind_refresh();
			known_at((uint64_t)&budgets);
			OK(small.taken <= cap);
			pd_unwind_close();
		}
		EQ(small.taken, 0);
	}
}

/* ---- a sandbox that forbids process_vm_readv ---- */

static void forbidden(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static const struct sock_fprog filter = { .len = sizeof(code) / sizeof(*code), .filter = code };
	pid_t pid = fork();
	if (pid == 0) {
		struct pd_unwind_stats stats = { .tables = 0 };
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
			_exit(77);
		if (pd_unwind_open(&budget) == 0) {
			pd_unwind_refresh();
			pd_unwind_stats(&stats);
		}
		_exit(stats.tables >= 2 && known_at((uint64_t)&forbidden) ? 0 : 1);
	}
	int status = -1;
	OK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	OK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

int main(void)
{
	forbidden();
	const char *base = getenv("T") ? getenv("T") : "/tmp";
	snprintf(dir, sizeof(dir), "%.3000s/pprofd-modules.XXXXXX", base);
	OK(mkdtemp(dir) != NULL);
	EQ(pd_unwind_open(&budget), 0);
	pd_unwind_refresh();
	like_maps();
	build_ids();
	void *h = dlopen("libresolv.so.2", RTLD_NOW);
	struct link_map *map = NULL;
	if (h && dlinfo(h, RTLD_DI_LINKMAP, &map) == 0) {
		loading(map->l_name);
		relative_path(map->l_name);
		changing(map->l_name);
		like_maps();
	} else {
		printf("note: no libresolv.so.2 to load\n");
	}
	pd_unwind_close();
	EQ(budget.taken, 0);
	budgets();
	OK(chdir("/") == 0 && rmdir(dir) == 0);
	DONE();
}
