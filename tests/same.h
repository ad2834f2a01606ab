/* For tests that every hooked call answers as it does without hooks: the same cases run before, with, and after
 * sampling; and afterwards every slot of every object is as it was. */
#ifndef PD_TEST_SAME_H
#define PD_TEST_SAME_H

#include <errno.h>
#include <link.h>

#include "locks.h"

static char *out; /* what was answered so far, and room for more */

/* One answer: result and errno, which was 77 before the call. */
#define TELL(e)                                                                \
	do {                                                                   \
		errno = 77;                                                    \
		long tell_r = (long)(e);                                       \
		out += sprintf(out, "%s = %ld, %d\n", #e, tell_r, errno);      \
	} while (0)

static inline struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	ts.tv_nsec += ms * 1000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

/* A sum over all slots of all objects. (Those of libc are for calls into the loader, bound when libc needs them.) */
static int add_slots(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Dyn) *d = NULL;
	const ElfW(Rela) *rela[2] = { NULL, NULL };
	size_t n[2] = { 0, 0 };
	for (int i = 0; i < info->dlpi_phnum && !strstr(info->dlpi_name, "libc.so"); i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			d = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	for (; d && d->d_tag; d++) {
		uintptr_t p = d->d_un.d_ptr < info->dlpi_addr ? d->d_un.d_ptr + info->dlpi_addr : d->d_un.d_ptr;
		if (d->d_tag == DT_JMPREL)
			rela[0] = (const ElfW(Rela) *)p;
		if (d->d_tag == DT_RELA)
			rela[1] = (const ElfW(Rela) *)p;
		if (d->d_tag == DT_PLTRELSZ || d->d_tag == DT_RELASZ)
			n[d->d_tag == DT_RELASZ] = d->d_un.d_val / sizeof(ElfW(Rela));
	}
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; rela[k] && i < n[k]; i++)
			if (ELF64_R_TYPE(rela[k][i].r_info) == R_X86_64_JUMP_SLOT ||
			    ELF64_R_TYPE(rela[k][i].r_info) == R_X86_64_GLOB_DAT)
				*(uint64_t *)arg = *(uint64_t *)arg * 31 +
				                   *(const uint64_t *)(info->dlpi_addr + rela[k][i].r_offset);
	return 0;
}

static uint64_t slots(void)
{
	uint64_t sum = 0;
	dl_iterate_phdr(add_slots, &sum);
	return sum;
}

static void rates(uint64_t time, uint64_t fraction)
{
	peek_rate("block_rate", time);
	peek_rate("mutex_fraction", fraction);
	peek_rate("io_rate", time);
}

/* The first line that differs. */
static inline int same(const char *a, const char *b)
{
	int line = 1;
	for (; *a && *a == *b; a++, b++)
		line += *a == '\n';
	if (*a == *b)
		return 1;
	fprintf(stderr, "line %d: ...%.60s\n        not ...%.60s\n", line, b, a);
	return 0;
}

static inline const char *answers(void (*cases)(void), char *text)
{
	out = text;
	cases();
	return text;
}

/* Run the cases in all states; `cases` writes its answers by TELL. */
static inline void same_in_all_states(void (*cases)(void))
{
	static char first[1 << 17], text[1 << 17];
	rates(0, 0); /* what these calls bind is bound then */
	slots();
	uint64_t before = slots();
	rates(1, 1);
	OK(slots() != before);
	rates(0, 0);
	OK(slots() == before);
	/* Once for what is only done, or bound, the first time. */
	answers(cases, first);
	answers(cases, first);
	OK(same(first, answers(cases, text)));
	before = slots();
	rates(1, 1);
	OK(same(first, answers(cases, text)));
	rates(1000000, 10);
	OK(same(first, answers(cases, text)));
	rates(0, 0);
	OK(slots() == before);
	struct peek_sum block = peek_sum(PD_BLOCK, NULL, NULL, NULL), io = peek_sum(PD_IO, NULL, NULL, NULL);
	OK(same(first, answers(cases, text)));
	EQ(peek_sum(PD_BLOCK, NULL, NULL, NULL).ns, block.ns);
	EQ(peek_sum(PD_IO, NULL, NULL, NULL).ns, io.ns);
	if (getenv("V"))
		fputs(first, stdout);
}

#endif
