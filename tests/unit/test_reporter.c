/*
 * reporter.c: the key's file, and that hashes say the same of one address for ever, and nothing
 * to who has no key.
 */
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

#include "reporter.h"

static char dir[] = "/tmp/learnspool-reporter-XXXXXX";
static char file[sizeof dir + 32], temporary[sizeof dir + 32];

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/reporter.key", dir);
	snprintf(temporary, sizeof temporary, "%s/reporter.key.new", dir);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int remove_key(void **state)
{
	(void)state;
	unlink(file);
	return 0;
}

static void write_file(const char *path, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < len; i++)
		putc('k', f);
	assert_int_equal(fclose(f), 0);
}

static struct reporter_key load(bool make)
{
	struct reporter_key key;
	struct err e = {0};

	memset(&key, 0, sizeof key);
	if (reporter_key_load(dir, make, &key, &e) == -1)
		fail_msg("%s", e.text);
	return key;
}

static void test_made_once(void **state)
{
	struct reporter_key first = load(true), second = load(true), read_only = load(false);
	struct stat st;

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, REPORTER_KEY_SIZE);
	assert_memory_equal(&first, &second, sizeof first);
	assert_memory_equal(&first, &read_only, sizeof first);
	assert_int_equal(access(temporary, F_OK), -1);

	unlink(file);
	second = load(true);
	assert_memory_not_equal(&first, &second, sizeof first);
}

static void test_dry_run(void **state)
{
	struct reporter_key first = load(false), second = load(false);

	(void)state;
	assert_int_equal(access(file, F_OK), -1);
	assert_memory_not_equal(&first, &second, sizeof first);
}

/* What a run that was killed left behind does no harm. */
static void test_left_over(void **state)
{
	struct reporter_key first, second;

	(void)state;
	write_file(temporary, 7);
	first = load(true);
	second = load(true);
	assert_memory_equal(&first, &second, sizeof first);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void test_damaged(void **state)
{
	static const size_t sizes[] = {0, 1, REPORTER_KEY_SIZE - 1, REPORTER_KEY_SIZE + 1};
	struct reporter_key key;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct err e = {0};

		write_file(file, sizes[i]);
		assert_int_equal(reporter_key_load(dir, true, &key, &e), -1);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "reporter.key: damaged"));
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
	}
}

static void test_not_to_be_had(void **state)
{
	struct reporter_key key;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(reporter_key_load(dir, true, &key, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(reporter_key_load("/nowhere/at/all", true, &key, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
}

/* ---- hashes ---- */

static const struct reporter_key ones = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
static const struct reporter_key zeros;

/* They lie in ledgers, so they stay: the first bytes of HMAC-SHA256. */
static void test_hash(void **state)
{
	static const unsigned char alice[] = {0x83, 0xeb, 0x21, 0xaa, 0x64, 0x6d, 0x11, 0xa5};
	unsigned char a[RECORD_REPORTER_SIZE], b[RECORD_REPORTER_SIZE];

	(void)state;
	assert_int_equal(sizeof alice, RECORD_REPORTER_SIZE);
	reporter_hash(&ones, "alice@example.org", a);
	assert_memory_equal(a, alice, sizeof alice);
	reporter_hash(&ones, "bob@example.org", b);
	assert_memory_not_equal(a, b, sizeof a);
	reporter_hash(&zeros, "alice@example.org", b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void test_nobody(void **state)
{
	static const unsigned char nobody[RECORD_REPORTER_SIZE];
	unsigned char a[RECORD_REPORTER_SIZE];

	(void)state;
	memset(a, 7, sizeof a);
	reporter_hash(&ones, "", a);
	assert_memory_equal(a, nobody, sizeof nobody);
}

/* Longer than any address that there is: cut, without a look behind its end. */
static void test_long_address(void **state)
{
	char *address = malloc(5000);
	unsigned char a[RECORD_REPORTER_SIZE], b[RECORD_REPORTER_SIZE];

	(void)state;
	assert_non_null(address);
	memset(address, 'a', 4999);
	address[4999] = '\0';
	reporter_hash(&ones, address, a);
	reporter_hash(&ones, "a", b);
	assert_memory_not_equal(a, b, sizeof a);
	free(address);
}

/* The same content is another one for each reporter, and each content for one reporter. */
static void test_digest(void **state)
{
	static const char *const who[] = {"alice@example.org", "bob@example.org", ""};
	struct digest d[2][3], again;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		memset(&d[i / 3][i % 3], (int)(i / 3), sizeof d[0][0]);
		reporter_digest(&ones, who[i % 3], &d[i / 3][i % 3]);
		for (size_t j = 0; j < i; j++)
			assert_false(digest_equal(&d[i / 3][i % 3], &d[j / 3][j % 3]));
	}
	memset(&again, 1, sizeof again);
	reporter_digest(&ones, who[1], &again);
	assert_true(digest_equal(&again, &d[1][1]));
	memset(&again, 1, sizeof again);
	reporter_digest(&zeros, who[1], &again);
	assert_false(digest_equal(&again, &d[1][1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_made_once, remove_key),
	    cmocka_unit_test_teardown(test_dry_run, remove_key),
	    cmocka_unit_test_teardown(test_left_over, remove_key),
	    cmocka_unit_test_teardown(test_damaged, remove_key),
	    cmocka_unit_test(test_not_to_be_had),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_long_address),
	    cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
