/* Two threads put items into a queue of 4, and one takes an item every 10 ms: both wait nearly all the time. */
#include <pthread.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;
static int items;

__attribute__((noinline)) static void queue_put(void)
{
	pthread_mutex_lock(&lock);
	while (items == 4)
		pthread_cond_wait(&room, &lock);
	items++;
	pthread_mutex_unlock(&lock);
}

static void queue_take(void)
{
	pthread_mutex_lock(&lock);
	items -= items > 0;
	pthread_cond_signal(&room);
	pthread_mutex_unlock(&lock);
}

__attribute__((noinline)) static void *produce(void *arg)
{
	for (;;)
		queue_put();
	return arg;
}

int main(void)
{
	pthread_t t;
	for (int i = 0; i < 2; i++)
		pthread_create(&t, NULL, produce, NULL);
	for (;;) {
		const struct timespec slow = { .tv_nsec = 10000000 };
		nanosleep(&slow, NULL);
		queue_take();
	}
}
