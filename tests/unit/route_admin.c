/*
 * The admin route and the metrics over a real connection and a made-up agent: what every kind of POST does, that
 * nothing is half-applied, and that a refusal says which key is to blame.
 */
#include "route_fake.h"

#include "server/route/admin.h"

#define ADMIN "/debug/pprof/admin"
#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static struct answer post(const char *query, const char *type, const char *body, const char *more)
{
	char target[512], lines[512];
	snprintf(target, sizeof target, ADMIN "%s", query);
	snprintf(lines, sizeof lines, "%s%s%sContent-Length: %zu\r\n%s", type ? "Content-Type: " : "", type ? type : "",
	         type ? "\r\n" : "", strlen(body), more);
	int fd = ask("POST", target, lines);
	send_all(fd, body, strlen(body));
	return hear(fd);
}

static int sets(void)
{
	int n;
	LOCKED(n = fake.rates_set);
	return n;
}

/* Refused with this sentence, and the agent heard nothing of it. */
static void refused(const char *query, const char *type, const char *body, int status, const char *sentence)
{
	int before = sets();
	char want[512];
	struct answer a = post(query, type, body, "");
	snprintf(want, sizeof want, "%s\n", sentence);
	if (a.status != status || strcmp(a.body, want) != 0)
		fprintf(stderr, "for ?%s %s: %s\n", query, type ? type : "-", body);
	EQ(a.status, status);
	STREQ(a.body, want);
	STREQ(header(&a, "Content-Type"), "text/plain; charset=utf-8");
	STREQ(header(&a, "X-Go-Pprof"), "1");
	EQ(sets(), before);
	free(a.bytes);
}

static void accepted(const char *query, const char *type, const char *body, uint64_t hz, uint64_t heap, int64_t for_ns)
{
	uint64_t got_hz, got_heap;
	int64_t got_for;
	LOCKED(fake_rate[0].value = 100; fake_rate[1].value = 0);
	struct answer a = post(query, type, body, "");
	LOCKED(got_hz = fake_rate[0].value; got_heap = fake_rate[1].value; got_for = fake.rates_for_ns);
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "application/json");
	STREQ(header(&a, "X-Content-Type-Options"), "nosniff");
	STREQ(header(&a, "Cache-Control"), "no-store");
	EQ(got_hz, hz);
	EQ(got_heap, heap);
	EQ(got_for, for_ns);
	free(a.bytes);
}

#define HZ "invalid value for \"cpu_hz\" - must be a whole number from 1 to 4000"
#define HEAP "invalid value for \"heap_rate\" - must be a whole number from 0 to 18446744073709551615"
#define FOR "invalid value for \"for\" - must be a time such as 500ms, 60s, 5m or 1h, at most 24h"
#define KNOWN " - known are cpu_hz, heap_rate"

static void forms(void)
{
	accepted("?cpu_hz=200", NULL, "", 200, 0, 0);
	accepted("?cpu_hz=200&heap_rate=18446744073709551615", NULL, "", 200, UINT64_MAX, 0);
	accepted("", FORM, "cpu_hz=200&heap_rate=1&for=60s", 200, 1, 60000000000);
	accepted("?cpu_hz=1", FORM "; charset=UTF-8", "heap%5frate=%31", 1, 1, 0);
	accepted("?for=24h", FORM, "&cpu_hz=4000&", 4000, 0, 86400000000000);
	accepted("?for=1ms&cpu_hz=007", JSON, "", 7, 0, 1000000);

	refused("", NULL, "", 400, "no rate is given" KNOWN);
	refused("?for=60s", NULL, "", 400, "no rate is given" KNOWN);
	refused("?cpu_hz=200&blck_rate=1", NULL, "", 400, "unknown rate \"blck_rate\"" KNOWN);
	refused("?cpu_hz=200&CPU_HZ=1", NULL, "", 400, "unknown rate \"CPU_HZ\"" KNOWN);
	refused("?cpu_hz=200&=1", NULL, "", 400, "unknown rate \"\"" KNOWN);
	refused("?a%0d%0aX:%00%ff=1", NULL, "", 400, "unknown rate \"a??X:????\"" KNOWN);
	refused("?heap_rate=1&cpu_hz=0", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=4001", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=-1", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=%2b5", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=1e3", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=0x10", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=5%20", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz", NULL, "", 400, HZ);
	refused("?heap_rate=1&cpu_hz=5%00", NULL, "", 400, HZ);
	refused("?cpu_hz=5&heap_rate=18446744073709551616", NULL, "", 400, HEAP);
	refused("?cpu_hz=5&heap_rate=99999999999999999999999999", NULL, "", 400, HEAP);
	refused("?cpu_hz=5&heap_rate=1;for=1s", NULL, "", 400, "malformed parameters");
	refused("?cpu_hz=5&heap_rate=%4", NULL, "", 400, "malformed parameters");
	refused("?cpu_hz=5&heap_rate=1&cpu_hz=5", NULL, "", 400, "\"cpu_hz\" is given twice");
	refused("?cpu_hz=5", FORM, "heap_rate=1&cpu_hz=6", 400, "\"cpu_hz\" is given twice");
	refused("?cpu_hz=5&for=1s&for=1s", NULL, "", 400, "\"for\" is given twice");
	static const char *const TIMES[] = { "", "60", "s", "0s", "-1s", "1.5s", "1d", "60S", "1m30s", "25h", "86401s",
		"1s%20",
		"99999999999999999999h", "1%C2%B5s" };
	for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
		char query[128];
		snprintf(query, sizeof query, "?cpu_hz=5&for=%s", TIMES[i]);
		refused(query, NULL, "", 400, FOR);
	}
	refused("?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1&n=1&o=1&p=1&q=1", NULL, "", 400,
	        "more than 16 parameters");
	refused("", "text/plain", "cpu_hz=5", 415, "the body must be " FORM " or " JSON);
	refused("", "application/jsonx", "{}", 415, "the body must be " FORM " or " JSON);
	refused("", NULL, "cpu_hz=5", 415, "the body must be " FORM " or " JSON);
	refused("", "multipart/form-data; boundary=x", "cpu_hz=5", 415, "the body must be " FORM " or " JSON);
}

