/* A library that wants another version of a function than the hooks stand for keeps it, bound already or not yet. */
#include <errno.h>

#include "locks.h"

static int (*load(const char *name, int how))(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
	path[n > 0 ? n : 0] = 0;
	sprintf(strrchr(path, '/'), "/lib/%s.so", name);
	void *lib = dlopen(path, how);
	if (!lib)
		SKIP("this libc has no conditions of the first kind");
	return (int (*)(void))dlsym(lib, "old_wait");
}

int main(void)
{
	peek_start();
	int (*old_wait)(void) = load("oldcond", RTLD_LAZY);
	for (int i = 0; i < 3; i++) {
		peek_rate("block_rate", 1);
		EQ(old_wait(), ETIMEDOUT);
		EQ(old_wait(), ETIMEDOUT);
		peek_rate("block_rate", 0);
		EQ(old_wait(), ETIMEDOUT);
	}
	EQ(peek_sum(PD_BLOCK, NULL, NULL, "pthread_cond_timedwait").rows, 0);
	/* What this program calls is of today. */
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	until.tv_nsec = 0;
	peek_rate("block_rate", 1);
	pthread_mutex_lock(&m);
	EQ(pthread_cond_timedwait(&c, &m, &until), ETIMEDOUT);
	pthread_mutex_unlock(&m);
	OK(peek_sum(PD_BLOCK, NULL, NULL, "pthread_cond_timedwait").waits == 1);
	pprofd_stop();
	DONE();
}
