/*
 * suspect.c: a message is given up when the connection broke at it twice, in this run and this
 * mailbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "learn/suspect.h"

static struct err e;

static void test_twice(void **state)
{
	struct suspect s = {0};

	(void)state;
	suspect_enter(&s, 4);
	assert_false(suspect_is_given_up(&s, 7));
	for (unsigned n = 1; n <= 4; n++) {
		assert_int_equal(suspect_note(&s, 7, &e), 0);
		assert_int_equal(s.breaks, n);
		assert_int_equal(suspect_is_given_up(&s, 7), n >= 2);
		assert_false(suspect_is_given_up(&s, 8));
	}
	assert_int_equal(suspect_note(&s, 8, &e), 0);
	assert_false(suspect_is_given_up(&s, 8));
	assert_int_equal(s.breaks, 5);
	suspect_free(&s);
}

/* The same mailbox again, over a new connection: what is known stays. Another one: nothing. */
static void test_enter(void **state)
{
	struct suspect s = {0};

	(void)state;
	suspect_enter(&s, 4);
	assert_int_equal(suspect_note(&s, 7, &e), 0);
	suspect_enter(&s, 4);
	assert_int_equal(s.breaks, 1);
	assert_int_equal(suspect_note(&s, 7, &e), 0);
	assert_true(suspect_is_given_up(&s, 7));
	suspect_enter(&s, 5);
	assert_int_equal(s.breaks, 0);
	assert_false(suspect_is_given_up(&s, 7));
	assert_int_equal(suspect_note(&s, 7, &e), 0);
	assert_false(suspect_is_given_up(&s, 7));
	suspect_free(&s);
}

/* The first mailbox of a ledger has the number 0. */
static void test_number_0(void **state)
{
	struct suspect s = {0};

	(void)state;
	suspect_enter(&s, 0);
	assert_int_equal(suspect_note(&s, 7, &e), 0);
	assert_int_equal(suspect_note(&s, 7, &e), 0);
	assert_true(suspect_is_given_up(&s, 7));
	suspect_enter(&s, 1);
	suspect_enter(&s, 0);
	assert_false(suspect_is_given_up(&s, 7));
	suspect_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_enter),
	    cmocka_unit_test(test_number_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
