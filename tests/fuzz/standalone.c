/*
 * Runs a fuzz target over the files that are named: for compilers without libFuzzer, and for
 * `make check`, which runs the seeds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static int run_file(const char *name)
{
	FILE *f = fopen(name, "rb");
	uint8_t *data = NULL;
	long len = -1;

	if (f && fseek(f, 0, SEEK_END) == 0 && (len = ftell(f)) >= 0 &&
	    fseek(f, 0, SEEK_SET) == 0)
		data = malloc((size_t)len +
			      !len); /* to its last byte: what reads behind it is found */
	if (data == NULL || fread(data, 1, (size_t)len, f) != (size_t)len) {
		perror(name);
		len = -1;
	} else {
		LLVMFuzzerTestOneInput(data, (size_t)len);
	}
	free(data);
	if (f)
		fclose(f);
	return len < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]) == -1)
			return 1;
	printf("%d inputs\n", argc - 1);
	return 0;
}
