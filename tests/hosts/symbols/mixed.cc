// Templates, lambdas, anonymous namespaces, local classes.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {
int helper(int x)
{
	int s = 0;
	for (int i = 0; i < x; i++) {
		s += i * x;
		__asm__ volatile("" : "+r"(s)); /* else a compiler finds a formula for the sum */
	}
	return s;
}
struct Kept {
	template <class T> __attribute__((noinline)) T go(T a) const { return a * helper(3) + 1; }
};
} // namespace

namespace ns {
template <class T> static inline T twice(T a)
{
	return a + a + helper((int)a);
}
struct Foo {
	int v;
	__attribute__((noinline)) int bar(int z);
	int operator()(int x) const { return x + v; }
};
int Foo::bar(int z)
{
	auto scale = [&](int q) { return q * v + twice(q); };
	struct Local {
		static __attribute__((noinline)) int of(int x) { return x * 7 + (int)std::to_string(x).size(); }
	};
	std::vector<int> w;
	for (int i = 0; i < z; i++)
		w.push_back(scale(i) + Local::of(i));
	std::sort(w.begin(), w.end(), [](int a, int b) { return a > b; });
	return w[0];
}
} // namespace ns

int main(int argc, char **)
{
	ns::Foo f{argc};
	Kept k;
	std::printf("%d %f %d\n", f.bar(argc + 10), k.go(2.5), f(3));
}
