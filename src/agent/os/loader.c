/* One lock around our own uses of the dynamic loader's lists. */
#include <pthread.h>

#include "agent/os/os.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void pd_loader_lock(void)
{
	pthread_mutex_lock(&lock);
}

void pd_loader_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void pd_loader_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
