/*
 * backend.c: rspamd is asked whether it can learn, and its yes is believed for a moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/clock.h"
#include "fake/rspamd.h"
#include "learn/backend.h"

static struct fake_rspamd rspamd;
static struct backend b;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_clock_set(1700000000);
	fake_rspamd_init(&rspamd, 1, NULL);
	rspamd.stat = (struct rspamd_stat){true, 5, 6};
	b = (struct backend){.rspamd = &rspamd.rspamd};
	return 0;
}

static void test_yes(void **state)
{
	struct rspamd_stat s = {0};

	(void)state;
	assert_int_equal(backend_check(&b, &s, &e), 0);
	assert_true(s.bayes && s.spam == 5 && s.ham == 6);
	fake_clock_advance(1999);
	s.spam = 0;
	assert_int_equal(backend_check(&b, &s, &e), 0);
	assert_int_equal(rspamd.stats, 1); /* believed: not asked, not set */
	assert_true(s.spam == 0);
	fake_clock_advance(1);
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	assert_int_equal(rspamd.stats, 2);
}

static void test_no_bayes(void **state)
{
	struct rspamd_stat s = {.spam = 77};

	(void)state;
	rspamd.stat.bayes = false;
	for (unsigned n = 1; n <= 2; n++) { /* a no is not kept */
		assert_int_equal(backend_check(&b, &s, &e), -1);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_UNREACHABLE);
		assert_non_null(strstr(e.text, "http://fake"));
		assert_non_null(strstr(e.text, "Redis"));
		assert_int_equal(rspamd.stats, n);
		assert_true(s.spam == 77);
	}
	rspamd.stat.bayes = true;
	assert_int_equal(backend_check(&b, &s, &e), 0);
}

static void test_no_answer(void **state)
{
	(void)state;
	err_set(&rspamd.stat_fails, ERR_FATAL, ERR_AUTH, "wrong password");
	assert_int_equal(backend_check(&b, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_AUTH);
	assert_string_equal(e.text, "wrong password");
}

/* A yes that is old does not outlive a no. */
static void test_lost(void **state)
{
	(void)state;
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	rspamd.stat.bayes = false;
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	fake_clock_advance(2000);
	assert_int_equal(backend_check(&b, NULL, &e), -1);
}

/* Nor a failure: it may have lost its Redis, and been restarted. */
static void test_failed_since(void **state)
{
	(void)state;
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	rspamd.rspamd.failures++;
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	assert_int_equal(backend_check(&b, NULL, &e), 0);
	assert_int_equal(rspamd.stats, 2);
	rspamd.stat.bayes = false;
	rspamd.rspamd.failures++;
	assert_int_equal(backend_check(&b, NULL, &e), -1);
	assert_int_equal(backend_check(&b, NULL, &e), -1);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_yes),  TEST(test_no_bayes),     TEST(test_no_answer),
	    TEST(test_lost), TEST(test_failed_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
