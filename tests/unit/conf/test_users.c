/*
 * conf_users.c: an impersonate block becomes an account for each user of its list, or is
 * refused with the line, the line of the list, and the cure. In the texts below ~ stands for a
 * temporary folder, and the file "users" in it is the list.
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

#include "base/buf.h"
#include "base/clock.h"
#include "base/shell.h"
#include "conf/conf.h"
#include "fake/fixture.h"
#include "fake/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define URL	 "url = \"imaps://mail.example.org\" "
#define PW	 "password-file = \"~/pw\" "
#define USER	 "user = \"%u*master\" "
#define FILE_KEY "users-file = \"~/users\" "
#define JUNK	 "mailbox \"\\\\Junk\" { class = spam } "
#define BLOCK	 "impersonate mail { " URL PW USER FILE_KEY JUNK "}\n"

static char dir[] = "/tmp/test_users.XXXXXX";

static void write_file(const char *name, const char *data, size_t len, mode_t mode)
{
	char path[256];
	FILE *f;

	assert_true(snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_users(const char *users)
{
	write_file("users", users, strlen(users), 0644);
}

static void write_conf(const char *text, char *path, size_t size)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	for (; *text != '\0'; text++)
		assert_int_equal(*text == '~' ? buf_adds(&b, dir) : buf_add(&b, text, 1), 0);
	write_file("conf", b.data, b.len, 0644);
	buf_free(&b);
	snprintf(path, size, "%s/conf", dir);
}

static int load(const char *text, struct conf **c, struct err *e)
{
	char path[256];

	write_conf(text, path, sizeof path);
	err_clear(e);
	return conf_load(path, NULL, NULL, c, e);
}

static struct conf *load_ok(const char *text)
{
	struct conf *c = NULL;
	struct err e;

	if (load(text, &c, &e) == -1)
		fail_msg("refused: %s", e.text);
	return c;
}

/* Refused at this line of the configuration, and the error says all of these words. */
static void refused(const char *text, int line, const char *what, const char *cure)
{
	char at[300];
	struct conf *c = NULL;
	struct err e;

	assert_int_equal(load(text, &c, &e), -1);
	assert_null(c);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_CONFIG);
	snprintf(at, sizeof at, "%s/conf:%d: ", dir, line);
	if (strncmp(e.text, at, strlen(at)) != 0 || !strstr(e.text, what) ||
	    !strstr(e.text, cure))
		fail_msg("%s\nnot at line %d, or without \"%s\" or \"%s\"", e.text, line, what,
			 cure);
}

static void refused_users(const char *users, const char *what, const char *cure)
{
	write_users(users);
	refused("\n" BLOCK, 2, what, cure);
}

/* ---- what is read ---- */

static void test_an_account_a_user(void **state)
{
	static const char text[] =
	    "account \"spam@example.org\" { " URL PW JUNK "}\n"
	    "impersonate mail { " URL PW FILE_KEY
	    " user = \"%u%learn@example.org\" timeout = 7s insecure = true ca-file = \"~/pw\"\n"
	    " mailbox \"\\\\Junk\" { class = spam hold = 1m }\n"
	    " mailbox INBOX { class = ham seen-only = true }\n"
	    "}\n";
	const char *const names[] = {"spam@example.org", "zoe@example.org", "alice@example.org",
				     "b#b@example.org"};
	struct conf *c;

	(void)state;
	write_users("# who\n\nzoe@example.org\r\n  alice@example.org # the boss\n"
		    "b#b@example.org");
	c = load_ok(text);
	assert_int_equal(c->n_accounts, COUNT(names));
	for (size_t i = 0; i < c->n_accounts; i++)
		assert_string_equal(c->accounts[i].name, names[i]);
	assert_int_equal(c->accounts[0].impersonate, 0);
	for (size_t i = 1; i < c->n_accounts; i++) {
		const struct conf_account *a = &c->accounts[i];

		assert_int_equal(a->impersonate, 1);
		assert_string_equal(a->reporter, a->name);
		assert_string_equal(a->url, "imaps://mail.example.org");
		assert_int_equal(a->timeout, 7);
		assert_true(a->insecure);
		assert_non_null(a->ca_file);
		assert_int_equal(a->password.kind, SECRET_FILE);
		assert_int_equal(a->n_mailboxes, 2);
		assert_string_equal(a->mailboxes[0].name, "\\Junk");
		assert_int_equal(a->mailboxes[0].hold, 60);
		assert_true(a->mailboxes[1].seen_only);
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(a->mailboxes[k].keep, CONF_KEEP_YES);
			assert_int_equal(a->mailboxes[k].decided, CONF_KEEP_YES);
			assert_int_equal(a->mailboxes[k].mark, CONF_KEEP_NO);
			assert_false(a->mailboxes[k].expire);
			assert_false(a->mailboxes[k].proof);
		}
	}
	assert_string_equal(c->accounts[1].user, "zoe@example.org%learn@example.org");
	conf_free(c);
}

