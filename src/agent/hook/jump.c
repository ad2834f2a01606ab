/*
 * dlopen and dlmopen look at their return address to see whose search path and namespace count. So these hooks
 * tell us first and then jump, leaving the caller's return address where it is.
 */
#include "agent/hook/hook.h"

void *(*pd_real_dlopen)(const char *, int) __attribute__((visibility("hidden")));
void *(*pd_real_dlmopen)(long, const char *, int) __attribute__((visibility("hidden")));

#define JUMP(name)                                                                                                     \
	__asm__(".pushsection .text\n"                                                                                 \
	        ".globl pd_hook_" #name "\n.hidden pd_hook_" #name "\n.type pd_hook_" #name ", @function\n"              \
	        "pd_hook_" #name ":\n"                                                                                 \
	        ".cfi_startproc\n"                                                                                     \
	        "push %rdi\n.cfi_adjust_cfa_offset 8\n"                                                                \
	        "push %rsi\n.cfi_adjust_cfa_offset 8\n"                                                                \
	        "push %rdx\n.cfi_adjust_cfa_offset 8\n"                                                                \
	        "call pd_hook_loader_notice\n"                                                                         \
	        "pop %rdx\n.cfi_adjust_cfa_offset -8\n"                                                                \
	        "pop %rsi\n.cfi_adjust_cfa_offset -8\n"                                                                \
	        "pop %rdi\n.cfi_adjust_cfa_offset -8\n"                                                                \
	        "jmp *pd_real_" #name "(%rip)\n"                                                                       \
	        ".cfi_endproc\n"                                                                                       \
	        ".size pd_hook_" #name ", . - pd_hook_" #name "\n.popsection\n")

JUMP(dlopen);
JUMP(dlmopen);
