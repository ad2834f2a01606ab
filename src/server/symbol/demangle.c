/* Knows how C++, Rust and D names and compilers' clones are written. Must not know where names come from. */
#include <libiberty/demangle.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/symbol/name.h"
#include "server/symbol/symbol.h"

#define PLAIN_MAX 1000 /* longer C++ names pass libiberty's own limit */
#define LONG_MAX_LEN 16384
#define STACK_PER_BYTE 1024

/* Cut, with the number behind them, off the end of a symbol. */
static const char *const clones[] = {
	".constprop",
	".isra",
	".part",
	".cold",
	".llvm",
	".lto_priv",
	".localalias",
	".__uniq",
	".hot",
	".unlikely",
	".warm",
};

static size_t digits_before(const char *s, size_t n)
{
	while (n && s[n - 1] >= '0' && s[n - 1] <= '9')
		n--;
	return n;
}

static bool ends_with(const char *s, size_t n, const char *end)
{
	size_t k = strlen(end);
	return n > k && !memcmp(s + n - k, end, k);
}

/* Length of a symbol without its last suffix. */
static size_t suffix_cut(const char *s, size_t n)
{
	size_t k = digits_before(s, n);
	bool numbered = k < n && k > 1 && s[k - 1] == '.';
	size_t stem = numbered ? k - 1 : n;
	for (size_t i = 0; i < sizeof(clones) / sizeof(clones[0]); i++)
		if (ends_with(s, stem, clones[i]))
			return stem - strlen(clones[i]);
	/* "nested.0" of GCC; but "main.init.0" of Go is a name. */
	if (numbered && !memchr(s, '.', stem) && !memchr(s, '/', stem))
		return stem;
	return n;
}

static size_t stem_length(const char *s)
{
	size_t n = strlen(s);
	const char *at = strchr(s, '@');
	if (at && at > s && strncmp(at, "@plt", 4) != 0 && (at[1] == '@' || (at[1] >= 'A' && at[1] <= 'Z')))
		n = (size_t)(at - s);
	for (size_t cut; (cut = suffix_cut(s, n)) < n;)
		n = cut;
	return n;
}

static size_t stack_left(void)
{
	pthread_attr_t attr;
	void *lo = NULL;
	size_t size = 0;
	if (pthread_getattr_np(pthread_self(), &attr))
		return 0;
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	char here;
	return lo && &here > (char *)lo ? (size_t)(&here - (char *)lo) : 0;
}

/* Is what follows a parameter list the next part of a name, so that the list belongs to an enclosing function? */
static size_t enclosing_tail(const char *s)
{
	static const char *const tails[] = { " const", " volatile", " &&", " &", "&&", "&" };
	size_t n = 0;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		if (!strncmp(s + n, tails[i], strlen(tails[i])))
			n += strlen(tails[i]);
	return !strncmp(s + n, "::", 2) ? n + 1 : 0;
}

static const char *closing(const char *s)
{
	int depth = 0;
	for (; *s; s++) {
		depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
		if (!depth)
			return s;
	}
	return NULL;
}

/* "f(int) const::{lambda(int)#1}::operator()" -> "f::{lambda(int)#1}::operator()" */
static void enclosing_drop(char *name)
{
	char *out = name;
	int depth = 0;
	for (const char *in = name; *in;) {
		if (!strncmp(in, "operator", 8)) {
			/* Whole, for its brackets are none. */
			size_t n = 8 + strspn(in + 8, "<>=-+*/%^&|~!");
			if (!strncmp(in + 8, "()", 2) || !strncmp(in + 8, "[]", 2))
				n = 10;
			/* "operator<" of a template: the second "<" of "operator< <int>" stands apart. */
			memmove(out, in, n);
			out += n;
			in += n;
			continue;
		}
		depth += *in == '<' || *in == '{' ? 1 : *in == '>' || *in == '}' ? -1 : 0;
		if (!depth && *in == '(' && strncmp(in, "(anonymous", 10) != 0) {
			const char *end = closing(in);
			size_t tail = end ? enclosing_tail(end + 1) : 0;
			if (tail) {
				in = end + tail;
				continue;
			}
		}
		*out++ = *in++;
	}
	*out = 0;
}

