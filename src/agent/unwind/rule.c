/* The dictionary of rules: each distinct one is kept once. Knows nothing of tables or stacks. */
#include "agent/unwind/rule.h"

#include <errno.h>
#include <string.h>

enum { RULES_MAX = 32768, HEADS = 4096, COMPARED = offsetof(struct pd_rule, next), TEXT = 0xff };

static struct {
	struct pd_arena arena; /* nothing but rules, one after the other */
	uint32_t n;
	uint16_t head[HEADS];
} dictionary;

_Static_assert(sizeof(struct pd_text) == sizeof(struct pd_rule) && offsetof(struct pd_text, next) == COMPARED,
               "an expression takes the place of a rule");
_Static_assert(sizeof(struct pd_rule) % 16 == 0, "the arena hands rules out without gaps");

const uint8_t pd_saved_reg[PD_SAVED] = { PD_RBX, PD_R12, PD_R12 + 1, PD_R12 + 2, PD_R12 + 3 };

int pd_rules_open(struct pd_budget *budget)
{
	int err = pd_arena_open(&dictionary.arena, budget, RULES_MAX * sizeof(struct pd_rule));
	if (err)
		return err;
	struct pd_rule *none = pd_arena_take(&dictionary.arena, sizeof(*none));
	if (!none) {
		pd_arena_close(&dictionary.arena);
		return -ENOMEM;
	}
	none->cfa.how = none->ra.how = PD_BAD;
	dictionary.n = 1;
	memset(dictionary.head, 0, sizeof(dictionary.head));
	return 0;
}

void pd_rules_close(void)
{
	pd_arena_close(&dictionary.arena);
	dictionary.n = 0;
}

static uint32_t hash(const struct pd_rule *rule)
{
	const unsigned char *at = (const unsigned char *)rule;
	uint64_t h = 0, word;
	for (size_t i = 0; i + 8 <= COMPARED; i += 8) {
		memcpy(&word, at + i, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	uint32_t rest;
	memcpy(&rest, at + COMPARED - 4, 4);
	return (uint32_t)((h ^ rest) * 0x9e3779b97f4a7c15u >> 40) % HEADS;
}

/* Number of an equal entry, made when there is none. */
static uint16_t intern(const struct pd_rule *rule)
{
	uint16_t *head = &dictionary.head[hash(rule)];
	for (uint16_t i = *head; i; i = pd_rule(i)->next)
		if (memcmp(pd_rule(i), rule, COMPARED) == 0)
			return i;
	if (dictionary.n == RULES_MAX)
		return PD_RULE_NONE;
	struct pd_rule *made = pd_arena_take(&dictionary.arena, sizeof(*made));
	if (!made)
		return PD_RULE_NONE;
	memcpy(made, rule, COMPARED);
	made->next = *head;
	*head = (uint16_t)dictionary.n++;
	return *head;
}

uint16_t pd_rule_number(const struct pd_rule *rule)
{
	static const struct pd_rule first_frame = { .ra.how = PD_UNDEF };
	if (rule->ra.how == PD_UNDEF)
		return intern(&first_frame);
	return rule->cfa.how == PD_BAD || rule->ra.how == PD_BAD ? PD_RULE_NONE : intern(rule);
}

uint16_t pd_text_number(const unsigned char *at, size_t n)
{
	union {
		struct pd_text text;
		struct pd_rule rule;
	} entry = { .text = { .mark = TEXT, .len = (uint8_t)n } };
	if (n > sizeof(entry.text.at))
		return PD_RULE_NONE;
	memcpy(entry.text.at, at, n);
	return intern(&entry.rule);
}

const struct pd_rule *pd_rule(uint16_t number)
{
	return (const struct pd_rule *)dictionary.arena.base + number;
}

const struct pd_text *pd_text(uint16_t number)
{
	return (const struct pd_text *)pd_rule(number);
}

size_t pd_rule_count(void)
{
	return dictionary.n;
}

uint32_t pd_rule_code(uint16_t number)
{
	const struct pd_rule *r = pd_rule(number);
	uint32_t cold = PD_CODE_COLD | (uint32_t)number << 2;
	bool by_fp = r->cfa.reg == PD_RBP;
	if (r->cfa.how != PD_VAL || (!by_fp && r->cfa.reg != PD_RSP))
		return cold;
	if (r->cfa.off % 8 || r->cfa.off < 8 || r->cfa.off >= 8 << 21)
		return cold;
	bool plain_ra = r->ra.how == PD_AT && r->ra.reg == PD_CFA && r->ra.off == -8 && !r->ra.more;
	if (!plain_ra || r->sp.how != PD_SAME || r->signal)
		return cold;
	uint32_t slot = 1;
	if (r->fp.how != PD_SAME) {
		if (r->fp.how != PD_AT || r->fp.reg != PD_CFA || r->fp.more || r->fp.off % 8 || r->fp.off > -16 ||
		    r->fp.off < -8 * 127)
			return cold;
		slot = (uint32_t)(-r->fp.off / 8);
	}
	return (by_fp ? PD_CODE_FP : PD_CODE_SP) | slot << 2 | (uint32_t)(r->cfa.off / 8) << 9;
}
