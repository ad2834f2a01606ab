/* A small HTTP client for test programs: one request, the whole answer. */
#ifndef PD_TEST_HTTP_H
#define PD_TEST_HTTP_H

#include <arpa/inet.h>
#include <pthread.h>
#include <pprofd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_answer {
	int status;
	char *body;
	size_t len;
	char head[2048];
};

static inline int http_port(void)
{
	char address[128];
	const char *colon = pprofd_address(address, sizeof address) == 0 ? strrchr(address, ':') : NULL;
	return colon ? atoi(colon + 1) : 0;
}

static inline int http_connect(int port)
{
	struct sockaddr_in to;
	memset(&to, 0, sizeof to);
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* GET http://127.0.0.1:port<path>; status 0 when there was no answer. */
static inline struct http_answer http_get_port(int port, const char *path)
{
	struct http_answer a;
	memset(&a, 0, sizeof a);
	char request[1024];
	int fd = http_connect(port);
	if (fd < 0)
		return a;
	int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n", path,
	                 port);
	if (write(fd, request, (size_t)n) != n) {
		close(fd);
		return a;
	}
	size_t cap = 1 << 16, len = 0;
	char *all = (char *)malloc(cap);
	ssize_t got;
	while ((got = read(fd, all + len, cap - 1 - len)) > 0) {
		len += (size_t)got;
		if (len + 1 == cap)
			all = (char *)realloc(all, cap *= 2);
	}
	close(fd);
	all[len] = 0;
	char *end = strstr(all, "\r\n\r\n");
	if (end && sscanf(all, "HTTP/1.%*d %d", &a.status) == 1) {
		size_t head = (size_t)(end - all);
		memcpy(a.head, all, head < sizeof a.head ? head : sizeof a.head - 1);
		a.len = len - head - 4;
		memmove(all, end + 4, a.len + 1);
		a.body = all;
	} else {
		free(all);
	}
	return a;
}

static inline struct http_answer http_get(const char *path)
{
	return http_get_port(http_port(), path);
}

struct http_job {
	pthread_t thread;
	int port;
	char path[256];
	struct http_answer answer;
};

static inline void *http_job_run(void *arg)
{
	struct http_job *j = (struct http_job *)arg;
	j->answer = http_get_port(j->port, j->path);
	return NULL;
}

/* The same from a thread of its own; wait for it with pthread_join. */
static inline void http_start(struct http_job *j, const char *path)
{
	j->port = http_port();
	snprintf(j->path, sizeof j->path, "%s", path);
	pthread_create(&j->thread, NULL, http_job_run, j);
}

#endif