static void json(void)
{
	accepted("", JSON, "{\"cpu_hz\":200}", 200, 0, 0);
	accepted("", JSON "; charset=utf-8", " {\t\"cpu_hz\" : 200 ,\r\n\"for\":\"5m\", \"heap_rate\":0 } \n", 200, 0,
	         300000000000);
	accepted("?heap_rate=3", JSON, "{\"\\u0063pu\\u005fhz\":200}", 200, 3, 0);

	refused("", JSON, "{}", 400, "no rate is given" KNOWN);
	refused("", JSON, "{\"cpu_hz\":200,\"heap_rate\":\"1\"}", 400, HEAP);
	refused("", JSON, "{\"cpu_hz\":200,\"heap_rate\":-1}", 400, HEAP);
	refused("", JSON, "{\"cpu_hz\":200,\"heap_rate\":1.0}", 400, HEAP);
	refused("", JSON, "{\"cpu_hz\":200,\"heap_rate\":1e3}", 400, HEAP);
	refused("", JSON, "{\"cpu_hz\":200,\"heap_rate\":99999999999999999999}", 400, HEAP);
	refused("", JSON, "{\"cpu_hz\":200,\"for\":60}", 400, FOR);
	refused("", JSON, "{\"cpu_hz\":200,\"for\":\"60\\u0073 \"}", 400, FOR);
	refused("", JSON, "{\"cpu_hz\":200,\"cpu\\u005fhz\":200}", 400, "\"cpu_hz\" is given twice");
	refused("?cpu_hz=1", JSON, "{\"cpu_hz\":200}", 400, "\"cpu_hz\" is given twice");
	refused("", JSON, "{\"no\\n\\u00e9\":1}", 400, "unknown rate \"no???\"" KNOWN);
	static const char *const NESTED[] = { "null", "true", "false", "{}", "{\"a\":1}", "[1]", "[[[[" };
	for (size_t i = 0; i < sizeof NESTED / sizeof *NESTED; i++) {
		char body[64];
		snprintf(body, sizeof body, "{\"cpu_hz\":200,\"heap_rate\":%s}", NESTED[i]);
		refused("", JSON, body, 400, "invalid value for \"heap_rate\" - must be a number or a string");
	}
	static const struct {
		const char *body, *what;
	} BROKEN[] = {
		{ " ", "no object at byte 1" },
		{ "[]", "no object at byte 0" },
		{ "\xef\xbb\xbf{}", "no object at byte 0" },
		{ "{\"cpu_hz\":200", "no comma or closing brace at byte 13" },
		{ "{\"cpu_hz\":200,}", "no key in quotation marks at byte 14" },
		{ "{,\"cpu_hz\":200}", "no key in quotation marks at byte 1" },
		{ "{\"cpu_hz\":200}{}", "more behind the object at byte 14" },
		{ "{\"cpu_hz\":200} x", "more behind the object at byte 15" },
		{ "{\"cpu_hz\" 200}", "no colon at byte 10" },
		{ "{'cpu_hz':200}", "no key in quotation marks at byte 1" },
		{ "{cpu_hz:200}", "no key in quotation marks at byte 1" },
		{ "{\"cpu_hz\":}", "a bad number at byte 10" },
		{ "{\"cpu_hz\":+1}", "a bad number at byte 10" },
		{ "{\"cpu_hz\":01}", "no comma or closing brace at byte 11" },
		{ "{\"cpu_hz\":1.}", "a bad number at byte 12" },
		{ "{\"cpu_hz\":1e}", "a bad number at byte 12" },
		{ "{\"cpu_hz\":-}", "a bad number at byte 11" },
		{ "{\"cpu_hz", "a string does not end at byte 8" },
		{ "{\"cpu\nhz\":1}", "a control character in a string at byte 5" },
		{ "{\"cpu\\qhz\":1}", "a bad escape at byte 6" },
		{ "{\"cpu\\u0000hz\":1}", "a bad escape at byte 11" },
		{ "{\"cpu\\ud800hz\":1}", "a bad escape at byte 11" },
		{ "{\"cpu\\ud800\\u0041\":1}", "a bad escape at byte 17" },
		{ "{\"cpu\\u00g0hz\":1}", "a bad escape at byte 7" },
		{ "{\"cpu_hz\":200 \"heap_rate\":1}", "no comma or closing brace at byte 14" },
	};
	for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
		char sentence[128];
		snprintf(sentence, sizeof sentence, "malformed JSON: %s", BROKEN[i].what);
		refused("", JSON, BROKEN[i].body, 400, sentence);
	}
}