static void test_log_ins(void **state)
{
	static const struct {
		const char *user, *becomes;
	} users[] = {
	    {"%u", "a@b"},     {"%u*master", "a@b*master"}, {"%%u%u%%u", "%ua@b%u"},
	    {"x%u%", "xa@b%"}, {"%u%learn", "a@b%learn"},
	};
	char text[512];

	(void)state;
	write_users("a@b\n");
	for (size_t i = 0; i < COUNT(users); i++) {
		struct conf *c;

		snprintf(text, sizeof text,
			 "impersonate mail { " URL PW FILE_KEY JUNK "user = \"%s\" }\n",
			 users[i].user);
		c = load_ok(text);
		assert_string_equal(c->accounts[0].user, users[i].becomes);
		conf_free(c);
	}
}

static void test_command(void **state)
{
	static const char text[] =
	    "impersonate mail { " URL PW USER JUNK
	    "users-command = \"echo a@b; echo c@d; echo ~ >&2\" }\n"
	    "impersonate more { " URL PW USER JUNK "users-command = \"printf e@f\" }\n";
	struct conf *c = load_ok(text);

	(void)state;
	assert_int_equal(c->n_accounts, 3);
	assert_string_equal(c->accounts[1].name, "c@d");
	assert_string_equal(c->accounts[2].name, "e@f");
	assert_int_equal(c->accounts[1].impersonate, 1);
	assert_int_equal(c->accounts[2].impersonate, 2);
	conf_free(c);
}

/* The log-in's secret may come from the environment, as that of an account. */
static void test_secret_of_environment(void **state)
{
	static const char text[] = "impersonate mail { " URL USER FILE_KEY JUNK "}\n";
	struct conf *c;

	(void)state;
	write_users("a@b\nc@d\n");
	refused(text, 1, "no password", "add password-file");
	setenv("IMAP_PASSWORD", "x", 1);
	c = load_ok(text);
	assert_int_equal(c->accounts[1].password.kind, SECRET_ENV);
	conf_free(c);
	unsetenv("IMAP_PASSWORD");
}

static char *many_users(size_t n)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_addf(&b, "user%zu@example.org\n", i), 0);
	return b.data;
}

static void test_as_many_as_allowed(void **state)
{
	char *users = many_users(CONF_MAX_ACCOUNTS);
	struct conf *c;

	(void)state;
	write_users(users);
	free(users);
	c = load_ok(BLOCK);
	assert_int_equal(c->n_accounts, CONF_MAX_ACCOUNTS);
	assert_string_equal(c->accounts[9999].user, "user9999@example.org*master");
	conf_free(c);
	refused("account a { " URL PW JUNK "}\n" BLOCK, 2,
		"line 10000: more than 10000 accounts", "split the configuration");
}

