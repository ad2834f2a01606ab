/*
 * How to get from one frame to the one that called it. Rules are interned: a number, 16 bits wide, that
 * means the same until pd_rules_close. The common ones also fit into 30 bits (a "code").
 */
#ifndef PD_UNWIND_RULE_H
#define PD_UNWIND_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/unwind/machine.h"
#include "base/arena.h"

enum pd_how {
	PD_SAME,  /* what the register holds; for the stack pointer: the CFA */
	PD_UNDEF, /* nothing; as a return address: the thread's first frame */
	PD_BAD,   /* not known, or not expressible here */
	PD_VAL,   /* reg + off */
	PD_AT,    /* memory[reg + off] + more */
	PD_EXPR,    /* value of expression number `off` */
	PD_AT_EXPR, /* memory[value of expression number `off`] */
};

#define PD_CFA 17 /* as a register in what follows: the frame's CFA */

struct pd_loc {
	uint8_t how;
	uint8_t reg;
	int16_t more;
	int32_t off;
};

/* rbx, r12..r15 in this order: saved at CFA + 8 * n; 0 = still in the register */
enum { PD_SAVED = 5 };
#define PD_SAVED_LOST INT16_MIN
extern const uint8_t pd_saved_reg[PD_SAVED];

struct pd_rule {
	struct pd_loc cfa, ra, sp, fp;
	int16_t saved[PD_SAVED];
	uint16_t signal; /* 1: the next pc was interrupted, not called from */
	uint16_t next;   /* of the dictionary's own */
	uint16_t unused;
};

enum { PD_RULE_NONE = 0 }; /* the rule number for code without a rule */

/*
 * Codes. Bits 0-1: kind. Hot: bits 2-8 = k, rbp is saved at CFA - 8k (k = 1: it is not); bits 9-29 = CFA offset / 8.
 * Cold: bits 2-17 = number of the rule.
 */
enum { PD_CODE_SP, PD_CODE_FP, PD_CODE_COLD };
#define PD_CODE_BITS 30
#define PD_CODE_UNKNOWN UINT32_MAX /* no code is this: the address is in no module */

/* The bytes of a DWARF expression; numbered like rules, and in the same dictionary. */
struct pd_text {
	uint8_t mark; /* what no rule begins with */
	uint8_t len;
	unsigned char at[42];
	uint16_t next, unused;
};

/* 0 or -errno. */
int pd_rules_open(struct pd_budget *budget);
void pd_rules_close(void);
/* Number of an equal rule; PD_RULE_NONE when there is no room. One thread at a time. */
uint16_t pd_rule_number(const struct pd_rule *rule);
/* Number of an expression of n bytes; PD_RULE_NONE also when it is longer than any known to be in use. */
uint16_t pd_text_number(const unsigned char *at, size_t n);
/* These are signal-safe. */
const struct pd_text *pd_text(uint16_t number);
const struct pd_rule *pd_rule(uint16_t number);
uint32_t pd_rule_code(uint16_t number);
size_t pd_rule_count(void);

#endif
