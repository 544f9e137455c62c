/*
 * report.c: what a run prints, to the letter, and that its JSON lines say the same and can be
 * read whatever a stranger wrote into a Subject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "report.h"

static char printed[16 * 1024];

/* Call it with standard output in a file, and read that into printed. */
static void print_of(struct report *r, void (*what)(struct report *))
{
	FILE *f = tmpfile();
	int out = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(f);
	assert_int_not_equal(out, -1);
	fflush(stdout);
	assert_int_not_equal(dup2(fileno(f), STDOUT_FILENO), -1);
	what(r);
	fflush(stdout);
	assert_int_not_equal(dup2(out, STDOUT_FILENO), -1);
	close(out);
	rewind(f);
	n = fread(printed, 1, sizeof printed - 1, f);
	printed[n] = '\0';
	fclose(f);
}

/* The last line printed, as JSON, of this event. The caller's to free. */
static json_t *json_of(struct report *r, void (*what)(struct report *), const char *event)
{
	json_t *line;

	r->format = REPORT_JSON;
	print_of(r, what);
	assert_int_equal(printed[strlen(printed) - 1], '\n');
	printed[strlen(printed) - 1] = '\0';
	assert_null(strchr(printed, '\n')); /* one line, and no more */
	for (const char *c = printed; *c; c++)
		assert_in_range(*c, 0x20, 0x7E); /* ASCII: no terminal and no log is harmed */
	line = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "event")), event);
	return line;
}

