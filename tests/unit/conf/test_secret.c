/*
 * secret.c: every kind, every refusal, and that no refusal tells the secret.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "conf/secret.h"
#include "fake/fixture.h"

static char dir[] = "/tmp/test_secret.XXXXXX";
static char path[256]; /* of the file that the last write_file made */

static int status_of(void (*child)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		child();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void write_bytes(const void *data, size_t len, mode_t mode)
{
	FILE *f;

	snprintf(path, sizeof path, "%s/secret", dir);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_text(const char *text)
{
	write_bytes(text, strlen(text), 0600);
}

static int load_within(enum secret_kind kind, const char *where, int ms, struct secret *out,
		       struct err *e)
{
	char copy[2 * SECRET_MAX];
	struct secret_source src = {kind, copy};

	assert_true(strlen(where) < sizeof copy);
	memcpy(copy, where, strlen(where) + 1);
	err_clear(e);
	return secret_load_within(&src, "account x", ms, out, e);
}

static void expect(enum secret_kind kind, const char *where, const char *want)
{
	struct secret s = {0};
	struct err e;

	if (load_within(kind, where, 10000, &s, &e) == -1)
		fail_msg("refused: %s", e.text);
	assert_string_equal(s.text, want);
	assert_int_equal(s.len, strlen(want));
	secret_wipe(&s);
	assert_null(s.text);
	assert_int_equal(s.len, 0);
	secret_wipe(&s);
}

static void expect_error(const struct err *e, const char *text, const char *cure)
{
	assert_int_equal(e->scope, ERR_FATAL);
	assert_int_equal(e->kind, ERR_CONFIG);
	assert_int_equal(strncmp(e->text, "account x: ", 11), 0);
	if (strstr(e->text, text) == NULL || strstr(e->text, cure) == NULL)
		fail_msg("wanted %s and %s, got %s", text, cure, e->text);
	assert_null(strstr(e->text, "hunter2"));
}

static void refuse(enum secret_kind kind, const char *where, const char *text, const char *cure)
{
	struct secret s = {0};
	struct err e;

	assert_int_equal(load_within(kind, where, 10000, &s, &e), -1);
	assert_null(s.text);
	expect_error(&e, text, cure);
}

static void refuse_check(enum secret_kind kind, const char *where, const char *text,
			 const char *cure)
{
	char copy[256];
	struct secret_source src = {kind, copy};
	struct err e;

	snprintf(copy, sizeof copy, "%s", where);
	err_clear(&e);
	assert_int_equal(secret_check(&src, "account x", &e), -1);
	expect_error(&e, text, cure);
	refuse(kind, where, text, cure);
}

static void accept_check(enum secret_kind kind, const char *where)
{
	char copy[256];
	struct secret_source src = {kind, copy};
	struct err e;

	snprintf(copy, sizeof copy, "%s", where);
	if (secret_check(&src, "account x", &e) == -1)
		fail_msg("refused: %s", e.text);
}

/* ---- files ---- */

static void test_file(void **state)
{
	(void)state;
	write_text("hunter2");
	expect(SECRET_FILE, path, "hunter2");
	write_text("hunter2\n");
	expect(SECRET_FILE, path, "hunter2");
	write_text("hunter2\r\n");
	expect(SECRET_FILE, path, "hunter2");
	write_text(" hunter 2\t \n");
	expect(SECRET_FILE, path, " hunter 2\t ");
}

static void test_file_content_refused(void **state)
{
	(void)state;
	write_text("");
	refuse(SECRET_FILE, path, "is empty", "write it");
	write_text("\n");
	refuse(SECRET_FILE, path, "is empty", "write it");
	write_text("hunter2\n\n");
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
	write_text("hunter2\nhunter2");
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
	write_text("\r\n");
	refuse(SECRET_FILE, path, "is empty", "write it");
	write_text("\r");
	refuse(SECRET_FILE, path, "is empty", "write it");
	write_text("\nhunter2");
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
	write_text("\nhunter2\n");
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
	write_bytes("hunter2\0x", 9, 0600);
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
}

static void test_file_length(void **state)
{
	char *text = malloc(2 * SECRET_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 2 * SECRET_MAX);
	text[SECRET_MAX] = '\0';
	write_bytes(text, SECRET_MAX, 0600);
	expect(SECRET_FILE, path, text);
	text[SECRET_MAX] = '\n';
	write_bytes(text, SECRET_MAX + 1, 0600);
	text[SECRET_MAX] = '\0';
	expect(SECRET_FILE, path, text);
	text[SECRET_MAX] = 'x';
	for (size_t more = 1; more <= SECRET_MAX;
	     more = more < 5 ? more + 1 : SECRET_MAX + more) {
		write_bytes(text, SECRET_MAX + more, 0600);
		refuse(SECRET_FILE, path, "longer than 16384 bytes", "right file");
	}
	free(text);
}

static void test_file_mode(void **state)
{
	static const mode_t good[] = {0600, 0400, 0700, 0640, 0440};
	static const mode_t bad[] = {0644, 0604, 0602, 0601, 0660, 0650, 0666, 0777};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		write_bytes("hunter2\n", 8, good[i]);
		accept_check(SECRET_FILE, path);
		expect(SECRET_FILE, path, "hunter2");
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char mode[16];

		snprintf(mode, sizeof mode, "(mode %04o)", (unsigned)bad[i]);
		write_bytes("hunter2\n", 8, bad[i]);
		refuse_check(SECRET_FILE, path, mode, "chmod 600");
	}
}

/* Needs root: a group that is not ours may not read, and another user may not own. */
static void test_file_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("SKIPPED: only root can make a file of somebody else's\n");
		skip();
	}
	write_bytes("hunter2\n", 8, 0640);
	assert_int_equal(chown(path, 0, 12345), 0);
	refuse_check(SECRET_FILE, path, "(mode 0640)", "chmod 600");
	assert_int_equal(chmod(path, 0600), 0);
	accept_check(SECRET_FILE, path);
	assert_int_equal(chown(path, 12345, 0), 0);
	accept_check(SECRET_FILE,
		     path); /* root becomes the service's user and reads it as such */
	assert_int_equal(chmod(path, 0644), 0);
	refuse_check(SECRET_FILE, path, "(mode 0644)", "chmod 600");
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(seteuid(12346), 0);
	refuse_check(SECRET_FILE, path, "another user (uid 12345)", "chown");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(dir, 0700), 0);
}

