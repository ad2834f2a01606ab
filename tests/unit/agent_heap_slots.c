/* What is hooked, when, and what is told of the rest: rates that reach every thread at once, slots put back as they
 * were, libraries that come and go, addresses taken early and copies of them. */
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>

#include "heap.h"

static void *volatile keep;
static uint64_t before[200000], after[200000];

/* Every word that the loader filled in with an address. */
static int add_slots(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t **to = arg;
	const ElfW(Dyn) *dyn = NULL;
	const ElfW(Rela) *rela[2] = { 0 };
	size_t n[2] = { 0 };
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dyn = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		rela[0] = dyn->d_tag == DT_RELA ? (const ElfW(Rela) *)dyn->d_un.d_ptr : rela[0];
		rela[1] = dyn->d_tag == DT_JMPREL ? (const ElfW(Rela) *)dyn->d_un.d_ptr : rela[1];
		n[0] = dyn->d_tag == DT_RELASZ ? dyn->d_un.d_val / sizeof(ElfW(Rela)) : n[0];
		n[1] = dyn->d_tag == DT_PLTRELSZ ? dyn->d_un.d_val / sizeof(ElfW(Rela)) : n[1];
	}
	if (strstr(info->dlpi_name, "vdso"))
		return 0;
	for (int part = 0; part < 2; part++)
		for (size_t i = 0; rela[part] && i < n[part]; i++) {
			uint32_t type = ELF64_R_TYPE(rela[part][i].r_info);
			if (type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64)
				*(*to)++ = *(uint64_t *)(info->dlpi_addr + rela[part][i].r_offset);
		}
	return 0;
}

static size_t slots(uint64_t *to)
{
	uint64_t *end = to;
	dl_iterate_phdr(add_slots, &end);
	return (size_t)(end - to);
}

static void put_back(void)
{
	for (int i = 0; i < 20; i++) {
		size_t n = slots(before);
		rate(i % 2 ? 1 : 512 << 10);
		OK(fact("hooked_slots") > 5);
		EQ(slots(after), n);
		OK(memcmp(before, after, n * sizeof *before) != 0);
		rate(0);
		EQ(slots(after), n);
		EQ(memcmp(before, after, n * sizeof *before), 0);
		EQ(fact("hooked_slots"), 0);
	}
}

static volatile int turn;

FN(on_thread)
{
	keep = malloc(10);
	free(keep);
}

/* A thread with a long interval before it, waiting while the rate changes. */
static void *waiting(void *arg)
{
	on_thread();
	for (int i = 1; i <= 4; i++) {
		turn = 2 * i - 1;
		while (turn != 2 * i)
			usleep(100);
		on_thread();
	}
	return NULL;
}

static void at_once(void)
{
	pthread_t t;
	rate(1ull << 40);
	pthread_create(&t, NULL, waiting, NULL);
	for (int i = 1; i <= 4; i++) {
		OK(WITHIN(5000, turn == 2 * i - 1));
		EQ(sums_of((void *)on_thread).samples, i / 2);
		rate(i % 2 ? 1 : 1ull << 40);
		turn = 2 * i;
	}
	pthread_join(t, NULL);
	EQ(sums_of((void *)on_thread).samples, 2);
	rate(0);
}

static void *lib_open(void)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/tests/live/lib/allocs.so", getenv("B") ? getenv("B") : "build");
	void *lib = dlopen(path, RTLD_NOW);
	if (!lib)
		SKIP("tests/live/lib/allocs.so is not built");
	return lib;
}

