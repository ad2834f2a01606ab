/* See memo.h. Must not know tables. */
#include "agent/unwind/memo.h"

PD_RAW void pd_recall_start(struct pd_recall *m, struct pd_memo *memo, uint32_t generation)
{
	m->memo = memo;
	m->on = memo;
	m->kept = m->at = m->old = 0;
	if (!memo)
		return;
	m->old = memo->generation == generation && memo->n <= PD_MEMO_MAX ? memo->n : 0;
	memo->n = 0; /* until this walk has ended well */
}

PD_RAW void pd_recall_flush(struct pd_recall *m)
{
	if (!m->old)
		return;
	for (uint32_t i = 0; i < m->kept; i++) {
		m->memo->pc[i] = m->head[i].pc;
		m->memo->cfa[i] = m->head[i].cfa;
		m->memo->fp[i] = m->head[i].fp;
	}
	m->old = 0;
}

PD_RAW void pd_recall_end(struct pd_recall *m, uint32_t generation, bool bottom)
{
	if (!m->memo)
		return;
	pd_recall_flush(m);
	m->memo->generation = generation;
	m->memo->bottom = bottom && m->on;
	m->memo->n = m->kept;
}

/* Entry i as read from the stack now */
static inline PD_RAW bool holds(const struct pd_memo *memo, uint32_t i, const struct pd_view *v)
{
	uint64_t cfa = memo->cfa[i], ra_at = cfa - 8, fp_at = cfa - 8 * (memo->pc[i] >> PD_MEMO_SLOT);
	if (!pd_in_view(v, ra_at) || !pd_in_view(v, fp_at))
		return false;
	uint64_t ra = memo->pc[i] & PD_MEMO_PC;
	uint64_t fp = fp_at == ra_at ? ra : memo->fp[i];
	return pd_view_load(v, ra_at) == ra && pd_view_load(v, fp_at) == fp;
}

/* Entries [from, end) become entries [to, ...), and the head entries [0, to). Returns how many there are then. */
static PD_RAW uint32_t join(struct pd_recall *m, uint32_t from, uint32_t end)
{
	struct pd_memo *memo = m->memo;
	uint32_t to = m->kept, n = end - from;
	if (n > PD_MEMO_MAX - to) {
		n = PD_MEMO_MAX - to;
		m->on = false;
	}
	for (uint32_t k = 0; to != from && k < n; k++) {
		uint32_t i = to < from ? k : n - 1 - k;
		memo->pc[to + i] = memo->pc[from + i];
		memo->cfa[to + i] = memo->cfa[from + i];
		memo->fp[to + i] = memo->fp[from + i];
		__asm__ volatile("" ::: "memory"); /* stays a loop: no call of memmove */
	}
	pd_recall_flush(m);
	return to + n;
}

PD_RAW bool pd_recall_meet(struct pd_recall *m, struct pd_walk *w)
{
	const struct pd_memo *memo = m->memo;
	uint32_t from = m->at + 1, end = from;
	size_t n = w->n;
	while (end < m->old && n < w->max && holds(memo, end, &w->view))
		w->out[n++] = (memo->pc[end++] & PD_MEMO_PC) - 1;
	if (end > from) {
		w->caller_of_sp = memo->cfa[end - 2];
		w->caller_of_fp = memo->fp[end - 2];
		w->r[PD_RSP] = memo->cfa[end - 1];
		w->r[PD_RBP] = memo->fp[end - 1];
		w->r[PD_RIP] = memo->pc[end - 1] & PD_MEMO_PC;
		w->key = w->r[PD_RIP] - 1;
	}
	w->n = n;
	bool bottom = end == m->old && memo->bottom;
	m->kept = join(m, from, end);
	return bottom;
}
