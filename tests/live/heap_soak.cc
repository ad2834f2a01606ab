/*
 * Everything at once: allocations sampled, CPU at 1 kHz, dumps, libraries that come and go, exceptions, threads that
 * come and go, forks, rates that change. Nothing hangs, nothing crashes, everything goes on. argv[1]: seconds
 * (default 20).
 */
#include <dlfcn.h>
#include <sys/wait.h>

#include <atomic>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "http.h"
#include "test.h"
}

static std::atomic<bool> stop{false};
static std::atomic<long> caught{0}, loads{0}, forks{0}, dumps{0};

__attribute__((noinline)) static void deep(int n)
{
	std::string keep(static_cast<size_t>(n) * 20, 'x');
	if (n == 0)
		throw std::runtime_error("as planned, with a text too long to be kept in place");
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
		auto lib_malloc = reinterpret_cast<void *(*)(size_t)>(dlsym(lib, "lib_malloc"));
		auto lib_free = reinterpret_cast<void (*)(void *)>(dlsym(lib, "lib_free"));
		for (int i = 0; i < 1000; i++)
			lib_free(lib_malloc(static_cast<size_t>(i)));
		dlclose(lib);
		loads++;
	}
}

static void churn()
{
	std::map<int, std::string> m;
	for (int i = 0; !stop; i++) {
		m[i % 1000] = std::string(static_cast<size_t>(i % 3000), 'y');
		if (i % 1000 == 0)
			std::thread([] { std::vector<int> v(10000); asm volatile("" : : "r"(v.data()) : "memory"); }).join();
	}
}

static void forker()
{
	while (!stop) {
		pid_t pid = fork();
		if (pid == 0) {
			std::vector<std::string> v(100, std::string(500, 'z'));
			_exit(v.size() == 100 ? 0 : 1);
		}
		int status = -1;
		if (!WITHIN(20000, waitpid(pid, &status, WNOHANG) == pid))
			kill(pid, SIGKILL);
		EQ(status, 0);
		forks++;
		usleep(20000);
	}
}

static void switcher()
{
	static const uint64_t rates[] = {4096, 1, 512 << 10, 0, 64};
	for (int i = 0; !stop; i++) {
		EQ(pprofd_rate_set("heap_rate", rates[i % 5]), 0);
		usleep(50000);
	}
}

static void dumper()
{
	while (!stop) {
		struct http_answer a = http_get("/debug/pprof/goroutine?debug=2");
		EQ(a.status, 200);
		free(a.body);
		a = http_get("/debug/pprof/heap");
		OK(a.status == 200 && a.len > 100);
		free(a.body);
		a = http_get("/debug/pprof/heap?debug=1");
		OK(a.status == 200 && a.len > 100);
		free(a.body);
		dumps++;
	}
}

int main(int argc, char **argv)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("sanitizers leave locks of their own taken in children of threaded programs");
#endif
	int seconds = argc > 1 ? atoi(argv[1]) : 20;
	const char *build = getenv("B");
	struct pprofd_options o = {};
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	o.cpu_hz = 1000;
	o.heap_rate = 4096;
	EQ(pprofd_start(&o), 0);
	std::vector<std::thread> threads;
	for (int i = 0; i < 2; i++)
		threads.emplace_back(thrower);
	threads.emplace_back(loader, std::string(build ? build : "build") + "/tests/live/lib/allocs.so");
	threads.emplace_back(churn);
	threads.emplace_back(forker);
	threads.emplace_back(switcher);
	threads.emplace_back(dumper);
	long long end = test_now_ns() + seconds * 1000000000ll;
	while (test_now_ns() < end) {
		long before[] = {caught, loads, forks, dumps};
		struct http_answer a = http_get("/debug/pprof/profile?seconds=2");
		EQ(a.status, 200);
		free(a.body);
		/* All go on, on a machine that may be busy. */
		OK(WITHIN(10000, caught > before[0] && loads > before[1] && forks > before[2] && dumps > before[3]));
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	EQ(pprofd_stop(), 0);
	printf("%ld exceptions, %ld loads, %ld forks, %ld dumps\n", caught.load(), loads.load(), forks.load(), dumps.load());
	DONE();
}
