// Labels as scopes of C++: ended in order, by exceptions too, and seen in the threads' list.
#include <errno.h>
#include <pprofd.hpp>
#include <stdexcept>
#include <string>

#include "http.h"
#include "test.h"

// The labels of this thread as the list of threads tells them, "" = none.
static std::string now()
{
	std::string text;
	struct http_answer a = http_get("/debug/pprof/goroutine?debug=1");
	const char *labels = a.body ? strstr(a.body, "\n# labels: {") : nullptr;
	if (labels)
		text.assign(labels + 11, strcspn(labels + 11, "\n"));
	free(a.body);
	return text;
}

#define IS(want)                                \
	do {                                    \
		std::string is = now();         \
		STREQ(is.c_str(), (want));      \
	} while (0)

static int thrower(const std::string &value)
{
	pprofd::labels inner{{"inner", value}, {"route", "/inner"}};
	IS("{\"inner\":\"v\", \"method\":\"GET\", \"route\":\"/inner\"}");
	throw std::runtime_error("out of it");
}

static void scopes()
{
	std::string method = "GET";
	IS("");
	{
		pprofd::labels guard{{"route", "/json"}, {"method", method}};
		IS("{\"method\":\"GET\", \"route\":\"/json\"}");
		try {
			thrower("v");
		} catch (const std::runtime_error &) {
		}
		IS("{\"method\":\"GET\", \"route\":\"/json\"}");
		pprofd::labels nothing(pprofd::none);
		IS("");
	}
	IS("");
	EQ(pprofd_labels_pop(), -EINVAL);
}

static void calls()
{
	int n = pprofd::with_labels({{"a", std::string("1")}}, [] {
		IS("{\"a\":\"1\"}");
		return 42;
	});
	EQ(n, 42);
	bool caught = false;
	try {
		pprofd::with_labels({{"a", "2"}}, []() -> void { throw 7; });
	} catch (int seven) {
		caught = seven == 7;
	}
	OK(caught);
	IS("");
	std::string longer(300, 'x');
	pprofd::with_labels({{"a", longer}, {"b", "2"}}, [] { IS("{\"b\":\"2\"}"); });
	EQ(pprofd_labels_pop(), -EINVAL);
}

int main()
{
	struct pprofd_options o = {};
	o.size = sizeof o;
	o.listen = "127.0.0.1:0";
	{
		pprofd::labels before{{"too", "early"}};
		EQ(pprofd_start(&o), 0);
	}
	scopes();
	calls();
	EQ(pprofd_stop(), 0);
	DONE();
}
