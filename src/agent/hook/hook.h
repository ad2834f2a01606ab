/*
 * Calls of the host led through functions of ours by changing the GOT slots of its objects, and put back.
 * The loader's lists are only touched inside dl_iterate_phdr, so no object can be unmapped meanwhile.
 */
#ifndef PD_AGENT_HOOK_H
#define PD_AGENT_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One hooked function. `real` is resolved before the first slot is changed and stays valid for good. */
struct pd_hook {
	const char *name;
	const char *version; /* of the definition that is meant, or NULL: unbound slots that ask for another are left alone */
	void *replacement;
	void **real;
	bool left_out; /* not to be hooked */
	bool in_libc;  /* libc's own calls, too */
	bool pointers; /* variables that the loader has set to the function's address, too */
	bool missing;  /* out: the process has no such function */
	void *stub;    /* out: what stands for it in a program at a fixed address; leads to the program's slot */
	size_t slots, skipped; /* out: of the last pass, as in struct pd_hook_stats */
	size_t in_program;     /* out: of these slots, the program's own */
};

/* Hook a set of functions in all objects but our own and libc's, at most PD_HOOK_SETS sets. 0 or -errno. */
#define PD_HOOK_SETS 16
int pd_hooks_on(struct pd_hook *hooks, size_t n);
/* Fill in `real`, `missing` and `stub`, as pd_hooks_on does first. */
void pd_hooks_resolve(struct pd_hook *hooks, size_t n);
/* Put back every slot of that set that still holds our replacement. */
void pd_hooks_off(struct pd_hook *hooks);
/* Do the same for objects loaded since. Cheap when the loader has not loaded any. True when something was new. */
bool pd_hooks_refresh(void);
/* Changes with each pass over the slots: what was found in the host's memory before is old then. */
uint32_t pd_hooks_passes(void);
/* How many variables of the host hold the address of one of these functions still. Takes milliseconds, without
 * the loader's lock. One caller at a time. */
size_t pd_hooks_copies(const struct pd_hook *hooks, size_t n);
/* Slots of all objects but our own and libc's that lead, or may lead, to a function of that name. */
size_t pd_hooks_callers(const char *name);
/* In a forked child: hooks stay in place (they pass calls on); locks are made new. */
void pd_hooks_forked(void);

struct pd_hook_stats {
	size_t objects, slots; /* patched now */
	size_t skipped;        /* slots bound to another definition than everybody else's: left alone */
};
void pd_hooks_stats(struct pd_hook_stats *out);

/* Replacements for dlopen and dlmopen that call pd_hook_loader_notice() and go on in the real ones (jump.c). */
extern void *(*pd_real_dlopen)(const char *, int);
extern void *(*pd_real_dlmopen)(long, const char *, int);
void *pd_hook_dlopen(const char *file, int mode);
void *pd_hook_dlmopen(long ns, const char *file, int mode);
/* The host is about to load an object. Given by the sampler that sets the hooks. */
void pd_hook_loader_notice(void) __attribute__((visibility("hidden")));

#endif
