/*
 * buf.c: the cap is exact, and an addition that does not fit changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_add(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_null(b.data);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	assert_int_equal(buf_adds(&b, "cd"), 0);
	assert_int_equal(buf_addf(&b, "-%d-%s", 17, "x"), 0);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.data, "a\0bcd-17-x", 11);
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_adds(&b, "again"), 0);
	assert_string_equal(b.data, "again");
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 1000);
	assert_int_equal(buf_adds(&b, "still"), 0);
	assert_string_equal(b.data, "still");
	buf_free(&b);
	buf_free(&b);
}

static void test_cap(void **state)
{
	struct buf b;

	(void)state;
	for (size_t cap = 0; cap < 200; cap++) {
		buf_init(&b, cap);
		for (size_t i = 0; i < cap; i++)
			assert_int_equal(buf_add(&b, "x", 1), 0);
		assert_int_equal(b.len, cap);
		assert_true(b.size <= cap + 1);
		assert_int_equal(buf_add(&b, "y", 1), -1);
		assert_int_equal(buf_adds(&b, "yy"), -1);
		assert_int_equal(buf_addf(&b, "%d", 1), -1);
		assert_int_equal(buf_reserve(&b, 1), -1);
		assert_int_equal(buf_add(&b, "", 0), 0);
		assert_int_equal(buf_addf(&b, "%s", ""), 0);
		assert_int_equal(b.len, cap);
		assert_int_equal(strspn(b.data, "x"), cap);
		assert_int_equal(b.data[cap], '\0');
		buf_free(&b);
	}
}

static void test_cap_at_once(void **state)
{
	static const char text[] = "0123456789";
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_addf(&b, "%s%d", text, 1), -1); /* 11 bytes */
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_addf(&b, "%s", text), 0);
	assert_string_equal(b.data, text);
	buf_clear(&b);
	assert_int_equal(buf_adds(&b, "01234567890"), -1);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_reserve(&b, 10), 0);
	assert_int_equal(buf_reserve(&b, 11), -1);
	buf_free(&b);
}

static void test_overflow(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_adds(&b, "abc"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 2), -1);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 3), -1);
	buf_free(&b);

	/* Even a cap that is none does not let sizes wrap around. */
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
	assert_int_equal(buf_adds(&b, "abc"), 0);
	for (size_t less = 0; less < 4; less++)
		assert_int_equal(buf_reserve(&b, SIZE_MAX - less), -1);
	assert_string_equal(b.data, "abc");
	buf_free(&b);
}

static void test_zeroed(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(buf_add(&b, "x", 1), -1);
	buf_clear(&b);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add),		cmocka_unit_test(test_cap),
	    cmocka_unit_test(test_cap_at_once), cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