/* As another user than root: a file of ours, one of root's that we may read, and others'. */
static void child_owners(void)
{
	struct secret_source src = {SECRET_FILE, path};

	for (uid_t uid = 0; uid < 3; uid++) {
		static const uid_t owners[] = {12345, 0, 12346};
		bool good = owners[uid] != 12346;

		if (chown(path, owners[uid], 12345) == -1 || setegid(12345) == -1 ||
		    seteuid(12345) == -1)
			_exit(1);
		if ((secret_check(&src, "account x", NULL) == 0) != good)
			_exit(2 + (int)uid);
		if (seteuid(0) == -1)
			_exit(1);
	}
	_exit(0);
}

static void test_file_owners(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	write_bytes("hunter2\n", 8, 0640);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(status_of(child_owners), 0);
	assert_int_equal(chmod(dir, 0700), 0);
}

static void test_file_kind(void **state)
{
	char link[300], fifo[300];
	struct secret_source none = {SECRET_NONE, NULL};
	struct err e;

	(void)state;
	write_text("hunter2\n");
	snprintf(link, sizeof link, "%s/link", dir);
	assert_int_equal(symlink(path, link), 0);
	expect(SECRET_FILE, link, "hunter2");
	assert_int_equal(chmod(path, 0644), 0);
	refuse_check(SECRET_FILE, link, "(mode 0644)", "chmod 600");
	assert_int_equal(unlink(path), 0);
	refuse_check(SECRET_FILE, link, "No such file", "create it");
	refuse_check(SECRET_FILE, dir, "not a regular file", "name the file");
	refuse_check(SECRET_FILE, "/dev/null", "not a regular file", "name the file");
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refuse_check(SECRET_FILE, fifo, "not a regular file", "name the file");
	assert_int_equal(secret_check(&none, "account x", &e), 0);
	refuse(SECRET_NONE, "", "no password is configured", "password-file");
}

