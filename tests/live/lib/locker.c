/* A library that locks. Loaded twice at the same place, its slots need not hold what they did. */
#include <pthread.h>
#include <stdlib.h>

int locker_lock(pthread_mutex_t *m);
void *locker_alloc(size_t n);

int locker_lock(pthread_mutex_t *m)
{
	int err = pthread_mutex_lock(m);
	return err ? err : pthread_mutex_unlock(m);
}

void *locker_alloc(size_t n)
{
	return calloc(1, n);
}
