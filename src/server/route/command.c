/* Commands that can be pasted into a shell to ask the service for more. Knows where it listens and what a client called
 * it; must not know what is asked for. */
#include <string.h>

#include "server/route/inside.h"

#define HOST "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]"
#define AT_PATH "unix:"

static bool at_path(const struct pd_config *c)
{
	return strncmp(c->address, AT_PATH, strlen(AT_PATH)) == 0;
}

static void quoted(struct pd_buf *out, const char *s)
{
	pd_buf_char(out, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			pd_buf_str(out, "'\\''");
		else
			pd_buf_char(out, *s);
	}
	pd_buf_char(out, '\'');
}

bool pd_command_url(struct pd_buf *out, const struct pd_config *c, const struct pd_request *r)
{
	const char *host = r ? pd_header(r, "Host") : NULL;
	/* A client on a unix socket can say anything. */
	if (host && *host && !host[strspn(host, HOST)])
		pd_buf_fmt(out, "http://%s", host);
	else if (at_path(c))
		pd_buf_str(out, "http://localhost");
	else if (c->address[0])
		pd_buf_str(out, c->address);
	else
		return false;
	pd_buf_fmt(out, "%s" PD_PREFIX, r ? pd_mount(r) : "");
	return true;
}

bool pd_command_curl(struct pd_buf *out, const struct pd_config *c)
{
	pd_buf_str(out, "curl");
	if (c->token_file)
		pd_buf_str(out, " -H \"Authorization: Bearer $TOKEN\"");
	if (at_path(c)) {
		pd_buf_str(out, " --unix-socket ");
		quoted(out, c->address + strlen(AT_PATH));
	}
	return c->token_file || at_path(c);
}