/* A file that opens, and cannot be read: nothing is mapped at 0. */
static void test_file_unreadable(void **state)
{
	(void)state;
	accept_check(SECRET_FILE, "/proc/self/mem");
	refuse(SECRET_FILE, "/proc/self/mem", "cannot read /proc/self/mem", "error");
}

static void test_no_place(void **state)
{
	static const enum secret_kind kinds[] = {SECRET_FILE, SECRET_ENV, SECRET_COMMAND,
						 SECRET_CREDENTIAL, SECRET_TEXT};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
		char empty[] = "";
		struct secret_source src = {kinds[i / 2], i % 2 ? empty : NULL};
		struct err e;

		assert_int_equal(secret_check(&src, "account x", &e), -1);
		expect_error(&e, "source of the password is empty", "name it");
	}
}

/* ---- environment, text, credentials ---- */

static void test_env(void **state)
{
	(void)state;
	setenv("TEST_SECRET", "hunter2", 1);
	accept_check(SECRET_ENV, "TEST_SECRET");
	expect(SECRET_ENV, "TEST_SECRET", "hunter2");
	setenv("TEST_SECRET", "", 1);
	refuse_check(SECRET_ENV, "TEST_SECRET", "TEST_SECRET is empty", "set it");
	unsetenv("TEST_SECRET");
	refuse_check(SECRET_ENV, "TEST_SECRET", "TEST_SECRET is not set", "set it");
	expect(SECRET_TEXT, "hunter2", "hunter2");
	accept_check(SECRET_TEXT, "hunter2");
	refuse(SECRET_TEXT, "hunter2\nhunter2", "newline or NUL inside", "one line");
}

static void test_text_length(void **state)
{
	char *text = malloc(SECRET_MAX + 4);

	(void)state;
	assert_non_null(text);
	for (size_t more = 0; more < 4; more++) {
		memset(text, 'x', SECRET_MAX + more);
		text[SECRET_MAX + more] = '\0';
		if (more == 0)
			expect(SECRET_TEXT, text, text);
		else
			refuse(SECRET_TEXT, text, "longer than 16384 bytes", "right file");
	}
	free(text);
}

/* As long as a path may be, and longer. */
static void test_credential_length(void **state)
{
	char long_dir[4200];

	(void)state;
	write_text("hunter2\n");
	for (size_t len = 4080; len < 4110; len++) {
		memset(long_dir, '/', len);
		memcpy(long_dir + len - strlen(dir), dir, strlen(dir));
		long_dir[len] = '\0';
		setenv("CREDENTIALS_DIRECTORY", long_dir, 1);
		if (len + strlen("/secret") < 4096)
			expect(SECRET_CREDENTIAL, "secret", "hunter2");
		else
			refuse_check(SECRET_CREDENTIAL, "secret",
				     "$CREDENTIALS_DIRECTORY is too long", "");
	}
	setenv("CREDENTIALS_DIRECTORY", "tmp", 1);
	refuse_check(SECRET_CREDENTIAL, "secret", "not started by systemd",
		     "LoadCredential=secret:");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_credential(void **state)
{
	(void)state;
	write_text("hunter2\n");
	unsetenv("CREDENTIALS_DIRECTORY");
	refuse_check(SECRET_CREDENTIAL, "secret", "not started by systemd",
		     "LoadCredential=secret:");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	accept_check(SECRET_CREDENTIAL, "secret");
	expect(SECRET_CREDENTIAL, "secret", "hunter2");
	refuse_check(SECRET_CREDENTIAL, "none", "No such file", "create it");
	refuse_check(SECRET_CREDENTIAL, "../secret", "not a plain name", "LoadCredential");
	refuse_check(SECRET_CREDENTIAL, "./secret", "not a plain name", "LoadCredential");
	refuse_check(SECRET_CREDENTIAL, "a/secret", "not a plain name", "LoadCredential");
	refuse_check(SECRET_CREDENTIAL, "..", "not a plain name", "LoadCredential");
	assert_int_equal(chmod(path, 0644), 0);
	refuse_check(SECRET_CREDENTIAL, "secret", "(mode 0644)", "chmod 600");
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* ---- commands ---- */

/* Standard input is empty, whatever ours is. */
static void expect_no_input(void)
{
	int saved = dup(STDIN_FILENO), fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "ours\n", 5), 5);
	close(fds[1]);
	assert_int_not_equal(dup2(fds[0], STDIN_FILENO), -1);
	close(fds[0]);
	expect(SECRET_COMMAND, "cat; echo hunter2", "hunter2");
	assert_int_not_equal(dup2(saved, STDIN_FILENO), -1);
	close(saved);
}

