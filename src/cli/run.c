/*
 * `pprofd run`: becomes the given program with libpprofd.so preloaded and told by the environment to
 * start. Knows the names of the variables and where the library lies, nothing of what it does.
 */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option {
	const char *name, *variable, *value, *help;
} options[] = {
	{"--listen", "PPROFD_LISTEN", "ADDRESS", "where to listen (127.0.0.1:6060)"},
	{"--token-file", "PPROFD_TOKEN_FILE", "FILE", "file with the token that clients must send"},
	{"--log", "PPROFD_LOG", "FILE", "file for messages, or \"stderr\""},
	{"--cpu-hz", "PPROFD_CPU_HZ", "N", "CPU samples per second of CPU time (100)"},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static int usage(void)
{
	puts("usage: pprofd run [OPTION...] [--] COMMAND [ARGUMENT...]\n\n"
	     "Runs COMMAND with libpprofd.so preloaded; its profiles are then at\n"
	     "http://ADDRESS/debug/pprof/. Each option sets the variable named beside it.\n");
	for (size_t i = 0; i < NOPTIONS; i++) {
		const struct option *o = &options[i];
		char left[40];
		snprintf(left, sizeof(left), "%s %s", o->name, o->value);
		printf("  %-20s  %-18s %s\n", left, o->variable, o->help);
	}
	puts("\nPPROFD_LIBRARY names the library if it is not beside the command or in ../lib.");
	return 0;
}

/* The library's absolute path into `path`. 0 or -errno. */
static int find_library(char path[PATH_MAX])
{
	const char *named = getenv("PPROFD_LIBRARY");
	if (named)
		return realpath(named, path) ? 0 : -errno;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	static const char *const places[] = {"/", "/../lib/"};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *candidate = NULL;
		if (asprintf(&candidate, "%s%slibpprofd.so", self, places[i]) < 0)
			return -ENOMEM;
		const char *found = realpath(candidate, path);
		free(candidate);
		if (found)
			return 0;
	}
	return -ENOENT;
}

/* LD_PRELOAD with the library added behind what is there. 0 or an exit status, told. */
static int preload(void)
{
	char path[PATH_MAX];
	int err = find_library(path);
	if (err)
		return pd_cli_fail(1, "libpprofd.so: %s; PPROFD_LIBRARY can name it", strerror(-err));
	if (access(path, R_OK))
		return pd_cli_fail(1, "%s: %s", path, strerror(errno));
	if (strpbrk(path, " :"))
		return pd_cli_fail(1, "%s: LD_PRELOAD cannot hold a path with a space or a colon", path);
	const char *before = getenv("LD_PRELOAD");
	char *value = NULL;
	if (asprintf(&value, "%s%s%s", before ? before : "", before && *before ? ":" : "", path) < 0)
		return pd_cli_fail(1, "%s", strerror(ENOMEM));
	setenv("LD_PRELOAD", value, 1);
	unsetenv("PPROFD_LIBRARY"); /* ours alone: the library refuses variables it does not know */
	free(value);
	return 0;
}

static const struct option *find_option(const char *arg, size_t length)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strlen(options[i].name) == length && !strncmp(arg, options[i].name, length))
			return &options[i];
	return NULL;
}

int pd_cli_run(int argc, char **argv)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help"))
			return usage();
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		size_t length = strcspn(argv[i], "=");
		const struct option *o = find_option(argv[i], length);
		if (!o)
			return pd_cli_fail(PD_EXIT_USAGE, "run: unknown option '%s'", argv[i]);
		const char *value = argv[i][length] ? argv[i] + length + 1 : argv[++i];
		if (!value || !*value)
			return pd_cli_fail(PD_EXIT_USAGE, "run: %s needs a value: %s", o->name, o->value);
		setenv(o->variable, value, 1);
	}
	if (i >= argc)
		return pd_cli_fail(PD_EXIT_USAGE, "run: a command is missing; see `pprofd run --help`");
	setenv("PPROFD_LISTEN", "127.0.0.1:6060", 0);
	int status = preload();
	if (status)
		return status;
	execvp(argv[i], argv + i);
	return pd_cli_fail(errno == ENOENT ? PD_EXIT_NOT_FOUND : PD_EXIT_NOT_EXECUTABLE, "%s: %s", argv[i],
			   strerror(errno));
}
