/*
 * reporter.c: the key's file, and that hashes say the same of one address for ever, and nothing
 * to who has no key.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/fixture.h"
#include "ledger/reporter.h"

static char dir[] = "/tmp/learnspool-reporter-XXXXXX";
static char file[sizeof dir + 32], temporary[sizeof dir + 32];

static const struct reporter_key ones = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
static const struct reporter_key zeros;

static int fd_before;

static int make_folder(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/reporter.key", dir);
	snprintf(temporary, sizeof temporary, "%s/reporter.key.new", dir);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	assert_int_equal(fixture_open_fds(), fd_before);
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
	static const struct reporter_key nothing;
	struct reporter_key first = load(true), second = load(true), read_only = load(false);
	struct stat st;

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_memory_not_equal(&first, &nothing, sizeof first);
	assert_int_equal(st.st_size, REPORTER_KEY_SIZE);
	assert_memory_equal(&first, &second, sizeof first);
	assert_memory_equal(&first, &read_only, sizeof first);
	assert_memory_not_equal(&first, &zeros, sizeof first);
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

/* A disk that is full in the middle of it: an error, and no half a key under any name. */
static void test_full_disk(void **state)
{
	struct rlimit before, none;
	struct reporter_key key;
	struct err e = {0};
	int rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 5;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = reporter_key_load(dir, true, &key, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_non_null(strstr(e.text, temporary));
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void test_not_to_be_had(void **state)
{
	struct reporter_key key;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(reporter_key_load(dir, true, &key, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "Is a directory"));
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(reporter_key_load("/nowhere/at/all", true, &key, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "/nowhere/at/all/reporter.key"));
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(symlink("reporter.key", file), 0); /* to itself */
	assert_int_equal(reporter_key_load(dir, true, &key, &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(unlink(file), 0);
}

/* One that cannot be made whole is an error, and nothing of it is left. */
static void child_no_room(void)
{
	struct reporter_key key;
	struct rlimit limit;
	struct err e = {0};

	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &limit) == -1)
		_exit(1);
	limit.rlim_cur = REPORTER_KEY_SIZE / 2;
	if (setrlimit(RLIMIT_FSIZE, &limit) == -1)
		_exit(1);
	if (reporter_key_load(dir, true, &key, &e) != -1 || e.scope != ERR_FATAL ||
	    e.kind != ERR_CONFIG || strstr(e.text, "reporter.key.new") == NULL)
		_exit(2);
	_exit(access(file, F_OK) == -1 && access(temporary, F_OK) == -1 ? 0 : 3);
}

static void test_no_room(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		child_no_room();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Cut, this would be a folder that is there. */
static void test_long_path(void **state)
{
	char path[1100];
	struct reporter_key key;

	(void)state;
	for (size_t len = 1000; len < 1060; len++) {
		struct err e = {0};
		int rc;

		memset(path, '/', sizeof path);
		memcpy(path + len - strlen(dir), dir, strlen(dir));
		path[len] = '\0';
		rc = reporter_key_load(path, true, &key, &e);
		if (len + strlen("/reporter.key") < 1024) {
			assert_int_equal(rc, 0);
			assert_int_equal(unlink(file), 0);
			continue;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "is too long"));
	}
}

/* ---- hashes ---- */

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
	static const unsigned char longest[] = {0x92, 0xdf, 0x8b, 0x5e, 0xba, 0x7b, 0x2f, 0x76};
	char *address = malloc(5000);
	unsigned char a[RECORD_REPORTER_SIZE], b[RECORD_REPORTER_SIZE];

	(void)state;
	assert_non_null(address);
	memset(address, 'a', 4999);
	address[511] = '\0'; /* all of a marker's user counts */
	reporter_hash(&ones, address, a);
	assert_memory_equal(a, longest, sizeof longest);
	address[511] = 'a';
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
	static const unsigned char of_alice[DIGEST_SIZE] = {
	    0xb7, 0x3b, 0x4b, 0xf7, 0xfb, 0xa1, 0xc4, 0xf3, 0xed, 0x74, 0x36,
	    0x3c, 0x0c, 0xf7, 0x39, 0xf5, 0x2e, 0x81, 0xc2, 0x99, 0x28, 0x3e,
	    0x2b, 0xf8, 0xd3, 0xc8, 0xc1, 0x9a, 0x6b, 0xbb, 0x06, 0x90};
	struct digest d[2][3], again;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		memset(&d[i / 3][i % 3], (int)(i / 3), sizeof d[0][0]);
		reporter_digest(&ones, who[i % 3], &d[i / 3][i % 3]);
		for (size_t j = 0; j < i; j++)
			assert_false(digest_equal(&d[i / 3][i % 3], &d[j / 3][j % 3]));
	}
	/* It lies in ledgers, too: HMAC-SHA256 of the digest and the address. */
	assert_memory_equal(d[1][0].bytes, of_alice, sizeof of_alice);
	memset(&again, 1, sizeof again);
	reporter_digest(&ones, who[1], &again);
	assert_true(digest_equal(&again, &d[1][1]));
	memset(&again, 1, sizeof again);
	reporter_digest(&zeros, who[1], &again);
	assert_false(digest_equal(&again, &d[1][1]));
}