static void replies(void)
{
	LOCKED(fake_rate[0].value = 100; fake_rate[1].value = 0);
	struct answer a = post("?cpu_hz=250&for=1s", NULL, "", "");
	STREQ(a.body, "{\n\t\"cpu_hz\": {\n\t\t\"was\": 100,\n\t\t\"now\": 250,\n"
	              "\t\t\"until\": \"2023-11-14T22:13:20.123Z\",\n"
	              "\t\t\"then\": 100\n\t}\n}\n");
	free(a.bytes);
	a = post("?cpu_hz=251&heap_rate=1", NULL, "", "");
	STREQ(a.body, "{\n\t\"cpu_hz\": {\n\t\t\"was\": 250,\n\t\t\"now\": 251,\n\t\t\"until\": null\n\t},\n"
	              "\t\"heap_rate\": {\n\t\t\"was\": 0,\n\t\t\"now\": 1,\n\t\t\"until\": null\n\t}\n}\n");
	free(a.bytes);
	LOCKED(fake.rates_error = -ENOMEM);
	a = post("?cpu_hz=5&heap_rate=7", NULL, "", "");
	EQ(a.status, 500);
	STREQ(a.body, "could not set \"heap_rate\": Cannot allocate memory - nothing was changed\n");
	free(a.bytes);
	LOCKED(fake.rates_error = -ENOTCONN);
	a = post("?cpu_hz=5", NULL, "", "");
	EQ(a.status, 503);
	free(a.bytes);
	LOCKED(fake.rates_error = 0);
}

/* A GET changes nothing, whatever it says; nor does a page of another origin, nor a body that is too long. */
static void no_effect(void)
{
	int before = sets();
	static const char *const QUERIES[] = { "?cpu_hz=5", "?x=1&heap_rate=", "?for=1s", "?cpu%5fhz=5" };
	static const char *const METHODS[] = { "GET", "HEAD" };
	for (size_t i = 0; i < 2 * sizeof QUERIES / sizeof *QUERIES; i++) {
		char target[64];
		snprintf(target, sizeof target, ADMIN "%s", QUERIES[i / 2]);
		struct answer a = hear(ask(METHODS[i % 2], target, ""));
		EQ(a.status, 405);
		STREQ(header(&a, "Allow"), "POST");
		STREQ(a.body, i % 2 ? "" : "rates are set by POST: nothing was changed\n");
		free(a.bytes);
	}
	struct answer a = get(ADMIN "?nocache=1");
	EQ(a.status, 200);
	free(a.bytes);
	static const char *const FOREIGN[] = { "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
		"Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: http://localhost:6061\r\n",
		"Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost:6060\r\n" };
	for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
		a = post("?cpu_hz=5", FORM, "heap_rate=5", FOREIGN[i]);
		EQ(a.status, 403);
		OK(body_has(&a, "cross-origin request detected"));
		free(a.bytes);
	}
	a = hear(ask("GET", ADMIN, "Sec-Fetch-Site: cross-site\r\n"));
	EQ(a.status, 403);
	free(a.bytes);
	a = hear(ask("PUT", ADMIN "?cpu_hz=5", "Content-Length: 0\r\n"));
	EQ(a.status, 405);
	STREQ(header(&a, "Allow"), "GET, HEAD, POST");
	free(a.bytes);
	static char body[5001];
	memset(body, ' ', 5000);
	memcpy(body, "{\"cpu_hz\":5}", 12);
	a = post("", JSON, body, "");
	EQ(a.status, 413);
	free(a.bytes);
	body[4096] = '\0';
	EQ(sets(), before);
	accepted("", JSON, body, 5, 0, 0);
	/* Ours may. */
	a = post("?cpu_hz=9", NULL, "", "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:6060\r\n");
	EQ(a.status, 200);
	free(a.bytes);
}

