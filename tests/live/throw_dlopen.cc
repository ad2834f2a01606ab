/* Threads that throw, and one that loads and unloads a library, sampled at 1 kHz: nothing hangs, nothing is lost. */
#include <dlfcn.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "http.h"
#include "test.h"
}

static std::atomic<bool> stop{false};
static std::atomic<long> caught{0}, loads{0};

__attribute__((noinline)) static void deep(int n)
{
	std::string keep(static_cast<size_t>(n), 'x');
	if (n == 0)
		throw std::runtime_error("as planned");
	deep(n - 1);
	asm volatile("" : : "r"(keep.data()) : "memory");
}

static void thrower()
{
	while (!stop) {
		try {
			deep(20);
		} catch (const std::exception &) {
			caught++;
		}
	}
}

static void loader(const std::string &path)
{
	while (!stop) {
		void *lib = dlopen(path.c_str(), RTLD_NOW);
		if (!lib) {
			fprintf(stderr, "%s\n", dlerror());
			return;
		}
		auto work = reinterpret_cast<unsigned long (*)(unsigned long)>(dlsym(lib, "plugin_work"));
		asm volatile("" : : "r"(work(20000)));
		dlclose(lib);
		loads++;
	}
}

static void churn()
{
	while (!stop)
		std::thread([] { asm volatile(""); }).join();
}

int main()
{
#ifdef __SANITIZE_THREAD__
	SKIP("the sanitizer delivers signals later");
#endif
	const char *build = getenv("B");
	struct pprofd_options o = {};
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	o.cpu_hz = 1000;
	EQ(pprofd_start(&o), 0);
	std::vector<std::thread> threads;
	for (int i = 0; i < 3; i++)
		threads.emplace_back(thrower);
	threads.emplace_back(loader, std::string(build ? build : "build") + "/tests/live/lib/plugin.so");
	threads.emplace_back(churn);
	struct http_job window[3];
	for (int i = 0; i < 3; i++)
		http_start(&window[i], i == 0 ? "/debug/pprof/profile?seconds=5&debug=1" : "/debug/pprof/profile?seconds=3&debug=1");
	long long end = test_now_ns() + 6000000000ll;
	bool dumped = false;
	while (test_now_ns() < end) {
		struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
		EQ(a.status, 200);
		dumped = dumped || (a.body && strstr(a.body, "goroutine "));
		free(a.body);
	}
	OK(dumped);
	for (int i = 0; i < 3; i++) {
		pthread_join(window[i].thread, nullptr);
		EQ(window[i].answer.status, 200);
		OK(window[i].answer.body && strstr(window[i].answer.body, "deep"));
		free(window[i].answer.body);
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	OK(caught > 1000);
	OK(loads > 50);
	EQ(pprofd_stop(), 0);
	printf("%ld exceptions, %ld loads\n", caught.load(), loads.load());
	DONE();
}
