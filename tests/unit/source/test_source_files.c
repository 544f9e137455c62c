/*
 * source_files.c and files.c: what is found below a path, in which order it is given, and what
 * happens when the files change meanwhile. System tests have the kinds of file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "fake/fixture.h"
#include "source/files.h"
#include "source/source_files.h"
#include "source/source_ops.h"

static char folder[] = "/tmp/learnspool-files-XXXXXX";
static const char *path[] = {folder};
static struct account *account;
static struct source *src;
static struct err e;

static void put(const char *name, const char *text)
{
	char full[200];
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", folder, name);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) != EOF);
	assert_int_equal(fclose(f), 0);
}

static void take_away(const char *name)
{
	char full[200];

	snprintf(full, sizeof full, "%s/%s", folder, name);
	assert_int_equal(unlink(full), 0);
}

static int fd_before;

static int setup(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	fd_before = fixture_open_fds();
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(folder));
	account = account_files(path, 1, CLASS_HAM);
	assert_non_null(account);
	assert_int_equal(account_connect(account, &e), 0);
	src = account_source(account, 0);
	assert_non_null(src);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	source_close(src);
	account_free(account);
	assert_int_equal(fixture_open_fds(), fd_before);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static void open_it(uint32_t count)
{
	assert_int_equal(source_open(src, false, &e), 0);
	assert_int_equal(src->count, count);
	assert_int_equal(src->next, count + 1);
	assert_true(src->identity != 0 && !src->can_mark && !src->expires && src->dated);
}

static void want(uint32_t first, uint32_t last, uint32_t max_size)
{
	const struct source_filter f = {.max_size = max_size, .newest = INT64_MAX};
	struct ranges todo = {0};

	assert_int_equal(ranges_add(&todo, first, last, &e), 0);
	assert_int_equal(source_want(src, &todo, &f, false, &e), 0);
}

/* The next message is this one, and its name ends so. */
static void next_is(uint32_t id, enum message_kind kind, const char *body, const char *name)
{
	struct source_message m = {0};
	struct wait wait;
	const char *found;

	assert_int_equal(source_next(src, &m, &wait, &e), SOURCE_MESSAGE);
	assert_int_equal(m.id, id);
	assert_int_equal(m.kind, kind);
	if (body) {
		assert_int_equal(m.body.len, strlen(body));
		assert_memory_equal(m.body.data, body, m.body.len);
		assert_int_equal(m.stamp.size, m.body.len);
		assert_true(m.stamp.date > 1000000000);
	}
	found = source_name(src, id);
	if (name) {
		assert_non_null(found);
		assert_string_equal(found + strlen(found) - strlen(name), name);
	} else {
		assert_null(found);
	}
	source_message_free(&m);
}

static void no_more(void)
{
	struct source_message m = {0};
	struct wait wait;

	assert_int_equal(source_next(src, &m, &wait, &e), SOURCE_END);
}

#define FROM "From a@b Thu Nov 26 10:59:00 2026\n"

static void test_numbers(void **state)
{
	struct ranges found = {0};
	uint32_t before;

	(void)state;
	put("mbox", FROM "one\n\n" FROM "two\n\n" FROM "three\n");
	open_it(3);
	before = src->identity;
	assert_int_equal(source_list(src, 2, 100, &found, &e), 0);
	assert_int_equal(ranges_count(&found), 2);
	assert_true(ranges_has(&found, 3));
	assert_int_equal(source_list(src, 4, 100, &found, &e), 0);
	assert_int_equal(ranges_count(&found), 0);
	ranges_free(&found);
	want(1, 2, 100);
	next_is(1, MESSAGE_BODY, "one\n", "/mbox#1");
	next_is(2, MESSAGE_BODY, "two\n", "/mbox#2");
	no_more();
	want(3, 3, 100); /* goes on */
	next_is(3, MESSAGE_BODY, "three\n", "/mbox#3");
	want(2, 2, 3); /* and back */
	next_is(2, MESSAGE_LARGE, NULL, "/mbox#2");
	no_more();
	open_it(3);
	assert_true(src->identity != before);
	want(1, 1, 100);
	next_is(1, MESSAGE_BODY, "one\n", "/mbox#1");
}

static void test_changes_meanwhile(void **state)
{
	(void)state;
	put("a", "A: a\n");
	put("b", "B: b\n");
	open_it(2);
	take_away("a");
	take_away("b");
	want(1, 2, 100);
	next_is(1, MESSAGE_GONE, NULL, NULL);
	next_is(2, MESSAGE_GONE, NULL, NULL);
	no_more();
	put("c", "C: c\n");
	open_it(1);
	put("c", "C: larger by now\n");
	want(1, 1, 5);
	next_is(1, MESSAGE_LARGE, NULL, "/c");
}

