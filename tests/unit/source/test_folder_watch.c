/*
 * folder_watch.c in temporary folders: what comes into them is told of, also when the queue of
 * the kernel overflowed, and when they were removed, renamed or replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "source/folder_watch.h"

enum { PATIENT_MS = 30000, QUIET_MS = 300 };

static char top[] = "/tmp/test_folder_watch.XXXXXX";
static char path[3][128];
static const char *folders[3];
static struct folder_watch *w;
static struct err e;
static int told[3];

static void news(void *ctx, size_t folder)
{
	assert_ptr_equal(ctx, told);
	assert_true(folder < 3);
	told[folder]++;
}

static void make_file(const char *folder, const char *name)
{
	char file[256];
	int fd;

	snprintf(file, sizeof file, "%s/%s", folder, name);
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void clean(void)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf %s/*", top);
	assert_int_equal(system(command), 0);
}

/* Wait as its user does, for so long, or until all of the folders in `wanted` were told of. */
static void wait_for(unsigned wanted, int ms)
{
	int64_t until = clock_ms() + ms;

	memset(told, 0, sizeof told);
	for (;;) {
		struct pollfd p = {.fd = folder_watch_fd(w), .events = POLLIN};
		int left = (int)(until - clock_ms()), most = folder_watch_ms(w);
		unsigned have = 0;

		folder_watch_take(w, news, told);
		for (int i = 0; i < 3; i++)
			have |= told[i] ? 1U << i : 0;
		if ((wanted && (have & wanted) == wanted) || left <= 0)
			break;
		(void)poll(&p, 1, left < most ? left : most);
	}
}

static void must_tell(unsigned wanted)
{
	wait_for(wanted, PATIENT_MS);
	for (unsigned i = 0; i < 3; i++)
		if (wanted & 1U << i && told[i] == 0)
			fail_msg("folder %u was not told of", i);
}

static void must_be_quiet(void)
{
	wait_for(0, QUIET_MS);
	if (told[0] || told[1] || told[2])
		fail_msg("told of %d %d %d", told[0], told[1], told[2]);
}

static int begin(void **state)
{
	(void)state;
	clean();
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof path[i], "%s/%c", top, 'a' + i);
		folders[i] = path[i];
		assert_int_equal(mkdir(path[i], 0700), 0);
	}
	w = folder_watch_open(folders, 3, &e);
	if (w == NULL)
		fail_msg("%s", e.text);
	return 0;
}

static int end(void **state)
{
	(void)state;
	folder_watch_close(w);
	w = NULL;
	return 0;
}

static void test_files(void **state)
{
	char other[256], there[256];

	(void)state;
	must_tell(7); /* once, at the start */
	must_be_quiet();
	make_file(path[1], "file");
	must_tell(2);
	must_be_quiet();
	assert_int_equal(told[0] + told[2], 0);
	make_file(top, "moved");
	must_be_quiet(); /* not in a folder of ours */
	snprintf(other, sizeof other, "%s/moved", top);
	snprintf(there, sizeof there, "%s/moved", path[2]);
	assert_int_equal(rename(other, there), 0);
	must_tell(4);
	snprintf(other, sizeof other, "%s/link", path[0]);
	assert_int_equal(link(there, other), 0);
	must_tell(1);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(chmod(there, 0644), 0);
	must_be_quiet();
}

/* One at a time, and the next one hears nothing that was meant for the last. */
static void test_one_at_a_time(void **state)
{
	struct rlimit before, few;

	(void)state;
	assert_null(folder_watch_open(folders, 1, &e));
	assert_int_equal(e.scope, ERR_SERVER);
	must_tell(7);
	for (int i = 0; i < 50; i++) {
		make_file(path[0], "file");
		folder_watch_close(w);
		w = folder_watch_open(folders, 3, &e);
		assert_non_null(w);
		must_tell(7);
	}
	must_be_quiet();
	folder_watch_close(w);
	/* No descriptor is left for it. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){3, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	w = folder_watch_open(folders, 3, &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(w);
	assert_non_null(strstr(e.text, "folders cannot be watched"));
}

static void test_missing(void **state)
{
	(void)state;
	must_tell(7);
	assert_int_equal(rmdir(path[1]), 0);
	must_tell(2);
	must_be_quiet();
	make_file(path[0], "file"); /* the others go on */
	must_tell(1);
	assert_int_equal(mkdir(path[1], 0700), 0);
	make_file(path[1], "file"); /* perhaps before it was found */
	must_tell(2);
	must_be_quiet();
	make_file(path[1], "another");
	must_tell(2);
}

