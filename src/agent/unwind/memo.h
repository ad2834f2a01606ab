/*
 * Remembering a stack and meeting it again. An entry says: from the frame before, by a hot rule, this caller was
 * reached. Entries depend on nothing but the frame before them, the tables of one generation, and one or two words
 * of the stack; when those words are the same, the caller is. Signal-safe.
 */
#ifndef PD_UNWIND_MEMO_H
#define PD_UNWIND_MEMO_H

#include "agent/unwind/frame.h"

enum { PD_MEMO_HEAD = 16, PD_MEMO_SLOT = 48 };
#define PD_MEMO_PC (((uint64_t)1 << PD_MEMO_SLOT) - 1)

struct pd_recall {
	struct pd_memo *memo;
	uint32_t old;  /* entries of the last stack; 0 = there is none, or it was met or given up */
	uint32_t at;   /* the first of them that may be met */
	uint32_t kept; /* entries of this stack so far: in head while old is not 0, else in the memo */
	bool on;       /* entries are being kept */
	struct {
		uint64_t pc, cfa, fp;
	} head[PD_MEMO_HEAD];
};

void pd_recall_start(struct pd_recall *m, struct pd_memo *memo, uint32_t generation);
/* Give up meeting the last stack: from now on entries go to the memo. */
void pd_recall_flush(struct pd_recall *m);
void pd_recall_end(struct pd_recall *m, uint32_t generation, bool bottom);

/*
 * The entry just kept equals entry m->at: check all further ones against the stack. Those that hold are
 * appended to w->out, and w's registers are those of the last. True when that was the thread's first frame.
 */
bool pd_recall_meet(struct pd_recall *m, struct pd_walk *w);

/* Keep the entry; pc with its slot in the upper bits. */
static inline PD_RAW void pd_recall_keep(struct pd_recall *m, uint64_t pc, uint64_t cfa, uint64_t fp)
{
	if (m->old && m->kept == PD_MEMO_HEAD)
		pd_recall_flush(m);
	if (m->old) {
		m->head[m->kept].pc = pc;
		m->head[m->kept].cfa = cfa;
		m->head[m->kept++].fp = fp;
		return;
	}
	if (m->kept == PD_MEMO_MAX) {
		m->on = false;
		return;
	}
	m->memo->pc[m->kept] = pc;
	m->memo->cfa[m->kept] = cfa;
	m->memo->fp[m->kept++] = fp;
}

/* Whether the last stack had the same entry. Call with rising cfa. */
static inline PD_RAW bool pd_recall_knows(struct pd_recall *m, uint64_t pc, uint64_t cfa, uint64_t fp)
{
	const struct pd_memo *memo = m->memo;
	while (m->at < m->old && memo->cfa[m->at] < cfa)
		m->at++;
	return m->at < m->old && memo->cfa[m->at] == cfa && memo->pc[m->at] == pc && memo->fp[m->at] == fp;
}

#endif
