/* The token of the service: read once from its file, compared in constant time. Must not know who sends it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/http/inside.h"

static int check_file(int fd, const char *file)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		pd_log("token file %s: not a regular file", file);
		return -EINVAL;
	}
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 077)) {
		pd_log("token file %s: must belong to this user or root and have mode 0600 or stricter", file);
		return -EACCES;
	}
	return 0;
}

/* One line of printable characters without blanks, its newline left out. */
static int keep_line(const unsigned char *text, size_t len, struct pd_token *out)
{
	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		len--;
	if (len < PD_TOKEN_MIN || len > PD_TOKEN_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return -EINVAL;
	}
	*out = (struct pd_token){ .set = true, .len = len };
	memcpy(out->bytes, text, len);
	return 0;
}

int pd_token_load(const char *file, struct pd_token *out)
{
	unsigned char text[PD_TOKEN_MAX + 8];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		int error = -errno;
		pd_log("token file %s: %s", file, strerror(-error));
		return error;
	}
	int error = check_file(fd, file);
	ssize_t n = error ? 0 : read(fd, text, sizeof text);
	if (n < 0)
		error = -errno;
	close(fd);
	if (error)
		return error;
	error = keep_line(text, (size_t)n, out);
	if (error)
		pd_log("token file %s: must hold one line of %u to %u characters without blanks", file, PD_TOKEN_MIN,
		        PD_TOKEN_MAX);
	return error;
}

bool pd_token_right(const struct pd_token *t, const char *authorization)
{
	unsigned char sent[PD_TOKEN_MAX];
	size_t len = pd_credential(authorization, sent);
	unsigned different = (unsigned)(len ^ t->len);
	for (size_t i = 0; i < PD_TOKEN_MAX; i++)
		different |= (unsigned)(sent[i] ^ t->bytes[i]);
	return t->set && !different;
}
