/*
 * class.c: the two classes, by name. Their numbers lie in ledgers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/class.h"

static void test_names(void **state)
{
	static const char *const others[] = {"none", "", "Spam", "HAM", "spam ", "spams", "ha"};

	(void)state;
	assert_int_equal(CLASS_NONE, 0);
	assert_int_equal(CLASS_SPAM, 1);
	assert_int_equal(CLASS_HAM, 2);
	assert_string_equal(class_name(CLASS_NONE), "none");
	assert_string_equal(class_name(CLASS_SPAM), "spam");
	assert_string_equal(class_name(CLASS_HAM), "ham");
	assert_int_equal(class_parse("spam"), CLASS_SPAM);
	assert_int_equal(class_parse("ham"), CLASS_HAM);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(class_parse(others[i]), CLASS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
