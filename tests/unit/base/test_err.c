/*
 * err.c: one line, printable, cut where it ends, whatever a server or a message put into it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_set(void **state)
{
	struct err e;

	(void)state;
	errno = EINTR;
	assert_int_equal(err_set(&e, ERR_SERVER, ERR_AUTH, "%s: %d refused", "host", 3), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, ERR_AUTH);
	assert_string_equal(e.text, "host: 3 refused");
	err_clear(&e);
	assert_int_equal(e.scope, ERR_NONE);
	assert_int_equal(e.kind, ERR_OK);
	assert_string_equal(e.text, "");
	assert_int_equal(err_set(NULL, ERR_SERVER, ERR_AUTH, "x"), -1);
	assert_int_equal(err_prefix(NULL, "x"), -1);
}

static void test_visible(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_MESSAGE, ERR_DATA, "a\r\nb\x1B[2J\xC2\x9B\xE2\x80\xAE %s", "\xFF");
	assert_string_equal(e.text, "a\\x0d\\x0ab\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae \\xff");
	assert_int_equal(err_prefix(&e, "%s", "\x07"), -1);
	assert_string_equal(e.text,
			    "\\x07: a\\x0d\\x0ab\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae \\xff");
}

/* The words of an error may be used to make the next one. */
static void test_alias(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_SERVER, ERR_AUTH, "inner");
	err_set(&e, ERR_FATAL, ERR_LOCAL, "outer (%s)", e.text);
	assert_string_equal(e.text, "outer (inner)");
	err_prefix(&e, "%s", e.text);
	assert_string_equal(e.text, "outer (inner): outer (inner)");
}

static void fill(char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	for (size_t i = 0; i + n <= len; i += n)
		memcpy(text + i, with, n);
	text[len - len % n] = '\0';
}

static void check_cut(const struct err *e)
{
	size_t n = strlen(e->text);

	assert_in_range(n, ERR_TEXT_MAX - 10, ERR_TEXT_MAX - 1);
	assert_string_equal(e->text + n - 3, "...");
}

static void test_cut(void **state)
{
	static const char *const with[] = {"x", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
					   "\x01"};
	char text[4 * ERR_TEXT_MAX];
	struct err e;

	(void)state;
	fill(text, ERR_TEXT_MAX - 1, "x"); /* what fits is whole */
	err_set(&e, ERR_FATAL, ERR_LOCAL, "%s", text);
	assert_string_equal(e.text, text);
	for (size_t i = 0; i < sizeof with / sizeof *with; i++)
		for (size_t len = ERR_TEXT_MAX + 4; len < ERR_TEXT_MAX + 16; len++) {
			fill(text, len, with[i]);
			err_set(&e, ERR_FATAL, ERR_LOCAL, "%s", text);
			check_cut(&e);
			/* Cut at a character: nothing of it had to be escaped. */
			assert_true(with[i][0] == '\x01' || strchr(e.text, '\\') == NULL);
		}
	fill(text, sizeof text - 1, "y");
	err_set(&e, ERR_FATAL, ERR_LOCAL, "%s", text);
	check_cut(&e);
}

static void test_prefix_cut(void **state)
{
	char text[4 * ERR_TEXT_MAX];
	struct err e;

	(void)state;
	fill(text, sizeof text - 1, "p");
	err_set(&e, ERR_FATAL, ERR_LOCAL, "the reason");
	err_prefix(&e, "%s", text); /* a long prefix leaves room for the reason */
	assert_non_null(strstr(e.text, "...: the reason"));
	err_set(&e, ERR_FATAL, ERR_LOCAL, "%s", text);
	for (int i = 0; i < 200; i++)
		err_prefix(&e, "level %d", i);
	assert_int_equal(strncmp(e.text, "level 199: level 198: ", 22), 0);
	check_cut(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),	       cmocka_unit_test(test_visible),
	    cmocka_unit_test(test_alias),      cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_prefix_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
