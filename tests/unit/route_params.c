/* Numbers of the query as Go reads them, and which methods the table allows where. */
#include "server/route/inside.h"
#include "server/route/route.h"
#include "../test.h"

static void ints(void)
{
	static const struct {
		const char *text;
		int value;
	} CASES[] = {
		{ NULL, 0 },
		{ "", 0 },
		{ "0", 0 },
		{ "1", 1 },
		{ "2", 2 },
		{ "+1", 1 },
		{ "-1", -1 },
		{ "abc", 0 },
		{ "0x1", 0 },
		{ "1.5", 0 },
		{ " 1", 0 },
		{ "1 ", 0 },
		{ "+", 0 },
		{ "-", 0 },
		{ "1_0", 0 },
		{ "2147483648", INT32_MAX },
		{ "99999999999999999999", INT32_MAX },
		{ "-99999999999999999999", INT32_MIN },
		{ "99999999999999999999x", 0 },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
		EQ(pd_param_int(CASES[i].text), CASES[i].value);
}

static void seconds(void)
{
	static const struct {
		const char *text;
		int64_t window, delta; /* delta -22: refused */
		bool cut;
	} CASES[] = {
		{ "1", 1, 1, false },
		{ "%2B5", 30, -22, false },
		{ "+5", 5, 5, false },
		{ "300", 300, 300, false },
		{ "301", 300, 300, true },
		{ "9223372036854775807", 300, 300, true },
		{ "99999999999999999999", 30, -22, false },
		{ "9223372036854775808", 30, -22, false },
		{ "0", 30, -22, false },
		{ "-1", 30, -22, false },
		{ "0.5", 30, -22, false },
		{ "abc", 30, -22, false },
		{ "0x10", 30, -22, false },
		{ "-99999999999999999999", 30, -22, false },
		{ "1s", 30, -22, false },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		bool cut = false;
		EQ(pd_param_seconds(CASES[i].text, 30, &cut), CASES[i].window);
		EQ(cut, CASES[i].cut);
		EQ(pd_param_delta(CASES[i].text, &cut), CASES[i].delta);
		EQ(cut, CASES[i].cut && CASES[i].delta > 0);
	}
	bool cut = true;
	EQ(pd_param_seconds(NULL, 30, &cut), 30);
	OK(!cut);
	EQ(pd_param_seconds("", 30, &cut), 30);
}

static void methods(void)
{
	static const struct {
		const char *path, *method, *allow;
		bool expensive;
	} CASES[] = {
		{ "/debug/pprof/", "GET", NULL, false },
		{ "/debug/pprof/", "POST", "GET, HEAD", false },
		{ "/debug/pprof", "HEAD", NULL, false },
		{ "/debug/pprof/profile", "GET", NULL, true },
		{ "/debug/pprof/profile", "HEAD", NULL, true },
		{ "/debug/pprof/profile", "POST", "GET, HEAD", true },
		{ "/debug/pprof/profile", "HE", "GET, HEAD", true },
		{ "/debug/pprof/profile", "EAD", "GET, HEAD", true },
		{ "/debug/pprof/symbol", "POST", NULL, false },
		{ "/debug/pprof/symbol", "PUT", "GET, HEAD, POST", false },
		{ "/debug/pprof/nothing", "GET", NULL, false },
		{ "/debug/pprof/nothing", "DELETE", "GET, HEAD", false },
		{ "/elsewhere", "POST", NULL, false },
		{ "/debug/pprofx", "POST", NULL, false },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		bool expensive = !CASES[i].expensive;
		size_t body = 1;
		const char *allow =
			pd_routes_allow(CASES[i].path, CASES[i].method, &expensive, &body);
		STREQ(allow ? allow : "-", CASES[i].allow ? CASES[i].allow : "-");
		EQ(expensive, CASES[i].expensive);
		bool symbol = strstr(CASES[i].path, "symbol"), other = !CASES[i].allow && CASES[i].method[0] == 'P';
		OK(symbol ? body >= 4 << 20 : other ? body > 0 && body <= 1 << 20 : body == 0);
	}
}

/* Every line of the table is whole: what is a profile has a type that exists, what is listed has a
 * name. */
static void table(void)
{
	for (size_t i = 0; i < pd_route_count; i++) {
		const struct pd_route *r = &pd_route_table[i];
		OK(r->path && r->methods && r->handle);
		OK(!r->source == !r->type);
		OK(!r->source || r->source->collect);
		if (r->type)
			OK(pd_profile_type(r->type));
		if (r->help) {
			OK(strncmp(r->path, PD_PREFIX, strlen(PD_PREFIX)) == 0 &&
			   r->path[strlen(PD_PREFIX)]);
			OK(r->help[strlen(r->help) - 1] == '.');
		}
		for (size_t k = 0; k < i; k++)
			OK(strcmp(r->path, pd_route_table[k].path) != 0);
	}
}

int main(void)
{
	ints();
	seconds();
	methods();
	table();
	DONE();
}
