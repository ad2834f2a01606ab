/* The pure parsers: queries, host names, paths, credentials; and token files. */
#include "http_kit.h"

static const char *param(const char *query, const char *key)
{
	static struct pd_buf pairs;
	pd_buf_free(&pairs);
	pd_query_parse(query, &pairs);
	return pd_pair_first(&pairs, key, false);
}

static void queries(void)
{
	static const struct {
		const char *query, *value; /* of "seconds" */
	} cases[] = {
		{ "", NULL },
		{ "seconds", "" },
		{ "seconds=", "" },
		{ "seconds=5", "5" },
		{ "seconds=5&seconds=6", "5" },
		{ "Seconds=5", NULL },
		{ "seconds=1;debug=1", NULL },
		{ "a;b&seconds=7", "7" },
		{ "seconds=%zz", NULL },
		{ "seconds=%4", NULL },
		{ "seconds=%", NULL },
		{ "x=%zz&seconds=8", "8" },
		{ "seconds=%zz&seconds=9", "9" },
		{ "seconds=+1", " 1" },
		{ "seconds=%2B1", "+1" },
		{ "%73econds=3", "3" },
		{ "seconds=a=b", "a=b" },
		{ "&&seconds=1&&", "1" },
		{ "=x&seconds=2", "2" },
		{ "seconds=5%00", "5\xef\xbf\xbd" },
		{ "seconds%00=5", NULL },
		{ "%zz=1&seconds=4", "4" },
		{ "se+conds=1", NULL },
		{ "seconds=%c3%a9", "\xc3\xa9" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *got = param(cases[i].query, "seconds");
		if (!cases[i].value)
			OK(!got || (fprintf(stderr, "%s gave %s\n", cases[i].query, got), false));
		else
			STREQ(got, cases[i].value);
	}
	static const struct {
		const char *form;
		size_t len;
		bool whole;
	} forms[] = { { "", 0, true }, { "a=1&b=2&", 8, true }, { "a=%00", 5, true }, { "a=1&b=%4", 8, false },
		{ "a;b", 3, false }, { "a=1\0b", 5, false }, { "a=%4", 3, false } };
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct pd_buf pairs = { .data = NULL };
		OK(pd_form_parse(forms[i].form, forms[i].len, &pairs) == forms[i].whole);
		pd_buf_free(&pairs);
	}
	struct pd_buf small = { .max = 4 };
	pd_query_parse("seconds=5", &small);
	OK(small.failed && !pd_pair_first(&small, "seconds", false));
	pd_buf_free(&small);
}

static void hosts(void)
{
	static const char *const good[] = {
		"localhost",
		"LocalHost:6060",
		"127.0.0.1",
		"127.0.0.1:1",
		"10.1.2.3:65535",
		"[::1]",
		"[::1]:6060",
		"[fe80::1]:80",
		"[::ffff:1.2.3.4]",
		"box.example",
		"BOX.example:99",
		"b2",
		"255.255.255.255",
	};
	static const char *const bad[] = {
		"",
		":",
		":80",
		"localhost6",
		"localhost.",
		"localhost:",
		"localhost:0",
		"localhost:65536",
		"localhost:+1",
		"localhost:1:2",
		"localhost:99999999",
		"evil.example",
		"127.1",
		"127.0.0.01",
		"0x7f.0.0.1",
		"2130706433",
		"127.0.0.1.",
		"127.0.0.256",
		"::1",
		"[::1",
		"[::1]x",
		"[::1]:",
		"[::1%lo]",
		"[]",
		"[127.0.0.1]",
		"[v1.x]",
		" localhost",
		"localhost ",
		"localhost/x",
		"user@localhost",
		"box.example.",
		"box",
		"b",
		"127.0.0.1,localhost",
		"\xc3\xa9",
		"box.example,b2",
		"[::1]:80x",
		"1.2.3.4:80:",
		",",
	};
	const char *names = "box.example, b2";
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		OK(pd_host_ok(good[i], strlen(good[i]), names) || (fprintf(stderr, "%s\n", good[i]), false));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		OK(!pd_host_ok(bad[i], strlen(bad[i]), names) || (fprintf(stderr, "%s\n", bad[i]), false));
	OK(!pd_host_ok("127.0.0.1\0evil", 14, NULL));
	OK(!pd_host_ok("localhost\0", 10, NULL));
	OK(!pd_host_ok("box.example", 11, NULL) && !pd_host_ok("box.example", 11, ""));
}

