/*
 * secret.c: every kind, every refusal, and that no refusal tells the secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "secret.h"

static char dir[] = "/tmp/test_secret.XXXXXX";
static char path[256]; /* of the file that the last write_file made */

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
	refuse(SECRET_FILE, path, "is empty", "put it");
	write_text("\n");
	refuse(SECRET_FILE, path, "is empty", "put it");
	write_text("hunter2\n\n");
	refuse(SECRET_FILE, path, "newline or NUL inside", "one line");
	write_text("hunter2\nhunter2");
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
	if (geteuid() != 0)
		skip();
	write_bytes("hunter2\n", 8, 0640);
	assert_int_equal(chown(path, 0, 12345), 0);
	refuse_check(SECRET_FILE, path, "(mode 0640)", "chmod 600");
	assert_int_equal(chmod(path, 0600), 0);
	accept_check(SECRET_FILE, path);
	assert_int_equal(chown(path, 12345, 0), 0);
	refuse_check(SECRET_FILE, path, "another user (uid 12345)", "chown");
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

static void test_command(void **state)
{
	(void)state;
	accept_check(SECRET_COMMAND, "exit 1"); /* a check does not run it */
	expect(SECRET_COMMAND, "echo hunter2", "hunter2");
	expect(SECRET_COMMAND, "printf hunter2", "hunter2");
	expect(SECRET_COMMAND, "printf 'hunter2\\r\\nuser: me\\n'", "hunter2");
	expect(SECRET_COMMAND, "printf hun; sleep 0.05; echo ter2; echo more", "hunter2");
	expect(SECRET_COMMAND, "cat; echo hunter2", "hunter2"); /* standard input is empty */
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
	refuse(SECRET_COMMAND, "true", "is empty", "put it");
	refuse(SECRET_COMMAND, "echo; echo hunter2", "is empty", "put it");
	refuse(SECRET_COMMAND, "printf 'hunter2\\0x'", "NUL inside", "one line");
	refuse(SECRET_COMMAND, "head -c 16385 /dev/zero | tr '\\0' x", "longer than",
	       "right file");
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

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	char command[256];

	(void)state;
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
	    cmocka_unit_test(test_file_kind),
	    cmocka_unit_test(test_env),
	    cmocka_unit_test(test_credential),
	    cmocka_unit_test(test_command),
	    cmocka_unit_test(test_command_refused),
	    cmocka_unit_test(test_command_background),
	    cmocka_unit_test(test_command_timeout),
	    cmocka_unit_test(test_command_group_killed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
