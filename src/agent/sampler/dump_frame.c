/* Finds the frame of a function that keeps it by rbp when rbp is not known. Reads code and a copy of the stack. */
#include <string.h>

#include "agent/sampler/dump.h"

#define CODE_BEFORE 4096  /* of a function, searched for its prologue */
#define SLOTS_MAX 2048    /* of the stack, looked at as the frame */
#define CALLS_MAX 48      /* possible return addresses whose code is read */
#define PUSH_TO_MOV 16    /* other instructions may stand between the two */
#define MOV_TO_SUB 48
#define SAVED_MAX 40      /* bytes of registers pushed where room_taken() did not see it */
#define ENTRY_TO_PUSH 32

struct prologue {
	uint64_t push; /* address of its push %rbp */
	uint64_t room; /* bytes it takes below the saved rbp, at least */
};

static uint64_t word(const struct pd_view *v, uint64_t at)
{
	uint64_t w;
	memcpy(&w, v->at + (at - v->lo), sizeof w);
	return w;
}

static uint32_t u32(const unsigned char *p)
{
	uint32_t w;
	memcpy(&w, p, sizeof w);
	return w;
}

/* What follows "mov %rsp,%rbp": pushes of registers, and "sub $n,%rsp" soon after. Others may stand between them. */
static uint64_t room_taken(const unsigned char *p, const unsigned char *end)
{
	uint64_t room = 0;
	while (p + 2 <= end) {
		if (p[0] >= 0x50 && p[0] <= 0x57)
			p += 1;
		else if (p[0] == 0x41 && p[1] >= 0x50 && p[1] <= 0x57)
			p += 2;
		else
			break;
		room += 8;
	}
	for (const unsigned char *last = p + MOV_TO_SUB; p <= last && p + 7 <= end; p++) {
		if (p[0] == 0x48 && p[1] == 0x83 && p[2] == 0xec)
			return room + p[3];
		if (p[0] == 0x48 && p[1] == 0x81 && p[2] == 0xec)
			return room + u32(p + 3);
	}
	return room;
}

/* The nearest prologue before pc: push %rbp (55) and, soon after, mov %rsp,%rbp (48 89 e5). */
static bool find_prologue(uint64_t pc, struct prologue *out)
{
	unsigned char code[CODE_BEFORE];
	uint64_t lo = pc - sizeof code;
	ssize_t got = pd_peek(code, lo, sizeof code);
	if (got < (ssize_t)sizeof code) {
		/* Nothing is mapped there; the page of pc is. */
		lo = pc & ~(uint64_t)4095;
		got = pd_peek(code, lo, pc - lo);
	}
	for (ssize_t i = got - 3; i > 0; i--) {
		if (code[i] != 0x48 || code[i + 1] != 0x89 || code[i + 2] != 0xe5)
			continue;
		for (ssize_t k = i - 1; k >= 0 && k >= i - PUSH_TO_MOV; k--) {
			if (code[k] != 0x55)
				continue;
			out->push = lo + (uint64_t)k;
			out->room = room_taken(code + i + 3, code + got);
			return true;
		}
	}
	return false;
}

/* Is `entry` where the function with this prologue begins? */
static bool enters(uint64_t entry, const struct prologue *f)
{
	return entry <= f->push && f->push - entry <= ENTRY_TO_PUSH;
}

/* Where a jump through the GOT goes, as a PLT entry does: [endbr64] [bnd] jmp *disp(%rip). 0 = it is none. */
static uint64_t through_plt(uint64_t at)
{
	unsigned char code[16];
	uint64_t target;
	if (pd_peek(code, at, sizeof code) != sizeof code)
		return 0;
	size_t i = 0;
	if (code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && code[3] == 0xfa)
		i = 4;
	if (code[i] == 0xf2)
		i++;
	if (code[i] != 0xff || code[i + 1] != 0x25)
		return 0;
	uint64_t slot = at + i + 6 + (uint64_t)(int64_t)(int32_t)u32(code + i + 2);
	return pd_peek(&target, slot, sizeof target) == sizeof target ? target : 0;
}

enum call { NO_CALL, CALL_OF_OTHER, CALL_OF_IT };

