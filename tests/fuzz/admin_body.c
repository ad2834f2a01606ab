/* Any body of a POST that sets rates, as a form and as JSON: refused with one printable sentence, or read as changes
 * within the bounds of their rates. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/route/admin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pd_rate rates[] = {
	{ .name = "cpu_hz", .min = 1, .max = 4000 },
	{ .name = "heap_rate", .max = 1ull << 40 },
	{ .name = "block_rate", .max = UINT64_MAX },
};
#define RATES (sizeof rates / sizeof *rates)

static void check_sentence(const char *s)
{
	if (!*s)
		abort();
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			abort();
}

static void check_changes(const struct pd_rate_change *change, size_t n, int64_t for_ns)
{
	if (n < 1 || n > RATES || for_ns < 0 || for_ns > PD_RATE_FOR_MAX)
		abort();
	for (size_t i = 0; i < n; i++) {
		const struct pd_rate *r = rates;
		while (strcmp(r->name, change[i].name) != 0)
			r++;
		if (change[i].value < r->min || change[i].value > r->max)
			abort();
		for (size_t k = 0; k < i; k++)
			if (change[k].name == change[i].name)
				abort();
	}
}

static void read_with(bool (*read)(struct pd_fields *, const char *, size_t), const char *text, size_t size)
{
	struct pd_fields f = { .n = 0 };
	struct pd_rate_change change[PD_RATES];
	size_t n;
	int64_t for_ns;
	if (read(&f, text, size) && pd_fields_changes(&f, rates, RATES, change, &n, &for_ns))
		check_changes(change, n, for_ns);
	else
		check_sentence(f.error);
	pd_fields_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_with(pd_fields_form, (const char *)data, size);
	read_with(pd_fields_json, (const char *)data, size);
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "cpu_hz=100&for=60s&heap_rate=%31", "{\"cpu_hz\": 200, \"for\": \"5m\"}",
	"{\"heap_rate\":0,\"block_rate\":-1.5e+3,\"\\u00e9\\ud83d\\ude00\\n\":[1]}" };
#endif
#include "fuzz.h"
