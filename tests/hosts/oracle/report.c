/* Prints what the oracle counted in the file given; status 1 when more ppm were worse than allowed, or more
 * than 1 in 1000 cut. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "results.h"

static void show(const char *who, uint64_t n, const uint64_t *pc, const uint64_t *bias, char (*object)[24])
{
	printf("      %s %llu:", who, (unsigned long long)n);
	for (unsigned i = 0; i < n && i < SHOWN; i++)
		printf(" %s+%llx", object[i], (unsigned long long)(pc[i] - bias[i]));
	printf("\n");
}

int main(int argc, char **argv)
{
	static const char *const kind[] = { "same", "better", "worse", "unseen", "fault", "cut" };
	static struct results r;
	FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
	if (!f || fread(&r, sizeof(r), 1, f) != 1) {
		fprintf(stderr, "usage: report FILE PPM\n");
		return 2;
	}
	unsigned long long all = 0, worse = r.verdict[WORSE];
	for (int i = 0; i < VERDICTS; i++)
		all += r.verdict[i];
	double ppm = all ? 1e6 * (double)worse / (double)all : 0;
	double share = all ? 100.0 / (double)all : 0;
	printf("points %llu (%llu steps, %llu ticks), frames %.1f, bottom %.2f %%, full %.2f %%, lost %.2f %%", all,
	       (unsigned long long)r.traps, (unsigned long long)r.ticks, all ? (double)r.frames / (double)all : 0,
	       share * (double)r.end[0], share * (double)r.end[1], share * (double)(r.end[2] + r.end[3]));
	for (int i = 1; i < VERDICTS; i++)
		printf(", %s %llu", kind[i], (unsigned long long)r.verdict[i]);
	printf(" = %.0f ppm worse\n", ppm);
	for (unsigned i = 0; i < KEPT && i < r.differences; i++) {
		struct difference *d = &r.difference[i];
		if (d->kind != WORSE && argc < 4)
			continue;
		printf("    %s, end %llu\n", kind[d->kind], (unsigned long long)d->end);
		show("ours  ", d->ours.n, d->ours.pc, d->ours.bias, d->ours.object);
		show("theirs", d->theirs.n, d->theirs.pc, d->theirs.bias, d->theirs.object);
	}
	/* A few more, for short runs in which the timer hits those instructions by chance. */
	bool bad = all == 0 || ppm > atof(argv[2]) || r.verdict[CUT] > all / 1000 + 5;
	if (bad)
		printf("    that is too bad\n");
	return bad;
}
