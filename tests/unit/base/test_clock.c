/*
 * clock.c: a clock that only goes forward, and dates in one form of one length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

/* Milliseconds, no other unit: two sleeps of known length lie between. */
static void test_ms(void **state)
{
	int64_t begun = clock_ms(), before = begun, now;

	(void)state;
	for (int i = 0; i < 1000; i++, before = now) {
		now = clock_ms();
		assert_true(now >= before);
	}
	begun = clock_ms();
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_in_range(clock_ms() - begun, 20, 15000);
	/* Past a whole second, wherever we stood in the one before. */
	begun = clock_ms();
	nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	assert_in_range(clock_ms() - begun, 1000, 15000);
}

static void test_now(void **state)
{
	int64_t before = (int64_t)time(NULL), now = clock_now();

	(void)state;
	assert_in_range(now, before, (int64_t)time(NULL));
}

static void test_iso(void **state)
{
	static const struct {
		int64_t when;
		const char *iso;
	} dates[] = {
	    {0, "1970-01-01T00:00:00Z"},
	    {-1, "1969-12-31T23:59:59Z"},
	    {951827696, "2000-02-29T12:34:56Z"},
	    {1795341600, "2026-11-22T10:00:00Z"},
	    {253402300799, "9999-12-31T23:59:59Z"},
	    {253402300800, "?"},
	    {-62135596801, "0000-12-31T23:59:59Z"},
	    {-62167219200, "0000-01-01T00:00:00Z"},
	    {-62167219201, "?"},
	    {-30610224000, "1000-01-01T00:00:00Z"},
	    {-30610224001, "0999-12-31T23:59:59Z"},
	    {INT64_MAX, "?"},
	    {INT64_MIN, "?"},
	};
	char out[24];

	(void)state;
	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
		memset(out, '#', sizeof out);
		clock_iso(dates[i].when, out);
		assert_string_equal(out, dates[i].iso);
		assert_int_equal(out[20], '\0'); /* all 21 bytes are set */
		assert_memory_equal(out + 21, "###", 3);
	}
}

/* UTC, whatever the machine's time zone is. */
static void test_iso_is_utc(void **state)
{
	char out[21];

	(void)state;
	setenv("TZ", "Australia/Sydney", 1);
	tzset();
	clock_iso(1795341600, out);
	unsetenv("TZ");
	tzset();
	assert_string_equal(out, "2026-11-22T10:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ms),
	    cmocka_unit_test(test_now),
	    cmocka_unit_test(test_iso),
	    cmocka_unit_test(test_iso_is_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
