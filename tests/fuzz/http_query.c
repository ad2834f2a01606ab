/* Any query: what is kept is a list of whole pairs, and the first value of a key is found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/http.h"
#include "server/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *query = malloc(size + 1);
	struct pd_buf pairs = { .data = NULL };
	if (!query)
		return 0;
	memcpy(query, data, size);
	query[size] = 0;
	bool whole = pd_query_parse(query, &pairs);
	struct pd_buf form = { .data = NULL };
	/* As a form it is the same, but for a NUL, which ends a query. */
	bool form_whole = pd_form_parse((const char *)data, size, &form);
	if (form_whole != (whole && strlen(query) == size) || (form_whole && form.len != pairs.len))
		abort();
	pd_buf_free(&form);
	size_t strings = 0;
	for (size_t i = 0; i < pairs.len; i++)
		strings += pairs.data[i] == 0;
	if (strings % 2 || (pairs.len && pairs.data[pairs.len - 1]) || pairs.len > 3 * size + 2)
		abort();
	for (const char *s = pairs.data; s && s < pairs.data + pairs.len;) {
		const char *value = pd_pair_first(&pairs, s, false);
		if (!value || value > s + strlen(s) + 1)
			abort();
		s += strlen(s) + 1;
		s += strlen(s) + 1;
	}
	pd_buf_free(&pairs);
	free(query);
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "seconds=5&debug=1&gc=1", "a=%41%2b+&b;c=d&=x&%zz=1&e=%",
	"k=%00&k=%c3%a9&&" };
#endif
#include "fuzz.h"
