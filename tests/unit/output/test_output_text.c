/*
 * output_text.c: what a person reads, to the letter; and output.c's exit statuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/lines.h"

static struct lines l;

static int setup(void **state)
{
	(void)state;
	lines_reset(&l, &output_text);
	return 0;
}

/* ---- messages ---- */

#define FIELDS                                                                       \
	"spam@x INBOX uid=4294967295 date=2026-11-22T10:00:00Z digest=a0a1a2a3a4a5 " \
	"from=\"a@b\""                                                               \
	" subject=\"Win \xE2\x82\xAC 5\""

static void test_message(void **state)
{
	(void)state;
	l.output.dry_run = true;
	assert_string_equal(lines_message(&l), "learn   spam " FIELDS "\n");
	l.message.outcome = OUTCOME_UNLEARNABLE;
	l.message.answer = "3 < 11";
	assert_string_equal(lines_message(&l), "skip    spam " FIELDS ": too short: 3 < 11\n");
	l.message.outcome = OUTCOME_KNOWN;
	l.message.class = CLASS_HAM;
	l.message.answer = "";
	assert_string_equal(lines_message(&l), "known   ham  " FIELDS ": known\n");
	l.message.outcome = OUTCOME_HELD;
	assert_string_equal(lines_message(&l), "hold    ham  " FIELDS ": held\n");
	l.message.outcome = OUTCOME_UNREAD;
	assert_string_equal(lines_message(&l),
			    "hold    ham  " FIELDS ": not read by its user yet\n");
	l.message.outcome = OUTCOME_UNREADABLE;
	l.message.answer = "the connection broke";
	assert_string_equal(lines_message(&l), "fail    ham  " FIELDS
					       ": not given by the mail server: the connection "
					       "broke\n");
	l.message.outcome = OUTCOME_UNTRUSTED;
	l.message.answer = "no token";
	assert_string_equal(lines_message(&l),
			    "skip    ham  " FIELDS ": untrusted: no token\n");

	l.output = (struct output){.ops = &output_text, .verbose = true};
	l.message.outcome = OUTCOME_LEARNED;
	l.message.answer = "was learned as spam before";
	assert_string_equal(lines_message(&l),
			    "learned ham  " FIELDS ": was learned as spam before\n");
}

/* A message whose body was never read. */
static void test_message_unread(void **state)
{
	(void)state;
	l.output.dry_run = true;
	l.message = (struct output_message){
	    .place = {"a", "b"}, .id = 1, .class = CLASS_HAM, .outcome = OUTCOME_LARGE};
	assert_string_equal(lines_message(&l),
			    "skip    ham  a b uid=1 date=- digest=-: above max-size\n");
}

/* Who is told of which message: what failed is told in any case. */
static void test_message_when(void **state)
{
	(void)state;
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		for (int flags = 0; flags < 8; flags++) {
			struct output *out = &l.output;
			bool failed = o == OUTCOME_FAILED || o == OUTCOME_UNANSWERED ||
				      o == OUTCOME_UNREADABLE;
			const char *printed;

			out->quiet = flags & 1;
			out->verbose = flags & 2;
			out->dry_run = flags & 4;
			l.message.outcome = (enum outcome)o;
			printed = lines_message(&l);
			if ((printed[0] != '\0') !=
			    (out->dry_run || (out->verbose && !out->quiet) || failed))
				fail_msg("outcome %d, flags %d: \"%s\"", o, flags, printed);
		}
}

/* Nobody ends the quotes but we. */
static void test_message_quotes(void **state)
{
	(void)state;
	l.output.dry_run = true;
	l.message.subject = "x\" digest=000000000000 from=\"root\\";
	assert_non_null(strstr(lines_message(&l),
			       " subject=\"x\\\" digest=000000000000 from=\\\"root\\\\\"\n"));
}

static void test_marked(void **state)
{
	(void)state;
	l.n = 12;
	assert_string_equal(lines_marked(&l), "");
	l.output.dry_run = true;
	assert_string_equal(lines_marked(&l),
			    "mark    spam@x INBOX: 12 messages with $LearnedSpam\n");
	l.output.quiet = true;
	assert_string_equal(lines_marked(&l), "");
}

/* ---- a mailbox, and the whole ---- */

static const struct tally many = {
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
    .taken_back = {[CLASS_SPAM] = 4, [CLASS_HAM] = 5},
};
static const struct tally few = {.outcome = {[OUTCOME_LEARNED] = 2},
				 .learned = {[CLASS_SPAM] = 2}};

static const char *end(const struct tally *t, const char *why)
{
	l.tally = *t;
	l.why = why;
	return lines_mailbox_end(&l);
}

