/* GOT slots of loaded objects: found by name, changed, put back. Knows ELF; must not know what is hooked. */
#include "agent/hook/hook.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/hook/object.h"
#include "agent/os/os.h"
#include "base/atomic.h"

#define LETTER_WORDS 16

struct set {
	struct pd_hook *hook; /* NULL = free */
	size_t n;
	bool on;
	uint64_t letters[LETTER_WORDS]; /* bit per first_letters() of the names */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct set sets[PD_HOOK_SETS];
static size_t objects;   /* with slots that were looked at in the last pass */
static size_t looked_at; /* in this pass, the one that is looked at included */
static size_t at_start;  /* objects that were there before the program began; they come first in the list */
static unsigned long long seen_adds, seen_subs;
static uint32_t passes;  /* atomic: that changed slots, or looked for such */
static bool unfinished; /* in the last pass, an object was still being relocated */
static time_t changed;  /* when the loader's lists were last seen to have changed, by CLOCK_MONOTONIC */
static bool settled;    /* that is long ago: whatever looks unfinished stays so */
#define SETTLED 5       /* seconds */

/* May the page be written just now? Asked by an atomic "or" with 0, which changes nothing. */
enum writable { YES, NO, UNKNOWN };
static enum writable writable(const void *slot)
{
	uint32_t none = 0;
	if (syscall(SYS_futex, &none, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0ul, slot,
	            FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) >= 0)
		return YES;
	return errno == EFAULT ? NO : UNKNOWN;
}

/* Change a slot from `now` to `value`; it may lie in memory made read-only after relocation, or by the host. */
static bool store(const struct pd_object *o, void **slot, void *now, void *value)
{
	uintptr_t a = (uintptr_t)slot, size = (uintptr_t)sysconf(_SC_PAGESIZE), page = a & ~(size - 1);
	/* Only whole pages of the region were protected. */
	bool relro = a >= o->relro && page + size <= (o->relro_end & ~(size - 1));
	enum writable can = writable(slot);
	/* The list has objects that the loader is not done with: it would meet a page that we have closed. */
	if (relro && can == YES && !settled) {
		unfinished = true;
		return false;
	}
	bool closed = can == NO || (relro && can == UNKNOWN);
	if (closed && !relro && pd_object_executable(o, slot))
		return false;
	if (closed && mprotect((void *)page, size, PROT_READ | PROT_WRITE) != 0) /* NOLINT */
		return false;
	bool done = pd_cas_acq_rel(slot, &now, value);
	if (closed)
		mprotect((void *)page, size, PROT_READ); /* NOLINT */
	return done;
}

static void patched(const struct pd_object *o, struct pd_hook *h)
{
	h->slots++;
	h->in_program += o->name[0] == 0;
}

/* Is it as it is in the file, an address that lacks the base or none: of an object that the loader is still busy with? */
static bool as_in_file(const struct pd_object *o, const void *now)
{
	if (settled || !o->base)
		return false;
	return !now || pd_object_holds(o, (const void *)(o->base + (uintptr_t)now)); /* NOLINT */
}

/* A variable that holds the address of a hooked function, not a slot: the host may write it, too, or have closed it. */
static void one_pointer(const struct pd_object *o, struct pd_hook *h, void **at, bool on)
{
	if ((uintptr_t)at % sizeof *at)
		return;
	void *now = pd_load_relaxed(at), *from = on ? *h->real : h->replacement;
	uintptr_t a = (uintptr_t)at;
	if (now == from && !h->missing && !h->left_out && (writable(at) == YES || (a >= o->relro && a < o->relro_end)))
		store(o, at, now, on ? h->replacement : *h->real);
	if (pd_load_relaxed(at) == h->replacement)
		patched(o, h);
	else if (on && !h->missing && !h->left_out && as_in_file(o, now))
		unfinished = true;
}

/* What slots held that were not bound yet when they were changed, to be put back. Others get the real function. */
static struct {
	void **slot;
	void *was;
} unbound[4096];
static size_t nunbound;

static void keep_unbound(void **slot, void *was)
{
	size_t i = 0;
	while (i < nunbound && unbound[i].slot != slot)
		i++;
	if (i == sizeof unbound / sizeof *unbound)
		return;
	nunbound += i == nunbound;
	unbound[i].slot = slot;
	unbound[i].was = was;
}

static void *take_unbound(void **slot, void *bound)
{
	for (size_t i = 0; i < nunbound; i++) {
		if (unbound[i].slot != slot)
			continue;
		void *was = unbound[i].was;
		unbound[i] = unbound[--nunbound];
		return was;
	}
	return bound;
}

/* Change (on) or put back (off) one slot for one hook. */
static void one_slot(const struct pd_object *o, struct pd_hook *h, size_t sym, void **slot, bool on)
{
	void *now = pd_load_relaxed(slot);
	if (now == h->replacement) {
		if (on || !store(o, slot, now, take_unbound(slot, *h->real)))
			patched(o, h);
		return;
	}
	if (!on || h->missing || h->left_out || now == h->stub)
		return;
	/* Not bound yet: the slot leads back into the object's own PLT. But an object that defines the function may have
	 * been opened so that it finds its own. */
	bool own = pd_object_defines(o, sym) && looked_at > at_start;
	bool lazy = now != *h->real && pd_object_holds(o, now) && !own;
	if ((now != *h->real && !lazy) || (lazy && pd_object_asks_other(o, sym, h->version))) {
		if (as_in_file(o, now))
			unfinished = true;
		else
			h->skipped++;
		return;
	}
	if (!store(o, slot, now, h->replacement))
		return;
	patched(o, h);
	/* What is kept for the slot of an object that is gone by now must not come back. */
	if (lazy)
		keep_unbound(slot, now);
	else
		take_unbound(slot, NULL);
}

/* Most names differ from all that are hooked in their first letters. */
static uint32_t first_letters(const char *name)
{
	uint32_t h = 0;
	for (int i = 0; i < 4; i++) {
		h = h * 37 + (unsigned char)*name;
		name += *name != 0;
	}
	return h % (64 * LETTER_WORDS);
}

static struct pd_hook *wanted(const struct set *s, const char *name, uint32_t letters)
{
	if (!(s->letters[letters / 64] >> letters % 64 & 1))
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(name, s->hook[i].name) == 0)
			return &s->hook[i];
	return NULL;
}

