/* The library's own log: a file the user named, or nowhere. Never the host's stdout or stderr unless named. */
#ifndef PD_BASE_LOG_H
#define PD_BASE_LOG_H

/* Where lines go from now on: a path (appended to, created 0600), "stderr", or NULL for nowhere.
 * 0 or -errno. The file is opened for each line, so no fd is kept. Not for handlers. */
int pd_log_open(const char *where);

/* One line, with time and pid put before and a newline after; cut at 1 KiB. Not for handlers. errno is kept. */
void pd_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
