/* Who is served: this user and others, with a token and without, and whoever tries many. */
#include <grp.h>
#include <ifaddrs.h>
#include <malloc.h>

#include "http_kit.h"

#define H "Host: localhost\r\n"
#define TOKEN "0123456789abcdef-token"

/* The status the request gets when another user sends it; 0 = could not become another user. */
static int as_other(const struct kit *k, const char *request)
{
	int result[2];
	if (geteuid() != 0 || pipe(result) < 0)
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		int status = 0;
		if (setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0)
			status = kit_ask(k, request, strlen(request), 3000)->status;
		_exit(write(result[1], &status, sizeof status) == sizeof status ? 0 : 1);
	}
	int status = 0, rc;
	close(result[1]);
	if (read(result[0], &status, sizeof status) != sizeof status)
		status = -1;
	close(result[0]);
	waitpid(pid, &rc, 0);
	return status;
}

#define PLAIN "GET /echo HTTP/1.1\r\n" H "\r\n"
#define WITH(token) "GET /echo HTTP/1.1\r\n" H "Authorization: Bearer " token "\r\n\r\n"

static void other_user(int family)
{
	struct kit k = { .port = 0 };
	kit_start(&k, family);
	if (k.path[0])
		chmod(k.path, 0777);
	int status = as_other(&k, PLAIN);
	if (status) {
		EQ(status, 403);
		struct pd_audit a;
		pd_audit_read(k.http, &a, 1);
		OK(strstr(a.what, "user 65534 is not served"));
		EQ(strcmp(a.peer, "uid 65534") == 0, family == AF_UNIX);
	}
	EQ(kit_get(&k, "/echo")->status, 200);
	kit_stop(&k);
	if (!status)
		return;
	struct kit local = { .config.access_local = true };
	kit_start(&local, family);
	if (local.path[0])
		chmod(local.path, 0777);
	EQ(as_other(&local, PLAIN), 200);
	kit_stop(&local);
}

static const char *token_file(void)
{
	static char file[128];
	const char *dir = getenv("T");
	snprintf(file, sizeof file, "%.80s/guard%d", dir ? dir : "/tmp", (int)getpid());
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	OK(write(fd, TOKEN "\n", sizeof TOKEN) == sizeof TOKEN);
	close(fd);
	return file;
}

static int as_self(const struct kit *k, const char *request)
{
	return kit_ask(k, request, strlen(request), 3000)->status;
}

/* Asked from where a token is needed. */
static void needed(const struct kit *k, int (*ask)(const struct kit *, const char *))
{
	EQ(ask(k, PLAIN), 401);
	EQ(ask(k, WITH(TOKEN)), 200);
	EQ(ask(k, "GET /echo HTTP/1.1\r\n" H "Authorization: Basic dTowMTIzNDU2Nzg5YWJjZGVmLXRva2Vu\r\n\r\n"), 200);
	long long start = test_now_ns();
	EQ(ask(k, WITH("wrong-token-wrong-token")), 401);
	OK(test_now_ns() - start >= 250000000ll);
	EQ(ask(k, "POST /post HTTP/1.1\r\n" H "Content-Length: 3\r\nAuthorization: Bearer x\r\n\r\nabc"), 401);
	struct pd_audit a;
	pd_audit_read(k->http, &a, 1);
	OK(a.status == 401 && strstr(a.what, "wrong token"));
}

/* How many of twelve wrong tokens are not looked at. */
static int guess(const struct kit *k)
{
	int fd[12], refused = 0;
	usleep(1100000); /* into a second of its own */
	for (int i = 0; i < 12; i++) {
		fd[i] = kit_connect(k);
		kit_puts(fd[i], WITH("guess-guess-guess"));
	}
	for (int i = 0; i < 12; i++) {
		struct kit_reply *p = kit_read(fd[i], 3000, false);
		refused += p->status == 429;
		if (p->status == 429)
			STREQ(kit_header(p, "Retry-After"), "1");
		else
			STREQ(kit_header(p, "WWW-Authenticate"), "Basic realm=\"pprofd\"");
		OK(p->status == 401 || p->status == 429);
		close(fd[i]);
	}
	return refused;
}

/* More wrong tokens than are looked at in a second: 429, also for the right one. A machine that stands still for a while
 * gives them two seconds. */
static void guessing(const struct kit *k)
{
	int refused = 0;
	for (int i = 0; i < 3 && refused != 2; i++)
		refused = guess(k);
	EQ(refused, 2);
	EQ(as_self(k, WITH(TOKEN)), 429);
	OK(WITHIN(3000, as_self(k, WITH(TOKEN)) == 200));
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

/* What comes with a wrong token takes no memory. */
static void heavy(const struct kit *k)
{
	enum { BODY = 99000 };
	static char head[200], body[BODY];
	int fd[9];
	size_t most = 0;
	usleep(1100000); /* into a second of its own */
	size_t before = in_use();
	int n = snprintf(head, sizeof head,
	        "POST /post HTTP/1.1\r\n" H "Authorization: Bearer x\r\nContent-Length: %d\r\n\r\n", BODY + 1);
	for (int i = 0; i < 9; i++) {
		fd[i] = kit_connect(k);
		kit_send(fd[i], head, (size_t)n);
		kit_send(fd[i], body, BODY);
	}
	for (int i = 0; i < 30; i++, usleep(10000)) {
		size_t now = in_use();
		most = now > most ? now : most;
	}
	OK(most < before + 9 * (size_t)BODY);
	for (int i = 0; i < 9; i++) {
		kit_puts(fd[i], "x");
		EQ(kit_read(fd[i], 3000, false)->status, 401);
		close(fd[i]);
	}
}

/* An address of this machine that is not loopback: to the service a client there is a remote one. 0 = none. */
static uint32_t own_address(void)
{
	struct ifaddrs *all;
	uint32_t found = 0;
	if (getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
			found = ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr;
		if (ntohl(found) >> 24 == 127)
			found = 0;
	}
	freeifaddrs(all);
	return found;
}

static void tokens(void)
{
	struct kit open = { .config.loopback = false };
	EQ(kit_try(&open, AF_INET6), -EACCES);
	const char *file = token_file();
	struct kit k = { .config.token_file = file };
	kit_start(&k, AF_INET);
	/* This user needs none on loopback, and a wrong one does no harm. */
	EQ(as_self(&k, PLAIN), 200);
	EQ(as_self(&k, WITH("wrong-token-wrong-token")), 200);
	if (as_other(&k, PLAIN))
		needed(&k, as_other);
	kit_stop(&k);
	struct kit remote = { .config.token_file = file, .to = own_address() };
	if (remote.to) {
		kit_start(&remote, AF_INET6);
		needed(&remote, as_self);
		guessing(&remote);
		heavy(&remote);
		kit_stop(&remote);
	}
	chmod(file, 0644);
	struct kit readable = { .config.token_file = file };
	EQ(kit_try(&readable, AF_INET), -EACCES);
	unlink(file);
}

int main(void)
{
	other_user(AF_INET);
	other_user(AF_UNIX);
	tokens();
	DONE();
}
