/* Log lines: the right time, one line each whatever is written, a place that cannot be written is refused. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "../test.h"

int main(void)
{
	char path[300], line[2048], now[32], longer[1500];
	struct stat st;
	snprintf(path, sizeof path, "%s/log.txt", getenv("T") ? getenv("T") : "/tmp");
	unlink(path);
	pd_log("to nobody");
	EQ(pd_log_open("/no/such/folder/log"), -ENOENT);
	EQ(pd_log_open(path), 0);
	EQ(stat(path, &st), 0);
	EQ(st.st_mode & 0777, 0600);
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = 0;
	errno = 5;
	time_t before = time(NULL);
	pd_log("hello %d", 42);
	pd_log("%s", longer);
	EQ(errno, 5);
	time_t after = time(NULL);
	FILE *f = fopen(path, "r");
	OK(f && fgets(line, sizeof line, f));
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime(&before));
	int right = strncmp(line, now, 20) == 0;
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime(&after));
	OK(right || strncmp(line, now, 20) == 0);
	OK(strstr(line, "]: hello 42\n") != NULL);
	OK(fgets(line, sizeof line, f) != NULL);
	OK(strlen(line) <= 1024 && line[strlen(line) - 1] == '\n');
	OK(!fgets(line, sizeof line, f));
	fclose(f);
	EQ(pd_log_open(NULL), 0);
	unlink(path);
	DONE();
}