/* Marks where they are asked for; an account block says itself what counts. */
static void test_marks_and_decisions(void **state)
{
	static const char text[] =
	    "account a@b { " URL PW "keep = true decided = true mark = false " JUNK
	    "mailbox INBOX { class = ham decided = false mark = true } }\n"
	    "account c@d { " URL PW JUNK "}\n"
	    "impersonate mail { " URL PW USER FILE_KEY "mark = true " JUNK
	    "mailbox INBOX { class = ham mark = false } }\n";
	const struct {
		enum conf_keep decided, mark;
	} wanted[3][2] = {
	    {{CONF_KEEP_YES, CONF_KEEP_NO}, {CONF_KEEP_NO, CONF_KEEP_YES}},
	    {{CONF_KEEP_UNSAID, CONF_KEEP_UNSAID}},
	    {{CONF_KEEP_YES, CONF_KEEP_YES}, {CONF_KEEP_YES, CONF_KEEP_NO}},
	};
	struct conf *c;

	(void)state;
	write_users("e@f\n");
	c = load_ok(text);
	for (size_t i = 0; i < c->n_accounts; i++)
		for (size_t k = 0; k < c->accounts[i].n_mailboxes; k++) {
			const struct conf_mailbox *m = &c->accounts[i].mailboxes[k];

			assert_int_equal(m->decided, wanted[i][k].decided);
			assert_int_equal(m->mark, wanted[i][k].mark);
		}
	conf_free(c);
	refused("account a@b { " URL PW "decided = true\n" JUNK "}\n", 2,
		"has decided = true, which is for users' own mail", "add keep = true");
	refused("impersonate mail { " URL PW USER FILE_KEY JUNK "decided = false }\n", 1,
		"'decided'", "spelling");
	refused(BLOCK "account a@b { " URL PW JUNK "mark = perhaps }\n", 2, "neither true",
		"write one");
}

/* The list is read anew each time: what watch does when it reloads. */
static void test_read_again(void **state)
{
	struct conf *c;

	(void)state;
	write_users("a@b\n");
	conf_free(load_ok(BLOCK));
	write_users("a@b\nc@d\n");
	c = load_ok(BLOCK);
	assert_int_equal(c->n_accounts, 2);
	conf_free(c);
}

/* ---- what is refused ---- */

static void test_block_refused(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *what, *cure;
	} blocks[] = {
	    {"\nimpersonate mail { " URL PW USER JUNK "\n}\n", 3,
	     "impersonate mail: no list of users", "add users-file"},
	    {"impersonate mail { " URL PW USER JUNK FILE_KEY "\n users-command = true }\n", 1,
	     "both users-file and users-command", "keep one"},
	    {"impersonate mail { " URL PW JUNK FILE_KEY "}\n", 1, "user has no %u",
	     "\"%u*master\""},
	    {"impersonate mail { " URL PW JUNK FILE_KEY "\n user = learn }\n", 2,
	     "user has no %u", "\"%u%admin\""},
	    {"impersonate mail { " URL PW JUNK FILE_KEY "\n user = \"%%u\" }\n", 2,
	     "user has no %u", "write"},
	    {"impersonate mail { " URL PW JUNK FILE_KEY "\n user = \"%u%ulla\" }\n", 2,
	     "user has more than one %u", "write"},
	    {"impersonate mail { " URL PW JUNK USER "\n users-file = users }\n", 2,
	     "relative path", "begin it with /"},
	    {"impersonate mail { " PW JUNK USER FILE_KEY "}\n", 1, "impersonate mail: no url",
	     "add"},
	    {"impersonate mail { " PW JUNK USER FILE_KEY "\n url = \"http://a\" }\n", 2,
	     "another scheme", "imaps://"},
	    {"impersonate mail { " URL PW USER FILE_KEY "}\n", 1, "no mailbox", "add"},
	    {"impersonate mail { " URL PW USER FILE_KEY "\n mailbox a { class = ham }\n"
	     " mailbox b { } }\n",
	     3, "mailbox \"b\" has no class", "add class"},
	    {"impersonate mail { " URL PW USER FILE_KEY JUNK "\n ca-file = \"~/no\" }\n", 2,
	     "cannot read ca-file", "name a PEM file"},
	    {"impersonate mail { " URL USER FILE_KEY JUNK "\n password-file = \"~/no\" }\n", 2,
	     "cannot open", "create it"},
	    {"impersonate mail { " URL PW USER FILE_KEY JUNK "keep = false }\n", 1, "'keep'",
	     "spelling"},
	    {"impersonate mail { " URL PW USER FILE_KEY
	     "mailbox a { class = ham keep = no } }\n",
	     1, "'keep'", "spelling"},
	    {"impersonate mail { " URL PW USER FILE_KEY JUNK "reporter = a }\n", 1,
	     "'reporter'", "spelling"},
	    {BLOCK BLOCK, 2, "duplicate title", "keep one"},
	};

	(void)state;
	write_users("a@b\n");
	for (size_t i = 0; i < COUNT(blocks); i++)
		refused(blocks[i].text, blocks[i].line, blocks[i].what, blocks[i].cure);
}

