/* The serving part: another object, loaded only when something is to be served. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/life.h"
#include "base/atomic.h"
#include "base/log.h"

#define OBJECT "libpprofd-server.so"

static pprofd_server_start_fn *server_start;
static pprofd_server_stop_fn *server_stop;
static const struct pd_service *service; /* atomic */

/* The object beside the file that holds `path`'s last component; false when that is no file. */
static bool beside(char *out, size_t n, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
	if (!slash || dir + sizeof OBJECT > n)
		return false;
	memcpy(out, path, dir);
	memcpy(out + dir, OBJECT, sizeof OBJECT);
	return access(out, R_OK) == 0;
}

static bool segments_whole(int fd, uint64_t size)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	if (pread(fd, &eh, sizeof eh, 0) != sizeof eh || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return true; /* the loader says what is wrong with it */
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof ph, (off_t)(eh.e_phoff + i * sizeof ph)) != sizeof ph)
			return false;
		if (ph.p_type == PT_LOAD && (ph.p_offset > size || ph.p_filesz > size - ph.p_offset))
			return false;
	}
	return true;
}

/* What is wrong with a file the loader would hang or crash on; NULL = nothing. Names without a slash are the loader's to
 * look for. */
static const char *fault(const char *path)
{
	struct stat st;
	int fd = strchr(path, '/') ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	if (fd < 0)
		return NULL;
	const char *why = NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		why = "not a file";
	else if (!segments_whole(fd, (uint64_t)st.st_size))
		why = "the file is cut short";
	close(fd);
	return why;
}

static void *load(const struct pd_settings *s)
{
	char path[PATH_MAX] = OBJECT, exe[PATH_MAX];
	Dl_info info;
	const char *use = path;
	if (s->server[0]) {
		use = s->server;
	} else if (!dladdr((void *)&pd_server_load, &info) || !beside(path, sizeof path, info.dli_fname)) {
		/* Linked into a program: beside that, or wherever libraries are looked for. */
		ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
		exe[len > 0 ? len : 0] = 0;
		if (!beside(path, sizeof path, exe))
			strcpy(path, OBJECT);
	}
	const char *why = fault(use);
	void *object = why ? NULL : dlopen(use, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!object) {
		why = why ? why : dlerror();
		pd_log("not started: cannot load %s: %s", use, why ? why : "no reason given");
	}
	return object;
}

int pd_server_load(const struct pd_settings *s, const struct pd_agent *agent, const struct pd_config *c)
{
	if (!server_start) {
		void *object = load(s);
		if (!object)
			return -ELIBACC;
		server_stop = (pprofd_server_stop_fn *)dlsym(object, "pprofd_server_stop");
		server_start = (pprofd_server_start_fn *)dlsym(object, "pprofd_server_start");
	}
	if (!server_start || !server_stop) {
		pd_log("not started: " OBJECT " is of another version");
		server_start = NULL;
		return -ELIBACC;
	}
	return server_start(agent, c);
}

void pd_server_unload(bool forked)
{
	if (server_stop)
		server_stop(forked);
}

void pd_service_offer(const struct pd_service *offered)
{
	pd_store_release(&service, offered);
}

const struct pd_service *pd_service(void)
{
	return pd_load_acquire(&service);
}
