/*
 * The waits of C++: each is blocked for a known time by a function of its own, and found there; exceptions and
 * cancellation pass through the hooks.
 */
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <semaphore>

#include "locks.h"

using namespace std::chrono_literals;

PLACE(mutex);
PLACE(timed);
PLACE(shared);
PLACE(wait);
PLACE(wait_for);
PLACE(future);
PLACE(atomic);
PLACE(semaphore);
PLACE(joined);
PLACE(unlocks);
PLACE(unlocks_shared);

static const auto length = 30ms;
static std::mutex m;
static std::timed_mutex tm;
static std::shared_mutex sm;
static std::condition_variable cv;
static bool ready;
static std::atomic<bool> begun;

PLACED(mutex) static void lock_mutex()
{
	std::lock_guard<std::mutex> held(m);
	__asm__ volatile("");
}

PLACED(timed) static void lock_timed()
{
	OK(!tm.try_lock_for(length));
	__asm__ volatile("");
}

PLACED(shared) static void lock_shared()
{
	std::shared_lock<std::shared_mutex> held(sm);
	__asm__ volatile("");
}

PLACED(wait) static void wait_cv()
{
	std::unique_lock<std::mutex> held(m);
	begun = true;
	while (!ready)
		cv.wait(held);
	__asm__ volatile("");
}

PLACED(wait_for) static void wait_for_cv()
{
	std::unique_lock<std::mutex> held(m);
	cv.wait_for(held, length, [] { return false; });
	__asm__ volatile("");
}

PLACED(future) static int get_future(std::future<int> &f)
{
	int v = f.get();
	__asm__ volatile("");
	return v;
}

PLACED(joined) static void join_thread(std::thread &t)
{
	t.join();
	__asm__ volatile("");
}

PLACED(unlocks) static void hold_mutex()
{
	m.lock();
	std::this_thread::sleep_for(length);
	m.unlock();
	__asm__ volatile("");
}

PLACED(unlocks_shared) static void hold_shared()
{
	sm.lock();
	std::this_thread::sleep_for(length);
	sm.unlock();
	__asm__ volatile("");
}

template <class Mutex> static void wait_until_held(Mutex &mutex)
{
	while (mutex.try_lock()) {
		mutex.unlock();
		std::this_thread::yield();
	}
}

PLACED(atomic) static void wait_atomic(std::atomic<int> &a)
{
	a.wait(0);
	__asm__ volatile("");
}

PLACED(semaphore) static void take_semaphore(std::counting_semaphore<4> &s)
{
	s.acquire();
	__asm__ volatile("");
}

static void about(enum pd_kind kind, const char *lo, const char *hi, const char *what)
{
	struct peek_sum s = peek_sum(kind, lo, hi, nullptr);
	double ms = s.ns / 1e6;
	printf("%-16s %6.1f ms, %.0f\n", what, ms, s.waits);
	if (ms < 15 || ms > 300 || s.waits < 1 || s.waits > 3) {
		test_failures++;
		fprintf(stderr, "%s: %.1f ms, %.0f waits\n", what, ms, s.waits);
	}
}

/* A cancelled wait unwinds the C++ frames below our hook. */
static int unwound;
struct on_unwind {
	~on_unwind() { unwound++; }
};

static void *cancel_me(void *)
{
	on_unwind a;
	std::unique_lock<std::mutex> held(m);
	for (;;)
		cv.wait(held);
	return nullptr;
}

/* An exception thrown by a handler of a signal that interrupts a wait: passes through the hook as any other frame. */
static void throw_it(int)
{
	throw std::runtime_error("interrupted");
}

static void *throw_thread(void *tid)
{
	__atomic_store_n((int *)tid, gettid(), __ATOMIC_SEQ_CST);
	on_unwind a;
	try {
		usleep(20000000);
	} catch (const std::runtime_error &) {
		return (void *)1;
	}
	return nullptr;
}

static inline void exceptions_and_cancellation()
{
	pthread_t t;
	void *result = nullptr;
	pthread_create(&t, nullptr, cancel_me, nullptr);
	usleep(10000);
	pthread_cancel(t);
	pthread_join(t, &result);
	OK(result == PTHREAD_CANCELED);
	EQ(unwound, 1);
	OK(m.try_lock());
	m.unlock();
	int tid = 0;
	signal(SIGUSR1, throw_it);
	pthread_create(&t, nullptr, throw_thread, &tid);
	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(10000);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, &result);
	OK(result == (void *)1);
	EQ(unwound, 2);
}

int main()
{
	peek_start();
	peek_rate("block_rate", 1);
	peek_rate("mutex_fraction", 1);
	peek_rate("io_rate", 1);
	{
		std::thread holder(hold_mutex);
		wait_until_held(m);
		lock_mutex();
		holder.join();
	}
	{
		tm.lock();
		std::thread waiter(lock_timed);
		waiter.join();
		tm.unlock();
	}
	{
		std::thread holder(hold_shared);
		wait_until_held(sm);
		lock_shared();
		holder.join();
	}
	{
		std::thread waiter(wait_cv);
		while (!begun)
			std::this_thread::yield();
		std::this_thread::sleep_for(length);
		m.lock();
		ready = true;
		m.unlock();
		cv.notify_all();
		waiter.join();
	}
	wait_for_cv();
	{
		std::future<int> f = std::async(std::launch::async, [] {
			std::this_thread::sleep_for(length);
			return 42;
		});
		EQ(get_future(f), 42);
	}
	{
		std::thread t([] { std::this_thread::sleep_for(length); });
		join_thread(t);
	}
	{
		std::atomic<int> a{0};
		std::thread t([&a] {
			std::this_thread::sleep_for(length);
			a = 1;
			a.notify_all();
		});
		wait_atomic(a);
		t.join();
	}
	{
		std::counting_semaphore<4> s{0};
		std::thread t([&s] {
			std::this_thread::sleep_for(length);
			s.release();
		});
		take_semaphore(s);
		t.join();
	}
	about(PD_BLOCK, IN(atomic), "atomic");
	about(PD_BLOCK, IN(semaphore), "semaphore");
	about(PD_BLOCK, IN(mutex), "mutex");
	about(PD_BLOCK, IN(timed), "timed_mutex");
	about(PD_BLOCK, IN(shared), "shared_mutex");
	about(PD_BLOCK, IN(wait), "cv.wait");
	about(PD_BLOCK, IN(wait_for), "cv.wait_for");
	about(PD_BLOCK, IN(future), "future");
	about(PD_BLOCK, IN(joined), "join");
	about(PD_MUTEX, IN(unlocks), "unlock");
	about(PD_MUTEX, IN(unlocks_shared), "unlock shared");
#ifndef __SANITIZE_ADDRESS__ // keeps marks on the stack for frames of hooks that an unwinder passes
	exceptions_and_cancellation();
#endif
	pprofd_stop();
	DONE();
}
