/* Inlined calls, nested functions, hand-written code, clones and cold parts, calls through the PLT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline __attribute__((always_inline)) int square(int x)
{
	return x * x + atoi("3");
}

static int twice(int x)
{
	return square(x) + square(x + 1);
}

static __attribute__((noinline)) int clone_me(int n, int k)
{
	int s = 0;
	for (int i = 0; i < n; i++) {
		s += twice(i) * k;
		if (s % 7 == 3)
			abort();
	}
	return s;
}

__asm__(".text\n.globl asm_one\nasm_one:\n nop\n nop\n ret\nasm_two:\n nop\n ret\n.type asm_end,@function\n"
        "asm_end: nop\n ret\n.size asm_end,.-asm_end\n");

__attribute__((noinline)) int _underscored(int x)
{
	return x + twice(x);
}
__attribute__((alias("_underscored"))) int plain_alias(int x);

/* Named as it is written, though another name is shorter. */
__attribute__((noinline)) int as_written(int x)
{
	return x ^ 21;
}
__attribute__((alias("as_written"))) int short_one(int x);

int main(int argc, char **argv)
{
	char b[16];
	memset(b, argc, sizeof(b));
	printf("%d %d %s\n", clone_me(argc, 5), _underscored(argc) + as_written(argc), b);
	return 0;
}
