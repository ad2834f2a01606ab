/* The hook of syscall(), which hands on all calls but two untouched (wait_call_x86_64.c). */
#ifndef PD_AGENT_SAMPLER_WAIT_CALL_H
#define PD_AGENT_SAMPLER_WAIT_CALL_H

extern long (*pd_real_syscall)(long nr, ...);
void pd_hook_syscall(void);
/* What it calls for SYS_futex. */
long pd_hook_futex(long nr, long word, long op, long value, long timeout, long word2, long value3)
	__attribute__((visibility("hidden")));
/* The real one, with the frame pointer on the stack: syscall() keeps none, and who sees the thread wait has no other to
 * find the caller's frame by. */
long pd_call_futex(long nr, long word, long op, long value, long timeout, long word2, long value3)
	__attribute__((visibility("hidden")));
/* What it calls for SYS_seccomp. */
long pd_hook_seccomp(long nr, unsigned operation, unsigned flags, const void *filter)
	__attribute__((visibility("hidden")));

#endif
