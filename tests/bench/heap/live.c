/* Bytes of resident memory that a profiler takes for each of its live samples: live BYTES OBJECT_SIZE allocates and
 * keeps so many bytes, and prints the resident bytes in the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t all = (size_t)atoll(argv[1]), each = (size_t)atol(argv[2]);
	for (size_t i = 0; i < all; i += each)
		memset(malloc(each), 1, each);
	char buf[4096];
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;
	if (argc > 2 && f && fgets(buf, sizeof buf, f))
		sscanf(buf, "%*d %ld", &pages);
	printf("%ld\n", pages * sysconf(_SC_PAGESIZE));
	return 0;
}
