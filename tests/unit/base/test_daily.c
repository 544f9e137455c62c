/*
 * daily.c: once a day, over whole years in several time zones, with clocks that jump.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/daily.h"

enum { HOUR = 3600, DAY = 86400 };

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void test_parse(void **state)
{
	static const char *const bad[] = {"",	   "3:30",  "24:00",  "03:60",
					  "03-30", "03:3",  "03:300", "+3:30",
					  "a3:30", " 3:30", "Never",  "03:3x"};
	int minute = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(daily_parse(bad[i], &minute));
	assert_int_equal(minute, 7);
	assert_true(daily_parse("00:00", &minute));
	assert_int_equal(minute, 0);
	assert_true(daily_parse("23:59", &minute));
	assert_int_equal(minute, DAILY_MINUTES - 1);
	assert_true(daily_parse("never", &minute));
	assert_int_equal(minute, DAILY_NEVER);
}

/* How often it is done from begin to end, if it is asked every step seconds. */
static int count(int64_t begin, int64_t end, int64_t step, int minute)
{
	int64_t last = begin;
	int n = 0;

	for (int64_t now = begin; now <= end; now += step)
		if (daily_is_due(last, now, minute)) {
			last = now;
			n++;
		}
	return n;
}

/* A year has as many days as it has, whatever is taken from them or given twice. */
static void test_years(void **state)
{
	/* Posix rules, so that no zone files are needed; the last changes at midnight. */
	static const char *const zones[] = {
	    "UTC0",
	    "CET-1CEST,M3.5.0,M10.5.0/3",
	    "EST5EDT,M3.2.0,M11.1.0",
	    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
	    "XXX4YYY,M9.1.0/0,M4.1.0/0",
	};
	static const int minutes[] = {0, 1, 30, 90, 119, 120, 150, 179, 180, 210, 720, 1439};
	const int64_t begin = 1767225600 + 12 * HOUR; /* 2026-01-01 12:00 UTC */

	(void)state;
	for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
		zone(zones[z]);
		for (size_t m = 0; m < sizeof minutes / sizeof *minutes; m++)
			for (int64_t step = 61; step <= 4 * HOUR; step *= 59)
				assert_in_range(count(begin, begin + 365 * DAY + step - 1, step,
						      minutes[m]),
						365, 366);
	}
	zone("UTC0");
	for (size_t m = 0; m < sizeof minutes / sizeof *minutes; m++)
		assert_int_equal(count(begin - 60, begin + 365 * DAY, 60, minutes[m]),
				 minutes[m] == 720 ? 366 : 365);
}

static void test_jumps(void **state)
{
	const int64_t at = 1767225600 + 3 * HOUR + 30 * 60; /* 2026-01-01 03:30 UTC */
	const int minute = 3 * 60 + 30;

	(void)state;
	zone("UTC0");
	assert_false(daily_is_due(at - DAY, at - 1, minute));
	assert_true(daily_is_due(at - DAY, at, minute));
	assert_true(daily_is_due(at - 1, at, minute));
	assert_false(daily_is_due(at, at + DAY - 1, minute));
	/* Over the time of the day, over two of them: once. */
	assert_true(daily_is_due(at - HOUR, at + 10 * HOUR, minute));
	assert_true(daily_is_due(at - HOUR, at + 2 * DAY, minute));
	/* Back over it: it was done for that day. */
	assert_false(daily_is_due(at + 1, at - HOUR, minute));
	assert_false(daily_is_due(at + 1, at, minute));
	assert_true(daily_is_due(at + 1, at + DAY, minute));
	/* The last time was by a clock that was wrong by years. */
	assert_true(daily_is_due(at + 3650LL * DAY, at, minute));
	assert_false(daily_is_due(at, at + 100 * DAY, DAILY_NEVER));
}

static void test_any_time(void **state)
{
	(void)state;
	zone("UTC0");
	(void)daily_is_due(INT64_MIN, INT64_MAX, 0);
	(void)daily_is_due(INT64_MAX, INT64_MIN, 0);
	assert_true(daily_is_due(0, 1767225600, 0));
	assert_true(daily_is_due(-62167219200, -62167219200 + DAY, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_years),
	    cmocka_unit_test(test_jumps),
	    cmocka_unit_test(test_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