static void test_not_there_at_the_start(void **state)
{
	(void)state;
	folder_watch_close(w);
	assert_int_equal(rmdir(path[2]), 0);
	make_file(top, "c"); /* a file of that name is no folder */
	w = folder_watch_open(folders, 3, &e);
	assert_non_null(w);
	must_tell(7);
	must_be_quiet();
	assert_int_equal(unlink(path[2]), 0);
	assert_int_equal(mkdir(path[2], 0700), 0);
	must_tell(4);
	make_file(path[2], "file");
	must_tell(4);
}

/* Another folder takes the place of one: what is in it, and comes into it, is told of. */
static void test_replaced(void **state)
{
	char other[256], old[256];

	(void)state;
	must_tell(7);
	snprintf(other, sizeof other, "%s/new", top);
	snprintf(old, sizeof old, "%s/old", top);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(mkdir(other, 0700), 0);
		make_file(other, "file");
		assert_int_equal(rename(path[0], old), 0);
		assert_int_equal(rename(other, path[0]), 0);
		must_tell(1);
		must_be_quiet();
		make_file(path[0], "another");
		must_tell(1);
		make_file(old, "nobody's");
		must_be_quiet();
		clean();
		must_tell(7);
		for (int k = 0; k < 3; k++)
			assert_int_equal(mkdir(path[k], 0700), 0);
		must_tell(7);
	}
}

/* The folder above it is replaced: nothing happens to the one that is watched. */
static void test_parent_replaced(void **state)
{
	char above[128], old[128], deep[192];
	const char *one[1] = {deep};

	(void)state;
	folder_watch_close(w);
	snprintf(above, sizeof above, "%s/above", top);
	snprintf(old, sizeof old, "%s/old", top);
	snprintf(deep, sizeof deep, "%s/deep", above);
	assert_int_equal(mkdir(above, 0700), 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	w = folder_watch_open(one, 1, &e);
	assert_non_null(w);
	must_tell(1);
	assert_int_equal(rename(above, old), 0);
	assert_int_equal(mkdir(above, 0700), 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	must_tell(1);
	make_file(deep, "file");
	must_tell(1);
}

static int queue_length(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	char line[32] = "";
	uint64_t n = 0;

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	assert_true(text_number(line, strcspn(line, "\n"), INT32_MAX, &n));
	return (int)n;
}

/*
 * More events than the kernel keeps, then a file in a folder that none of those were about: its
 * event is lost, and it is told of nonetheless. So is one that was replaced meanwhile.
 */
static void test_overflow(void **state)
{
	int length = queue_length();
	char name[32];

	(void)state;
	must_tell(7);
	must_be_quiet();
	if (length > 200000)
		skip();
	for (int i = 0; i <= length / 2; i++) {
		/* Different names, or the kernel would take two events for one. */
		snprintf(name, sizeof name, "%d", i);
		make_file(path[0], name);
	}
	make_file(path[2], "file");
	assert_int_equal(rmdir(path[1]), 0);
	assert_int_equal(mkdir(path[1], 0700), 0);
	must_tell(7);
	must_be_quiet();
	make_file(path[1], "file");
	must_tell(2);
	make_file(path[2], "another");
	must_tell(4);
}

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	(void)state;
	clean();
	return rmdir(top);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

/* A folder that its owner has shut is no news, though it cannot be watched. */
static void test_shut(void **state)
{
	const uid_t me = geteuid();

	(void)state;
	assert_int_equal(chmod(path[0], 0), 0);
	if (me == 0) { /* who is stopped by nothing */
		assert_int_equal(chmod(top, 0711), 0);
		assert_int_equal(chmod(path[1], 0755), 0);
		assert_int_equal(chmod(path[2], 0755), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	must_tell(7);
	wait_for(0, 1500);
	assert_int_equal(seteuid(me), 0);
	assert_int_equal(chmod(path[0], 0700), 0);
	if (told[0] || told[1] || told[2])
		fail_msg("told of %d %d %d", told[0], told[1], told[2]);
	must_tell(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_files),	 TEST(test_one_at_a_time),
	    TEST(test_missing),	 TEST(test_not_there_at_the_start),
	    TEST(test_replaced), TEST(test_parent_replaced),
	    TEST(test_overflow), TEST(test_shut),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
