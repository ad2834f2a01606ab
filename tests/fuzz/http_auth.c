/* Any Authorization header: the secret stays in its place and is filled up with zeros. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *header = malloc(size + 1);
	unsigned char out[PD_TOKEN_MAX];
	if (!header)
		return 0;
	memcpy(header, data, size);
	header[size] = 0;
	size_t n = pd_credential(header, out);
	if (n > PD_TOKEN_MAX || n > size)
		abort();
	for (size_t i = n; i < PD_TOKEN_MAX; i++) {
		if (out[i])
			abort();
	}
	free(header);
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "Bearer 0123456789abcdef", "Basic dTowMTIzNDU2Nzg5YWJjZGVm",
	"basic OnA=", "Digest x" };
#endif
#include "fuzz.h"
