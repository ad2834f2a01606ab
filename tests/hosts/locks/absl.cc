// Two functions hold an absl::Mutex while three threads wait for it, one of them three times as long.
#include <absl/synchronization/mutex.h>
#include <pprofd.h>
#include <unistd.h>

#include <cstdio>
#include <thread>
#include <vector>

static absl::Mutex mu;

__attribute__((noinline)) void hold_long()
{
	mu.Lock();
	usleep(60000);
	mu.Unlock();
	__asm__ volatile("");
}

__attribute__((noinline)) void hold_short()
{
	mu.Lock();
	usleep(20000);
	mu.Unlock();
	__asm__ volatile("");
}

__attribute__((noinline)) void wait_for_it()
{
	absl::MutexLock held(&mu);
	__asm__ volatile("");
}

static void scene(void (*hold)())
{
	std::vector<std::thread> t;
	t.emplace_back(hold);
	usleep(5000);
	for (int i = 0; i < 3; i++)
		t.emplace_back(wait_for_it);
	for (auto &one : t)
		one.join();
}

int main(int argc, char **argv)
{
	for (int i = 0; i < 5; i++) {
		scene(hold_long);
		scene(hold_short);
	}
	FILE *mutex = fopen(argv[1], "w"), *block = fopen(argv[2], "w");
	return pprofd_write("mutex", 0, fileno(mutex)) || pprofd_write("block", 0, fileno(block));
}
