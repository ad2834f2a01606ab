/* A walk on its way, shared by the files that make it up. Everything here runs in signal handlers. */
#ifndef PD_UNWIND_FRAME_H
#define PD_UNWIND_FRAME_H

#include "agent/unwind/machine.h"
#include "agent/unwind/rule.h"
#include "agent/unwind/snapshot.h"
#include "agent/unwind/unwind.h"

/* rbp of a thread of which only sp and pc are known: odd, so that no CFA made of it passes the checks */
#define PD_FP_UNKNOWN ((uint64_t)1)

/* Bytes that belong to others: any alignment, any type */
typedef uint64_t pd_raw_u64 __attribute__((may_alias, aligned(1)));

struct pd_walk {
	const struct pd_ranges *ranges;
	struct pd_view view;
	const struct pd_view *outer; /* NULL once it is in use */
	uint64_t r[PD_NREGS];        /* of the current frame; sp, rbp and pc always */
	uint32_t known;              /* bit per register */
	uint64_t key;                /* what is looked up for it: pc, or inside the call before it */
	uint64_t caller_of_sp, caller_of_fp; /* sp and rbp of the frame before */
	bool interrupted; /* pc is exact: the current frame was not left by a call */
	bool only_sp;
	bool follow_all;  /* go by full rules, to keep all the registers they restore */
	bool guessed;     /* some step was not by a rule */
	uint64_t *out;
	size_t n, max;
};

static inline PD_RAW bool pd_in_view(const struct pd_view *v, uint64_t addr)
{
	return addr >= v->lo && addr < v->hi && v->hi - addr >= 8;
}

static inline PD_RAW uint64_t pd_view_load(const struct pd_view *v, uint64_t addr)
{
	return *(const pd_raw_u64 *)(v->at + (addr - v->lo));
}

enum pd_result {
	PD_GOT,
	PD_OUTSIDE,      /* of the view */
	PD_NOT_FOLLOWED, /* a register that is not known */
	PD_NONSENSE,
};

/* Value of expression number n, the CFA on its stack at first when cfa is not NULL. */
enum pd_result pd_eval(const struct pd_walk *w, uint16_t n, const uint64_t *cfa, uint64_t *v);

enum pd_step {
	PD_STEP_OK,
	PD_STEP_BOTTOM,   /* by rule: the thread's first frame */
	PD_STEP_LANDED,   /* by its code: the first frame of a context */
	PD_STEP_VIEW,     /* leads out of what can be read */
	PD_STEP_WRONG,    /* no rule, or a value that cannot be right */
	PD_STEP_REGISTER, /* needs a register that this walk does not follow, but could */
};

/* The caller's registers by a full rule. Nothing is changed unless OK. A signal frame makes out[n - 1] exact. */
enum pd_step pd_step_rule(struct pd_walk *w, const struct pd_rule *rule);
/* The end at pc, the code under a context, which nothing called: the frame's address becomes exact. */
enum pd_step pd_step_landed(struct pd_walk *w, uint64_t pc);
/* The caller's registers by likelihood. */
enum pd_step pd_step_guess(struct pd_walk *w);

#endif
