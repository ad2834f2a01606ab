/* Knows where binaries and their debug files lie. Must not know how they are read. */
#include "server/symbol/find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "server/symbol/path.h"

#define VDSO_MAX (256u << 10)
#define DEBUG_DIR "/usr/lib/debug"

static const struct pd_elf closed = { .fd = -1 };

static bool same_id(const struct pd_elf *e, const uint8_t *id, size_t n)
{
	return n && e->build_id_len == n && !memcmp(e->build_id, id, n);
}

static bool memory_read(uint64_t from, void *to, size_t n)
{
	struct iovec local = { to, n }, remote = { (void *)(uintptr_t)from, n };
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)n;
}

/* Without build ids: is the code in memory that of the file? A debugger may have written a few bytes of it. */
static bool same_code(const struct pd_elf *e, const struct pd_module *m)
{
	enum { PROBES = 16, BYTES = 64 };
	unsigned same = 0, compared = 0;
	if (!m->loaded)
		return true;
	uint64_t step = (m->end - m->start) / PROBES;
	for (unsigned i = 0; i < PROBES && step >= BYTES; i++) {
		uint8_t here[BYTES], there[BYTES];
		if (!memory_read(m->start + i * step, here, BYTES) ||
		        pd_elf_read(e, m->offset + i * step, there, BYTES) != BYTES)
			continue;
		compared++;
		same += !memcmp(here, there, BYTES);
	}
	return same + 2 >= compared;
}

static bool is_module(const struct pd_elf *e, const struct pd_module *m)
{
	return m->build_id_len ? same_id(e, m->build_id, m->build_id_len) : same_code(e, m);
}

/* Open a file if it is the module's; one that is not is counted. */
static bool main_try(struct pd_files *f, const struct pd_module *m, const char *path)
{
	int rc = pd_elf_open(&f->main, path);
	if (!rc && is_module(&f->main, m))
		return true;
	if (!rc)
		pd_elf_close(&f->main);
	if (!rc || rc == -ENOEXEC)
		f->refused++;
	return false;
}

static bool is_main_binary(const char *path)
{
	char exe[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	char *deleted = strstr(exe, " (deleted)");
	if (deleted && !deleted[10])
		*deleted = 0;
	return !strcmp(exe, path);
}

/* The kernel's own library has no file; its section headers lie behind the code, in the same pages. */
static bool vdso_open(struct pd_files *f, const struct pd_module *m)
{
	Elf64_Ehdr eh;
	size_t n = m->end - m->start;
	if (n < sizeof(eh) || n > VDSO_MAX)
		return false;
	memcpy(&eh, (const void *)(uintptr_t)m->start, sizeof(eh));
	size_t whole = eh.e_shoff + (size_t)eh.e_shnum * sizeof(Elf64_Shdr);
	if (whole < n || whole > VDSO_MAX)
		whole = n;
	uint8_t *copy = malloc(whole);
	if (!copy)
		return false;
	if (!memory_read(m->start, copy, whole)) {
		whole = n;
		memcpy(copy, (const void *)(uintptr_t)m->start, n);
	}
	return !pd_elf_memory(&f->main, copy, whole);
}

static bool main_open(struct pd_files *f, const struct pd_module *m)
{
	char path[PATH_MAX];
	if (m->is_vdso)
		return vdso_open(f, m);
	if (m->path[0] != '/')
		return false;
	size_t n = strlen(m->path);
	if (n > 10 && !strcmp(m->path + n - 10, " (deleted)"))
		n -= 10;
	if (n >= sizeof(path))
		return false;
	memcpy(path, m->path, n);
	path[n] = 0;
	if (main_try(f, m, path))
		return true;
	/* Deleted or replaced: the kernel may still have it. */
	unsigned refused = f->refused;
	bool found = is_main_binary(path) && main_try(f, m, "/proc/self/exe");
	if (!found && m->loaded) {
		snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)m->start,
		        (unsigned long)m->end);
		found = main_try(f, m, path);
	}
	f->refused = refused;
	return found;
}

