/* Addresses of hooked functions that lie in variables of the host: calls through them go past the hooks. */
#include <string.h>

#include "agent/hook/hook.h"
#include "agent/hook/object.h"
#include "agent/os/os.h"

#define CHUNK ((size_t)16384)
#define SEGMENT_MAX ((size_t)64 << 20) /* bytes looked at of one segment */
#define SEGMENTS 1024

struct search {
	const struct pd_hook *hook;
	size_t n, found;
	uintptr_t lo, hi; /* all functions looked for lie here */
	size_t segments;
	struct {
		uint64_t from;
		size_t len;
	} segment[SEGMENTS];
	uint64_t word[CHUNK / sizeof(uint64_t)];
};

/* Does the variable at that address hold a function that is hooked, and is it none of ours? */
static bool is_copy(const struct search *s, uintptr_t at, uint64_t value)
{
	bool hooked = false;
	if (at - (uintptr_t)s < sizeof *s)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct pd_hook *h = &s->hook[i];
		if (at == (uintptr_t)h->real)
			return false;
		hooked |= (uint64_t)(uintptr_t)*h->real == value && !h->missing && !h->left_out;
	}
	return hooked;
}

static void search_segment(struct search *s, uint64_t from, size_t len)
{
	for (size_t at = 0; at < len; at += CHUNK) {
		size_t want = len - at < CHUNK ? len - at : CHUNK;
		ssize_t got = pd_peek(s->word, from + at, want);
		for (size_t i = 0; got > 0 && i < (size_t)got / sizeof *s->word; i++)
			if (s->word[i] >= s->lo && s->word[i] <= s->hi)
				s->found += is_copy(s, from + at + i * sizeof *s->word, s->word[i]);
	}
}

/* Only noted: reading takes long, and the host must not wait for the loader meanwhile. What is unmapped by then cannot
 * be read. */
static int note_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pd_object o;
	struct search *s = arg;
	if (!pd_object_read(info, &o) || pd_object_alone(&o) != PD_ALONE_NO)
		return 0;
	/* What defines a function may know its address. */
	if (s->n && pd_object_holds(&o, *s->hook[0].real))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t from = (info->dlpi_addr + ph->p_vaddr + 7) & ~(uint64_t)7;
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W) || s->segments == SEGMENTS)
			continue;
		s->segment[s->segments].from = from;
		s->segment[s->segments++].len = ph->p_memsz < SEGMENT_MAX ? ph->p_memsz : SEGMENT_MAX;
	}
	return 0;
}

size_t pd_hooks_copies(const struct pd_hook *hooks, size_t n)
{
	static struct search s; /* too large for small stacks */
	s = (struct search){ .hook = hooks, .n = n, .lo = UINTPTR_MAX };
	for (size_t i = 0; i < n; i++) {
		uintptr_t a = (uintptr_t)*hooks[i].real;
		if (a && a < s.lo)
			s.lo = a;
		if (a > s.hi)
			s.hi = a;
	}
	pd_loader_lock();
	dl_iterate_phdr(note_segments, &s);
	pd_loader_unlock();
	for (size_t i = 0; i < s.segments; i++)
		search_segment(&s, s.segment[i].from, s.segment[i].len);
	return s.found;
}
