/* The windows open at once: how many, and when the first of them ends. */
#include <errno.h>

#include "server/route/inside.h"

int pd_slot_take(struct pd_routes *s, const struct pd_window *w, int64_t *retry_s)
{
	int slot = -EAGAIN;
	int64_t first = INT64_MAX;
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < PD_WINDOWS; i++) {
		if (!s->window[i].end_ns)
			slot = i;
		else if (s->window[i].end_ns < first)
			first = s->window[i].end_ns;
	}
	if (slot >= 0)
		s->window[slot] = *w;
	pthread_mutex_unlock(&s->lock);
	if (slot < 0) {
		int64_t left = first - pd_mono_ns();
		*retry_s = left > 0 ? left / PD_SECOND + 1 : 1;
	}
	return slot;
}

void pd_slot_give(struct pd_routes *s, int slot)
{
	if (slot < 0)
		return;
	pthread_mutex_lock(&s->lock);
	s->window[slot].end_ns = 0;
	pthread_mutex_unlock(&s->lock);
}

size_t pd_slots_read(struct pd_routes *s, struct pd_window out[static PD_WINDOWS])
{
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < PD_WINDOWS; i++)
		if (s->window[i].end_ns)
			out[n++] = s->window[i];
	pthread_mutex_unlock(&s->lock);
	return n;
}

size_t pd_slots_used(struct pd_routes *s)
{
	struct pd_window open[PD_WINDOWS];
	return pd_slots_read(s, open);
}
