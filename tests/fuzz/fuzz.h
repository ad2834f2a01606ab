/*
 * A fuzz target runs three ways: under libFuzzer (-DLIBFUZZER), over the files given as arguments, or, without any,
 * over its own seeds and random mutations of them. Include after LLVMFuzzerTestOneInput and fuzz_seeds.
 */
#ifndef LIBFUZZER
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FUZZ_ROUNDS
#define FUZZ_ROUNDS 20000
#endif
#define FUZZ_MAX 4096

static uint64_t fuzz_state = 88172645463325252ull;

static uint32_t fuzz_random(void)
{
	fuzz_state ^= fuzz_state << 13;
	fuzz_state ^= fuzz_state >> 7;
	fuzz_state ^= fuzz_state << 17;
	return (uint32_t)(fuzz_state >> 16);
}

static size_t fuzz_mutate(uint8_t *data, size_t n)
{
	size_t at = n ? fuzz_random() % n : 0, len = n ? fuzz_random() % (n - at) % 16 + 1 : 0;
	if (len > n - at)
		len = n - at;
	switch (fuzz_random() % 6) {
	case 0: /* flip a bit */
		if (n)
			data[at] ^= (uint8_t)(1u << fuzz_random() % 8);
		return n;
	case 1: /* any byte */
		if (n)
			data[at] = (uint8_t)fuzz_random();
		return n;
	case 2: /* a byte of elsewhere: keeps to the alphabet */
		if (n)
			data[at] = data[fuzz_random() % n];
		return n;
	case 3: /* cut some out */
		memmove(data + at, data + at + len, n - at - len);
		return n - len;
	case 4: /* repeat some */
		if (n + len > FUZZ_MAX)
			return n;
		memmove(data + at + len, data + at, n - at);
		return n + len;
	default: /* cut the end off */
		return at;
	}
}

static int fuzz_file(const char *name)
{
	FILE *f = fopen(name, "rb");
	if (!f) {
		perror(name);
		return 1;
	}
	size_t max = 1u << 20;
	uint8_t *data = malloc(max);
	size_t n = data ? fread(data, 1, max, f) : 0;
	fclose(f);
	/* A copy of just this size, so that a sanitizer sees every byte read past its end. */
	uint8_t *exact = malloc(n ? n : 1);
	if (data && exact) {
		memcpy(exact, data, n);
		LLVMFuzzerTestOneInput(exact, n);
	}
	free(exact);
	free(data);
	return 0;
}

static void fuzz_seed(const char *seed, size_t seed_len, unsigned rounds)
{
	uint8_t *data = malloc(FUZZ_MAX);
	for (unsigned i = 0; i < rounds && data; i++) {
		size_t n = seed_len;
		memcpy(data, seed, n);
		for (uint32_t k = i ? 1 + fuzz_random() % 8 : 0; k; k--)
			n = fuzz_mutate(data, n);
		uint8_t *exact = malloc(n ? n : 1);
		if (exact) {
			memcpy(exact, data, n);
			LLVMFuzzerTestOneInput(exact, n);
		}
		free(exact);
	}
	free(data);
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= fuzz_file(argv[i]);
	unsigned seeds = sizeof fuzz_seeds / sizeof *fuzz_seeds;
	for (unsigned i = 0; i < seeds && argc == 1; i++)
		fuzz_seed(fuzz_seeds[i], strlen(fuzz_seeds[i]), FUZZ_ROUNDS / seeds + 1);
	return failed;
}
#endif