static void paths(void)
{
	static const struct {
		const char *raw, *path; /* NULL: refused */
	} decode[] = {
		{ "/", "/" },
		{ "/debug/pprof/%68eap", "/debug/pprof/heap" },
		{ "/a%2fb", "/a/b" },
		{ "/a%2Fb", "/a/b" },
		{ "/a+b", "/a+b" },
		{ "/%c3%a9", "/\xc3\xa9" },
		{ "/%e2%82%ac", "/\xe2\x82\xac" },
		{ "/%f0%9f%98%80", "/\xf0\x9f\x98\x80" },
		{ "", NULL },
		{ "a", NULL },
		{ "*", NULL },
		{ "http://evil/x", NULL },
		{ "/%", NULL },
		{ "/%4", NULL },
		{ "/%zz", NULL },
		{ "/a%00b", NULL },
		{ "/%0a", NULL },
		{ "/%7f", NULL },
		{ "/\x01", NULL },
		{ "/%ff", NULL },
		{ "/%c0%af", NULL },
		{ "/%ed%a0%80", NULL },
		{ "/%f5%80%80%80", NULL },
		{ "/%e2%82", NULL },
		{ "/\xc3(", NULL },
	};
	for (size_t i = 0; i < sizeof decode / sizeof *decode; i++) {
		struct pd_buf b = { .data = NULL };
		bool ok = pd_path_decode(decode[i].raw, strlen(decode[i].raw), &b);
		if (decode[i].path)
			STREQ(ok ? b.data : NULL, decode[i].path);
		else
			OK(!ok || (fprintf(stderr, "%s\n", decode[i].raw), false));
		pd_buf_free(&b);
	}
	static const struct {
		const char *path, *clean;
	} clean[] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/a", "/a" },
		{ "/a/", "/a/" },
		{ "/a//b", "/a/b" },
		{ "/a/./b", "/a/b" },
		{ "/a/../b", "/b" },
		{ "/../a", "/a" },
		{ "/a/..", "/" },
		{ "/a/b/..", "/a" },
		{ "/a/b/../", "/a/" },
		{ "/.", "/" },
		{ "/..", "/" },
		{ "/a/.", "/a" },
		{ "/a//", "/a/" },
		{ "/...", "/..." },
		{ "/a/.b", "/a/.b" },
		{ "/a/../../..//b/./c/", "/b/c/" },
		{ "/a/..b", "/a/..b" },
	};
	for (size_t i = 0; i < sizeof clean / sizeof *clean; i++) {
		struct pd_buf b = { .data = NULL };
		EQ(pd_path_clean(clean[i].path, &b), strcmp(clean[i].path, clean[i].clean) == 0);
		STREQ(b.data, clean[i].clean);
		pd_buf_free(&b);
	}
	static const struct {
		const char *raw, *root;
	} root[] = {
		{ "/", "./" },
		{ "/a", "./" },
		{ "/..", "./" },
		{ "//", "../" },
		{ "/a/b", "../" },
		{ "/a//b", "../../" },
		{ "//a/b/", "../../../" },
		{ "/a/./b", "../" },
		{ "/a/../b", "./" },
		{ "/../../b/c", "../" },
		{ "/a/b/..", "../../" },
		{ "/a/.../b", "../../" },
	};
	for (size_t i = 0; i < sizeof root / sizeof *root; i++) {
		struct pd_buf r = { .data = NULL };
		pd_path_root(root[i].raw, &r);
		pd_buf_char(&r, 0);
		STREQ(r.data, root[i].root);
		pd_buf_free(&r);
	}
	struct pd_buf b = { .data = NULL };
	pd_path_escape("/a b?c%d\"<\xc3\xa9~$&+,:;=@", &b);
	pd_buf_char(&b, 0);
	STREQ(b.data, "/a%20b%3Fc%25d%22%3C%C3%A9~$&+,:;=@");
	pd_buf_free(&b);
}

