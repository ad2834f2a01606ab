/* Threads of the profiler's own. */
#ifndef PD_BASE_THREAD_H
#define PD_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Run main(arg) on a new thread that takes no signal of the program's, on a stack of so many bytes. 0 or -errno. */
int pd_thread_start(pthread_t *thread, size_t stack, void *(*main)(void *), void *arg);

/*
 * The calling thread, one of the profiler's, goes on with descriptors of its own, of which only `keep` is open (-1:
 * none): the program sees none of the files that it opens, and can neither close them nor be given their numbers just
 * before they are closed. Threads that it starts share them. Before Linux 5.9 nothing changes.
 */
void pd_thread_own_descriptors(int keep);

#endif
