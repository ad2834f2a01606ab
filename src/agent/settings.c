/* Options and environment: one table, checked, never a guess. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/life.h"
#include "base/log.h"

extern char **environ;

struct setting {
	const char *env;
	int (*parse)(const char *text, uint64_t min, uint64_t max, uint64_t *out); /* NULL = a text */
	size_t at, room;    /* member of pd_settings */
	size_t option;      /* member of pprofd_options; NONE = environment only */
	uint64_t min, max;
	const char *form;   /* for the message */
};

#define NONE ((size_t)-1)
#define AT(m) offsetof(struct pd_settings, m), sizeof((struct pd_settings *)0)->m
#define OPT(m) offsetof(struct pprofd_options, m)

/* Digits only, within [min, max]. */
static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return v >= min && v <= max ? 0 : -EINVAL;
}

/* Digits and one of K M G. */
static int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char digits[24];
	size_t n = strlen(text);
	unsigned shift = 0;
	if (n && n < sizeof digits) {
		char last = text[n - 1];
		shift = last == 'K' ? 10 : last == 'M' ? 20 : last == 'G' ? 30 : 0;
	}
	if (!n || n >= sizeof digits)
		return -EINVAL;
	memcpy(digits, text, n + 1);
	if (shift)
		digits[n - 1] = 0;
	int err = parse_number(digits, 0, max >> shift, out);
	*out <<= shift;
	return err ? err : *out >= min && *out <= max ? 0 : -EINVAL;
}

static int parse_signal(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	if (parse_number(text, min, max, out) == 0)
		return 0;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (int s = 1; s < 32; s++) {
		const char *abbrev = sigabbrev_np(s);
		if (abbrev && strcmp(abbrev, text) == 0) {
			*out = (uint64_t)s;
			return 0;
		}
	}
	return -EINVAL;
}

/* What may be sampled with: no signal that has a meaning to the kernel or cannot be caught. */
static bool usable_signal(uint64_t signo)
{
	static const int bad[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGCHLD, SIGCONT,
		                   SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGSYS };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (signo == (uint64_t)bad[i])
			return false;
	return signo == 0 || signo < 32 || (signo >= (uint64_t)SIGRTMIN && signo <= (uint64_t)SIGRTMAX);
}

static const struct setting settings[] = {
	{ "PPROFD_LOG", NULL, AT(log), OPT(log), 0, 0, "a path or \"stderr\"" },
	{ "PPROFD_LISTEN", NULL, AT(listen), OPT(listen), 0, 0, "an address" },
	{ "PPROFD_TOKEN_FILE", NULL, AT(token_file), OPT(token_file), 0, 0, "a path" },
	{ "PPROFD_HOSTS", NULL, AT(hosts), OPT(hosts), 0, 0, "host names" },
	{ "PPROFD_ACCESS", NULL, AT(access), OPT(access), 0, 0, "\"local\"" },
	{ "PPROFD_PREFIX", NULL, AT(prefix), OPT(prefix), 0, 0, "a path like /name" },
	{ "PPROFD_CPU_HZ", parse_number, AT(cpu_hz), OPT(cpu_hz), 1, 4000, "1..4000" },
	{ "PPROFD_HEAP_RATE", parse_size, AT(heap_rate), OPT(heap_rate), 0, 1ull << 40, "0..1T, as bytes or with K, M or G" },
	{ "PPROFD_BLOCK_RATE", parse_number, AT(block_rate), OPT(block_rate), 0, 1ull << 60, "a number of nanoseconds" },
	{ "PPROFD_MUTEX_FRACTION", parse_number, AT(mutex_fraction), OPT(mutex_fraction), 0, 1000000000, "0..1000000000" },
	{ "PPROFD_IO_RATE", parse_number, AT(io_rate), OPT(io_rate), 0, 1ull << 60, "a number of nanoseconds" },
	{ "PPROFD_WALL_HZ", parse_number, AT(wall_hz), OPT(wall_hz), 1, 1000, "1..1000" },
	{ "PPROFD_MEMORY", parse_size, AT(memory), OPT(memory), 4 << 20, 64ull << 30, "4M..64G" },
	{ "PPROFD_SIGNAL", parse_signal, AT(signo), OPT(signal), 0, 64, "a signal" },
	{ "PPROFD_OFF", parse_number, AT(off), NONE, 0, 1, "0 or 1" },
	{ "PPROFD_SERVER", NULL, AT(server), NONE, 0, 0, "a path" },
};
#define SETTINGS (sizeof settings / sizeof *settings)

/* Understood by the command or by later samplers: no error, no effect here. */
static const char *const others[] = { "PPROFD_LIBRARY", "PPROFD_WWW" };