static int count_sights(void *ctx, const struct source_sight *sight, struct err *err)
{
	(void)err;
	*(uint32_t *)ctx += sight->id;
	assert_true(sight->stamp.date > 0 && sight->marks == 0);
	return 0;
}

static int refuse_sights(void *ctx, const struct source_sight *sight, struct err *err)
{
	(void)ctx;
	(void)sight;
	return err_set(err, ERR_FATAL, ERR_LOCAL, "no");
}

static void test_look(void **state)
{
	struct ranges ids = {0};
	uint32_t sum = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		put((const char[]){(char)('a' + i), 0}, "X: x\n");
	open_it(5);
	assert_int_equal(ranges_add(&ids, 2, 3, &e), 0);
	assert_int_equal(ranges_add(&ids, 9, 9, &e), 0);
	assert_int_equal(source_look(src, &ids, count_sights, &sum, &e), 0);
	assert_int_equal(sum, 5);
	assert_int_equal(source_look(src, &ids, refuse_sights, NULL, &e), -1);
	ranges_free(&ids);
}

static void test_names_are_kept_for_a_while(void **state)
{
	char name[20];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(name, "X: x\n");
	}
	open_it(300);
	want(1, 300, 100);
	for (uint32_t id = 1; id <= 300; id++) {
		struct source_message m = {0};
		struct wait wait;

		assert_int_equal(source_next(src, &m, &wait, &e), SOURCE_MESSAGE);
		source_message_free(&m);
	}
	assert_null(source_name(src, 44));
	assert_non_null(source_name(src, 45));
}

static void test_never_removed(void **state)
{
	const struct source_removal how = {0};

	(void)state;
	open_it(0);
	assert_int_equal(source_can_remove(src, &how, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_null(source_mark_name(src, CLASS_SPAM, OUTCOME_LEARNED));
	assert_int_equal(source_owed(src), 0);
}

static void test_paths(void **state)
{
	static char long_path[242];
	static const char *const bad[] = {long_path, "a\nb", "\033[2J", "\xff"};
	static const char *const why[] = {"240 bytes", "a\\x0ab: a control",
					  "\\x1b[2J: a control", "\\xff: a control"};

	(void)state;
	memset(long_path, 'x', sizeof long_path - 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		source_close(src);
		path[0] = bad[i];
		src = account_source(account, 0);
		assert_int_equal(source_open(src, false, &e), -1);
		assert_int_equal(e.scope, ERR_MAILBOX);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_non_null(strstr(e.text, why[i]));
	}
	path[0] = folder;
}

/* ---- what counts ---- */

static void make_folder(const char *name)
{
	char full[200];

	snprintf(full, sizeof full, "%s/%s", folder, name);
	assert_int_equal(mkdir(full, 0700), 0);
}

static void test_maildir(void **state)
{
	(void)state;
	make_folder("new");
	put("new/a", "X: x\n");
	put("b", "X: x\n");
	open_it(2); /* without cur it is a folder like others */
	make_folder("cur");
	open_it(1);
	put("cur/c", "X: x\n");
	make_folder("tmp");
	put("tmp/d", "X: x\n");
	put(".hidden", "X: x\n");
	open_it(2);
	make_folder("cur/new");
	make_folder("cur/other");
	put("cur/other/e", "X: x\n"); /* only at the top of a Maildir names matter */
	open_it(3);
}

static void test_kinds_of_files(void **state)
{
	char full[200], to[200];

	(void)state;
	put("a", "X: x\n");
	snprintf(to, sizeof to, "%s/a", folder);
	snprintf(full, sizeof full, "%s/link", folder);
	assert_int_equal(symlink(to, full), 0);
	snprintf(full, sizeof full, "%s/fifo", folder);
	assert_int_equal(mkfifo(full, 0600), 0);
	open_it(1);
	/* The path itself may be a link, a file, and end in slashes; and nothing else. */
	snprintf(to, sizeof to, "%s/link", folder);
	path[0] = to;
	source_close(src);
	src = account_source(account, 0);
	open_it(1);
	snprintf(to, sizeof to, "%s///", folder);
	open_it(1);
	want(1, 1, 100);
	next_is(1, MESSAGE_BODY, "X: x\n", "/a");
	snprintf(to, sizeof to, "%s/fifo", folder);
	assert_int_equal(source_open(src, false, &e), -1);
	assert_non_null(strstr(e.text, "/fifo: neither a file nor a folder"));
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_int_equal(e.kind, ERR_CONFIG);
	snprintf(to, sizeof to, "%s/none", folder);
	assert_int_equal(source_open(src, false, &e), -1);
	assert_non_null(strstr(e.text, "/none: No such file"));
	path[0] = folder;
}

/* A folder in a folder in a folder: as deep as it says, and what is behind is still found. */
static void all_are_bodies(uint32_t count)
{
	want(1, count, 100);
	for (uint32_t i = 0; i < count; i++) {
		struct source_message m = {0};
		struct wait wait;

		assert_int_equal(source_next(src, &m, &wait, &e), SOURCE_MESSAGE);
		assert_int_equal(m.kind, MESSAGE_BODY);
		source_message_free(&m);
	}
	no_more();
}

static void put_at(const char *name)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs("X: x\n", f) != EOF);
	assert_int_equal(fclose(f), 0);
}

