// What a thread dump says of waits in the C++ library: its mutexes are pthread's, futures and statics are its own.
#include <condition_variable>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <vector>

#include "http.h"
#include "test.h"

static std::mutex plain;
static std::recursive_mutex recursive;
static std::timed_mutex timed;
static std::shared_timed_mutex shared;
static std::promise<int> promise;
static std::future<int> result = promise.get_future();
static std::mutex of_cv;
static std::condition_variable cv;
static bool done;

static std::string number(int v)
{
	return std::to_string(v);
}

static std::string hex(const void *p)
{
	char buf[32];
	snprintf(buf, sizeof buf, "%p", p);
	return buf;
}

struct waiter {
	int tid = 0;
	std::thread thread; // last: it uses the other

	template <typename F> explicit waiter(F f)
		: thread([this, f] {
			__atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
			f();
		})
	{
		OK(WITHIN(5000, __atomic_load_n(&tid, __ATOMIC_ACQUIRE) != 0));
	}
};

static int slow_start()
{
	plain.lock();
	plain.unlock();
	return 7;
}

static int once()
{
	static int value = slow_start();
	return value;
}

int main()
{
	struct pprofd_options o = {};
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	EQ(pprofd_start(&o), 0);
	plain.lock();
	recursive.lock();
	timed.lock();
	shared.lock();
	waiter p([] { plain.lock(); plain.unlock(); });
	waiter r([] { recursive.lock(); recursive.unlock(); });
	waiter t([] { OK(timed.try_lock_for(std::chrono::seconds(1000))); timed.unlock(); });
	waiter s([] { shared.lock_shared(); shared.unlock_shared(); });
	waiter f([] { EQ(result.get(), 3); });
	waiter c([] { std::unique_lock<std::mutex> l(of_cv); cv.wait(l, [] { return done; }); });
	waiter first([] { EQ(once(), 7); });
	usleep(50000);
	waiter second([] { EQ(once(), 7); });
	usleep(100000);
	std::string me = number((int)syscall(SYS_gettid));
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
	EQ(a.status, 200);
	std::string text = a.body ? a.body : "";
	free(a.body);
	struct {
		const waiter *who;
		std::string state;
	} want[] = {
		{ &p, "mutex wait (" + hex(&plain) + " held by " + me + ")" },
		{ &r, "mutex wait (" + hex(&recursive) + " held by " + me + ")" },
		{ &t, "mutex wait (" + hex(&timed) + " held by " + me + ")" },
		{ &s, "rwlock wait (" + hex(&shared) + " held by " + me + ")" },
		{ &f, "future wait" },
		{ &c, "cond wait" },
		{ &first, "mutex wait (" + hex(&plain) + " held by " + me + ")" },
		{ &second, "once wait" },
	};
	for (auto &w : want) {
		std::string line = "\ngoroutine " + number(w.who->tid) + " [" + w.state + "]:\n";
		OK(text.find(line) != std::string::npos);
		if (text.find(line) == std::string::npos)
			fprintf(stderr, "no%sin\n%.5000s\n", line.c_str(), text.c_str());
	}
	OK(text.find("# deadlock") == std::string::npos);
	plain.unlock();
	recursive.unlock();
	timed.unlock();
	shared.unlock();
	promise.set_value(3);
	{
		std::lock_guard<std::mutex> l(of_cv);
		done = true;
	}
	cv.notify_all();
	for (auto w : { &p, &r, &t, &s, &f, &c, &first, &second })
		w->thread.join();
	EQ(pprofd_stop(), 0);
	DONE();
}