static void test_command(void **state)
{
	(void)state;
	accept_check(SECRET_COMMAND, "exit 1"); /* a check does not run it */
	expect(SECRET_COMMAND, "echo hunter2", "hunter2");
	expect(SECRET_COMMAND, "printf hunter2", "hunter2");
	expect(SECRET_COMMAND, "printf 'hunter2\\r\\nuser: me\\n'", "hunter2");
	expect(SECRET_COMMAND, "printf hun; sleep 0.05; echo ter2; echo more", "hunter2");
	expect_no_input();
	expect(SECRET_COMMAND, "echo hunter2; exec >&-; sleep 0.1", "hunter2");
	/* A lot behind the first line, and all of it may be written. */
	expect(SECRET_COMMAND, "set -e; echo hunter2; head -c 1000000 /dev/zero", "hunter2");
}

static void test_command_refused(void **state)
{
	(void)state;
	refuse(SECRET_COMMAND, "echo hunter2; exit 3", "exit status 3", "by hand");
	refuse(SECRET_COMMAND, "exec 2>/dev/null; /none", "exit status 127", "by hand");
	refuse(SECRET_COMMAND, "echo hunter2; kill -TERM $$", "signal 15", "by hand");
	refuse(SECRET_COMMAND, "true", "is empty", "write it");
	refuse(SECRET_COMMAND, "echo; echo hunter2", "is empty", "write it");
	refuse(SECRET_COMMAND, "printf 'hunter2\\0x'", "NUL inside", "one line");
	refuse(SECRET_COMMAND, "head -c 16385 /dev/zero | tr '\\0' x", "longer than",
	       "right file");
}

/* What we ignore or block ourselves is the command's to take. */
static void test_command_signals(void **state)
{
	sigset_t term, before;

	(void)state;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &term, &before), 0);
	signal(SIGPIPE, SIG_IGN);
	refuse(SECRET_COMMAND, "kill -PIPE $$; echo hunter2", "signal 13", "by hand");
	refuse(SECRET_COMMAND, "kill -TERM $$; echo hunter2", "signal 15", "by hand");
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

/* In a process that may not open anything more. */
static void child_no_descriptors(void)
{
	int lowest = dup(STDIN_FILENO);
	rlim_t none = (rlim_t)lowest;
	struct secret s = {0};
	struct err e;

	close(lowest);
	write_text("hunter2\n");
	for (rlim_t max = none + 1; max >= none; max--) {
		if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){max, max}) == -1)
			_exit(1);
		if (load_within(SECRET_COMMAND, "echo hunter2", 10000, &s, &e) != -1 ||
		    e.scope != ERR_FATAL || e.kind != ERR_LOCAL || s.text != NULL)
			_exit(2);
	}
	if (load_within(SECRET_FILE, path, 10000, &s, &e) != -1 || e.scope != ERR_FATAL ||
	    e.kind != ERR_CONFIG || strstr(e.text, "cannot open") == NULL)
		_exit(3);
	_exit(0);
}

static void test_no_descriptors(void **state)
{
	(void)state;
	assert_int_equal(status_of(child_no_descriptors), 0);
}