static void test_deep(void **state)
{
	int depth = 1; /* the folder itself */

	(void)state;
	assert_int_equal(chdir(folder), 0);
	for (; depth < FILES_DEPTH; depth++) {
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	put_at("last");
	assert_int_equal(mkdir("d", 0700), 0);
	put_at("d/beyond");
	assert_int_equal(chdir("/"), 0);
	put("z", "X: x\n");
	open_it(2);
	all_are_bodies(2);
}

/* The longest path, and one byte more; and again a short one. */
static void test_long_paths(void **state)
{
	char part[201], *name;
	size_t len = strlen(folder);

	(void)state;
	memset(part, 'd', 200);
	part[200] = '\0';
	assert_int_equal(chdir(folder), 0);
	for (; len + 201 < PATH_MAX - 2; len += 201) {
		assert_int_equal(mkdir(part, 0700), 0);
		assert_int_equal(chdir(part), 0);
	}
	name = part + 200 - (PATH_MAX - 1 - len - 1); /* len + "/" + name is PATH_MAX - 1 */
	put_at(name);
	put_at(name - 1);
	put_at("short");
	assert_int_equal(chdir("/"), 0);
	put("z", "X: x\n");
	open_it(3);
	all_are_bodies(3);
}

/* ---- sizes ---- */

static void test_sizes(void **state)
{
	(void)state;
	put("a", "N:345\n");
	put("mbox", FROM "12345\n\n" FROM "1234567\n\n" FROM "1\n");
	open_it(4);
	for (uint32_t first = 1; first <= 2; first++) {
		uint32_t a;
		struct source_message m = {0};
		struct wait wait;

		/* The system lists them in its own order. */
		want(1, 1, 100);
		assert_int_equal(source_next(src, &m, &wait, &e), SOURCE_MESSAGE);
		a = strstr(source_name(src, 1), "mbox") ? 4 : 1;
		source_message_free(&m);
		want(a, a, 6);
		next_is(a, MESSAGE_BODY, "N:345\n", "/a");
		want(a, a, 5);
		next_is(a, MESSAGE_LARGE, NULL, "/a");
		a = a == 1 ? 2 : 1;
		want(a, a + 2, 6);
		next_is(a, MESSAGE_BODY, "12345\n", "/mbox#1");
		next_is(a + 1, MESSAGE_LARGE, NULL, "/mbox#2");
		next_is(a + 2, MESSAGE_BODY, "1\n", "/mbox#3");
		no_more();
	}
}

static void test_list_bounds(void **state)
{
	struct ranges found = {0};

	(void)state;
	put("mbox", FROM "1\n\n" FROM "2\n\n" FROM "3\n");
	open_it(3);
	assert_int_equal(source_list(src, 3, 3, &found, &e), 0);
	assert_int_equal(ranges_count(&found), 1);
	assert_int_equal(source_list(src, 1, 2, &found, &e), 0);
	assert_int_equal(ranges_count(&found), 2);
	assert_false(ranges_has(&found, 3));
	ranges_free(&found);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_numbers),	      TEST(test_changes_meanwhile),
	    TEST(test_look),	      TEST(test_names_are_kept_for_a_while),
	    TEST(test_never_removed), TEST(test_paths),
	    TEST(test_maildir),	      TEST(test_kinds_of_files),
	    TEST(test_deep),	      TEST(test_long_paths),
	    TEST(test_sizes),	      TEST(test_list_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