static void test_list_refused(void **state)
{
	char name[CONF_MAX_NAME + 20];

	(void)state;
	refused_users("", "mail: users-file: the list of users is empty", "one address a line");
	refused_users("# nobody\n\n  # yet\n", "the list of users is empty", "write");
	refused_users("a@b\na@\033[1mb\n",
		      "users-file: line 2: an address with a control "
		      "character, or that is not UTF-8: a@\\x1b[1mb",
		      "retype it");
	refused_users("a@b\xff\n", "line 1: an address with a control", "retype it");
	refused_users("a@b\tc@d\n", "line 1: an address with a control", "retype it");
	refused_users("a@b c@d\n", "line 1: \"a@b c@d\" is no address", "one address a line");
	refused_users("a@b\nc@d\nA@B\n", "A@B stands there twice", "take it out");
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	refused_users(name, "line 1: an address of 259 bytes; at most 240",
		      "one address a line");
	/* It is short enough, but its log-in is not. */
	name[CONF_MAX_NAME - 2] = '\0';
	refused_users(name, "the user has 245 bytes; at most 240", "allowed");
	refused_users("files\n", "cannot be called \"files\"", "another name");
	write_file("users", "a@b\n\0c@d\n", 9, 0644);
	refused(BLOCK, 1, "line 2: an address with a control", "retype it");
}

static void test_also_elsewhere(void **state)
{
	(void)state;
	write_users("c@d\na@b\n");
	refused("account a@b { " URL PW JUNK "}\n" BLOCK, 2, "a@b is also an account block",
		"take it out");
	refused(BLOCK "impersonate more { " URL PW USER JUNK "\nusers-command = 'echo a@b' }\n",
		3, "impersonate more: users-command: a@b is also in another impersonate block",
		"take it out");
	refused("stalwart a@b { url = \"https://a\" key-file = \"~/pw\" }\n" BLOCK, 1,
		"both called \"a@b\"", "another name");
}

static void test_file_refused(void **state)
{
	char *big = calloc(1, (4 << 20) + 2);

	(void)state;
	write_file("users", "a@b\n", 4, 0646);
	refused(BLOCK, 1, "users: can be changed by others (mode 0646)", "chmod go-w");
	write_file("users", "a@b\n", 4, 0664);
	refused(BLOCK, 1, "can be changed by others", "chmod go-w");
	assert_non_null(big);
	memset(big, '\n', (4 << 20) + 1);
	write_users(big);
	free(big);
	refused(BLOCK, 1, "larger than 4194304 bytes", "is this a list of users file?");
	refused("impersonate mail { " URL PW USER JUNK "users-file = \"~\" }\n", 1,
		"not a regular file", "name a list of users");
	refused("impersonate mail { " URL PW USER JUNK "users-file = \"~/none\" }\n", 1,
		"No such file", "name a list of users");
}

#define COMMAND(c) "impersonate mail { " URL PW USER JUNK "users-command = \"" c "\" }\n"

