/* A pool: five workers wait for jobs, one polls for them, and one has a job, of which encode() is 2/3 and sign() 1/3.
 * "spin": the five poll, too. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs = PTHREAD_COND_INITIALIZER;
static volatile int queued;

static void burn(unsigned n)
{
	uint64_t x = n;
	for (unsigned i = 0; i < n; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

__attribute__((noinline)) static void encode(void)
{
	burn(20000000);
	__asm__ volatile("");
}

__attribute__((noinline)) static void sign(void)
{
	burn(10000000);
	__asm__ volatile("");
}

__attribute__((noinline)) static void *wait_for_job(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!queued)
		pthread_cond_wait(&jobs, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

__attribute__((noinline)) static void *poll_for_job(void *arg)
{
	while (!queued)
		;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int spin = argc > 1 && strcmp(argv[1], "spin") == 0;
	for (int i = 0; i < 5; i++)
		pthread_create(&t, NULL, spin ? poll_for_job : wait_for_job, NULL);
	pthread_create(&t, NULL, poll_for_job, NULL);
	for (;;) {
		encode();
		sign();
	}
}