/* ---- names ---- */

static void test_name(void **state)
{
	static const struct {
		const char *address, *delimiters, *name;
	} names[] = {
	    {"alice@example.org", "+", "alice@example.org"},
	    {"Alice@Example.ORG", "+", "alice@example.org"},
	    {"Alice+Spam@example.org", "+", "alice@example.org"},
	    {"alice+a+b@example.org", "+", "alice@example.org"},
	    {"alice-spam@example.org", "+", "alice-spam@example.org"},
	    {"alice-spam@example.org", "+-", "alice@example.org"},
	    {"alice+spam@example.org", "", "alice+spam@example.org"},
	    {"alice+@example.org", "+", "alice@example.org"},
	    {"+spam@example.org", "+", "+spam@example.org"}, /* no name before it */
	    {"alice@exa-mple.org", "-", "alice@exa-mple.org"},
	    {"alice@exa+mple.org", "+", "alice@exa+mple.org"},
	    {"alice", "+", "alice"},
	    {"Alice+spam", "+", "alice"},
	    {"", "+", ""},
	    /* Master users log in as somebody else. */
	    {"alice@example.org*master", "+", "alice@example.org"},
	    {"alice@example.org*Master@example.org", "+", "alice@example.org"},
	    {"alice@example.org%master@example.org", "+", "alice@example.org"},
	    {"alice+spam@example.org*master", "+", "alice@example.org"},
	    {"alice*master", "+", "alice"},
	    /* A local part may have these. */
	    {"alice%b@example.org", "+", "alice%b@example.org"},
	    {"al*ice@example.org", "+", "al*ice@example.org"},
	    /* Bytes that are no ASCII letters stay. */
	    {"\xC3\x9C@example.org", "+", "\xC3\x9C@example.org"},
	    {"[{Z@[1.2.3.4]", "+", "[{z@[1.2.3.4]"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		memset(out, '#', sizeof out);
		reporter_name(names[i].address, names[i].delimiters, out, sizeof out);
		assert_string_equal(out, names[i].name);
	}
}

/* Cut to its size, the terminator in it, and not a byte behind. */
static void test_name_cut(void **state)
{
	static const char whole[] = "alice@example.org";
	char out[sizeof whole + 2];

	(void)state;
	for (size_t size = 1; size <= sizeof out; size++) {
		size_t want = size - 1 < sizeof whole - 1 ? size - 1 : sizeof whole - 1;

		memset(out, '#', sizeof out);
		reporter_name("Alice+Spam@Example.Org", "+", out, size);
		assert_int_equal(strlen(out), want);
		assert_memory_equal(out, whole, want);
		for (size_t i = want + 1; i < sizeof out; i++)
			assert_int_equal(out[i], '#');
	}
}

/* One person is one reporter, whichever of their names is used. */
static void test_one_person(void **state)
{
	static const char *const alice[] = {"alice@example.org", "Alice@Example.org",
					    "alice+spam@example.org",
					    "ALICE+x@example.org*master"};
	unsigned char first[RECORD_REPORTER_SIZE], other[RECORD_REPORTER_SIZE];
	char name[64];

	(void)state;
	reporter_hash(&ones, alice[0], first);
	for (size_t i = 0; i < sizeof alice / sizeof *alice; i++) {
		reporter_name(alice[i], "+", name, sizeof name);
		reporter_hash(&ones, name, other);
		assert_memory_equal(first, other, sizeof first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_made_once, remove_key),
	    cmocka_unit_test_teardown(test_dry_run, remove_key),
	    cmocka_unit_test_teardown(test_left_over, remove_key),
	    cmocka_unit_test_teardown(test_damaged, remove_key),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_not_to_be_had),
	    cmocka_unit_test(test_no_room),
	    cmocka_unit_test_teardown(test_long_path, remove_key),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_long_address),
	    cmocka_unit_test(test_digest),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_name_cut),
	    cmocka_unit_test(test_one_person),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
