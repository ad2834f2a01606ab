/* What a thread is doing, in one or two words: from the kernel's view of it and from what is known of its wait. */
#include <string.h>

#include "server/encode/inside.h"

/* The kernel function a thread sleeps in, by its first letters, where the system call is not known. */
static const char *wait_of_wchan(const char *wchan)
{
	static const struct {
		const char *start, *word;
	} WAITS[] = {
		{ "futex", "futex wait" }, { "ep_poll", "IO wait (poll)" }, { "poll_", "IO wait (poll)" },
		{ "do_poll", "IO wait (poll)" }, { "do_select", "IO wait (poll)" }, { "do_sys_poll", "IO wait (poll)" },
		{ "hrtimer_nano", "sleep" }, { "do_nanosleep", "sleep" }, { "pipe_", "IO wait" },
		{ "anon_pipe_", "IO wait" }, { "unix_stream", "IO wait" }, { "skb_wait", "IO wait" },
		{ "__skb_wait", "IO wait" }, { "wait_woken", "IO wait" }, { "inet_csk_", "IO wait" },
		{ "sk_wait", "IO wait" }, { "io_schedule", "IO wait" }, { "n_tty_read", "IO wait" },
		{ "do_wait", "child wait" },  { "do_sigtimed", "signal wait" },
	};
	for (size_t i = 0; i < sizeof WAITS / sizeof *WAITS; i++)
		if (strncmp(wchan, WAITS[i].start, strlen(WAITS[i].start)) == 0)
			return WAITS[i].word;
	return NULL;
}

void pd_thread_state(struct pd_buf *out, const struct pd_thread_rec *t, const struct pd_wait *w, bool detail)
{
	const char *known = NULL;
	if (t->state == PD_GONE)
		known = "gone";
	else if (t->state == PD_STOPPED || t->kernel_state == 'T' || t->kernel_state == 't')
		known = t->kernel_state == 't' ? "traced" : "stopped";
	else if (t->state == PD_RUNNING)
		known = "running";
	else if (t->kernel_state == 'R')
		known = "runnable";
	else if (w->kind)
		known = w->kind->word;
	else if (t->syscall >= 0)
		known = pd_wait_of_syscall(t->syscall);
	else if (t->kernel_state == 'D')
		known = "disk wait";
	else
		known = wait_of_wchan(t->wchan);
	if (known)
		pd_buf_str(out, known);
	else if (t->syscall >= 0)
		pd_buf_fmt(out, "syscall %d", t->syscall);
	else
		pd_buf_str(out, "waiting");
	if (detail && w->kind)
		pd_wait_detail(out, w);
}
