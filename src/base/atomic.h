/* The only file that knows the compiler's atomics; the memory order is in the name. */
#ifndef PD_BASE_ATOMIC_H
#define PD_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Plain objects are used through these macros, so a struct can be read and written normally before
 * it is published. acquire/release pair as in C11; relaxed guarantees only that there is no tearing.
 */
#define pd_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define pd_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define pd_load_seqcst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define pd_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define pd_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define pd_store_seqcst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define pd_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define pd_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define pd_add_seqcst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define pd_sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define pd_or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define pd_xchg_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* Compare *p with *want; equal: store v, true. Different: *want = what was there, false. */
#define pd_cas_acq_rel(p, want, v) \
	__atomic_compare_exchange_n((p), (want), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define pd_cas_seqcst(p, want, v) \
	__atomic_compare_exchange_n((p), (want), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Sixteen bytes at once, aligned to 16: what was there, which is `want` when v has been stored. */
#define pd_cas16(p, want, v) __sync_val_compare_and_swap((p), (want), (v))

/* Orders a thread against a signal handler that runs on it; emits no instruction. */
#define pd_fence_signal() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