static int refuse(const struct setting *t, const char *what, const char *value, int err)
{
	pd_log("not started: %s%s is \"%.100s\", not %s", what, t->env, value, t->form);
	return err;
}

static int put(struct pd_settings *s, const struct setting *t, const char *text, const char *what)
{
	char *to = (char *)s + t->at;
	if (!t->parse) {
		size_t n = strlen(text);
		if (n >= t->room)
			return refuse(t, what, text, -EINVAL);
		memcpy(to, text, n + 1);
		return 0;
	}
	uint64_t v;
	if (t->parse(text, t->min, t->max, &v) != 0)
		return refuse(t, what, text, -EINVAL);
	*(uint64_t *)(void *)to = v;
	return 0;
}

static int from_options(struct pd_settings *s, const struct pprofd_options *given)
{
	struct pprofd_options o = { 0 };
	if (given->size < offsetof(struct pprofd_options, listen) + sizeof o.listen)
		return -EINVAL;
	size_t n = given->size < sizeof o ? given->size : sizeof o;
	memcpy(&o, given, n);
	for (size_t i = sizeof o; i < given->size; i++)
		if (((const char *)given)[i])
			return -E2BIG;
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *t = &settings[i];
		const char *member = (const char *)&o + t->option, *text = NULL;
		char digits[24];
		if (t->option == NONE)
			continue;
		if (!t->parse) {
			text = *(const char *const *)(const void *)member;
		} else {
			uint64_t v = t->option == OPT(signal) ? (uint64_t)(uint32_t)o.signal
			                                      : *(const uint64_t *)(const void *)member;
			snprintf(digits, sizeof digits, "%llu", (unsigned long long)(v == PPROFD_RATE_OFF ? 0 : v));
			text = v ? digits : NULL;
		}
		int err = text ? put(s, t, text, "option for ") : 0;
		if (err)
			return err;
	}
	return 0;
}

static bool known(const char *var, size_t n, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == n && strncmp(list[i], var, n) == 0)
			return true;
	return false;
}

static int from_environment(struct pd_settings *s)
{
	for (char **e = environ; e && *e; e++) {
		const char *eq = strchr(*e, '=');
		if (strncmp(*e, "PPROFD_", 7) != 0 || !eq)
			continue;
		size_t n = (size_t)(eq - *e), i = 0;
		while (i < SETTINGS && !(strlen(settings[i].env) == n && strncmp(settings[i].env, *e, n) == 0))
			i++;
		int err = 0;
		if (i < SETTINGS) {
			err = put(s, &settings[i], eq + 1, "");
		} else if (!known(*e, n, others, sizeof others / sizeof *others)) {
			pd_log("not started: %.*s is no setting of pprofd", (int)n, *e);
			err = -EINVAL;
		}
		if (err)
			return err;
	}
	return 0;
}

/* "/name/name": nothing in it needs escaping in a URL, a page or a header. */
static bool is_prefix(const char *s)
{
	do {
		static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~.";
		size_t n = *s == '/' ? strspn(s + 1, plain) : 0;
		if (!n || (n <= 2 && strspn(s + 1, ".") == n))
			return false;
		s += n + 1;
	} while (*s);
	return true;
}

bool pd_settings_wanted(void)
{
	const char *listen = getenv("PPROFD_LISTEN");
	return listen && *listen && strcmp(listen, "off") != 0 && strcmp(listen, "none") != 0;
}

int pd_settings_read(struct pd_settings *s, const struct pprofd_options *options)
{
	memset(s, 0, sizeof *s); /* compared as a whole */
	*s = (struct pd_settings){ .listen = "127.0.0.1:6060", .cpu_hz = 100, .heap_rate = 512 << 10, .wall_hz = 20,
		                    .memory = 64 << 20 };
	/* The log first, so that what is wrong with the rest can be told. */
	const char *log = getenv("PPROFD_LOG");
	bool has_log = options && options->size >= offsetof(struct pprofd_options, log) + sizeof options->log;
	int err = pd_log_open(log ? log : has_log ? options->log : NULL);
	if (err)
		return err;
	if (options)
		err = from_options(s, options);
	if (!err)
		err = from_environment(s);
	if (err)
		return err;
	if (s->access[0] && strcmp(s->access, "local") != 0) {
		pd_log("not started: PPROFD_ACCESS is \"%s\", not \"local\"", s->access);
		return -EINVAL;
	}
	if (s->prefix[0] && !is_prefix(s->prefix)) {
		pd_log("not started: PPROFD_PREFIX is \"%s\", not a path like /name", s->prefix);
		return -EINVAL;
	}
	if (!usable_signal(s->signo)) {
		pd_log("not started: signal %d cannot be used for sampling", (int)s->signo);
		return -EINVAL;
	}
	return s->off || strcmp(s->listen, "off") == 0 ? -ECANCELED : 0;
}