/* Bytes of "call *m" forms behind the opcode ff, by its ModRM byte; 0 = it is no near call. */
static size_t indirect_len(unsigned char modrm)
{
	if ((modrm & 0x38) != 0x10)
		return 0;
	unsigned mod = modrm >> 6, rm = modrm & 7;
	size_t sib = mod != 3 && rm == 4;
	if (mod == 1)
		return 2 + sib;
	if (mod == 2 || (mod == 0 && rm == 5))
		return 5 + sib;
	return 1 + sib;
}

/* What call, if any, `ret` is the return address of. */
static enum call call_before(uint64_t ret, const struct prologue *f)
{
	unsigned char code[8];
	if (pd_peek(code, ret - sizeof code, sizeof code) != sizeof code)
		return NO_CALL;
	const unsigned char *end = code + sizeof code;
	if (end[-5] == 0xe8) {
		uint64_t target = ret + (uint64_t)(int64_t)(int32_t)u32(end - 4);
		if (enters(target, f) || enters(through_plt(target), f))
			return CALL_OF_IT;
	}
	for (size_t len = 2; len <= 7; len++)
		if (end[-len] == 0xff && indirect_len(end[1 - (ssize_t)len]) + 1 == len)
			return CALL_OF_OTHER;
	return end[-5] == 0xe8 ? CALL_OF_OTHER : NO_CALL;
}

/* Walk with this rbp; kept if it goes on from the function to the caller that the frame tells. */
static bool try_frame(struct pd_regs *regs, uint64_t rbp, bool exact, const struct pd_view *view, uint64_t *pc,
                      size_t *n, enum pd_walk_end *end)
{
	uint64_t walked[PD_LOOK_FRAMES];
	struct pd_regs with = *regs;
	with.only_sp = false;
	with.r[PD_REG_RBP] = rbp;
	enum pd_walk_end how;
	size_t got = pd_walk(&with, exact, view, NULL, NULL, walked, PD_LOOK_FRAMES, &how);
	if (got <= *n || how == PD_END_LOST)
		return false;
	/* The same way up to the function, then its caller. */
	if (memcmp(walked, pc, *n * sizeof *pc) != 0 || walked[*n] != word(view, rbp + 8) - 1)
		return false;
	memcpy(pc, walked, got * sizeof *pc);
	*n = got;
	*end = how;
	*regs = with;
	return true;
}

/* The lowest stack address the function's frame may take: behind the return address into it. 0 = not found. */
static uint64_t frame_floor(const struct pd_regs *regs, const struct pd_view *view, const uint64_t *pc, size_t n)
{
	if (n == 1)
		return regs->r[PD_REG_RSP];
	for (uint64_t at = view->lo; at + 8 <= view->hi; at += 8)
		if (word(view, at) == pc[n - 1] + 1)
			return at + 8;
	return 0;
}

bool pd_frame_find(struct pd_regs *regs, bool exact, const struct pd_view *view, uint64_t *pc, size_t *n,
                   enum pd_walk_end *end)
{
	struct prologue f;
	uint64_t floor = *n ? frame_floor(regs, view, pc, *n) : 0;
	if (!floor || !find_prologue(pc[*n - 1], &f))
		return false;
	uint64_t least = floor + f.room, rbp = least;
	int calls = 0;
	for (int i = 0; i < SLOTS_MAX && calls < CALLS_MAX && rbp >= floor && rbp + 16 <= view->hi; i++, rbp += 8) {
		uint64_t ret = word(view, rbp + 8);
		if (ret < 4096 || ret >> 47 || (ret >= view->lo && ret < view->hi))
			continue;
		calls++;
		enum call c = call_before(ret, &f);
		/* Whom a call by pointer, or one to a function that jumped on, has reached is not told by the code: only near
		 * where the prologue says the frame is. All slots there were written in this very call, so nothing left
		 * over from earlier ones is met. */
		if ((c == CALL_OF_IT || (c == CALL_OF_OTHER && rbp - least <= SAVED_MAX)) &&
		    try_frame(regs, rbp, exact, view, pc, n, end))
			return true;
	}
	return false;
}