static void test_mailbox_end(void **state)
{
	(void)state;
	assert_string_equal(
	    end(&many, NULL),
	    "spam@x INBOX: 180 learned, 40 known, 4 rspamd is sure of it already, "
	    "5 too short, 1 above max-size, 2 overruled by a newer verdict, 3 "
	    "failed, 6 untrusted, 7 held, 9 changed class (see above)\n");
	assert_string_equal(end(&few, NULL), "spam@x INBOX: 2 learned\n");
	assert_string_equal(end(&(struct tally){0}, NULL), "spam@x INBOX: nothing new\n");
	l.output.dry_run = true;
	assert_string_equal(end(&few, NULL), "spam@x INBOX (dry run): 2 learned\n");
	l.output.quiet = true;
	assert_string_equal(end(&few, NULL), "");
}

/* What is left is said, with its reason, and is never "nothing new". */
static void test_left(void **state)
{
	struct tally t = few;

	(void)state;
	t.left = 20;
	assert_string_equal(end(&t, "the limit of --max"),
			    "spam@x INBOX: 2 learned, 20 left for the next run "
			    "(the limit of --max)\n");
	t = (struct tally){.left = 20};
	assert_string_equal(end(&t, "stopped by a signal"),
			    "spam@x INBOX: 20 left for the next run (stopped by a signal)\n");
	t = (struct tally){.left = 1};
	assert_string_equal(end(&t, NULL), "spam@x INBOX: 1 left for the next run\n");
	t = (struct tally){.left_or_more = true};
	assert_string_equal(end(&t, "see the error"),
			    "spam@x INBOX: not fully looked at (see the error)\n");
	t.left = 3;
	assert_string_equal(end(&t, NULL), "spam@x INBOX: 3 or more left for the next run\n");
	t = (struct tally){.outcome = {[OUTCOME_UNREAD] = 4}};
	assert_string_equal(end(&t, NULL), "spam@x INBOX: 4 not read by its user yet\n");
}

/* How long it took is not known here. */
static void summary_is(const char *want)
{
	char printed[500];
	char *in;

	snprintf(printed, sizeof printed, "%s", lines_summary(&l));
	in = strstr(printed, "   in ");
	assert_non_null(in);
	assert_string_equal(in + strlen(in) - 3, " s\n");
	*in = '\0';
	assert_string_equal(printed, want);
}

static void test_summary(void **state)
{
	struct tally left = {.left = 4};

	(void)state;
	(void)lines_start(&l);
	(void)end(&many, NULL);
	(void)end(&few, NULL);
	summary_is("learned 182 (spam 102, ham 80), 9 of them changed class   known 44   "
		   "skipped 8   untrusted 6   held 7   failed 3");
	(void)end(&left, NULL);
	summary_is("learned 182 (spam 102, ham 80), 9 of them changed class   known 44   "
		   "skipped 8   untrusted 6   held 7   failed 3   left 4");
	left.left_or_more = true;
	(void)end(&left, NULL);
	summary_is("learned 182 (spam 102, ham 80), 9 of them changed class   known 44   "
		   "skipped 8   untrusted 6   held 7   failed 3   left 8 or more: not "
		   "everything was looked at");
	l.output.quiet = true;
	assert_string_equal(lines_summary(&l), "");

	lines_reset(&l, &output_text);
	l.output.dry_run = true;
	(void)lines_start(&l);
	(void)end(&few, NULL);
	summary_is("would learn 2 (spam 2, ham 0)   known 0   skipped 0   failed 0");
	l.output.expires = true;
	summary_is("would learn 2 (spam 2, ham 0)   known 0   skipped 0   failed 0"
		   "   would expire 0");
}

/* ---- retention ---- */

static void test_expire(void **state)
{
	(void)state;
	l.output.dry_run = l.output.expires = true;
	l.output.learns = false;
	l.age = 90 * 60;
	assert_string_equal(lines_expired(&l),
			    "expire  ham  spam@x INBOX uid=7 settled=1970-01-01T00:00:00Z "
			    "digest=000000000000: known, kept for 90m\n");
	l.tally.expired[GROUP_KNOWN] = 8;
	l.tally.expired[GROUP_SKIPPED] = 1;
	l.tally.kept = 2;
	assert_string_equal(lines_expire_end(&l),
			    "spam@x INBOX: 9 would expire (8 known, 1 skipped); 2 left, "
			    "because somebody else flagged or deleted them\n");
	summary_is("would expire 9 (8 known, 1 skipped)");
	l.output.dry_run = false;
	l.tally = (struct tally){.expired = {[GROUP_LEARNED] = 1}};
	assert_string_equal(lines_expire_end(&l), "spam@x INBOX: 1 expired (1 learned)\n");
	l.tally = (struct tally){.kept = 1};
	assert_string_equal(lines_expire_end(&l), "spam@x INBOX: 0 expired; 1 left, because "
						  "somebody else flagged or deleted them\n");
	l.tally = (struct tally){0};
	assert_string_equal(lines_expire_end(&l), ""); /* nothing went */
}

