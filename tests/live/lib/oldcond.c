/* As a library from long ago: its conditions are of the first kind, of which libc keeps code for such libraries only. */
#include <pthread.h>
#include <time.h>

__asm__(".symver pthread_cond_timedwait, pthread_cond_timedwait@GLIBC_2.2.5");
__asm__(".symver pthread_cond_destroy, pthread_cond_destroy@GLIBC_2.2.5");

/* One pointer then; more memory than that must not be touched. */
struct old {
	void *cond;
	unsigned long guard[8];
};

int old_wait(void);

/* Wait 5 ms for a condition that never comes; the answer, or -1 when memory beyond the condition was changed. */
int old_wait(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct old o = { .cond = 0 };
	struct timespec until;
	for (int i = 0; i < 8; i++)
		o.guard[i] = 0x5a5a5a5a5a5a5a5aul + (unsigned long)i;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 5000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&m);
	int err = pthread_cond_timedwait((pthread_cond_t *)(void *)&o.cond, &m, &until);
	pthread_mutex_unlock(&m);
	pthread_cond_destroy((pthread_cond_t *)(void *)&o.cond);
	for (int i = 0; i < 8; i++)
		if (o.guard[i] != 0x5a5a5a5a5a5a5a5aul + (unsigned long)i)
			return -1;
	return err;
}
