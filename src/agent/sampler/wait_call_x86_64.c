/*
 * syscall() as its callers see it: all but two calls are a jump, so that calls which return twice or on another
 * stack find their own frame. Must know no more than the numbers of the two.
 */
#include "agent/sampler/wait_call.h"

#include <sys/syscall.h>

long (*pd_real_syscall)(long nr, ...) __attribute__((visibility("hidden")));

_Static_assert(SYS_futex == 202 && SYS_seccomp == 317, "the numbers below");
__asm__(".pushsection .text\n"
        ".globl pd_hook_syscall\n.hidden pd_hook_syscall\n.type pd_hook_syscall, @function\n"
        "pd_hook_syscall:\n"
        ".cfi_startproc\n"
        "cmp $202, %rdi\n"
        "je pd_hook_futex\n"
        "cmp $317, %rdi\n"
        "je pd_hook_seccomp\n"
        "jmp *pd_real_syscall(%rip)\n"
        ".cfi_endproc\n"
        ".size pd_hook_syscall, . - pd_hook_syscall\n"
        ".globl pd_call_futex\n.hidden pd_call_futex\n.type pd_call_futex, @function\n"
        "pd_call_futex:\n"
        ".cfi_startproc\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "sub $8, %rsp\n"
        ".cfi_def_cfa_offset 24\n"
        "push 24(%rsp)\n" /* the seventh argument, again */
        ".cfi_def_cfa_offset 32\n"
        "xor %eax, %eax\n"
        "call *pd_real_syscall(%rip)\n"
        "add $16, %rsp\n"
        ".cfi_def_cfa_offset 16\n"
        "pop %rbp\n"
        ".cfi_def_cfa_offset 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size pd_call_futex, . - pd_call_futex\n.popsection\n");
