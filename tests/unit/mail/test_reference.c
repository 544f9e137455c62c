/*
 * mime.c against the reference in Python, which shares no code with it, on real messages and on
 * damaged ones. `test_reference SEED COUNT` tries others, or more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mail/mime.h"

#ifndef PYTHON
#define PYTHON "/usr/bin/python3"
#endif
#ifndef VECTORS
#define VECTORS "tests/unit/vectors" /* from the top of the source */
#endif

static const char *seed = "1", *count = "3000";

static void save(const char *msg, size_t len)
{
	FILE *f = fopen("build/differs.eml", "w");

	if (f == NULL)
		return;
	fwrite(msg, 1, len, f);
	fclose(f);
}

/* Read one message and its digest; false at the end. */
static bool next(FILE *f, char **msg, size_t *len, struct digest *want)
{
	unsigned char head[4];
	size_t n = fread(head, 1, sizeof head, f);

	if (n == 0)
		return false;
	assert_int_equal(n, sizeof head);
	*len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	*msg = malloc(*len > 0 ? *len : 1); /* no byte more, for the sanitizers */
	assert_non_null(*msg);
	assert_int_equal(fread(*msg, 1, *len, f), *len);
	assert_int_equal(fread(want->bytes, 1, DIGEST_SIZE, f), DIGEST_SIZE);
	return true;
}

static void reference(void **state)
{
	char command[512];
	long n = 0, total = strtol(count, NULL, 10);
	struct digest want;
	size_t len;
	char *msg;
	FILE *f;

	(void)state;
	assert_true(snprintf(command, sizeof command, "%s %s/mutated.py %s %s", PYTHON, VECTORS,
			     seed, count) < (int)sizeof command);
	f = popen(command, "r");
	assert_non_null(f);
	for (; next(f, &msg, &len, &want); n++) {
		struct mime_info whole, cut;
		size_t at = mime_original(msg, len);
		struct err e;

		assert_int_equal(mime_read(msg, len, &whole, &e), 0);
		assert_int_equal(mime_read(msg + at, len - at, &cut, &e), 0);
		if (!digest_equal(&whole.digest, &want) || !digest_equal(&cut.digest, &want)) {
			save(msg, len);
			fail_msg("message %ld of seed %s: another digest", n, seed);
		}
		free(msg);
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, total);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reference)};
	int rc;

	if (argc == 3) {
		seed = argv[1];
		count = argv[2];
	}
	alarm(argc == 3 ? 0 : 600); /* what hangs must not hang the build */
	mime_init();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	mime_shutdown();
	return rc;
}
