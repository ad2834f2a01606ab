/* Any request target: a decoded path is clean text, cleaning ends after one step, and escaping can be undone. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *path, size_t len)
{
	struct pd_buf clean = { .data = NULL }, again = { .data = NULL }, escaped = { .data = NULL };
	if (*path != '/' || strlen(path) != len)
		abort();
	pd_path_clean(path, &clean);
	if (clean.data[0] != '/' || strstr(clean.data, "//") || strstr(clean.data, "/../") || strstr(clean.data, "/./"))
		abort();
	if (!pd_path_clean(clean.data, &again))
		abort();
	pd_buf_free(&again);
	pd_path_escape(path, &escaped);
	if (!pd_path_decode(escaped.data, escaped.len, &again) || strcmp(again.data, path) != 0)
		abort();
	pd_buf_free(&clean);
	pd_buf_free(&again);
	pd_buf_free(&escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pd_buf path = { .data = NULL };
	if (pd_path_decode((const char *)data, size, &path))
		check(path.data, path.len);
	pd_buf_free(&path);
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "/debug/pprof/heap", "/a/../b//c/./d/", "/%68eap%2f..%2fx",
	"/%e2%82%ac/\xc3\xa9", "http://evil/x" };
#endif
#include "fuzz.h"
