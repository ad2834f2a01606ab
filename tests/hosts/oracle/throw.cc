// Exceptions through frames with destructors, virtual calls, sorting with lambdas.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct Count {
	long &n;
	explicit Count(long &to) : n(to) { n++; }
	~Count() { n += 2; }
};

struct Shape {
	virtual ~Shape() = default;
	virtual double area(int depth, long &n) const = 0;
};

struct Square : Shape {
	double area(int depth, long &n) const override
	{
		Count c(n);
		std::vector<std::string> names;
		for (int i = 0; i < 3; i++)
			names.push_back("name " + std::to_string(depth * i));
		if (depth == 0)
			throw std::runtime_error(names.back());
		return area(depth - 1, n) + static_cast<double>(names.size());
	}
};

int main(int argc, char **argv)
{
	long n = 0;
	int rounds = argc > 1 ? atoi(argv[1]) : 60;
	std::map<std::string, int> seen;
	std::unique_ptr<Shape> shape = std::make_unique<Square>();
	for (int i = 0; i < rounds; i++) {
		try {
			shape->area(i % 9, n);
		} catch (const std::exception &e) {
			seen[e.what()]++;
		}
		std::vector<int> v(50);
		for (int k = 0; k < 50; k++)
			v[static_cast<size_t>(k)] = (k * 7919 + i) % 101;
		std::sort(v.begin(), v.end(), [&n](int a, int b) { n++; return a > b; });
	}
	return n == 0 || seen.empty();
}