struct pass {
	struct set *only; /* NULL = all sets that are on */
	bool on;
};

static bool in_pass(const struct set *s, const struct pass *p)
{
	return s->hook && (p->only ? p->only == s : s->on);
}

static void one_relocation(const struct pd_object *o, const ElfW(Rela) *r, const struct pass *p, bool libc)
{
	uint32_t type = ELF64_R_TYPE(r->r_info);
	bool pointer = type == R_X86_64_64 && r->r_addend == 0;
	if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && !pointer)
		return;
	const ElfW(Sym) *sym = &o->sym[ELF64_R_SYM(r->r_info)];
	if (sym->st_shndx != SHN_UNDEF && ELF64_ST_BIND(sym->st_info) == STB_LOCAL)
		return;
	const char *name = o->str + sym->st_name;
	uint32_t letters = first_letters(name);
	for (size_t k = 0; k < PD_HOOK_SETS; k++) {
		struct pd_hook *h = in_pass(&sets[k], p) ? wanted(&sets[k], name, letters) : NULL;
		void **slot = (void **)(o->base + r->r_offset); /* NOLINT */
		if (!h || (libc && !h->in_libc))
			continue;
		/* An allocator's calls of itself are part of a call that went through a hook already. libc has many that
		 * are not, like strdup's of malloc, and none within malloc. */
		if (!libc && pd_object_holds(o, *h->real))
			continue;
		if (!pointer)
			one_slot(o, h, ELF64_R_SYM(r->r_info), slot, p->on);
		else if (h->pointers)
			one_pointer(o, h, slot, p->on);
	}
}

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pd_object o;
	const struct pass *p = arg;
	/* What has been loaded since is news to the other sets. */
	if (!p->only) {
		seen_adds = info->dlpi_adds;
		seen_subs = info->dlpi_subs;
	}
	looked_at++;
	enum pd_alone alone;
	if (!pd_object_read(info, &o) || (alone = pd_object_alone(&o)) == PD_ALONE_YES)
		return 0;
	objects++;
	/* Large objects have hundreds of thousands of relative ones. */
	for (int part = 0; part < 2; part++)
		for (size_t i = part ? 0 : o.nrelative; o.rela[part] && i < o.nrela[part]; i++)
			one_relocation(&o, &o.rela[part][i], p, alone == PD_ALONE_LIBC);
	return 0;
}

static int count(struct dl_phdr_info *info, size_t size, void *arg)
{
	++*(size_t *)arg;
	return 0;
}

