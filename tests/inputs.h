/* Made-up inputs for the encoders: this process's own modules, two that are not there, and stacks through functions
 * of this program. */
#ifndef PD_INPUTS_H
#define PD_INPUTS_H

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "server/encode/encode.h"

#define INPUTS_GHOST 0x7000000000ull /* a library whose file is gone */
#define INPUTS_JIT 0x7100000000ull   /* memory without a file */
#define INPUTS_NOWHERE 0x7200000000ull

static struct pd_module inputs_module[64];
static const struct pd_module *inputs_list[64];
static size_t inputs_nmodules;

static void inputs_build_id(struct pd_module *m, const ElfW(Phdr) *ph, ElfW(Addr) bias)
{
	const char *at = (const char *)(bias + ph->p_vaddr), *end = at + ph->p_memsz;
	while (at + sizeof(ElfW(Nhdr)) < end) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *desc = at + sizeof *note + ((note->n_namesz + 3) & ~3u);
		if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= sizeof m->build_id) {
			memcpy(m->build_id, desc, note->n_descsz);
			m->build_id_len = (uint8_t)note->n_descsz;
		}
		at = desc + ((note->n_descsz + 3) & ~3u);
	}
}

static void inputs_add(struct pd_module m)
{
	inputs_module[inputs_nmodules] = m;
	inputs_list[inputs_nmodules] = &inputs_module[inputs_nmodules];
	inputs_nmodules++;
}

static int inputs_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	static char path[60][PATH_MAX];
	static size_t n;
	bool vdso = strstr(info->dlpi_name, "vdso") != NULL;
	if (n == 60 || (!info->dlpi_name[0] && readlink("/proc/self/exe", path[n], PATH_MAX - 1) < 0))
		return 0;
	if (info->dlpi_name[0])
		snprintf(path[n], PATH_MAX, "%s", vdso ? "[vdso]" : info->dlpi_name);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		uint64_t down = ph->p_vaddr & 4095;
		struct pd_module m = {
			.start = info->dlpi_addr + ph->p_vaddr - down,
			.end = (info->dlpi_addr + ph->p_vaddr + ph->p_memsz + 4095) & ~4095ull,
			.offset = ph->p_offset - down,
			.bias = info->dlpi_addr,
			.from = 1,
			.until = UINT32_MAX,
			.is_vdso = vdso,
			.loaded = true,
			.path = path[n],
		};
		for (int k = 0; k < info->dlpi_phnum; k++)
			if (info->dlpi_phdr[k].p_type == PT_NOTE)
				inputs_build_id(&m, &info->dlpi_phdr[k], info->dlpi_addr);
		inputs_add(m);
	}
	n++;
	return 0;
}

/* Fill inputs_list: the main program first, then all that is loaded, then the two that are not. */
static inline void inputs_init(void)
{
	dl_iterate_phdr(inputs_object, NULL);
	inputs_add((struct pd_module){ .start = INPUTS_GHOST, .end = INPUTS_GHOST + 0x10000, .offset = 0x1000,
	                               .bias = INPUTS_GHOST - 0x1000, .from = 1, .until = 2, .build_id = { 0xab, 0xcd },
	                               .build_id_len = 2, .path = "/opt/gone/libghost.so.1" });
	inputs_add((struct pd_module){ .start = INPUTS_JIT, .end = INPUTS_JIT + 0x10000, .from = 1,
	                               .until = UINT32_MAX, .loaded = true, .path = "" });
}

/* Addresses in functions of this program; one lies in inputs_inner inlined into inputs_outer. The comments in the
 * assembly keep the compiler from folding the functions into one. */
static __attribute__((noinline, unused)) uint64_t inputs_here(void)
{
	return (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
}

static inline __attribute__((always_inline)) uint64_t inputs_inner(void)
{
	uint64_t pc = inputs_here();
	__asm__ volatile("# inner" : "+r"(pc));
	return pc;
}

static __attribute__((noinline, unused)) uint64_t inputs_outer(void)
{
	uint64_t pc = inputs_inner();
	__asm__ volatile("# outer" : "+r"(pc));
	return pc;
}

static __attribute__((noinline, unused)) uint64_t inputs_root(void)
{
	uint64_t pc = inputs_here();
	__asm__ volatile("# root" : "+r"(pc));
	return pc;
}

static inline struct pd_stack inputs_stack(const uint64_t *pc, uint32_t n)
{
	return (struct pd_stack){ .pc = pc, .n = n, .epoch = 1 };
}

/* Every text of debug=1 ends in the map of what is loaded from files: cut it off. False: it is not as it should be. */
static inline bool inputs_cut_map(char *text)
{
	struct pd_buf want = { 0 };
	pd_buf_str(&want, "--- Memory map: ---\n");
	for (size_t i = 0; i < inputs_nmodules; i++)
		if (inputs_list[i]->loaded && inputs_list[i]->path[0])
			pd_buf_fmt(&want, "%lx-%lx r-xp %08lx 00:00 0 %s\n", inputs_list[i]->start,
			           inputs_list[i]->end, inputs_list[i]->offset, inputs_list[i]->path);
	pd_buf_char(&want, '\0');
	char *map = strstr(text, "--- Memory map");
	bool right = map && strcmp(map, want.data) == 0;
	if (map)
		*map = '\0';
	pd_buf_free(&want);
	return right;
}

#endif
