/*
 * expired_at.c: what was written is read, and what is no such file is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "learn/expired_at.h"

static char dir[] = "/tmp/test_expired_at.XXXXXX";
static char path[64];

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_there_and_back(void **state)
{
	static const int64_t times[] = {0, 1, 1795341600, INT64_MAX};
	struct stat st;
	int64_t when;

	(void)state;
	assert_false(expired_at_read(dir, &when));
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		assert_true(expired_at_write(dir, times[i]));
		when = -7;
		assert_true(expired_at_read(dir, &when));
		assert_true(when == times[i]);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(expired_at_write(dir, -1));
	assert_false(expired_at_write("/tmp/there/is/no/such/folder", 1));
}

static void test_no_such_file(void **state)
{
	static const char *const texts[] = {
	    "",
	    "\n",
	    "17",
	    "17x\n",
	    "-1\n",
	    " 1\n",
	    "9223372036854775808\n",
	    "00000000000000000000000000000000000000000000000001\n",
	    "1\n2\n"};
	int64_t when = 7;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file(texts[i]);
		assert_false(expired_at_read(dir, &when));
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/proc/uptime", path), 0);
	assert_false(expired_at_read(dir, &when));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody waits for a writer */
	assert_false(expired_at_read(dir, &when));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(when, 7);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/expired-at", dir);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_no_such_file),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