static void is_text(json_t *line, const char *name, const char *want)
{
	const char *got = json_string_value(json_object_get(line, name));

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void is_number(json_t *line, const char *name, json_int_t want)
{
	json_t *got = json_object_get(line, name);

	if (!json_is_integer(got) || json_integer_value(got) != want)
		fail_msg("%s", name);
}

/* ---- messages ---- */

static struct digest some_digest;
static struct report_message some_message;

static void one_message(struct report *r)
{
	report_message(r, &some_message);
}

static int set_message(void **state)
{
	(void)state;
	for (int i = 0; i < DIGEST_SIZE; i++)
		some_digest.bytes[i] = (unsigned char)(0xA0 + i);
	some_message = (struct report_message){
	    .account = "spam@x",
	    .mailbox = "INBOX",
	    .uid = 4294967295,
	    .class = CLASS_SPAM,
	    .outcome = OUTCOME_LEARNED,
	    .from = "a@b",
	    .subject = "Win \xE2\x82\xAC 5",
	    .date = "2026-11-22T10:00:00Z",
	    .digest = &some_digest,
	};
	return 0;
}

#define FIELDS                                                                       \
	"spam@x INBOX uid=4294967295 date=2026-11-22T10:00:00Z digest=a0a1a2a3a4a5 " \
	"from=\"a@b\""                                                               \
	" subject=\"Win \xE2\x82\xAC 5\""

static void test_message_text(void **state)
{
	struct report r = {.dry_run = true};

	(void)state;
	print_of(&r, one_message);
	assert_string_equal(printed, "learn   spam " FIELDS "\n");
	some_message.outcome = OUTCOME_UNLEARNABLE;
	some_message.answer = "3 < 11";
	print_of(&r, one_message);
	assert_string_equal(printed, "skip    spam " FIELDS ": too short: 3 < 11\n");
	some_message.outcome = OUTCOME_KNOWN;
	some_message.class = CLASS_HAM;
	some_message.answer = "";
	print_of(&r, one_message);
	assert_string_equal(printed, "known   ham  " FIELDS ": known\n");
	some_message.outcome = OUTCOME_HELD;
	print_of(&r, one_message);
	assert_string_equal(printed, "hold    ham  " FIELDS ": held\n");

	r = (struct report){.verbose = true};
	some_message.outcome = OUTCOME_LEARNED;
	some_message.answer = "was learned as spam before";
	print_of(&r, one_message);
	assert_string_equal(printed, "learned ham  " FIELDS ": was learned as spam before\n");
}

/* A message whose body was never read. */
static void test_message_unread(void **state)
{
	struct report r = {.dry_run = true};
	json_t *line;

	(void)state;
	some_message = (struct report_message){.account = "a",
					       .mailbox = "b",
					       .uid = 1,
					       .class = CLASS_HAM,
					       .outcome = OUTCOME_LARGE};
	print_of(&r, one_message);
	assert_string_equal(printed,
			    "skip    ham  a b uid=1 date=- digest=-: above max-size\n");
	line = json_of(&r, one_message, "message");
	assert_true(json_is_null(json_object_get(line, "digest")));
	assert_true(json_is_null(json_object_get(line, "subject")));
	assert_true(json_is_null(json_object_get(line, "reason")));
	json_decref(line);
}

/* Who is told of which message. */
static void test_message_when(void **state)
{
	(void)state;
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		for (int flags = 0; flags < 8; flags++) {
			struct report r = {
			    .quiet = flags & 1, .verbose = flags & 2, .dry_run = flags & 4};
			bool want = r.dry_run || (r.verbose && !r.quiet) || o == OUTCOME_FAILED;

			some_message.outcome = (enum outcome)o;
			print_of(&r, one_message);
			if ((printed[0] != '\0') != want)
				fail_msg("outcome %d, flags %d: \"%s\"", o, flags, printed);
		}
}

/* Nobody ends the quotes but we. */
static void test_message_quotes(void **state)
{
	struct report r = {.dry_run = true};

	(void)state;
	some_message.subject = "x\" digest=000000000000 from=\"root\\";
	print_of(&r, one_message);
	assert_non_null(
	    strstr(printed, " subject=\"x\\\" digest=000000000000 from=\\\"root\\\\\"\n"));
}

static void test_message_json(void **state)
{
	struct report r = {0};
	json_t *line;

	(void)state;
	some_message.subject = "\"quoted\\\" \xF0\x9F\x98\x80 </script>";
	some_message.answer = "\\x1b[2J";
	some_message.outcome = OUTCOME_FAILED;
	line = json_of(&r, one_message, "message");
	is_text(line, "account", "spam@x");
	is_text(line, "mailbox", "INBOX");
	is_number(line, "uid", 4294967295);
	is_text(line, "class", "spam");
	is_text(line, "outcome", "failed");
	is_text(line, "reason", "\\x1b[2J");
	is_text(line, "from", "a@b");
	is_text(line, "subject", some_message.subject);
	is_text(line, "date", "2026-11-22T10:00:00Z");
	is_text(line, "digest",
		"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
	assert_null(json_object_get(line, "dry_run"));
	json_decref(line);
	r.dry_run = true;
	line = json_of(&r, one_message, "message");
	assert_true(json_is_true(json_object_get(line, "dry_run")));
	json_decref(line);
}

/* ---- a mailbox, and the whole ---- */

/* How long it took is not known here. */
static void cut_time(void)
{
	char *in = strstr(printed, "   in ");

	assert_non_null(in);
	assert_string_equal(in + strlen(in) - 3, " s\n");
	*in = '\0';
}

static const struct report_counts many = {
    .outcome = {[OUTCOME_LEARNED] = 180,
		[OUTCOME_KNOWN] = 40,
		[OUTCOME_SURE] = 4,
		[OUTCOME_UNLEARNABLE] = 5,
		[OUTCOME_LARGE] = 1,
		[OUTCOME_OVERRULED] = 2,
		[OUTCOME_FAILED] = 3,
		[OUTCOME_UNTRUSTED] = 6,
		[OUTCOME_HELD] = 7},
    .learned = {[CLASS_SPAM] = 100, [CLASS_HAM] = 80},
    .flipped = 9,
};
static const struct report_counts few = {.outcome = {[OUTCOME_LEARNED] = 2},
					 .learned = {[CLASS_SPAM] = 2}};

static void end_many(struct report *r)
{
	report_mailbox_end(r, "spam@x", "INBOX", &many);
}

static void end_few(struct report *r)
{
	report_mailbox_end(r, "ham@x", "\xC3\xBC", &few);
}

static void end_none(struct report *r)
{
	report_mailbox_end(r, "a", "b", &(struct report_counts){0});
}

static void summary(struct report *r)
{
	report_summary(r);
}

static void test_mailbox_text(void **state)
{
	struct report r = {.learns = true};

	(void)state;
	print_of(&r, end_many);
	assert_string_equal(
	    printed, "spam@x INBOX: 180 learned, 40 known, 4 rspamd is sure of it already, "
		     "5 too short, 1 above max-size, 2 overruled by a newer verdict, 3 "
		     "failed, 6 untrusted, 7 held, 9 changed class (see above)\n");
	print_of(&r, end_few);
	assert_string_equal(printed, "ham@x \xC3\xBC: 2 learned\n");
	print_of(&r, end_none);
	assert_string_equal(printed, "a b: nothing new\n");
	r.quiet = true;
	print_of(&r, end_few);
	assert_string_equal(printed, "");
}

static void test_summary_text(void **state)
{
	struct report r = {.learns = true};

	(void)state;
	report_start(&r);
	print_of(&r, end_many);
	print_of(&r, end_few);
	print_of(&r, summary);
	cut_time();
	assert_string_equal(
	    printed, "learned 182 (spam 102, ham 80), 9 of them changed class   known 44   "
		     "skipped 8   untrusted 6   held 7   failed 3");
	r.quiet = true;
	print_of(&r, summary);
	assert_string_equal(printed, "");

	r = (struct report){.learns = true, .dry_run = true};
	report_start(&r);
	print_of(&r, end_few);
	print_of(&r, summary);
	cut_time();
	assert_string_equal(printed, "would learn 2 (spam 2, ham 0)   known 0   skipped 0   "
				     "failed 0");
}

static void check_counts(json_t *line)
{
	json_t *each = json_object_get(line, "outcomes");
	json_int_t sum = 0;

	is_number(line, "learned", 180);
	is_number(line, "known", 44);
	is_number(line, "skipped", 8);
	is_number(line, "untrusted", 6);
	is_number(line, "held", 7);
	is_number(line, "failed", 3);
	is_number(line, "learned_spam", 100);
	is_number(line, "learned_ham", 80);
	is_number(line, "flipped", 9);
	assert_int_equal(json_object_size(each), OUTCOMES - 1);
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		sum += json_integer_value(json_object_get(each, outcome_name((enum outcome)o)));
	assert_int_equal(sum, 180 + 44 + 8 + 6 + 7 + 3); /* every message is in one group */
}

static void test_counts_json(void **state)
{
	struct report r = {.format = REPORT_JSON, .learns = true};
	json_t *line = json_of(&r, end_many, "mailbox-end");

	(void)state;
	is_text(line, "account", "spam@x");
	is_text(line, "mailbox", "INBOX");
	check_counts(line);
	json_decref(line);
	line = json_of(&r, summary, "summary");
	check_counts(line);
	is_number(line, "expired", 0);
	assert_true(json_is_real(json_object_get(line, "seconds")));
	json_decref(line);
}

/* ---- retention ---- */

static struct record_uid gone = {.outcome = OUTCOME_KNOWN, .class = CLASS_HAM, .settled_at = 0};
static int64_t kept_for;

static void one_expired(struct report *r)
{
	report_expired(r, "ham@x", "INBOX", 7, &gone, kept_for);
}

static void expire_end(struct report *r)
{
	report_expire_end(r, "ham@x", "INBOX");
}

static void test_expire_text(void **state)
{
	static const struct {
		int64_t age;
		const char *text;
	} ages[] = {{7 * 86400, "7d"}, {86400, "1d"}, {43200, "12h"}, {90 * 60, "90m"},
		    {61, "61s"},       {0, "0d"},     {90000, "25h"}, {86401, "86401s"}};
	struct report r = {.expires = true, .dry_run = true};
	char want[200];

	(void)state;
	report_expire_begin(&r);
	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
		kept_for = ages[i].age;
		print_of(&r, one_expired);
		snprintf(want, sizeof want,
			 "expire  ham  ham@x INBOX uid=7 settled=1970-01-01T00:00:00Z "
			 "digest=000000000000: known, kept for %s\n",
			 ages[i].text);
		assert_string_equal(printed, want);
	}
	gone.outcome = OUTCOME_LARGE;
	print_of(&r, one_expired);
	report_kept(&r, 2);
	print_of(&r, expire_end);
	assert_string_equal(printed,
			    "ham@x INBOX: 9 would expire (8 known, 1 skipped); 2 left, "
			    "since somebody else flagged or deleted them\n");
	report_start(&r);
	print_of(&r, summary);
	cut_time();
	assert_string_equal(printed, "would expire 9 (8 known, 1 skipped)");
	report_expire_begin(&r);
	print_of(&r, expire_end);
	assert_string_equal(printed, ""); /* nothing went */
}

static void test_expire_json(void **state)
{
	struct report r = {.format = REPORT_JSON, .expires = true};
	json_t *line;

	(void)state;
	kept_for = 7 * 86400;
	gone.outcome = OUTCOME_LEARNED;
	report_expire_begin(&r);
	line = json_of(&r, one_expired, "expired");
	is_number(line, "uid", 7);
	is_text(line, "outcome", "learned");
	is_text(line, "class", "ham");
	is_text(line, "after", "7d");
	is_text(line, "settled", "1970-01-01T00:00:00Z");
	json_decref(line);
	report_kept(&r, 3);
	line = json_of(&r, expire_end, "expire-end");
	is_number(line, "expired", 1);
	is_number(line, "kept", 3);
	json_decref(line);
	line = json_of(&r, summary, "summary");
	is_number(line, "expired", 1);
	json_decref(line);
}

/* ---- the other lines ---- */

static void start(struct report *r)
{
	report_start(r);
}

static void mailbox(struct report *r)
{
	report_mailbox(r, "spam@x", "Junk \"Mail\"", 12345678901);
}

static uint64_t spam_learns, ham_learns;

static void rspamd(struct report *r)
{
	report_rspamd(r, spam_learns, ham_learns);
}

static void test_rspamd(void **state)
{
	static const struct {
		uint64_t spam, ham;
		const char *text;
	} counts[] = {
	    {1843, 2210, "spam 1843/200, ham 2210/200 - Bayes is active, balance 1:1.2 ("},
	    {2210, 1843, "spam 2210/200, ham 1843/200 - Bayes is active, balance 1.2:1 ("},
	    {200, 200, "spam 200/200, ham 200/200 - Bayes is active, balance 1:1.0 ("},
	    {199, 200, "spam 199/200, ham 200/200 - Bayes waits for 200 of each ("},
	    {0, 0, "spam 0/200, ham 0/200 - Bayes waits for 200 of each ("},
	    {5000, 0, "spam 5000/200, ham 0/200 - Bayes waits for 200 of each ("},
	};
	struct report r = {0};

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		spam_learns = counts[i].spam;
		ham_learns = counts[i].ham;
		print_of(&r, rspamd);
		assert_int_equal(strncmp(printed, "rspamd now: ", 12), 0);
		assert_int_equal(strncmp(printed + 12, counts[i].text, strlen(counts[i].text)),
				 0);
		assert_ptr_equal(strchr(printed, '\n'), printed + strlen(printed) - 1);
	}
	/* Just after learning the count is not to be trusted so far. */
	r.total.outcome[OUTCOME_LEARNED] = 1;
	print_of(&r, rspamd);
	assert_non_null(strstr(printed, "spam 5000/200, ham 0/200 ("));
}