__attribute__((constructor)) static void count_objects(void)
{
	dl_iterate_phdr(count, &at_start);
}

static void run(struct pass p)
{
	objects = looked_at = 0;
	for (size_t k = 0; k < PD_HOOK_SETS; k++)
		for (size_t i = 0; in_pass(&sets[k], &p) && i < sets[k].n; i++)
			sets[k].hook[i].slots = sets[k].hook[i].skipped = sets[k].hook[i].in_program = 0;
	if (p.on)
		unfinished = false;
	pd_loader_lock();
	dl_iterate_phdr(visit, &p);
	pd_loader_unlock();
	pd_store_relaxed(&passes, passes + 1);
}

uint32_t pd_hooks_passes(void)
{
	return pd_load_relaxed(&passes);
}

void pd_hooks_resolve(struct pd_hook *hooks, size_t n)
{
	pd_loader_lock();
	for (size_t i = 0; i < n; i++) {
		struct pd_hook *h = &hooks[i];
		if (!*h->real)
			*h->real = pd_hook_find(h->name, h->version, &h->stub);
		h->missing = !*h->real;
	}
	pd_loader_unlock();
}

int pd_hooks_on(struct pd_hook *hooks, size_t n)
{
	pthread_mutex_lock(&lock);
	struct set *s = NULL;
	for (size_t i = 0; i < PD_HOOK_SETS; i++) {
		if (sets[i].hook == hooks) {
			s = &sets[i];
			break;
		}
		if (!sets[i].hook && !s)
			s = &sets[i];
	}
	if (!s) {
		pthread_mutex_unlock(&lock);
		return -ENOSPC;
	}
	pd_hooks_resolve(hooks, n);
	*s = (struct set){ .hook = hooks, .n = n, .on = true };
	for (size_t i = 0; i < n; i++) {
		uint32_t letters = first_letters(hooks[i].name);
		s->letters[letters / 64] |= (uint64_t)1 << letters % 64;
	}
	run((struct pass){ .only = s, .on = true });
	pthread_mutex_unlock(&lock);
	return 0;
}

void pd_hooks_off(struct pd_hook *hooks)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PD_HOOK_SETS; i++) {
		if (sets[i].hook != hooks || !sets[i].on)
			continue;
		sets[i].on = false;
		run((struct pass){ .only = &sets[i], .on = false });
	}
	pthread_mutex_unlock(&lock);
}

static int counters(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned long long *now = arg;
	now[0] = info->dlpi_adds;
	now[1] = info->dlpi_subs;
	return 1;
}

bool pd_hooks_refresh(void)
{
	unsigned long long now[2] = { 0, 0 };
	pd_loader_lock();
	dl_iterate_phdr(counters, now);
	pd_loader_unlock();
	pthread_mutex_lock(&lock);
	bool news = now[0] != seen_adds || now[1] != seen_subs;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (news)
		changed = ts.tv_sec;
	settled = ts.tv_sec - changed > SETTLED;
	news |= unfinished;
	if (news)
		run((struct pass){ .on = true });
	pthread_mutex_unlock(&lock);
	return news;
}

struct callers {
	const char *name;
	size_t n;
};

static int count_callers(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct callers *c = arg;
	struct pd_object o;
	if (!pd_object_read(info, &o) || pd_object_alone(&o) != PD_ALONE_NO)
		return 0;
	/* Large objects have hundreds of thousands of relative ones. */
	for (int part = 0; part < 2; part++)
		for (size_t i = part ? 0 : o.nrelative; o.rela[part] && i < o.nrela[part]; i++) {
			size_t sym = ELF64_R_SYM(o.rela[part][i].r_info);
			c->n += sym && strcmp(o.str + o.sym[sym].st_name, c->name) == 0;
		}
	return 0;
}

size_t pd_hooks_callers(const char *name)
{
	struct callers c = { .name = name };
	pd_loader_lock();
	dl_iterate_phdr(count_callers, &c);
	pd_loader_unlock();
	return c.n;
}

void pd_hooks_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void pd_hooks_stats(struct pd_hook_stats *out)
{
	pthread_mutex_lock(&lock);
	*out = (struct pd_hook_stats){ .objects = objects };
	for (size_t k = 0; k < PD_HOOK_SETS; k++) {
		for (size_t i = 0; sets[k].hook && i < sets[k].n; i++) {
			out->slots += sets[k].hook[i].slots;
			out->skipped += sets[k].hook[i].skipped;
		}
	}
	pthread_mutex_unlock(&lock);
}