/* Without return types, but for those of functions that are arguments of a template: libiberty drops both or none. A
 * space outside of brackets follows a return type, or is part of a name which then has them dropped. */
static char *cplus_name(const char *stem, int options)
{
	char *name = cplus_demangle_v3(stem, options | DMGL_RET_DROP);
	if (!name || (!strstr(name, "<(") && !strstr(name, ", (") && !strstr(name, "< (")))
		return name;
	char *full = cplus_demangle_v3(stem, options);
	int depth = 0;
	for (const char *s = full ? full : " "; *s; s++) {
		depth += strchr("<({[", *s) ? 1 : strchr(">)}]", *s) ? -1 : 0;
		if (!depth && *s == ' ') {
			free(full);
			return name;
		}
	}
	free(name);
	return full;
}

/* A name of D, without its parameters. */
static char *dlang_name(const char *stem, int options)
{
	char *name = dlang_demangle(stem, options);
	size_t n = name ? strlen(name) : 0;
	int depth = 0;
	for (size_t i = n; i > 0 && name[n - 1] == ')'; i--) {
		depth += name[i - 1] == ')' ? 1 : name[i - 1] == '(' ? -1 : 0;
		if (!depth) {
			/* "f!(int)" are its template's arguments */
			if (i > 1 && name[i - 2] != '!')
				name[i - 1] = 0;
			break;
		}
	}
	return name;
}

char *pd_demangle(const char *symbol)
{
	if (symbol[0] != '_' || !symbol[1])
		return NULL;
	size_t n = stem_length(symbol);
	if (n > LONG_MAX_LEN)
		return NULL;
	char *stem = strndup(symbol, n);
	if (!stem)
		return NULL;
	int options = DMGL_ANSI;
	char *name = NULL;
	if (n > PLAIN_MAX) {
		/* The work is done on the stack, in proportion to the name. */
		if (stack_left() < n * STACK_PER_BYTE + (256u << 10))
			goto out;
		options |= DMGL_NO_RECURSE_LIMIT;
	}
	name = rust_demangle(stem, options);
	if (!name && !strncmp(stem, "_Z", 2)) {
		name = cplus_name(stem, options);
		if (name)
			enclosing_drop(name);
	} else if (!name && !strncmp(stem, "_D", 2)) {
		name = dlang_name(stem, options);
	}
	if (name && !name[0]) {
		free(name);
		name = NULL;
	}
out:
	free(stem);
	return name;
}

const char *pd_name_shown(struct pd_strings *strings, const char *symbol)
{
	size_t n = strlen(symbol);
	bool plt = ends_with(symbol, n, "@plt");
	char *stem = strndup(symbol, plt ? n - 4 : stem_length(symbol));
	char *name = stem ? pd_demangle(stem) : NULL;
	char *shown = NULL;
	if (!stem || asprintf(&shown, "%s%s", name ? name : stem, plt ? "@plt" : "") < 0)
		shown = NULL;
	const char *kept = pd_strings_keep(strings, shown && shown[0] ? shown : symbol);
	free(stem);
	free(name);
	free(shown);
	return kept;
}

static size_t underscores(const char *s)
{
	return s[0] == '_' && (s[1] == 'Z' || s[1] == 'R') ? 0 : strspn(s, "_");
}

int pd_name_better(const char *a, const char *b, const char *told)
{
	/* The kernel's, not the C library's of the same plain name. */
	bool va = !strncmp(a, "__vdso_", 7), vb = !strncmp(b, "__vdso_", 7);
	if (va != vb)
		return va ? 1 : -1;
	size_t ua = underscores(a), ub = underscores(b), la = strlen(a), lb = strlen(b);
	if (ua != ub)
		return ua < ub ? 1 : -1;
	bool ta = told && !strcmp(a, told), tb = told && !strcmp(b, told);
	if (ta != tb)
		return ta ? 1 : -1;
	if (la != lb)
		return la < lb ? 1 : -1;
	int order = strcmp(a, b);
	return order < 0 ? 1 : order ? -1 : 0;
}

bool pd_name_sane(const char *name)
{
	for (const char *s = name; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return *name;
}
