/* What the oracle counts, in a file that all processes of one run share. */
#ifndef ORACLE_RESULTS_H
#define ORACLE_RESULTS_H

#include <stdint.h>

enum { FRAMES = 96, SHOWN = 12, KEPT = 24 };

struct stack {
	uint32_t n;
	uint64_t pc[FRAMES];
	uint8_t exact[FRAMES];
};

struct difference {
	uint64_t kind; /* enum verdict */
	struct {
		uint64_t n, pc[SHOWN], bias[SHOWN];
		char object[SHOWN][24];
	} ours, theirs;
	uint64_t end;
};

enum verdict { SAME, BETTER, WORSE, UNSEEN, FAULT, CUT, VERDICTS };

struct results {
	uint64_t processes, traps, ticks;
	uint64_t verdict[VERDICTS];
	uint64_t end[4]; /* enum pd_walk_end */
	uint64_t frames;
	uint64_t differences;
	struct difference difference[KEPT];
};

#endif
