/*
 * backoff.c: it grows to its limit and no further, half of it is chance, and no number of
 * failures overflows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/backoff.h"

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(0, 12345, 1000, 60000), 0);
}

static void test_range(void **state)
{
	static const struct {
		unsigned failures;
		int64_t least, most;
	} tries[] = {
	    {1, 500, 1000},
	    {2, 1000, 2000},
	    {3, 2000, 4000},
	    {6, 16000, 32000},
	    {7, 30000, 60000},
	    {1000, 30000, 60000},
	    {UINT32_MAX, 30000, 60000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		int64_t least = INT64_MAX, most = 0;

		for (uint32_t random = 0; random < 100000; random++) {
			int64_t ms = backoff_ms(tries[i].failures, random, 1000, 60000);

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		assert_int_equal(least, tries[i].least);
		assert_int_equal(most, tries[i].most);
	}
}

static void test_edges(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(1, UINT32_MAX, 1, 1), 1);
	assert_in_range(backoff_ms(5, 3, 7, 7), 4, 7);
	assert_in_range(backoff_ms(70, UINT32_MAX, 1, INT64_MAX), INT64_MAX / 2, INT64_MAX);
	assert_in_range(backoff_ms(2, 0, INT64_MAX - 1, INT64_MAX), INT64_MAX / 2, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_range),
	    cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