static void state(void)
{
	static const struct pd_counters counters = { .ticks = 12, .recorded = 9, .dropped = { 1, 0, 2, 0 },
		.self_ns = 2500000000 };
	LOCKED(fake.counters = counters; fake_rate[1].value = 0);
	struct answer a = get(ADMIN);
	EQ(a.status, 200);
	STREQ(header(&a, "Content-Type"), "application/json");
	STREQ(header(&a, "X-Content-Type-Options"), "nosniff");
	STREQ(header(&a, "Cache-Control"), "no-store");
	static const char *const PARTS[] = {
		"\"version\": \"9.9.9\"",
		"\"heap_rate\": {\"value\": 0, \"unit\": \"bytes\", ",
		"\"help\": \"\\u003cb\\u003e\\\"bytes\\\"\\u003c/b\\u003e\"}",
		"{\"at\": \"2023-11-14T22:13:20.123Z\", \"rate\": \"cpu_hz\", \"was\": 100, \"now\": 200, "
		"\"for_s\": 1.500000, \"source\": \"program\"}",
		"\"heap\": {\"counters\": {\"ticks\": 12, \"recorded\": 9, \"dropped\": {\"busy\": 1, \"stack\": 0, "
		"\"thread\": 2, \"memory\": 0, \"late\": 0}, \"truncated\": 0, \"overflow\": 0, \"signals\": 0, "
		"\"self_s\": 2.500000}, \"facts\": {}, \"notes\": []}",
		"\"wall\": {\"counters\": null, ",
		"\"windows\": [],\n\t\"windows_max\": 16,\n",
		"\"own_cpu_ns_total\": 1500000000",
		/* The refusals and changes above. */
		"\"what\": \"cpu_hz 250 -\\u003e 251, heap_rate 0 -\\u003e 1\"}",
		"\"what\": \"cpu_hz 100 -\\u003e 250 for 1.00 s\"}",
		"\"status\": 415, \"what\": \"POST /debug/pprof/admin: the body must be ",
		"\"status\": 403, \"what\": \"POST /debug/pprof/admin: cross-origin request detected",
		"\"status\": 413, \"what\": \"POST /debug/pprof/admin: the body is longer than 4096 bytes\"",
	};
	for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
		if (!body_has(&a, PARTS[i]))
			fprintf(stderr, "not there: %s\n", PARTS[i]);
		OK(body_has(&a, PARTS[i]));
	}
	free(a.bytes);
	int fd = ask("GET", "/debug/pprof/profile?seconds=20", "");
	OK(WITHIN(2000, fake_open_now(PD_CPU) == 1));
	a = get(ADMIN);
	OK(body_has(&a, "\"windows\": [\n\t\t{\"kind\": \"profile\", \"client\": \"127.0.0.1:"));
	free(a.bytes);
	close(fd);
}

static void metrics(void)
{
	struct answer a = get("/metrics"), b = get("/debug/pprof/metrics");
	EQ(a.status, 200);
	EQ(b.status, 200);
	STREQ(header(&a, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	static const char *const PARTS[] = {
		"# TYPE process_cpu_seconds_total counter\n",
		"\npprofd_samples_due_total{kind=\"heap\"} 12\n",
		"\npprofd_samples_dropped_total{kind=\"heap\",reason=\"thread\"} 2\n",
		"\npprofd_sampling_seconds_total{kind=\"heap\"} 2.500000000\n",
		"\n# TYPE pprofd_own_cpu_seconds_total counter\npprofd_own_cpu_seconds_total 1.500000000\n",
		"\npprofd_rate{rate=\"heap_rate\",unit=\"bytes\"} 0\n",
		"\npprofd_http_refused_total{reason=\"cross_origin\"} 7\n",
		"\npprofd_http_replies_total{code=\"415\"} 4\n",
		"\npprofd_http_replies_total{code=\"413\"} 1\n",
	};
	for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
		if (!body_has(&a, PARTS[i]))
			fprintf(stderr, "not there: %s\n", PARTS[i]);
		OK(body_has(&a, PARTS[i]));
	}
	/* Not known, so not told. */
	OK(!body_has(&a, "kind=\"wall\""));
	free(a.bytes);
	free(b.bytes);
}

int main(void)
{
	EQ(serve(), 0);
	forms();
	json();
	replies();
	no_effect();
	state();
	metrics();
	pprofd_server_stop(false);
	OK(fake_balanced());
	DONE();
}
