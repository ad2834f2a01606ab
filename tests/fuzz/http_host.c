/* Any Host header: accepted only if it is one of the few forms there are. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *host = (const char *)data;
	if (!pd_host_ok(host, size, "box.example,b2"))
		return 0;
	/* Nothing that a browser would look up under a foreign name. */
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:[]";
	char text[80];
	if (size >= sizeof text)
		abort();
	for (size_t i = 0; i < size; i++) {
		if (!host[i] || !strchr(plain, host[i]))
			abort();
	}
	memcpy(text, host, size);
	text[size] = 0;
	unsigned char address[16];
	if (*text == '[') {
		char *end = strchr(text, ']');
		*end = 0;
		if (inet_pton(AF_INET6, text + 1, address) != 1)
			abort();
		return 0;
	}
	text[strcspn(text, ":")] = 0;
	if (inet_pton(AF_INET, text, address) != 1 && strcasecmp(text, "localhost") &&
	        strcasecmp(text, "box.example") && strcasecmp(text, "b2"))
		abort();
	return 0;
}

#ifndef LIBFUZZER
static const char *const fuzz_seeds[] = { "localhost:6060", "127.0.0.1:80", "[::1]:6060", "box.example:1", "b2" };
#endif
#include "fuzz.h"
