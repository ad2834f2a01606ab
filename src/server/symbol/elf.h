/*
 * Reading one ELF file in small pieces. The file is never mapped, so nobody who truncates or rewrites it can crash
 * us, and never held whole, so debug files of any size cost little memory. Whatever is damaged reads as absent.
 */
#ifndef PD_SERVER_SYMBOL_ELF_H
#define PD_SERVER_SYMBOL_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Sections that symbolising reads. */
enum pd_sec {
	PD_SEC_INFO,
	PD_SEC_ABBREV,
	PD_SEC_LINE,
	PD_SEC_LINE_STR,
	PD_SEC_STR,
	PD_SEC_STR_OFFSETS,
	PD_SEC_ADDR,
	PD_SEC_RANGES,
	PD_SEC_RNGLISTS,
	PD_SEC_SYMTAB,
	PD_SEC_DYNSYM,
	PD_SEC_RELA_PLT,
	PD_SEC_RELA_DYN,
	PD_SEC_DEBUGDATA,
	PD_SEC_DEBUGLINK,
	PD_SEC_ALTLINK,
	PD_SEC_BUILD_ID,
	PD_SEC_EH_INDEX,
	PD_SEC_EH_FRAME,
	PD_SEC_CU_INDEX, /* of a .dwp file */
	PD_SECS
};

struct pd_inflate;

struct pd_section {
	uint64_t size;        /* bytes to be read, uncompressed; 0 = absent */
	uint64_t off, stored; /* where in the file, and how many bytes there */
	struct pd_inflate *z; /* set when compressed */
	unsigned index;
};

struct pd_elf {
	int fd;       /* -1: in memory */
	uint8_t *mem; /* owned */
	uint64_t size;
	struct stat st;
	bool dwo; /* split debug info: the .dwo sections are the ones meant */
	Elf64_Ehdr eh;
	Elf64_Shdr *sh;
	unsigned nsh;
	struct pd_section sec[PD_SECS];
	uint8_t build_id[32];
	uint8_t build_id_len; /* 0 = none */
};

/* Open a file, or bytes in memory (taken over, and freed also on failure): 0 or -errno (-ENOEXEC: no ELF file of this
 * processor). pd_elf_dwo reads the .dwo sections of a split debug file in place of the normal ones. */
int pd_elf_open(struct pd_elf *e, const char *path);
int pd_elf_dwo(struct pd_elf *e, const char *path);
int pd_elf_memory(struct pd_elf *e, uint8_t *mem, size_t n);
void pd_elf_close(struct pd_elf *e);
/* Was the file written to since it was opened? */
bool pd_elf_changed(const struct pd_elf *e);

/* Up to n bytes at an offset of the file or of a section; returns how many there were. */
size_t pd_elf_read(const struct pd_elf *e, uint64_t off, void *buf, size_t n);
size_t pd_section_read(const struct pd_elf *e, const struct pd_section *s, uint64_t off, void *buf, size_t n);
/* A whole section, if it is at most `max` bytes: malloc'ed, with a 0 after it; or NULL. */
uint8_t *pd_section_load(const struct pd_elf *e, const struct pd_section *s, size_t max);
/* The text at an offset of a section, or of section number `index`. False: not there, or not ended within n bytes. */
bool pd_section_string(const struct pd_elf *e, const struct pd_section *s, uint64_t off, char *buf, size_t n);
bool pd_elf_string(const struct pd_elf *e, unsigned index, uint64_t off, char *buf, size_t n);
/* The executable section that holds an address, or NULL. */
const Elf64_Shdr *pd_elf_code(const struct pd_elf *e, uint64_t addr);
/* A name of section number `index`; "" = unknown. */
void pd_elf_section_name(const struct pd_elf *e, unsigned index, char *buf, size_t n);

/* Zlib data at [off, off + stored) of a file, read at any offset: it restarts from checkpoints. NULL = no memory. */
struct pd_inflate *pd_inflate_open(const struct pd_elf *e, uint64_t off, uint64_t stored, uint64_t size);
void pd_inflate_close(struct pd_inflate *z);
size_t pd_inflate_read(struct pd_inflate *z, const struct pd_elf *e, uint64_t at, void *buf, size_t n);

/* The symbol table in .gnu_debugdata, as an ELF file of its own. 0 or -errno. */
int pd_elf_mini(const struct pd_elf *main, struct pd_elf *mini);

#endif
