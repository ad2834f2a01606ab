/* Is there room for the service under the process's limits of memory? It must not take what the program will need: where
 * it would leave less than it takes, it is not started. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/life.h"
#include "agent/os/os.h"
#include "base/log.h"

#define MIB ((uint64_t)1 << 20)

static bool left(int resource, uint64_t used, uint64_t needed, const char *limit)
{
	struct rlimit r;
	if (getrlimit(resource, &r) != 0 || r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= used + 2 * needed)
		return true;
	pd_log("not started: %s is %llu MiB, the program uses %llu of these, and the service could take %llu of the rest; "
	       "PPROFD_MEMORY sets how much", limit, (unsigned long long)(r.rlim_cur / MIB), (unsigned long long)(used / MIB),
	       (unsigned long long)(needed / MIB));
	return false;
}

int pd_room_for(uint64_t memory)
{
	char statm[256];
	unsigned long long pages[6] = { 0 };
	if (pd_read_file("/proc/self/statm", statm, sizeof statm) <= 0)
		return 0;
	char *at = statm;
	for (int i = 0; i < 6; i++)
		pages[i] = strtoull(at, &at, 10);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	/* Tables are reserved several times over, for addresses that are not used cost nothing; 64 MiB are for stacks,
	 * the serving part and what it allocates. */
	bool fits = left(RLIMIT_AS, pages[0] * page, 6 * memory + 64 * MIB, "the limit of address space (ulimit -v)") &&
	            left(RLIMIT_DATA, pages[5] * page, memory + 64 * MIB, "the limit of data (ulimit -d)");
	return fits ? 0 : -ENOMEM;
}