static void libraries(void)
{
	rate(1);
	uint64_t copies = 0; /* a sanitizer has some: as many as in the first round */
	/* Looking for copies has a part of the time only: seconds pass between two looks. */
	for (int i = 0; i < 3; i++) {
		void *lib = lib_open();
		void *(*lib_malloc)(size_t) = (void *(*)(size_t))dlsym(lib, "lib_malloc");
		void *(*lib_early)(size_t) = (void *(*)(size_t))dlsym(lib, "lib_early");
		void *(*lib_copied)(size_t) = (void *(*)(size_t))dlsym(lib, "lib_copied");
		void (*lib_free)(void *) = (void (*)(void *))dlsym(lib, "lib_free");
		((void (*)(void))dlsym(lib, "lib_copy"))();
		pd_hooks_refresh();
		pd_unwind_refresh();
		int64_t old[3] = { sums_of((void *)lib_malloc).samples, sums_of((void *)lib_early).samples,
			           sums_of((void *)lib_copied).samples };
		void *p = lib_malloc(100), *q = lib_early(200), *r = lib_copied(300);
		EQ(sums_of((void *)lib_malloc).samples - old[0], 1);
		EQ(sums_of((void *)lib_early).samples - old[1], 1);
		EQ(sums_of((void *)lib_copied).samples - old[2], 0);
		OK(!i || WITHIN(30000, (pd_sampler_heap.maintain(), fact("unhooked_pointers") == copies + 1)));
		size_t with = fact("hooked_slots");
		lib_free(p);
		lib_free(q);
		lib_free(r);
		EQ(sums_of((void *)lib_malloc).live_objects, 0);
		EQ(dlclose(lib), 0);
		pd_hooks_refresh();
		pd_unwind_refresh();
		OK(fact("hooked_slots") < with);
		if (!i) {
			usleep(1000000);
			pd_sampler_heap.maintain();
			copies = fact("unhooked_pointers");
		}
		OK(WITHIN(30000, (pd_sampler_heap.maintain(), fact("unhooked_pointers") == copies)));
	}
#ifndef __SANITIZE_ADDRESS__
	EQ(copies, 0);
#endif
	rate(0);
}

struct protect {
	uint32_t segments;
	int protection;
};

static int protect(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct protect *p = arg;
	for (int i = 0; strstr(info->dlpi_name, "allocs.so") && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + ph->p_vaddr, page = 4095;
		if (ph->p_type == p->segments && (ph->p_flags & PF_W || ph->p_type == PT_GNU_RELRO))
			EQ(mprotect((void *)(lo & ~page), ((lo + ph->p_memsz + page) & ~page) - (lo & ~page), p->protection), 0);
	}
	return 0;
}

static bool seen(void *function)
{
	int64_t old = sums_of(function).samples;
	void *p = ((void *(*)(size_t))function)(100);
	free(p);
	return sums_of(function).samples == old + 1;
}

/* Pages that the host has closed or opened after the loader was done with them. */
static void other_protection(void)
{
	for (int k = 0; k < 2; k++) {
		void *lib = lib_open();
		void *slot = dlsym(lib, "lib_zeroed"), *closed = dlsym(lib, "lib_aligned");
		struct protect close = { PT_LOAD, PROT_READ }, open = { PT_GNU_RELRO, PROT_READ | PROT_WRITE };
		pd_hooks_refresh();
		pd_unwind_refresh();
		dl_iterate_phdr(protect, k ? &open : &close);
		for (int i = 0; i < 2; i++) {
			rate(1);
			OK(seen(slot));
			/* At first it looks as if the loader was at work. */
			OK(WITHIN(12000, (pd_hooks_refresh(), seen(closed))));
			OK(!pd_hooks_refresh());
			rate(0);
			OK(!seen(slot) && !seen(closed));
		}
		open.segments = PT_LOAD; /* it is written at its end */
		dl_iterate_phdr(protect, &open);
		EQ(dlclose(lib), 0);
	}
}

int main(int argc, char **argv)
{
	/* All slots bound before we look. */
	if (!getenv("LD_BIND_NOW")) {
		setenv("LD_BIND_NOW", "1", 1);
		execv(argv[0], argv);
	}
	set_up(64 << 20);
	put_back();
	memset(before, 0, sizeof before); /* no copies of addresses but the library's */
	memset(after, 0, sizeof after);
	at_once();
	libraries();
	other_protection();
	pd_sampler_heap.off();
	DONE();
}
