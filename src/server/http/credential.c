/* The secret in an Authorization header. Knows the two forms; must not know which secret is right. */
#include <string.h>
#include <strings.h>

#include "server/http/parse.h"

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Bytes decoded into out of max bytes; -1 for anything that is not base64 or does not fit. */
static long base64(const char *s, unsigned char *out, size_t max)
{
	size_t len = strlen(s), n = 0;
	if (len % 4)
		return -1;
	size_t pad = len && s[len - 1] == '=' ? 1 + (s[len - 2] == '=') : 0;
	unsigned bits = 0;
	for (size_t i = 0; i < len - pad; i++) {
		int d = digit(s[i]);
		if (d < 0)
			return -1;
		bits = bits << 6 | (unsigned)d;
		/* Each digit but the first of four completes a byte. */
		if (i % 4) {
			if (n == max)
				return -1;
			out[n++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
		}
	}
	return (long)n;
}

static size_t keep(const void *secret, size_t len, unsigned char *out)
{
	if (len > PD_TOKEN_MAX)
		return 0;
	memcpy(out, secret, len);
	return len;
}

size_t pd_credential(const char *header, unsigned char out[static PD_TOKEN_MAX])
{
	memset(out, 0, PD_TOKEN_MAX);
	size_t scheme = strcspn(header, " ");
	const char *rest = header + scheme + strspn(header + scheme, " ");
	size_t len = strlen(rest);
	while (len && rest[len - 1] == ' ')
		len--;
	if (scheme == 6 && strncasecmp(header, "Bearer", 6) == 0)
		return keep(rest, len, out);
	if (scheme != 5 || strncasecmp(header, "Basic", 5) != 0)
		return 0;
	char coded[1024];
	unsigned char pair[sizeof coded];
	if (len >= sizeof coded)
		return 0;
	memcpy(coded, rest, len);
	coded[len] = 0;
	long n = base64(coded, pair, sizeof pair);
	unsigned char *colon = n > 0 ? memchr(pair, ':', (size_t)n) : NULL;
	return colon ? keep(colon + 1, (size_t)(pair + n - colon - 1), out) : 0;
}
