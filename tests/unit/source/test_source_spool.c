/*
 * source_spool.c and what is below it: the contract of every source; what is taken and what is
 * left; numbers that are never given twice. System tests have other users and real servers.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "fake/source.h"
#include "source/contract.h"
#include "source/source_ops.h"
#include "source/account.h"
#include "source/spool_drop.h"
#include "source/spool_submit.h"

static char folder[64];
static struct conf_spool conf = {.path = folder};
static struct conf_reports reports;
static struct account *account;
static struct err e;
static int64_t late; /* the machine's clock goes ahead by this */

static int64_t now(void)
{
	return time(NULL) + late;
}

static int64_t ms(void)
{
	return 0;
}

static void no_pause(int n)
{
	(void)n;
}

static const struct clock_source ahead = {ms, now, no_pause};

static char *at(const char *name)
{
	static char full[4][300];
	static int next;

	next = (next + 1) % 4;
	snprintf(full[next], sizeof full[next], "%s/%s", folder, name);
	return full[next];
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) != EOF);
	assert_int_equal(fclose(f), 0);
}

static bool there(const char *name)
{
	struct stat st;

	return lstat(at(name), &st) == 0;
}

static const char *text_of(const char *name)
{
	static char text[300];
	FILE *f = fopen(at(name), "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void connect_account(void)
{
	account = account_spool(&conf, &reports);
	assert_non_null(account);
	if (account_connect(account, &e) == -1)
		fail_msg("%s", e.text);
}

/* Like a new run. */
static void reconnect(void)
{
	account_free(account);
	connect_account();
}

static struct source *open_spam(bool read_only)
{
	struct source *s = account_source(account, 0);

	assert_non_null(s);
	if (source_open(s, read_only, &e) == -1)
		fail_msg("%s", e.text);
	return s;
}

static int setup(void **state)
{
	(void)state;
	late = 10; /* what is written now was written a while ago */
	clock_use(&ahead);
	snprintf(folder, sizeof folder, "/tmp/learnspool-spool-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	connect_account();
	source_close(open_spam(false));
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	account_free(account);
	clock_use(NULL);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

/* ---- the contract ---- */

static void deliver(void *ctx, const struct contract_message *m)
{
	const struct timespec times[2] = {{m->date, 0}, {m->date, 0}};
	static int n;
	char name[32];

	(void)ctx;
	snprintf(name, sizeof name, "spam/%d.report", ++n);
	put(name, m->body);
	assert_int_equal(utimensat(AT_FDCWD, at(name), times, 0), 0);
}

static struct source *make(void *ctx, const struct contract_message *m, size_t n)
{
	setup(NULL);
	for (size_t i = 0; i < n; i++) {
		deliver(ctx, &m[i]);
		source_close(open_spam(false)); /* one by one, so that they are numbered so */
	}
	return account_source(account, 0);
}

static const char *const places[] = {"taken", "done", "skipped", "failed"};

static char *find_file(uint32_t id)
{
	char name[40];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "%s/spam/%u", places[i], id);
		if (there(name))
			return at(name);
	}
	return NULL;
}

static void expunge(void *ctx, uint32_t id)
{
	(void)ctx;
	assert_int_equal(unlink(find_file(id)), 0);
}

static bool has(void *ctx, uint32_t id)
{
	(void)ctx;
	return find_file(id) != NULL;
}

static void wait_for(void *ctx, const struct wait *w)
{
	(void)ctx;
	(void)w;
	fail(); /* a spool never waits */
}

static void drop(void *ctx, struct source *s)
{
	(void)ctx;
	source_close(s);
	assert_int_equal(teardown(NULL), 0);
}

static void test_contract(void **state)
{
	const struct contract c = {.make = make,
				   .expunge = expunge,
				   .deliver = deliver,
				   .has = has,
				   .wait = wait_for,
				   .drop = drop,
				   .can_remove = true,
				   .one_class = true,
				   .ctx = NULL};

	(void)state;
	contract_check(&c);
}

/* ---- what is taken ---- */

static struct source_message take(struct source *s, uint32_t id)
{
	const struct source_filter all = {.max_size = 1000, .newest = INT64_MAX};
	struct source_message m = {0};
	struct ranges todo = {0};
	struct wait wait;

	assert_int_equal(ranges_add(&todo, id, id, &e), 0);
	assert_int_equal(source_want(s, &todo, &all, false, &e), 0);
	assert_int_equal(source_next(s, &m, &wait, &e), SOURCE_MESSAGE);
	assert_int_equal(m.id, id);
	return m;
}

static void is_text(struct source_message m, const char *text)
{
	assert_int_equal(m.kind, MESSAGE_BODY);
	assert_int_equal(m.body.len, strlen(text));
	assert_memory_equal(m.body.data, text, m.body.len);
	source_message_free(&m);
}

static void test_drop_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(at("spam"), &st), 0);
	assert_int_equal(st.st_mode & 07777, SPOOL_DROP_MODE);
	assert_int_equal(stat(at("taken"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at("done/ham"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* A plain file keeps its name for people; its date is that of its taking. */
static void test_plain_file(void **state)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct source_message m;
	struct source *s;

	(void)state;
	put("spam/holi\033day.eml", "Subject: x\n\n");
	assert_int_equal(utimensat(AT_FDCWD, at("spam/holi\033day.eml"), old, 0), 0);
	s = open_spam(false);
	assert_int_equal(s->count, 1);
	assert_false(there("spam/holi\033day.eml"));
	m = take(s, 1);
	assert_string_equal(source_name(s, 1), "holi\\x1bday.eml");
	assert_null(source_name(s, 2));
	assert_true(m.stamp.date > 1000000);
	assert_true(m.reporter[0]);
	is_text(m, "Subject: x\n\n");
	source_close(s);
}

/* Who reports cannot say that it was long ago, before or after the taking: `hold` counts. */
static void test_date_of_a_users_report(void **state)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct source *s;

	(void)state;
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root, to be two users\n");
		skip();
	}
	put("spam/a.report", "Subject: x\n\n");
	put("spam/b.report", "Subject: x\n\n");
	assert_int_equal(utimensat(AT_FDCWD, at("spam/a.report"), old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, at("spam/b.report"), old, 0), 0);
	assert_int_equal(chown(at("spam/a.report"), 65534, 65534), 0);
	s = open_spam(true);
	for (int dry = 1; dry >= 0; dry--) {
		int users = 0, roots = 0;

		for (uint32_t id = 1; id <= 2; id++) {
			struct source_message m = take(s, id);

			users += m.stamp.date > now() - 100;
			roots += m.stamp.date == 1000;
			is_text(m, "Subject: x\n\n");
		}
		assert_true(users == 1 && roots == 1);
		if (dry)
			assert_int_equal(source_open(s, false, &e), 0);
	}
	source_close(s);
}

/* What was just written may not be whole; what `submit` and an MDA put there is. */
static void test_young_file(void **state)
{
	struct source *s;

	(void)state;
	late = 1; /* the next second may begin meanwhile */
	put("spam/half", "Subject: x\n");
	assert_int_equal(mkdir(at("spam/box"), 0700), 0);
	assert_int_equal(mkdir(at("spam/box/new"), 0700), 0);
	assert_int_equal(mkdir(at("spam/box/cur"), 0700), 0);
	assert_int_equal(mkdir(at("spam/box/tmp"), 0700), 0);
	put("spam/box/new/1.host", "Subject: new\n\n");
	put("spam/box/tmp/2.host", "Subject: tmp\n\n");
	put("spam/x.report", "Subject: report\n\n");
	s = open_spam(false);
	assert_int_equal(s->count, 2);
	assert_true(there("spam/half") && there("spam/box/tmp/2.host"));
	late = 3;
	assert_int_equal(source_open(s, false, &e), 0);
	assert_int_equal(s->count, 3);
	assert_false(there("spam/half"));
	source_close(s);
}

/* The clock was set back: nothing waits for it to come there again. */
static void test_young_file_from_the_future(void **state)
{
	struct source *s;

	(void)state;
	late = -1000;
	put("spam/a", "Subject: x\n");
	s = open_spam(false);
	assert_int_equal(s->count, 1);
	source_close(s);
}

static void test_what_stays(void **state)
{
	static const char *const names[] = {"spam/.hidden", "spam/link",  "spam/fifo",
					    "spam/one",	    "spam/other", "spam/mbox"};
	struct source *s;

	(void)state;
	put("spam/.hidden", "Subject: x\n");
	put("outside", "Subject: secret\n");
	assert_int_equal(symlink(at("outside"), at("spam/link")), 0);
	assert_int_equal(mkfifo(at("spam/fifo"), 0644), 0);
	put("spam/one", "Subject: x\n");
	assert_int_equal(link(at("spam/one"), at("spam/other")), 0);
	put("spam/mbox", "From a@b Thu Nov 26 10:59:00 2026\nSubject: x\n\nx\n");
	for (int dry = 0; dry < 2; dry++) {
		s = open_spam(dry == 1);
		assert_int_equal(s->count, 0);
		source_close(s);
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_true(there(names[i]));
}

/* A link or another name that appears after the taking is not read either. */
static void test_replaced_after_the_taking(void **state)
{
	struct source_message m;
	struct source *s;

	(void)state;
	put("spam/a.report", "Subject: x\n");
	put("spam/b.report", "Subject: x\n");
	put("outside", "Subject: secret\n");
	source_close(open_spam(false));
	assert_int_equal(unlink(at("taken/spam/1")), 0);
	assert_int_equal(symlink(at("outside"), at("taken/spam/1")), 0);
	assert_int_equal(link(at("taken/spam/2"), at("other")), 0);
	s = open_spam(false);
	m = take(s, 1);
	assert_int_equal(m.kind, MESSAGE_UNREADABLE);
	m = take(s, 2);
	assert_int_equal(m.kind, MESSAGE_UNREADABLE);
	assert_string_equal(m.words, "it has another name (a hard link)");
	source_close(s);
}

/* In the folder of a Maildir what `submit` puts there counts too. */
static void test_the_folder_is_a_maildir(void **state)
{
	struct source *s;

	(void)state;
	assert_int_equal(mkdir(at("spam/new"), 0700), 0);
	assert_int_equal(mkdir(at("spam/cur"), 0700), 0);
	put("spam/new/1", "Subject: x\n");
	put("spam/dovecot-uidlist", "3\n");
	put("spam/.report", "Subject: x\n");
	put("spam/a.report", "Subject: x\n");
	s = open_spam(false);
	assert_int_equal(s->count, 2);
	source_close(s);
}

/* Anybody may make a Maildir of the folder: only their own other files are left out for it. */
static void test_the_folder_is_a_strangers_maildir(void **state)
{
	struct source *s;

	(void)state;
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root, to be two users\n");
		skip();
	}
	assert_int_equal(mkdir(at("spam/new"), 0755), 0);
	assert_int_equal(mkdir(at("spam/cur"), 0755), 0);
	put("spam/new/1", "Subject: new\n");
	assert_int_equal(mkdir(at("spam/tmp"), 0755), 0);
	put("spam/tmp/2", "Subject: ha");
	put("spam/theirs", "3\n");
	put("spam/ours", "Subject: ours\n");
	for (const char *const *name =
		 (const char *const[]){"spam/new", "spam/cur", "spam/theirs", NULL};
	     *name; name++)
		assert_int_equal(chown(at(*name), 65534, 65534), 0);
	s = open_spam(false);
	assert_int_equal(s->count, 2);
	assert_true(there("spam/theirs") && there("spam/tmp/2"));
	assert_false(there("spam/ours"));
	source_close(s);
}

/* There may be a million: who stops us does not wait for them. */
static void test_stopped(void **state)
{
	struct source *s = account_source(account, 0);

	(void)state;
	put("spam/a.report", "Subject: a\n");
	stop_request(SIGTERM);
	assert_int_equal(source_open(s, false, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_true(there("spam/a.report"));
	stop_request(0);
	assert_int_equal(source_open(s, false, &e), 0);
	assert_int_equal(s->count, 1);
	source_close(s);
}

/* ---- a dry run ---- */

static void test_dry_run(void **state)
{
	struct source *s;
	struct ranges found = {0};
	struct stat before, after;

	(void)state;
	put("spam/a.report", "Subject: a\n");
	source_close(open_spam(false));
	put("spam/b.report", "Subject: b\n");
	put("spam/c.report", "Subject: c\n");
	reconnect();
	assert_int_equal(stat(at("spam"), &before), 0);
	s = open_spam(true);
	assert_int_equal(s->count, 3);
	assert_int_equal(s->next, 4);
	assert_int_equal(source_list(s, 1, UINT32_MAX, &found, &e), 0);
	assert_string_equal(fake_ranges(&found), "1:3");
	for (int round = 0; round < 2; round++) { /* any number of rounds */
		struct source_message m2, m3;

		is_text(take(s, 1), "Subject: a\n");
		m2 = take(s, 2);
		assert_string_equal(source_name(s, 2) + 1, ".report");
		m3 = take(s, 3);
		assert_int_not_equal(m2.body.data[9], m3.body.data[9]);
		source_message_free(&m2);
		source_message_free(&m3);
	}
	assert_int_equal(take(s, 4).kind, MESSAGE_GONE);
	source_close(s);
	ranges_free(&found);
	assert_true(there("spam/b.report") && there("spam/c.report"));
	assert_int_equal(stat(at("spam"), &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* A run would take a plain file now: that is its date, as it will be when it was taken. */
static void test_dates_of_a_dry_run(void **state)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct source *s;

	(void)state;
	put("spam/a", "Subject: a\n");
	assert_int_equal(utimensat(AT_FDCWD, at("spam/a"), old, 0), 0);
	s = open_spam(true);
	for (int dry = 1; dry >= 0; dry--) {
		struct source_message m = take(s, 1);

		assert_true(m.stamp.date > 1000000);
		source_message_free(&m);
		if (dry)
			assert_int_equal(source_open(s, false, &e), 0);
	}
	source_close(s);
}

/* ---- numbers ---- */

/* The state says more than was given if a run was killed: no number is given again. */
static void test_numbers_after_a_kill(void **state)
{
	char text[100];
	struct source *s;
	unsigned identity;

	(void)state;
	put("spam/a.report", "Subject: a\n");
	source_close(open_spam(false));
	assert_int_equal(sscanf(text_of("taken/state"),
				"learnspool spool 1\nidentity %u\nnext 2\n", &identity),
			 1);
	snprintf(text, sizeof text, "learnspool spool 1\nidentity %u\nnext 1001\n", identity);
	put("taken/state", text);
	put("spam/b.report", "Subject: b\n");
	reconnect();
	s = open_spam(false);
	assert_true(there("taken/spam/1001"));
	assert_int_equal(s->identity, identity);
	assert_int_equal(s->next, 1002);
	source_close(s);
}

static void test_damaged_state(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "learnspool spool 1\nidentity 0\nnext 5\n",
					  "learnspool spool 1\nidentity 5\nnext 0\n",
					  "learnspool spool 1\nidentity 5\nnext 5\nmore",
					  "learnspool spool 2\nidentity 5\nnext 5\n",
					  "learnspool spool 1\nidentity 4294967301\nnext 5\n"};

	(void)state;
	put("spam/a.report", "Subject: a\n");
	source_close(open_spam(false));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct source *s;

		put("taken/state", bad[i]);
		put("spam/b.report", "Subject: b\n");
		reconnect();
		s = open_spam(false);
		assert_int_not_equal(s->identity, 5);
		assert_int_equal(s->count, i + 2); /* nothing was overwritten */
		source_close(s);
	}
}

static void test_no_numbers_left(void **state)
{
	struct source *s = account_source(account, 0);

	(void)state;
	put("taken/state", "learnspool spool 1\nidentity 5\nnext 4294967295\n");
	put("spam/a.report", "Subject: a\n");
	source_close(s);
	reconnect();
	s = account_source(account, 0);
	assert_int_equal(source_open(s, false, &e), -1);
	assert_non_null(strstr(e.text, "no numbers left"));
	assert_true(there("spam/a.report"));
	source_close(s);
}

/* ---- verdicts ---- */

static void test_failed_and_learned_then(void **state)
{
	struct ranges one = {0};
	struct source *s;
	bool held;

	(void)state;
	put("spam/a.report", "Subject: a\n");
	s = open_spam(false);
	assert_int_equal(source_fail(s, 1, "rspamd: no", &e), 0);
	assert_string_equal(text_of("failed/spam/1.reason"), "rspamd: no\n");
	assert_true(there("failed/spam/1"));
	assert_int_equal(source_fail(s, 1, "no again", &e), 0);
	assert_string_equal(text_of("failed/spam/1.reason"), "no again\n");
	assert_int_equal(source_fail(s, 7, "who?", &e), 0);
	assert_false(there("failed/spam/7.reason"));
	is_text(take(s, 1), "Subject: a\n");
	assert_int_equal(ranges_add(&one, 1, 1, &e), 0);
	assert_int_equal(source_mark(s, &one, CLASS_SPAM, OUTCOME_LEARNED, &held, &e), 0);
	assert_true(there("done/spam/1"));
	assert_false(there("failed/spam/1.reason") || there("failed/spam/1"));
	source_close(s);
	ranges_free(&one);
}

/* What somebody swapped in, and cannot be moved, stops nobody else's message. */
static void test_failed_and_not_to_be_moved(void **state)
{
	struct source *s;

	(void)state;
	put("spam/a.report", "Subject: a\n");
	s = open_spam(false);
	assert_int_equal(mkdir(at("failed/spam/1"), 0700), 0);
	assert_int_equal(source_fail(s, 1, "not a regular file", &e), 0);
	assert_true(there("taken/spam/1") && there("failed/spam/1.reason"));
	is_text(take(s, 1), "Subject: a\n");
	source_close(s);
}

/* Where retention moves mail, it moves here, too; with the name that it had. */
static void test_removal(void **state)
{
	const struct source_removal move = {.move_to = "Archive"}, delete = {.move_to = NULL};
	struct ranges ids = {0};
	struct source *s;

	(void)state;
	put("spam/a", "Subject: a\n");
	put("spam/b", "Subject: b\n");
	s = open_spam(false);
	assert_int_equal(source_fail(s, 2, "no", &e), 0);
	assert_int_equal(ranges_add(&ids, 1, 1, &e), 0);
	assert_int_equal(source_remove(s, &ids, &move, &e), 0);
	assert_true(there("archive/spam/1") && there("taken/name/spam-1"));
	assert_int_equal(ranges_add(&ids, 1, 2, &e), 0);
	assert_int_equal(source_remove(s, &ids, &delete, &e), 0);
	assert_true(there("archive/spam/1")); /* it is the source's no more */
	assert_false(there("failed/spam/2") || there("failed/spam/2.reason") ||
		     there("taken/name/spam-2"));
	source_close(s);
	ranges_free(&ids);
}

/*
 * The state was lost, and numbers begin anew behind what is there: the archive's are given
 * again, and those of the other class. Nothing is overwritten, and nobody gets another's name.
 */
static void test_numbers_that_come_again(void **state)
{
	const struct source_removal move = {.move_to = "Archive"};
	struct ranges ids = {0};
	struct source *s;

	(void)state;
	put("spam/a", "Subject: a\n");
	s = open_spam(false);
	assert_int_equal(ranges_add(&ids, 1, 1, &e), 0);
	assert_int_equal(source_remove(s, &ids, &move, &e), 0);
	source_close(s);
	assert_int_equal(unlink(at("taken/state")), 0);
	put("ham/b", "Subject: b\n");
	put("spam/c.report", "Subject: c\n");
	reconnect();
	s = account_source(account, 1);
	assert_int_equal(source_open(s, false, &e), 0);
	source_close(s);
	assert_int_equal(unlink(at("taken/state")), 0);
	reconnect();
	s = open_spam(false);
	is_text(take(s, 1), "Subject: c\n");
	assert_string_equal(source_name(s, 1), "1");
	assert_int_equal(ranges_add(&ids, 1, 1, &e), 0);
	assert_int_equal(source_remove(s, &ids, &move, &e), 0);
	assert_string_equal(text_of("archive/spam/1"), "Subject: a\n");
	assert_string_equal(text_of("archive/spam/1.2"), "Subject: c\n");
	source_close(s);
	s = account_source(account, 1);
	assert_int_equal(source_open(s, false, &e), 0);
	is_text(take(s, 1), "Subject: b\n");
	assert_string_equal(source_name(s, 1), "b");
	source_close(s);
	ranges_free(&ids);
}

/* ---- submit ---- */

static int submit(const char *text, size_t len, const char *reporter)
{
	FILE *f = tmpfile();
	int rc;

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	rewind(f);
	rc = spool_submit(folder, CLASS_SPAM, reporter, fileno(f), &e);
	fclose(f);
	return rc;
}

/* Root, or the service itself, may say who reported. */
static void test_submit(void **state)
{
	static const char mail[] = "Subject: a\n\nFrom here on\n";
	struct source_message m;
	struct source *s;

	(void)state;
	assert_int_equal(submit(mail, strlen(mail), "Alice@example.org"), 0);
	s = open_spam(false);
	m = take(s, 1);
	assert_string_equal(m.reporter, "alice@example.org");
	is_text(m, "Subject: a\n\nFrom here on\n");
	source_close(s);
}

/* What a message begins with is no part of the line before it, and comes as it was. */
static void test_submit_of_any_beginning(void **state)
{
	static const char *const mails[] = {" one\nSubject: a\n\nx\n",
					    "\t; user=bob@example.org\nSubject: a\n\nx\n",
					    "no field\nSubject: a\n\nx\n",
					    "Subject: no end",
					    "\n\nno header\n",
					    SPOOL_FIELD "spam; user=bob@example.org\n\nx\n"};

	(void)state;
	for (size_t i = 0; i < 2 * (sizeof mails / sizeof *mails); i++) {
		const char *mail = mails[i / 2];
		struct source_message m;
		struct source *s;

		assert_int_equal(submit(mail, strlen(mail), i % 2 ? "alice@x.org" : NULL), 0);
		s = open_spam(false);
		m = take(s, (uint32_t)i + 1);
		if (i % 2)
			assert_string_equal(m.reporter, "alice@x.org");
		else
			assert_null(strstr(m.reporter, "bob"));
		is_text(m, mail);
		source_close(s);
	}
}

/* In a plain file, such a field comes from whoever sent the mail. */
static void test_a_field_in_a_plain_file(void **state)
{
	struct source_message m;
	struct source *s;

	(void)state;
	put("spam/a",
	    "X-Learnspool-Report: v1; class=spam; user=ceo@example.org\nSubject: a\n\n");
	s = open_spam(false);
	m = take(s, 1);
	assert_string_not_equal(m.reporter, "ceo@example.org");
	assert_true(m.reporter[0]);
	source_message_free(&m);
	source_close(s);
}

/* Where a user's name cannot be had now, nobody takes their number for another reporter. */
static void test_a_login_that_cannot_be_had(void **state)
{
	struct rlimit limit, one;
	struct source_message m;
	struct source *s;
	int free;

	(void)state;
	put("spam/a", "Subject: a\n\n");
	s = open_spam(false);
	free = dup(0);
	close(free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	one = (struct rlimit){(rlim_t)free + 1, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &one),
			 0); /* for the file, and nothing else */
	m = take(s, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(m.kind, MESSAGE_UNREADABLE);
	is_text(take(s, 1), "Subject: a\n\n");
	source_close(s);
}

static void test_submit_refuses(void **state)
{
	char much[SPOOL_REPORTER_MAX + 2];

	(void)state;
	memset(much, 'a', sizeof much);
	much[sizeof much - 1] = '\0';
	assert_int_equal(submit("", 0, NULL), -1);
	assert_int_equal(e.kind, ERR_DATA);
	assert_int_equal(submit("From a@b Thu Nov 26 10:59:00 2026\n", 34, NULL), -1);
	assert_int_equal(e.kind, ERR_DATA);
	for (const char *const *bad =
		 (const char *const[]){"", "a b@c", "a;token=x", "a\nb", much, NULL};
	     *bad; bad++) {
		assert_int_equal(submit("x", 1, *bad), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
	much[SPOOL_REPORTER_MAX] = '\0'; /* the longest that is one */
	assert_int_equal(submit("x", 1, much), 0);
	assert_int_equal(spool_submit("/nowhere", CLASS_HAM, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_TEMPORARY);
}

/* The largest message that is taken, and one byte more. */
static void test_submit_a_large_message(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	for (int more = 0; more < 2; more++) {
		rewind(f);
		assert_int_equal(ftruncate(fileno(f), SPOOL_BYTES_MAX + more), 0);
		assert_int_equal(spool_submit(folder, CLASS_HAM, NULL, fileno(f), &e), -more);
	}
	assert_int_equal(e.kind, ERR_DATA);
	assert_non_null(strstr(e.text, "larger than 100 MiB"));
	fclose(f);
}

/* The line that a mbox puts before a message is none of it. */
static void test_submit_cuts_a_separator(void **state)
{
	static const char mail[] = "From a@b Thu Nov 26 10:59:00 2026\nSubject: a\n\nx\n";
	struct source *s;

	(void)state;
	assert_int_equal(submit(mail, strlen(mail), NULL), 0);
	s = open_spam(false);
	is_text(take(s, 1), "Subject: a\n\nx\n");
	source_close(s);
}

/* What a `submit` that was killed left is removed after a day. */
static void test_torso(void **state)
{
	(void)state;
	put("spam/.submit-00", "Subj");
	late = SPOOL_STALE - 10;
	source_close(open_spam(false));
	assert_true(there("spam/.submit-00"));
	late = SPOOL_STALE + 10;
	source_close(open_spam(true));
	assert_true(there("spam/.submit-00")); /* a dry run removes nothing */
	source_close(open_spam(false));
	assert_false(there("spam/.submit-00"));
}

/* What lies on another file system cannot be taken: that is said, and not of each file. */
static void test_another_file_system(void **state)
{
	struct source *s = account_source(account, 0);

	(void)state;
	if (unshare(CLONE_NEWNS) == -1 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", at("spam"), "tmpfs", 0, "mode=1733")) {
		print_message("SKIPPED: needs mounts in a namespace\n");
		source_close(s);
		skip();
	}
	put("spam/a.report", "Subject: a\n");
	assert_int_equal(source_open(s, false, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(umount(at("spam")), 0);
	assert_int_equal(source_open(s, false, &e), 0);
	source_close(s);
}

/* ---- others ---- */

static void test_two_at_once(void **state)
{
	struct account *other = account_spool(&conf, &reports);
	struct source *s, *held = open_spam(false);

	(void)state;
	assert_int_equal(account_connect(other, &e), 0);
	s = account_source(other, 1);
	assert_int_equal(source_open(s, false, &e), -1);
	assert_int_equal(e.kind, ERR_TEMPORARY);
	assert_int_equal(source_open(s, true, &e), 0); /* a dry run may look */
	source_close(s);
	source_close(held);
	account_free(other);
}

static void test_an_open_spool(void **state)
{
	(void)state;
	assert_int_equal(chmod(folder, 0775), 0);
	account_disconnect(account);
	assert_int_equal(account_connect(account, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(chmod(folder, 0755), 0);
	reconnect();
}

/* Where others may add, they must not list, and only remove what is theirs. */
static void test_an_open_drop(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = {{01777, false}, {0733, false}, {0777, false}, {01733, true},
		     {01730, true},  {0755, true},  {02770, true}};

	(void)state;
	for (size_t i = 0; i < 2 * (sizeof modes / sizeof *modes); i++) {
		const char *drop = i % 2 ? "ham" : "spam";

		assert_int_equal(chmod(at(drop), modes[i / 2].mode), 0);
		account_disconnect(account);
		assert_int_equal(account_connect(account, &e), modes[i / 2].good ? 0 : -1);
		if (!modes[i / 2].good)
			assert_non_null(strstr(e.text, "chmod 1733"));
		assert_int_equal(chmod(at(drop), SPOOL_DROP_MODE), 0);
	}
	reconnect();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contract),
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	    WITH(test_drop_mode),
	    WITH(test_plain_file),
	    WITH(test_date_of_a_users_report),
	    WITH(test_young_file),
	    WITH(test_young_file_from_the_future),
	    WITH(test_what_stays),
	    WITH(test_replaced_after_the_taking),
	    WITH(test_the_folder_is_a_maildir),
	    WITH(test_the_folder_is_a_strangers_maildir),
	    WITH(test_stopped),
	    WITH(test_dry_run),
	    WITH(test_dates_of_a_dry_run),
	    WITH(test_numbers_after_a_kill),
	    WITH(test_damaged_state),
	    WITH(test_no_numbers_left),
	    WITH(test_failed_and_learned_then),
	    WITH(test_failed_and_not_to_be_moved),
	    WITH(test_removal),
	    WITH(test_numbers_that_come_again),
	    WITH(test_submit),
	    WITH(test_submit_of_any_beginning),
	    WITH(test_a_field_in_a_plain_file),
	    WITH(test_a_login_that_cannot_be_had),
	    WITH(test_submit_refuses),
	    WITH(test_submit_a_large_message),
	    WITH(test_submit_cuts_a_separator),
	    WITH(test_torso),
	    WITH(test_another_file_system),
	    WITH(test_two_at_once),
	    WITH(test_an_open_spool),
	    WITH(test_an_open_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
