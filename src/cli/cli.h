/* The subcommands of `pprofd`. Each gets its own name in argv[0] and returns the exit status. */
#ifndef PD_CLI_CLI_H
#define PD_CLI_CLI_H

enum {
	PD_EXIT_USAGE = 2,
	/* as shells have it */
	PD_EXIT_NOT_EXECUTABLE = 126,
	PD_EXIT_NOT_FOUND = 127,
};

/* "pprofd: " and a message on stderr, one line; returns `status`. */
__attribute__((format(printf, 2, 3))) int pd_cli_fail(int status, const char *format, ...);

/* pprofd run [options] [--] command...: only returns on errors, or for --help. */
int pd_cli_run(int argc, char **argv);

#endif