static void test_command_refused(void **state)
{
	(void)state;
	refused(COMMAND("echo a@b; exit 3"), 1,
		"users-command: the command failed with exit "
		"status 3",
		"run it by hand");
	refused(COMMAND("kill -9 $$"), 1, "was ended by signal 9", "run it by hand");
	refused(COMMAND("true"), 1, "the list of users is empty", "write");
	refused(COMMAND("yes"), 1, "prints more than it may", "run it by hand");
	refused(COMMAND("echo a@b; echo a@b"), 1, "stands there twice", "take it out");
}

static bool take_all(void *ctx, const char *data, size_t len)
{
	return buf_add(ctx, data, len) == 0;
}

/* What conf_users.c gives 30 seconds to. */
static void test_command_hangs(void **state)
{
	struct buf out;
	struct shell shell = {"echo a; sleep 60", "the command", 300, take_all, &out};
	int64_t begun = clock_ms();
	struct err e;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(shell_run(&shell, &e), -1);
	assert_string_equal(e.text, "the command did not end within 1 s and was killed; it "
				    "must not wait for input");
	assert_true(clock_ms() - begun < 10000);
	assert_string_equal(out.data, "a\n");
	buf_free(&out);
}

static int refuse(void *ctx, const struct conf *c, struct err *e)
{
	assert_string_equal(c->ledger, "/var/l");
	*(bool *)ctx = true;
	return err_set(e, ERR_FATAL, ERR_LOCAL, "not now");
}

/* Who loads a configuration can say no before a command of it is run. */
static void test_ready(void **state)
{
	char path[256], ran[256];
	struct conf *c = NULL;
	bool asked = false;
	struct err e;

	(void)state;
	write_conf("ledger = /var/l\n" COMMAND("echo a@b >~/ran"), path, sizeof path);
	assert_int_equal(conf_load(path, refuse, &asked, &c, &e), -1);
	assert_true(asked);
	assert_non_null(strstr(e.text, "conf:2: not now"));
	snprintf(ran, sizeof ran, "%s/ran", dir);
	assert_int_equal(access(ran, F_OK), -1);
	/* Without such a command nobody is asked. */
	asked = false;
	write_conf("account a@b { " URL PW JUNK "}\n", path, sizeof path);
	assert_int_equal(conf_load(path, refuse, &asked, &c, &e), 0);
	assert_false(asked);
	conf_free(c);
}

/* At each allocation that fails nothing is lost, and the error says so. */
static void test_out_of_memory(void **state)
{
	char path[256];
	bool done = false;
	unsigned n;

	(void)state;
	write_users("a@b\nc@d\n");
	write_conf(BLOCK, path, sizeof path);
	for (n = 0; !done; n++) {
		struct conf *c = NULL;
		struct err e;
		int rc;

		fake_memory_fails(n + 1);
		rc = conf_load(path, NULL, NULL, &c, &e);
		done = !fake_memory_failed();
		fake_memory_fails(0);
		assert_true(rc == 0 || c == NULL);
		conf_free(c);
	}
	assert_true(n > 20);
}

static int fd_before;

static int setup(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	unsetenv("IMAP_PASSWORD");
	if (mkdtemp(dir) == NULL)
		return -1;
	write_file("pw", "secret\n", 7, 0600);
	return 0;
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
	    cmocka_unit_test(test_an_account_a_user),
	    cmocka_unit_test(test_log_ins),
	    cmocka_unit_test(test_command),
	    cmocka_unit_test(test_secret_of_environment),
	    cmocka_unit_test(test_as_many_as_allowed),
	    cmocka_unit_test(test_marks_and_decisions),
	    cmocka_unit_test(test_read_again),
	    cmocka_unit_test(test_block_refused),
	    cmocka_unit_test(test_list_refused),
	    cmocka_unit_test(test_also_elsewhere),
	    cmocka_unit_test(test_file_refused),
	    cmocka_unit_test(test_command_refused),
	    cmocka_unit_test(test_command_hangs),
	    cmocka_unit_test(test_ready),
	    cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