static bool id_path(char *out, size_t size, const uint8_t *id, size_t n)
{
	char hex[65];
	for (size_t i = 0; i < n && i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	return n > 1 && snprintf(out, size, DEBUG_DIR "/.build-id/%.2s/%s.debug", hex, hex + 2) < (int)size;
}

static bool crc_matches(const struct pd_elf *e, uint32_t want)
{
	uint8_t buf[16384];
	uLong crc = crc32(0, NULL, 0);
	size_t n;
	for (uint64_t at = 0; (n = pd_elf_read(e, at, buf, sizeof(buf))) > 0; at += n)
		crc = crc32(crc, buf, (uInt)n);
	return crc == want;
}

/* A debug file is known by the build id, or else by the checksum in the link to it. */
static bool debug_try(struct pd_files *f, const char *path, const uint32_t *crc)
{
	struct pd_elf *e = &f->debug;
	int rc = pd_elf_open(e, path);
	if (rc) {
		f->refused += rc == -ENOEXEC;
		return false;
	}
	bool same_file = e->st.st_dev == f->main.st.st_dev && e->st.st_ino == f->main.st.st_ino;
	bool fits = !same_file &&
	        (f->main.build_id_len ? same_id(e, f->main.build_id, f->main.build_id_len)
	                              : crc && crc_matches(e, *crc));
	if (fits)
		return true;
	f->refused += !same_file;
	pd_elf_close(e);
	return false;
}

static bool debug_by_link(struct pd_files *f, const char *path)
{
	static const char *const around[][2] = { { "", "/" }, { "", "/.debug/" }, { DEBUG_DIR, "/" } };
	const struct pd_section *s = &f->main.sec[PD_SEC_DEBUGLINK];
	char link[NAME_MAX + 16] = "", real[PATH_MAX], try[PATH_MAX + NAME_MAX + 32];
	size_t n = pd_section_read(&f->main, s, 0, link, sizeof(link) - 1);
	size_t name = strnlen(link, n), at = (name + 4) & ~(size_t)3;
	uint32_t crc;
	if (!name || name == n || at + 4 > n || strchr(link, '/'))
		return false;
	memcpy(&crc, link + at, 4);
	if (!realpath(path, real))
		snprintf(real, sizeof(real), "%s", path);
	char *slash = strrchr(real, '/');
	if (!slash)
		return false;
	*slash = 0;
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		snprintf(try, sizeof(try), "%s%s%s%s", around[i][0], real, around[i][1], link);
		if (debug_try(f, try, &crc))
			return true;
	}
	return false;
}

static void debug_open(struct pd_files *f, const char *path)
{
	char by_id[160];
	if (f->main.sec[PD_SEC_INFO].size && f->main.sec[PD_SEC_SYMTAB].size)
		return;
	if (id_path(by_id, sizeof(by_id), f->main.build_id, f->main.build_id_len) && debug_try(f, by_id, NULL))
		return;
	debug_by_link(f, path);
}

static bool alt_try(struct pd_files *f, const char *path, const uint8_t *id, size_t n)
{
	if (pd_elf_open(&f->alt, path))
		return false;
	if (same_id(&f->alt, id, n))
		return true;
	f->refused++;
	pd_elf_close(&f->alt);
	return false;
}

static void alt_open(struct pd_files *f, const struct pd_elf *e, const char *dir_of)
{
	char link[PATH_MAX], path[PD_PATH], dir[PATH_MAX];
	size_t n = pd_section_read(e, &e->sec[PD_SEC_ALTLINK], 0, link, sizeof(link));
	size_t name = strnlen(link, n);
	if (!n || name == n || n - name - 1 > 32)
		return;
	const uint8_t *id = (const uint8_t *)link + name + 1;
	size_t id_len = n - name - 1;
	snprintf(dir, sizeof(dir), "%.*s", (int)(pd_path_last(dir_of) - dir_of), dir_of);
	if (pd_path_join(path, dir, "", link) && alt_try(f, path, id, id_len))
		return;
	if (id_path(path, sizeof(path), id, id_len))
		alt_try(f, path, id, id_len);
}

const struct pd_elf *pd_files_dwarf(const struct pd_files *f)
{
	const struct pd_elf *from[] = { &f->main, &f->debug };
	for (int i = 0; i < 2; i++)
		if (from[i]->sec[PD_SEC_INFO].size && from[i]->sec[PD_SEC_ABBREV].size)
			return from[i];
	return NULL;
}

bool pd_files_open(struct pd_files *f, const struct pd_module *m)
{
	*f = (struct pd_files){ closed, closed, closed, closed, 0 };
	if (!main_open(f, m)) {
		pd_files_close(f);
		return false;
	}
	if (!m->is_vdso) {
		char by_id[160] = "";
		debug_open(f, m->path);
		/* A relative link in a debug file found by build id starts in its directory. */
		id_path(by_id, sizeof(by_id), f->main.build_id, f->main.build_id_len);
		const struct pd_elf *e = pd_files_dwarf(f);
		if (e && e->sec[PD_SEC_ALTLINK].size)
			alt_open(f, e, e == &f->debug && by_id[0] ? by_id : m->path);
	}
	if (!f->main.sec[PD_SEC_SYMTAB].size && !f->debug.sec[PD_SEC_SYMTAB].size)
		pd_elf_mini(&f->main, &f->mini);
	return true;
}

void pd_files_close(struct pd_files *f)
{
	pd_elf_close(&f->main);
	pd_elf_close(&f->debug);
	pd_elf_close(&f->alt);
	pd_elf_close(&f->mini);
}

bool pd_files_changed(const struct pd_files *f)
{
	return pd_elf_changed(&f->main) || pd_elf_changed(&f->debug) || pd_elf_changed(&f->alt);
}