static void credentials(void)
{
	static const struct {
		const char *header, *secret;
	} cases[] = {
		{ "Bearer abc", "abc" },
		{ "bearer   abc  ", "abc" },
		{ "BEARER a b", "a b" },
		{ "Basic dTpwYXNz", "pass" },
		{ "basic OnBhc3M=", "pass" },
		{ "Basic dTpwOnE=", "p:q" },
		{ "Basic dTpwOnE", "" },
		{ "Basic dTpwOn=E", "" },
		{ "Basic dXNlcg==", "" },
		{ "Basic dTo=", "" },
		{ "Basic ====", "" },
		{ "Basic !!!!", "" },
		{ "Basic", "" },
		{ "Basic =", "" },
		{ "Bearer", "" },
		{ "Bearer ", "" },
		{ "Digest x", "" },
		{ "", "" },
		{ " Bearer x", "" },
	};
	unsigned char out[PD_TOKEN_MAX];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = pd_credential(cases[i].header, out);
		OK(n == strlen(cases[i].secret) && memcmp(out, cases[i].secret, n) == 0);
		for (size_t k = n; k < sizeof out; k++)
			OK(!out[k]);
	}
	char longest[600] = "Bearer ";
	memset(longest + 7, 'x', PD_TOKEN_MAX);
	EQ(pd_credential(longest, out), PD_TOKEN_MAX);
	longest[7 + PD_TOKEN_MAX] = 'x';
	EQ(pd_credential(longest, out), 0);
}

static int load(const char *text, size_t len, mode_t mode, struct pd_token *t)
{
	char file[128];
	const char *dir = getenv("T");
	snprintf(file, sizeof file, "%.80s/token%d", dir ? dir : "/tmp", (int)getpid());
	unlink(file);
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, mode);
	OK(write(fd, text, len) == (ssize_t)len);
	fchmod(fd, mode);
	close(fd);
	int error = pd_token_load(file, t);
	char link[140];
	snprintf(link, sizeof link, "%s.l", file);
	unlink(link);
	OK(symlink(file, link) == 0);
	struct pd_token ignored;
	EQ(pd_token_load(link, &ignored), -ELOOP);
	unlink(link);
	unlink(file);
	return error;
}

static void tokens(void)
{
	struct pd_token t = { .set = false };
	char text[400];
	memset(text, 'a', sizeof text);
	EQ(load("0123456789abcdef\n", 17, 0600, &t), 0);
	EQ(t.len, 16);
	OK(pd_token_right(&t, "Bearer 0123456789abcdef"));
	OK(pd_token_right(&t, "Basic dTowMTIzNDU2Nzg5YWJjZGVm"));
	OK(!pd_token_right(&t, "Bearer 0123456789abcdeF"));
	OK(!pd_token_right(&t, "Bearer 0123456789abcde"));
	OK(!pd_token_right(&t, "Bearer 0123456789abcdef0"));
	OK(!pd_token_right(&t, "Bearer ") && !pd_token_right(&t, ""));
	EQ(load("0123456789abcdef", 16, 0400, &t), 0);
	EQ(load(text, PD_TOKEN_MAX, 0600, &t), 0);
	EQ(load(text, PD_TOKEN_MAX + 1, 0600, &t), -EINVAL);
	EQ(load(text, sizeof text, 0600, &t), -EINVAL);
	EQ(load(text, 15, 0600, &t), -EINVAL);
	EQ(load("", 0, 0600, &t), -EINVAL);
	EQ(load("0123456789abcdef\nx", 18, 0600, &t), -EINVAL);
	EQ(load("0123456789 abcdef", 17, 0600, &t), -EINVAL);
	EQ(load("0123456789abcdef\0", 17, 0600, &t), -EINVAL);
	EQ(load("0123456789abcdef", 16, 0640, &t), -EACCES);
	EQ(load("0123456789abcdef", 16, 0604, &t), -EACCES);
	EQ(pd_token_load("/nonexistent/token", &t), -ENOENT);
	EQ(pd_token_load("/dev/null", &t), -EINVAL);
	struct pd_token unset = { .set = false };
	OK(!pd_token_right(&unset, "Bearer "));
}

int main(void)
{
	queries();
	hosts();
	paths();
	credentials();
	tokens();
	DONE();
}