static void error(struct report *r)
{
	(void)r;
	report_error("rspamd http://x: \xC3\xBC \\x1b", 69);
}

static void test_others(void **state)
{
	struct report r = {.command = "learn", .dry_run = true};
	json_t *line;

	(void)state;
	print_of(&r, start);
	assert_string_equal(printed, "");
	print_of(&r, mailbox);
	assert_string_equal(printed, ""); /* no terminal, no bar */
	r.quiet = true;
	print_of(&r, rspamd);
	assert_string_equal(printed, "");

	line = json_of(&r, start, "start");
	is_number(line, "schema", REPORT_SCHEMA);
	is_text(line, "command", "learn");
	assert_true(json_is_true(json_object_get(line, "dry_run")));
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 20);
	json_decref(line);
	line = json_of(&r, mailbox, "mailbox");
	is_text(line, "mailbox", "Junk \"Mail\"");
	is_number(line, "new", 12345678901);
	json_decref(line);
	spam_learns = 1843;
	ham_learns = 2210;
	line = json_of(&r, rspamd, "rspamd");
	is_number(line, "spam", 1843);
	is_number(line, "ham", 2210);
	json_decref(line);
	line = json_of(&r, error, "error");
	is_text(line, "text", "rspamd http://x: \xC3\xBC \\x1b");
	is_number(line, "exit", 69);
	json_decref(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_message_text, set_message),
	    cmocka_unit_test_setup(test_message_unread, set_message),
	    cmocka_unit_test_setup(test_message_when, set_message),
	    cmocka_unit_test_setup(test_message_quotes, set_message),
	    cmocka_unit_test_setup(test_message_json, set_message),
	    cmocka_unit_test(test_mailbox_text),
	    cmocka_unit_test(test_summary_text),
	    cmocka_unit_test(test_counts_json),
	    cmocka_unit_test(test_expire_text),
	    cmocka_unit_test(test_expire_json),
	    cmocka_unit_test(test_rspamd),
	    cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