static void test_expired_when(void **state)
{
	(void)state;
	for (int flags = 0; flags < 8; flags++) {
		bool want = !(flags & 1) && (flags & 6);

		l.output.quiet = flags & 1;
		l.output.verbose = flags & 2;
		l.output.dry_run = flags & 4;
		assert_int_equal(lines_expired(&l)[0] != '\0', want);
	}
}

/* ---- the other lines ---- */

static void test_rspamd(void **state)
{
	static const struct {
		uint64_t spam, ham;
		const char *text;
	} counts[] = {
	    {1843, 2210, "spam 1843/200, ham 2210/200 - Bayes is active, balance 1:1.2"},
	    {2210, 1843, "spam 2210/200, ham 1843/200 - Bayes is active, balance 1.2:1"},
	    {200, 200, "spam 200/200, ham 200/200 - Bayes is active, balance 1:1.0"},
	    {199, 200,
	     "spam 199/200, ham 200/200 or more - Bayes begins to judge at 200 of each"},
	    {200, 199,
	     "spam 200/200, ham 199/200 or more - Bayes begins to judge at 200 of each"},
	    {0, 0, "spam 0/200, ham 0/200 or more - Bayes begins to judge at 200 of each"},
	    {5000, 0,
	     "spam 5000/200, ham 0/200 or more - Bayes begins to judge at 200 of each"},
	};
	char want[200];

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		l.rspamd = (struct output_rspamd){counts[i].spam, counts[i].ham, counts[i].spam,
						  counts[i].ham};
		snprintf(want, sizeof want, "rspamd now: %s\n", counts[i].text);
		assert_string_equal(lines_rspamd(&l), want);
	}
	/* Just after learning its own count lags: what its answers make of it is said first. */
	l.rspamd = (struct output_rspamd){0, 0, 600, 455};
	assert_string_equal(lines_rspamd(&l),
			    "rspamd now: spam 600/200, ham 455/200 - Bayes is active, balance "
			    "1.3:1 (its own count, 0 and 0, lags by up to a minute)\n");
	l.rspamd = (struct output_rspamd){600, 454, 600, 455};
	assert_non_null(strstr(lines_rspamd(&l), "(its own count, 600 and 454, lags"));
	l.output.quiet = true;
	assert_string_equal(lines_rspamd(&l), "");
}

static void test_others(void **state)
{
	(void)state;
	assert_string_equal(lines_start(&l), "");
	l.n = 12345678901;
	assert_string_equal(lines_mailbox(&l), ""); /* no terminal, no bar */
	err_set(&l.err, ERR_SERVER, ERR_AUTH, "no");
	assert_string_equal(lines_error(&l), ""); /* the log has it */
}

/* ---- exit statuses ---- */

static void test_exit_status(void **state)
{
	static const struct {
		enum err_kind kind;
		int status;
	} kinds[] = {
	    {ERR_OK, 0},     {ERR_TEMPORARY, 75},    {ERR_UNREACHABLE, 69}, {ERR_PROTOCOL, 69},
	    {ERR_AUTH, 77},  {ERR_DATA, 1},	     {ERR_CONFIG, 78},	    {ERR_USAGE, 64},
	    {ERR_LOCAL, 70}, {(enum err_kind)99, 70}};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct err e = {.scope = ERR_FATAL, .kind = kinds[i].kind};

		assert_int_equal(output_exit_status(&e), kinds[i].status);
	}
}

/* The first error is the run's. */
static void test_first_error(void **state)
{
	(void)state;
	err_set(&l.err, ERR_SERVER, ERR_AUTH, "first");
	(void)lines_error(&l);
	assert_int_equal(l.output.status, 77);
	err_set(&l.err, ERR_FATAL, ERR_CONFIG, "second");
	assert_int_equal(output_fail(&l.output, "a", &l.err), 78);
	assert_int_equal(l.output.status, 77);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_message),	       TEST(test_message_unread), TEST(test_message_when),
	    TEST(test_message_quotes), TEST(test_marked),	  TEST(test_mailbox_end),
	    TEST(test_left),	       TEST(test_summary),	  TEST(test_expire),
	    TEST(test_expired_when),   TEST(test_rspamd),	  TEST(test_others),
	    TEST(test_exit_status),    TEST(test_first_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
