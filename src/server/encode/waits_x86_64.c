/* What a thread waits for, told from the number of its system call. One table for this processor's numbers. */
#include <sys/syscall.h>

#include "server/encode/inside.h"

static const struct {
	int number;
	const char *word;
} WAITS[] = {
	{ SYS_futex, "futex wait" },
	{ SYS_poll, "IO wait (poll)" },
	{ SYS_ppoll, "IO wait (poll)" },
	{ SYS_select, "IO wait (poll)" },
	{ SYS_pselect6, "IO wait (poll)" },
	{ SYS_epoll_wait, "IO wait (poll)" },
	{ SYS_epoll_pwait, "IO wait (poll)" },
	{ SYS_epoll_pwait2, "IO wait (poll)" },
	{ SYS_io_getevents, "IO wait" },
	{ SYS_io_uring_enter, "IO wait" },
	{ SYS_read, "IO wait" },
	{ SYS_readv, "IO wait" },
	{ SYS_pread64, "IO wait" },
	{ SYS_preadv, "IO wait" },
	{ SYS_preadv2, "IO wait" },
	{ SYS_recvfrom, "IO wait" },
	{ SYS_recvmsg, "IO wait" },
	{ SYS_recvmmsg, "IO wait" },
	{ SYS_accept, "IO wait" },
	{ SYS_accept4, "IO wait" },
	{ SYS_connect, "IO wait" },
	{ SYS_write, "IO wait" },
	{ SYS_writev, "IO wait" },
	{ SYS_pwrite64, "IO wait" },
	{ SYS_pwritev, "IO wait" },
	{ SYS_pwritev2, "IO wait" },
	{ SYS_sendto, "IO wait" },
	{ SYS_sendmsg, "IO wait" },
	{ SYS_sendmmsg, "IO wait" },
	{ SYS_sendfile, "IO wait" },
	{ SYS_splice, "IO wait" },
	{ SYS_open, "IO wait" },
	{ SYS_openat, "IO wait" },
	{ SYS_fsync, "IO wait" },
	{ SYS_fdatasync, "IO wait" },
	{ SYS_sync_file_range, "IO wait" },
	{ SYS_flock, "file lock wait" },
	{ SYS_nanosleep, "sleep" },
	{ SYS_clock_nanosleep, "sleep" },
	{ SYS_pause, "signal wait" },
	{ SYS_rt_sigsuspend, "signal wait" },
	{ SYS_rt_sigtimedwait, "signal wait" },
	{ SYS_wait4, "child wait" },
	{ SYS_waitid, "child wait" },
	{ SYS_msgrcv, "message wait" },
	{ SYS_mq_timedreceive, "message wait" },
	{ SYS_semop, "semaphore wait" },
	{ SYS_semtimedop, "semaphore wait" },
};

const char *pd_wait_of_syscall(int number)
{
	for (size_t i = 0; i < sizeof WAITS / sizeof *WAITS; i++)
		if (WAITS[i].number == number)
			return WAITS[i].word;
	return NULL;
}
