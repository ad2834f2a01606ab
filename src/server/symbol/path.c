/* Knows slashes and dots. Must not touch the file system. */
#include "server/symbol/path.h"

#include <stdio.h>
#include <string.h>

static bool add(char *out, size_t *len, const char *part)
{
	size_t n = strlen(part);
	if (part[0] == '/')
		*len = 0;
	if (!n)
		return true;
	if (*len + n + 2 > PD_PATH)
		return false;
	if (*len)
		out[(*len)++] = '/';
	memcpy(out + *len, part, n);
	*len += n;
	return true;
}

/* Length of `out` without its last part; `floor` stays. */
static size_t drop(const char *out, size_t len, size_t floor)
{
	while (len > floor && out[len - 1] != '/')
		len--;
	return len > floor ? len - 1 : len;
}

static void clean(char *p)
{
	bool absolute = p[0] == '/';
	size_t len = 0, floor = 0; /* written; of that not to be dropped by ".." */
	const char *in = p;
	while (*in) {
		size_t n = strcspn(in, "/");
		const char *next = in + n + (in[n] == '/');
		if (n == 0 || (n == 1 && in[0] == '.')) {
			in = next;
			continue;
		}
		bool up = n == 2 && in[0] == '.' && in[1] == '.';
		if (up && len > floor) {
			len = drop(p, len, floor);
		} else if (!up || !absolute) {
			if (len || absolute)
				p[len++] = '/';
			memmove(p + len, in, n);
			len += n;
			if (up)
				floor = len;
		}
		in = next;
	}
	if (!len)
		p[len++] = absolute ? '/' : '.';
	p[len] = 0;
}

bool pd_path_join(char out[PD_PATH], const char *base, const char *dir, const char *name)
{
	size_t len = 0;
	out[0] = 0;
	if (!add(out, &len, base) || !add(out, &len, dir) || !add(out, &len, name))
		return false;
	out[len] = 0;
	clean(out);
	return true;
}

const char *pd_path_last(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}
