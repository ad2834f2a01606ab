/* The first thread works in handlers on a stack of their own, and nowhere else. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

static void on_signal(int sig)
{
	clock_t end = clock() + CLOCKS_PER_SEC / 50;
	while (clock() < end)
		continue;
}

int main(int argc, char **argv)
{
	static char stack[1 << 17];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	sigaltstack(&alt, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	while (time(NULL) < end)
		raise(SIGUSR2);
	return 0;
}
