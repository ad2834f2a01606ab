/* The pure parsers of this room: bytes in, answer out; no socket, no clock, no state. */
#ifndef PD_SERVER_HTTP_PARSE_H
#define PD_SERVER_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Value of a hexadecimal digit, -1 = it is none. */
static inline int pd_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- params.c ---- */

/* Decode a raw query as Go's url.ParseQuery does: appends "key\0value\0" for each pair that is kept. A decoded NUL
 * becomes U+FFFD, so that a C string cannot end before the value does. False when a pair was left out, or no memory. */
bool pd_query_parse(const char *query, struct pd_buf *out);
/* First value of key in what pd_query_parse made (or in any "name\0value\0" list); NULL = absent. */
const char *pd_pair_first(const struct pd_buf *pairs, const char *key, bool any_case);

/* ---- hostname.c ---- */

/* May a Host header of len bytes be served? A dotted IPv4 or [IPv6] literal, "localhost" or one of the comma-separated
 * names (may be NULL), each with an optional ":port". */
bool pd_host_ok(const char *host, size_t len, const char *names);

/* ---- path.c ---- */

/* Percent-decode the path of a request target and append it with a NUL (not counted in out->len). False for what is
 * no absolute path, a bad escape, a control character or bytes that are not UTF-8. */
bool pd_path_decode(const char *raw, size_t len, struct pd_buf *out);
/* Append Go's cleanPath of path, NUL as above; true when path was clean already. */
bool pd_path_clean(const char *path, struct pd_buf *out);
/* Append "../../": from the page at this raw path to the root. At least "./". */
void pd_path_root(const char *raw, struct pd_buf *out);
/* Append path with everything escaped that may not stand in a URL's path. */
void pd_path_escape(const char *path, struct pd_buf *out);

/* ---- credential.c ---- */

#define PD_TOKEN_MIN 16u
#define PD_TOKEN_MAX 256u

/* The secret in an Authorization header: of "Bearer T", or the password of "Basic base64(user:T)". out is filled up
 * with zeros. Returns its length; 0 = none, or longer than PD_TOKEN_MAX. */
size_t pd_credential(const char *header, unsigned char out[static PD_TOKEN_MAX]);

#endif
