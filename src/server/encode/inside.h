/* What the encoders share among themselves; nobody else includes it. */
#ifndef PD_SERVER_ENCODE_INSIDE_H
#define PD_SERVER_ENCODE_INSIDE_H

#include <errno.h>

#include "server/encode/encode.h"

/* ---- runes.c ---- */

#define PD_BAD_RUNE 0xffffffffu

/* The code point at *s (not at its end), *s moved past it. A byte that is no UTF-8: PD_BAD_RUNE, one byte further. */
uint32_t pd_rune(const char **s);
/* How many there are, bytes that are no UTF-8 counted one each. */
size_t pd_runes(const char *s);
/* In double quotes as Go's %q writes it. */
void pd_quote(struct pd_buf *out, const char *s);
/* ASCII alone, on one line: all else as \n \t \x1b \u00e9. quoted: in double quotes, `"`, `\` and `]` escaped too. */
void pd_ascii(struct pd_buf *out, const char *s, bool quoted);
/* Valid UTF-8 on one line: control characters become spaces. */
void pd_oneline(struct pd_buf *out, const char *s);
/* As it is when it is letters, digits and characters of `also`, else quoted and escaped. */
void pd_word(struct pd_buf *out, const char *s, const char *also);
#define PD_GO_PLAIN "./_" /* Go's rule */
#define PD_TABLE_PLAIN "./_-:@#+"
/* 0x and lower-case digits; how many characters. */
size_t pd_hex(struct pd_buf *out, uint64_t v);

/* ---- intern.c: keys to ids 0, 1, 2 ... in the order of their first use ---- */

struct pd_interned {
	size_t at, len; /* in bytes */
	uint64_t hash;
};

struct pd_intern {
	struct pd_buf bytes; /* the keys, one after the other */
	struct pd_buf keys;  /* struct pd_interned, by id */
	size_t *slot;        /* id + 1, or 0 */
	size_t nslots, n;
	bool failed;
};

/* The id of a key; *fresh = it is new. Out of memory: 0, not fresh, t->failed. */
size_t pd_intern(struct pd_intern *t, const void *key, size_t len, bool *fresh);
void pd_intern_free(struct pd_intern *t);

/* ---- samples.c ---- */

/* p, or *room filled with its samples as the options want them (labels taken away) and equal ones merged that differ
 * only in the epoch. NULL = out of memory. room is zeroed before and freed by the caller with pd_profile_free. */
const struct pd_profile *pd_encode_samples(const struct pd_profile *p, const struct pd_encode_options *o,
                                    struct pd_profile *room);
/* The module with a file that pc belonged to, or NULL. */
const struct pd_module *pd_module_with_file(const struct pd_module *const *modules, size_t n, uint64_t pc,
                                            uint32_t epoch);

/* fn for each frame of a sample from the root to the leaf, inlined ones included; valid during the call. Addresses under
 * o->no_symbols, and a pseudo stack's name. */
void pd_encode_frames(const struct pd_profile *p, const struct pd_sample *s, struct pd_symbols *symbols,
                      const struct pd_encode_options *o, void (*fn)(void *arg, const struct pd_frame *f), void *arg);

/* ---- numbers.c ---- */

/* How a kind of profile is written as text. */
struct pd_numbers {
	/* The first lines. samples: those of p as they are written. */
	void (*title)(struct pd_buf *out, const struct pd_profile *p, const struct pd_profile *samples);
	/* A record's numbers and a space. */
	void (*sample)(struct pd_buf *out, const struct pd_sample *s);
	const char *gap; /* between the last record and the remarks */
};
const struct pd_numbers *pd_numbers(const struct pd_profile_type *type);
/* "heap profile: ... @ ", to be followed by what says how to scale it. */
void pd_write_heap_title(struct pd_buf *out, const struct pd_profile *samples);
void pd_write_heap_numbers(struct pd_buf *out, const struct pd_sample *s);
/* The comments, a line each, which readers pass over. */
void pd_write_remarks(struct pd_buf *out, const struct pd_profile *p);

/* ---- gzip.c ---- */
void pd_gzip(struct pd_buf *out, const void *data, size_t len);

/* ---- waits_*.c: what a thread in this system call waits for; NULL = no special word ---- */
const char *pd_wait_of_syscall(int number);

/* ---- calls_*.c: where the call goes in which an address (agent.h's form) lies; 0 = that cannot be told ---- */
uint64_t pd_call_target(uint64_t pc);

/* ---- waits_glibc.c: what the C library's own functions and objects tell ---- */

/* Is this the file of the C library? */
bool pd_is_libc(const char *path);
/* What a thread in this function of it waits for, or (in syscall()) in this function that called it; NULL = no more
 * than the system call tells. */
const struct pd_wait_kind *pd_wait_of_function(const char *name);
const struct pd_wait_kind *pd_wait_of_syscall_caller(const char *name);
/* The same by the word it waits at, for a thread in the C library: corrects what the function told, or tells when no
 * function did (NULL). */
const struct pd_wait_kind *pd_wait_of_word(const struct pd_wait_kind *known, const struct pd_thread_rec *t);

/* ---- waits_text.c ---- */

/* "(0x55aa held by 4251)" behind a blank; nothing when nothing is known. */
void pd_wait_detail(struct pd_buf *out, const struct pd_wait *w);
/* All circles and chains, as lines that begin with '#'. */
void pd_write_waits(struct pd_buf *out, const struct pd_dump *d, const struct pd_waits *w);

/* ---- threads.c ---- */

/* Tenths of `unit` without the decimal point of the host's locale: "12.3 s". */
void pd_tenths(char *to, size_t n, int64_t value, int64_t unit, const char *name);

/* What an append that failed is called. */
static inline int pd_buf_error(const struct pd_buf *b)
{
	return !b->failed ? 0 : b->max ? -EOVERFLOW : -ENOMEM;
}

#endif
