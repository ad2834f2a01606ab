/* The public functions for profiles of the program's own. Knows which names they may have. */
#include <errno.h>
#include <string.h>

#include "agent/life.h"
#include "agent/sampler/sampler.h"

#define API __attribute__((visibility("default")))

/* What is served under these names, and what is below them. */
static const char *const taken[] = {
	"admin", "allocs", "block", "cmdline", "contention", "delta_block", "delta_heap", "delta_mutex", "fgprof",
	"goroutine", "goroutineleak", "growth", "heap", "io", "metrics", "mutex", "profile", "symbol", "symbolz", "threadcreate",
	"threads", "trace", "wall", "www",
};

/* Bytes of the UTF-8 sequence at s, 0 = it is none. */
static size_t sequence(const unsigned char *s)
{
	size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if (s[i] >> 6 != 2)
			return 0;
	return n;
}

/* Printable, and a path that stays as it is when it is cleaned: no empty part, none of dots alone. */
static bool fit(const char *name)
{
	const char *part = name;
	for (const char *s = name;; s++) {
		size_t n = (size_t)(s - part);
		if (*s && *s != '/') {
			size_t bytes = sequence((const unsigned char *)s);
			if (!bytes || (unsigned char)*s < ' ' || *s == 0x7f)
				return false;
			s += bytes - 1;
			continue;
		}
		if (n == 0 || (n == 1 && *part == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (!*s)
			return (size_t)(s - name) < PD_CUSTOM_NAME;
		part = s + 1;
	}
}

API int pprofd_profile_new(const char *name)
{
	if (!name || !fit(name))
		return -EINVAL;
	size_t n = strcspn(name, "/");
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		if (strlen(taken[i]) == n && strncmp(taken[i], name, n) == 0)
			return -EEXIST;
	return pd_custom_new(name);
}

API int pprofd_profile_add(int profile, const void *key, unsigned skip)
{
	int saved = errno;
	int err = pd_custom_add(profile, (uint64_t)(uintptr_t)key, __builtin_frame_address(0), skip);
	errno = saved;
	return err;
}

API int pprofd_profile_remove(int profile, const void *key)
{
	return pd_custom_remove(profile, (uint64_t)(uintptr_t)key);
}

API int64_t pprofd_profile_count(int profile)
{
	return pd_custom_count(profile);
}