/* Asked to stop, we do not wait for a command. */
static void child_stopped(void)
{
	struct secret s = {0};
	struct err e;

	alarm(60);
	stop_install();
	raise(SIGTERM);
	if (load_within(SECRET_COMMAND, "echo hunter2; sleep 600", 600000, &s, &e) != -1)
		_exit(1);
	_exit(e.scope == ERR_FATAL && e.kind == ERR_CANCELLED && s.text == NULL ? 0 : 2);
}

static void test_command_stopped(void **state)
{
	(void)state;
	assert_int_equal(status_of(child_stopped), 0);
}

/* Something in the background that keeps the output open does not hold us up. */
static void test_command_background(void **state)
{
	int64_t start = clock_ms();

	(void)state;
	expect(SECRET_COMMAND, "echo hunter2; sleep 5 &", "hunter2");
	assert_true(clock_ms() - start < 3000);
}

static void test_command_timeout(void **state)
{
	static const char *const hanging[] = {
	    "echo hunter2; sleep 60", "sleep 60 | cat", "cat /dev/zero",
	    "trap '' TERM INT; while :; do sleep 1; done", "exec >&-; sleep 60"};
	(void)state;
	for (size_t i = 0; i < sizeof hanging / sizeof hanging[0]; i++) {
		struct secret s = {0};
		int64_t start = clock_ms();
		struct err e;

		assert_int_equal(load_within(SECRET_COMMAND, hanging[i], 200, &s, &e), -1);
		assert_null(s.text);
		expect_error(&e, "did not end within 1 s", "must not wait");
		assert_true(clock_ms() - start >= 200);
		assert_true(clock_ms() - start < 5000);
	}
}

/* The time that is given in the error is never none. */
static void test_command_short_timeout(void **state)
{
	static const struct {
		int ms;
		const char *within;
	} times[] = {{1, "within 1 s"}, {1000, "within 1 s"}, {1001, "within 2 s"}};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct secret s = {0};
		struct err e;

		assert_int_equal(load_within(SECRET_COMMAND, "sleep 60", times[i].ms, &s, &e),
				 -1);
		expect_error(&e, times[i].within, "must not wait");
	}
}

/* At the deadline the whole process group goes, not the shell alone. */
static void test_command_group_killed(void **state)
{
	char command[400], name[300], line[32] = "";
	struct secret s = {0};
	struct err e;
	FILE *f;

	(void)state;
	snprintf(name, sizeof name, "%s/pid", dir);
	snprintf(command, sizeof command, "sh -c 'echo $$ >%s; exec sleep 60'; true", name);
	assert_int_equal(load_within(SECRET_COMMAND, command, 500, &s, &e), -1);
	f = fopen(name, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	snprintf(command, sizeof command, "grep -qs '^State:.[^Z]' /proc/%s/status", line);
	for (int i = 0; i < 100 && system(command) == 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_not_equal(system(command), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie of ours */
}

static int fd_before;

static int setup(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	char command[256];

	(void)state;
	assert_int_equal(fixture_open_fds(), fd_before);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_file_content_refused),
	    cmocka_unit_test(test_file_length),
	    cmocka_unit_test(test_file_mode),
	    cmocka_unit_test(test_file_owner),
	    cmocka_unit_test(test_file_owners),
	    cmocka_unit_test(test_file_kind),
	    cmocka_unit_test(test_file_unreadable),
	    cmocka_unit_test(test_no_place),
	    cmocka_unit_test(test_env),
	    cmocka_unit_test(test_text_length),
	    cmocka_unit_test(test_credential),
	    cmocka_unit_test(test_credential_length),
	    cmocka_unit_test(test_command),
	    cmocka_unit_test(test_command_refused),
	    cmocka_unit_test(test_command_signals),
	    cmocka_unit_test(test_command_background),
	    cmocka_unit_test(test_command_timeout),
	    cmocka_unit_test(test_command_short_timeout),
	    cmocka_unit_test(test_command_stopped),
	    cmocka_unit_test(test_no_descriptors),
	    cmocka_unit_test(test_command_group_killed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
