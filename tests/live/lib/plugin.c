/* A library that comes and goes while the process is sampled. */
unsigned long plugin_work(unsigned long n);

__attribute__((noinline)) unsigned long plugin_work(unsigned long n)
{
	unsigned long x = n;
	for (unsigned long i = 0; i < n; i++) {
		x = x * 6364136223846793005ul + 1442695040888963407ul;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}
