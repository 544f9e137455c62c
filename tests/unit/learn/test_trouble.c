/*
 * trouble.c: one line when it begins, one when it is over, and one where it becomes another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/log.h"
#include "fake/clock.h"
#include "learn/trouble.h"

static char logged[4096];

/* What fn logs, from standard error. */
static const char *log_of(void (*fn)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	fn();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	n = fread(logged, 1, sizeof logged - 1, f);
	logged[n] = '\0';
	fclose(f);
	return logged;
}

static struct trouble trouble;

static void begin(enum err_kind kind, const char *text)
{
	struct err e;

	err_set(&e, ERR_SERVER, kind, "%s", text);
	trouble_begin(&trouble, &e);
}

static void refused_again_and_again(void)
{
	begin(ERR_UNREACHABLE, "refused after 1 ms");
	begin(ERR_UNREACHABLE, "refused after 2 ms");
	begin(ERR_UNREACHABLE, "refused after 3 ms");
}

static void gets_another_reason(void)
{
	fake_clock_advance(1000);
	begin(ERR_AUTH, "wrong password");
	begin(ERR_AUTH, "wrong password");
}

static void ends_twice(void)
{
	fake_clock_advance(61999);
	trouble_end(&trouble, "account a");
	trouble_end(&trouble, "account a");
}

static void test_once(void **state)
{
	(void)state;
	fake_clock_set(1000);
	log_open(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	assert_string_equal(log_of(ends_twice), "");
	assert_string_equal(log_of(refused_again_and_again),
			    "learnspool: refused after 1 ms; watch goes on trying\n");
	assert_true(trouble.lasts);
	assert_string_equal(log_of(gets_another_reason),
			    "learnspool: wrong password; watch goes on trying\n");
	assert_string_equal(log_of(ends_twice),
			    "learnspool: account a: works again, after 62 s\n");
	assert_false(trouble.lasts);
	assert_string_equal(log_of(refused_again_and_again),
			    "learnspool: refused after 1 ms; watch goes on trying\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
