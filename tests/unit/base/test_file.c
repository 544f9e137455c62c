/* file.c: a text or another, and nothing in between. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char folder[64];
static int dir;

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/learnspool-file-XXXXXX");
	assert_non_null(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY);
	return dir == -1 ? -1 : 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	close(dir);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static void is_text(const char *name, const char *text)
{
	char found[100];
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n;

	assert_int_not_equal(fd, -1);
	n = read(fd, found, sizeof found);
	close(fd);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(found, text, strlen(text));
}

static void test_replaced(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(file_replace(dir, "a", "one\n", 4), 0);
	is_text("a", "one\n");
	assert_int_equal(file_replace(dir, "a", "2\n", 2), 0);
	is_text("a", "2\n");
	assert_int_equal(fstatat(dir, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(dir, "a.new", F_OK, 0), -1);
}

/* The old text stays; a link in the new file's place is not followed. */
static void test_refused(void **state)
{
	char name[PATH_MAX];

	(void)state;
	assert_int_equal(file_replace(dir, "a", "one\n", 4), 0);
	assert_int_equal(file_replace(dir, "other", "x\n", 2), 0);
	assert_int_equal(symlinkat("other", dir, "a.new"), 0);
	assert_int_equal(file_replace(dir, "a", "two\n", 4), -1);
	assert_int_equal(errno, ELOOP);
	is_text("a", "one\n");
	is_text("other", "x\n");
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(file_replace(dir, name, "x", 1), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(file_replace(dir, "missing/a", "x", 1), -1);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
