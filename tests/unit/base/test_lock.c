/*
 * lock.c: one holder at a time, whose name the next one is told, and which no kill leaves
 * behind.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"
#include "fake/fixture.h"

static char dir[] = "/tmp/test_lock.XXXXXX";
static char file[64];

static int fd_before;

static int make_folder(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/run.lock", dir);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	assert_int_equal(fixture_open_fds(), fd_before);
	unlink(file);
	return rmdir(dir);
}

static int take(void)
{
	struct err e = {0};
	int fd = lock_take(dir, "learn", &e);

	if (fd == -1)
		fail_msg("%s", e.text);
	return fd;
}

/* Somebody else has it: the error's words for them. */
static void refuse(const char *who)
{
	struct err e = {0};

	assert_int_equal(lock_take(dir, "expire", &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_TEMPORARY);
	if (strstr(e.text, who) == NULL || strstr(e.text, dir) == NULL ||
	    strstr(e.text, "\\x") != NULL)
		fail_msg("%s: not %s", e.text, who);
}

static void read_file(char *text, size_t size)
{
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
}

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void test_one_at_a_time(void **state)
{
	char text[512], begin[64];
	struct stat st;
	int fd = take();

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	snprintf(begin, sizeof begin, "process %ld (learnspool learn) since 20",
		 (long)getpid());
	read_file(text, sizeof text);
	assert_int_equal(strncmp(text, begin, strlen(begin)), 0);
	assert_string_equal(text + strlen(text) - 2, "Z\n");
	refuse(begin);
	refuse("Z; one run at a time, try again when it is done"); /* it does so again */
	lock_release(fd);
	read_file(text, sizeof text);
	assert_string_equal(text, ""); /* nobody has it */
	lock_release(take());
	lock_release(-1);
}

/* A holder that has not written its name yet, or one with a name that does not fit. */
static void test_names(void **state)
{
	char text[600];
	int fd = take();

	(void)state;
	write_file("", 0);
	refuse("in use by another process;");
	write_file("\n", 1);
	refuse("in use by ;");
	write_file("x", 1);
	refuse("in use by x;");
	memset(text, 'n', sizeof text);
	write_file(text, sizeof text);
	refuse("nnn");
	lock_release(fd);
}

/* The name of who was killed gives way to ours, however long it was. */
static void test_left_over(void **state)
{
	char text[600];
	int fd;

	(void)state;
	memset(text, 'n', sizeof text);
	write_file(text, sizeof text);
	fd = take();
	read_file(text, sizeof text);
	assert_null(strstr(text, "nn"));
	lock_release(fd);
}

static void test_killed(void **state)
{
	int fds[2], status, fd;
	char c, who[64];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (lock_take(dir, "learn", NULL) == -1 || write(fds[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	snprintf(who, sizeof who, "process %ld (learnspool learn)", (long)pid);
	refuse(who);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fd = take();
	lock_release(fd);
}

static void test_no_folder(void **state)
{
	char path[1100];
	struct err e = {0};

	(void)state;
	snprintf(path, sizeof path, "%s/none", dir);
	assert_int_equal(lock_take(path, "learn", &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(access(path, F_OK), -1);

	/* Cut, this would be a folder that is there. */
	for (size_t len = 1000; len < sizeof path; len++) {
		memset(path, '/', sizeof path);
		memcpy(path + len - strlen(dir), dir, strlen(dir));
		path[len] = '\0';
		if (len + strlen("/run.lock") < 1024) {
			int fd = lock_take(path, "learn", &e);

			assert_int_not_equal(fd, -1);
			lock_release(fd);
			continue;
		}
		err_clear(&e);
		assert_int_equal(lock_take(path, "learn", &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "is too long"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_names),
	    cmocka_unit_test(test_left_over),	  cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
