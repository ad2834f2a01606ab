/* The `pprofd` command: finds the subcommand and knows nothing of what any of them does. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", pd_cli_run, "run a program with profiling switched on; see `pprofd run --help`"},
	{"version", version, "print the version"},
	{"help", help, "print this list"},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

int pd_cli_fail(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("pprofd: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

static int help(int argc, char **argv)
{
	puts("pprofd: profiles of a live C or C++ process over HTTP\n\nusage: pprofd COMMAND ...\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].help);
	return 0;
}

static int version(int argc, char **argv)
{
	puts("pprofd " PD_VERSION);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return pd_cli_fail(PD_EXIT_USAGE, "a command is missing; `pprofd help` lists them");
	const char *name = argv[1];
	if (!strcmp(name, "--help") || !strcmp(name, "--version"))
		name += 2;
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return pd_cli_fail(PD_EXIT_USAGE, "unknown command '%s'; `pprofd help` lists them", argv[1]);
}
