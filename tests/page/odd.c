/* A service whose functions, threads and profiles are called what would harm a page that took names for markup, and
 * two of whose threads wait for each other. */
#include <pprofd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A name of ten thousand characters; the test puts worse in the place of the others, in the program's file. */
#define TEN(s) s s s s s s s s s s
void endless(void) __asm__("long_" TEN(TEN(TEN("abcdefghij"))));
#define markup markup_0123456789012345678901234567890123456789
#define quotes quotes_0123456789012345678901234567890123456789
#define control control_0123456789012345678901234567890123456789

static volatile unsigned long work;

#define SPIN(name)                                        \
	void name(void);                                  \
	__attribute__((noinline)) void name(void)         \
	{                                                 \
		for (int i = 0; i < 2000000; i++)         \
			work += (unsigned long)i ^ work;  \
	}
SPIN(markup)
SPIN(quotes)
SPIN(control)
SPIN(endless)

static void *spin(void *arg)
{
	pthread_setname_np(pthread_self(), arg);
	for (;;) {
		markup();
		quotes();
		control();
		endless();
		usleep(2000);
	}
	return NULL;
}

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *lock_both(void *arg)
{
	pthread_mutex_t **m = arg;
	pthread_setname_np(pthread_self(), m[0] == &one ? "<b>first</b>" : "second\x1b[31m\xff");
	pthread_mutex_lock(m[0]);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(m[1]);
	return NULL;
}

int main(void)
{
	static pthread_mutex_t *order[2][2] = { { &one, &two }, { &two, &one } };
	char address[256];
	int profile = pprofd_profile_new("<i>mine</i> \"&'");
	if (pprofd_start(NULL) != 0 || pprofd_address(address, sizeof address) != 0)
		return 1;
	if (profile >= 0)
		pprofd_profile_add(profile, order, 0);
	pthread_t t;
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&t, NULL, spin, "<u>spin");
	for (int i = 0; i < 2; i++)
		pthread_create(&t, NULL, lock_both, order[i]);
	printf("%s/debug/pprof/\n", address);
	fflush(stdout);
	pause();
	return 0;
}
