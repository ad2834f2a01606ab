/* Which names a Host header may carry. Strict on purpose: a name outside the list may be somebody's rebinding trick. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/http/parse.h"

static bool literal_ok(int family, const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];
	if (len >= sizeof text || memchr(s, 0, len))
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	return inet_pton(family, text, address) == 1;
}

static bool port_ok(const char *s, size_t len)
{
	unsigned port = 0;
	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

static bool listed(const char *names, const char *s, size_t len)
{
	while (names && *names) {
		names += strspn(names, ", \t");
		size_t n = strcspn(names, ", \t");
		if (n && n == len && strncasecmp(names, s, n) == 0)
			return true;
		names += n;
	}
	return false;
}

bool pd_host_ok(const char *host, size_t len, const char *names)
{
	if (!len)
		return false;
	const char *bracket = *host == '[' ? memchr(host, ']', len) : NULL;
	if (*host == '[' && !bracket)
		return false;
	const char *name_end = bracket ? bracket + 1 : memchr(host, ':', len);
	if (!name_end)
		name_end = host + len;
	size_t name_len = (size_t)(name_end - host);
	if (name_len < len && (*name_end != ':' || !port_ok(name_end + 1, len - name_len - 1)))
		return false;
	if (bracket)
		return literal_ok(AF_INET6, host + 1, name_len - 2);
	return literal_ok(AF_INET, host, name_len) || listed("localhost", host, name_len) ||
	        listed(names, host, name_len);
}
