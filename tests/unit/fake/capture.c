#include "fake/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

const char *fake_capture(void (*fn)(void *ctx), void *ctx)
{
	static char printed[16 * 1024];
	FILE *f = tmpfile();
	int out = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(f);
	assert_int_not_equal(out, -1);
	fflush(stdout);
	assert_int_not_equal(dup2(fileno(f), STDOUT_FILENO), -1);
	fn(ctx);
	fflush(stdout);
	assert_int_not_equal(dup2(out, STDOUT_FILENO), -1);
	close(out);
	rewind(f);
	n = fread(printed, 1, sizeof printed - 1, f);
	printed[n] = '\0';
	fclose(f);
	return printed;
}
