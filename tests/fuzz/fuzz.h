/*
 * fuzz.h - what every fuzz target is: one function, called by libFuzzer or by standalone.c.
 */
#ifndef LS_FUZZ_H
#define LS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Run one input. Returns 0; what must not be is abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A finding, unless ok. */
static inline void fuzz_must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "finding: %s\n", what);
	abort();
}

#endif
