#include "base/thread.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNSHARE 2u /* CLOSE_RANGE_UNSHARE */

/* A sanitizer tells what it finds on descriptor 2. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHARED true
#else
#define SHARED false
#endif

int pd_thread_start(pthread_t *thread, size_t stack, void *(*main)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t every, before;
	int err = pthread_attr_init(&attr);
	if (err)
		return -err;
	/* From its first instruction on. */
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	err = pthread_attr_setstacksize(&attr, stack);
	if (!err)
		err = pthread_create(thread, &attr, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

void pd_thread_own_descriptors(int keep)
{
	/* Descriptors before the first that is closed are copied: with none to keep, none. */
	if (!SHARED && syscall(SYS_close_range, (unsigned)(keep + 1), UINT_MAX, UNSHARE) == 0 && keep > 0)
		syscall(SYS_close_range, 0u, (unsigned)(keep - 1), 0u);
}
