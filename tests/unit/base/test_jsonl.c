/*
 * jsonl.c: one line an object, in ASCII, whatever is in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jsonl.h"

static char printed[1024];

/* What the object becomes on standard output. */
static void put(json_t *line)
{
	int saved = dup(STDOUT_FILENO), fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	assert_int_not_equal(dup2(fds[1], STDOUT_FILENO), -1);
	close(fds[1]);
	jsonl_put(line);
	fflush(stdout);
	assert_int_not_equal(dup2(saved, STDOUT_FILENO), -1);
	close(saved);
	n = read(fds[0], printed, sizeof printed - 1);
	close(fds[0]);
	assert_true(n >= 0);
	printed[n] = '\0';
}

static void test_line(void **state)
{
	json_t *line =
	    json_pack("{s:s, s:i, s:[s]}", "text", "a\n\xC3\xBC\x1B\"", "n", -1, "list", "x");

	(void)state;
	assert_non_null(line);
	json_incref(line);
	put(line);
	assert_string_equal(
	    printed, "{\"text\":\"a\\n\\u00FC\\u001B\\\"\",\"n\":-1,\"list\":[\"x\"]}\n");
	assert_int_equal(line->refcount, 1); /* it gave its own reference back */
	json_decref(line);
	put(NULL);
	assert_string_equal(printed, "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
