/*
 * message.c: what is to become of one message, from what the ledger knows of its content and
 * who reported it. Nothing is recorded by it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/fixture.h"
#include "fake/store.h"
#include "learn/message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct fake_store store;
static struct ledger *ledger;
static struct conf *conf;
static struct trust *trust;
static struct reporter_key key;
static struct message_rules rules;
static struct source src;
static const struct record_mailbox box = {.number = 4, .identity = 9};
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_store_init(&store, NULL);
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	conf = conf_default();
	src = (struct source){.account = "a", .class = CLASS_SPAM};
	trust = trust_open(&conf->reports, &e);
	rules = (struct message_rules){conf, trust, &key};
	return ledger && trust ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	trust_close(trust);
	conf_free(conf);
	ledger_close(ledger);
	fake_store_free(&store);
	return 0;
}

/* ---- who reported what ---- */

static struct arrival arrival_of(const char *text)
{
	struct source_message m = {.kind = MESSAGE_BODY, .id = 1};
	struct arrival a;

	memset(&a, 0xA5, sizeof a);
	buf_init(&m.body, 10000);
	assert_int_equal(buf_adds(&m.body, text), 0);
	assert_int_equal(message_read(&rules, &src, &m, &a, &e), 0);
	buf_free(&m.body);
	return a;
}

#define BODY "Subject: x\r\n\r\ntext\r\n"

static void test_reporter(void **state)
{
	struct arrival a = arrival_of("Return-Path: <Bob+Spam@X>\r\n" BODY);
	unsigned char hash[RECORD_REPORTER_SIZE];

	(void)state;
	assert_string_equal(a.who, "bob@x");
	reporter_hash(&key, "bob@x", hash);
	assert_memory_equal(a.reporter, hash, sizeof hash);
	assert_null(a.refused);
	/* In a mailbox of one's own the envelope is the spammer's. */
	src.owner = "Alice+x@example.org*master";
	a = arrival_of("Return-Path: <bob@x>\r\n" BODY);
	assert_string_equal(a.who, "alice@example.org");
	src.owner = NULL;
	free(conf->reports.delimiter);
	conf->reports.delimiter = strdup("");
	a = arrival_of("Return-Path: <bob+spam@x>\r\n" BODY);
	assert_string_equal(a.who, "bob+spam@x");
	a = arrival_of(BODY);
	assert_string_equal(a.who, "");
}

/* A content is one for all; with a classifier for each reporter it is one for each. */
static void test_content(void **state)
{
	struct arrival bob = arrival_of("Return-Path: <bob@x>\r\n" BODY),
		       carol = arrival_of("Return-Path: <carol@x>\r\n" BODY), own;

	(void)state;
	assert_true(digest_equal(&bob.info.digest, &carol.info.digest));
	conf->rspamd.deliver_to_reporter = true;
	own = arrival_of("Return-Path: <bob@x>\r\n" BODY);
	carol = arrival_of("Return-Path: <carol@x>\r\n" BODY);
	assert_false(digest_equal(&own.info.digest, &bob.info.digest));
	assert_false(digest_equal(&own.info.digest, &carol.info.digest));
	carol = arrival_of("Return-Path: <BOB@x>\r\n" BODY);
	assert_true(digest_equal(&own.info.digest, &carol.info.digest));
}

static void test_proof(void **state)
{
	(void)state;
	trust_close(trust);
	conf->reports.senders = strdup("@example.org");
	trust = trust_open(&conf->reports, &e);
	assert_non_null(trust);
	rules.trust = trust;
	assert_null(arrival_of("Return-Path: <bob@x>\r\n" BODY).refused);
	src.proof = true; /* only where it is asked for */
	assert_non_null(arrival_of("Return-Path: <bob@x>\r\n" BODY).refused);
	assert_null(arrival_of("Return-Path: <bob@example.org>\r\n" BODY).refused);
}

/* ---- what is decided ---- */

static struct digest content;
static const unsigned char alice[RECORD_REPORTER_SIZE] = "alice";
static const unsigned char bob_hash[RECORD_REPORTER_SIZE] = "bob";

static struct ledger_copy copy_of(uint32_t id, enum mail_class class, int64_t at,
				  const unsigned char *who)
{
	memset(content.bytes, 7, DIGEST_SIZE);
	return (struct ledger_copy){.box = &box,
				    .id = id,
				    .class = class,
				    .verdict_at = at,
				    .digest = &content,
				    .reporter = who};
}

static void knows(enum mail_class class, int64_t at, const unsigned char *who,
		  enum outcome outcome)
{
	struct ledger_copy c = copy_of(99, class, at, who);
	struct record_digest d;
	bool flipped;

	if (outcome == OUTCOME_NONE)
		assert_int_equal(ledger_report(ledger, &c, 1, &d, &e), 0);
	else
		assert_int_equal(ledger_settle(ledger, &c, outcome, "", 1, &flipped, &e), 0);
}

static void decides(const struct arrival *a, const struct ledger_copy *c, bool only_note,
		    int what, enum outcome outcome)
{
	struct decision d;

	assert_int_equal(ledger_commit(ledger, &e), 0);
	assert_int_equal(message_decide(&rules, ledger, c, a, only_note, 0, &d, &e), 0);
	assert_int_equal(d.what, what);
	if (what == DECIDE_SETTLE)
		assert_int_equal(d.outcome, outcome);
	assert_false(store.dirty); /* it records nothing */
}

static void test_one_verdict(void **state)
{
	struct arrival a = {.refused = NULL};
	struct ledger_copy spam = copy_of(1, CLASS_SPAM, 100, alice),
			   ham = copy_of(2, CLASS_HAM, 100, alice);

	(void)state;
	decides(&a, &spam, false, DECIDE_LEARN, OUTCOME_NONE);
	knows(CLASS_SPAM, 50, bob_hash, OUTCOME_LEARNED);
	decides(&a, &spam, false, DECIDE_SETTLE, OUTCOME_KNOWN);
	decides(&a, &ham, false, DECIDE_LEARN, OUTCOME_NONE);
	knows(CLASS_SPAM, 101, bob_hash, OUTCOME_LEARNED);
	decides(&a, &ham, false, DECIDE_SETTLE, OUTCOME_OVERRULED);
}

/* What stands before the content: a report that proves nothing, and encrypted mail. */
static void test_not_sent(void **state)
{
	struct arrival a = {.refused = "why not"};
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 100, alice);
	struct decision d;

	(void)state;
	for (int quorum = 1; quorum <= 2; quorum++) {
		conf->reports.quorum = quorum;
		assert_int_equal(message_decide(&rules, ledger, &c, &a, true, 0, &d, &e), 0);
		assert_int_equal(d.what, DECIDE_SETTLE);
		assert_int_equal(d.outcome, OUTCOME_UNTRUSTED);
		assert_string_equal(d.why, "why not");
	}
	conf->reports.quorum = 1;
	a = (struct arrival){.info.encrypted = true};
	decides(&a, &c, false, DECIDE_LEARN, OUTCOME_NONE);
	conf->skip_encrypted = true;
	decides(&a, &c, false, DECIDE_SETTLE, OUTCOME_ENCRYPTED);
	a.info.encrypted = false;
	decides(&a, &c, false, DECIDE_LEARN, OUTCOME_NONE);
}

static void test_quorum(void **state)
{
	struct arrival a = {.refused = NULL};
	struct ledger_copy spam = copy_of(1, CLASS_SPAM, 100, alice),
			   ham = copy_of(2, CLASS_HAM, 100, alice);

	(void)state;
	conf->reports.quorum = 2;
	decides(&a, &spam, false, DECIDE_HOLD, OUTCOME_NONE);
	knows(CLASS_SPAM, 50, bob_hash, OUTCOME_NONE);
	decides(&a, &spam, false, DECIDE_LEARN, OUTCOME_NONE); /* its own word counts */
	decides(&a, &spam, true, DECIDE_HOLD, OUTCOME_NONE);   /* but nobody decides yet */
	decides(&a, &ham, false, DECIDE_HOLD, OUTCOME_NONE);
	spam.reporter = bob_hash; /* once more the same person */
	decides(&a, &spam, false, DECIDE_HOLD, OUTCOME_NONE);
	knows(CLASS_SPAM, 60, alice, OUTCOME_LEARNED);
	decides(&a, &spam, false, DECIDE_SETTLE, OUTCOME_KNOWN);
	ham.reporter = (const unsigned char *)"carol\0\0";
	decides(&a, &ham, false, DECIDE_SETTLE, OUTCOME_OVERRULED);
	/* Time does not decide there, the majority does: an older word is as good. */
	knows(CLASS_HAM, 10, (const unsigned char *)"dave\0\0\0", OUTCOME_NONE);
	knows(CLASS_HAM, 11, (const unsigned char *)"erin\0\0\0", OUTCOME_NONE);
	ham.verdict_at = 12;
	decides(&a, &ham, false, DECIDE_LEARN, OUTCOME_NONE);
}

/* ---- what is held ---- */

static void held(int64_t now, int what, enum outcome outcome)
{
	struct record_message r = {.state = STATE_PENDING,
				   .outcome = OUTCOME_HELD,
				   .class = CLASS_SPAM,
				   .changed_at = 1000,
				   .digest = content};
	struct decision d;

	assert_int_equal(message_decide_held(&rules, ledger, &r, now, &d, &e), 0);
	assert_int_equal(d.what, what);
	if (what == DECIDE_SETTLE)
		assert_int_equal(d.outcome, outcome);
	else if (what == DECIDE_HOLD)
		assert_non_null(d.why);
}

static void test_held(void **state)
{
	(void)state;
	(void)copy_of(1, CLASS_SPAM, 1, NULL);
	conf->reports.quorum = 2;
	conf->reports.quorum_within = 500;
	held(1499, DECIDE_LEARN, OUTCOME_NONE); /* its content was forgotten: heard anew */
	knows(CLASS_SPAM, 50, bob_hash, OUTCOME_NONE);
	held(1499, DECIDE_HOLD, OUTCOME_NONE);
	held(1500, DECIDE_SETTLE, OUTCOME_UNCONFIRMED);
	held(0, DECIDE_HOLD, OUTCOME_NONE); /* a clock set back */
	conf->reports.quorum_within = CONF_NEVER;
	held(INT64_MAX, DECIDE_HOLD, OUTCOME_NONE);
	conf->reports.quorum_within = 500;
	knows(CLASS_SPAM, 60, alice, OUTCOME_NONE);
	held(9999, DECIDE_LEARN, OUTCOME_NONE); /* they agree: late is not too late */
	knows(CLASS_SPAM, 60, alice, OUTCOME_LEARNED);
	held(9999, DECIDE_SETTLE, OUTCOME_KNOWN);
	knows(CLASS_HAM, 70, bob_hash, OUTCOME_NONE);
	knows(CLASS_HAM, 70, alice, OUTCOME_NONE);
	held(1499, DECIDE_SETTLE, OUTCOME_OVERRULED);
	conf->reports.quorum = 1;
	held(1499, DECIDE_LEARN, OUTCOME_NONE);
}

static void test_ledger_fails(void **state)
{
	struct arrival a = {.refused = NULL};
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 100, alice);
	struct record_message r = {.digest = content};
	struct decision d;

	(void)state;
	store.fail_call = 1;
	assert_int_equal(message_decide(&rules, ledger, &c, &a, false, 0, &d, &e), -1);
	store.fail_call = 1;
	assert_int_equal(message_decide_held(&rules, ledger, &r, 1, &d, &e), -1);
	assert_string_equal(e.text, "the disk is broken");
}

/* What looks like a message of the account's other side counts only if its content is known
 * from there: by the last verdict, or by the last word of the same user. */
static void test_recalled(void **state)
{
	struct arrival a = {.refused = NULL, .recalled = true};
	struct ledger_copy ham = copy_of(1, CLASS_HAM, 100, alice),
			   spam = copy_of(2, CLASS_SPAM, 200, alice),
			   nobody = copy_of(3, CLASS_HAM, 100, NULL);

	(void)state;
	decides(&a, &ham, false, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	decides(&a, &spam, false, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	knows(CLASS_SPAM, 50, alice, OUTCOME_LEARNED);
	decides(&a, &ham, false, DECIDE_LEARN, OUTCOME_NONE);
	decides(&a, &nobody, false, DECIDE_LEARN, OUTCOME_NONE);
	decides(&a, &spam, false, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	/* Somebody else was quicker to take it out of Junk: hers is known. */
	knows(CLASS_HAM, 90, bob_hash, OUTCOME_LEARNED);
	decides(&a, &ham, false, DECIDE_SETTLE, OUTCOME_KNOWN);
	decides(&a, &nobody, false, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	knows(CLASS_HAM, 100, alice, OUTCOME_KNOWN);
	decides(&a, &ham, false, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	decides(&a, &spam, false, DECIDE_LEARN, OUTCOME_NONE);
}

/* With a quorum the word of the same user is enough to count, and not to decide. */
static void test_recalled_by_quorum(void **state)
{
	struct arrival a = {.refused = NULL, .recalled = true};
	struct ledger_copy ham = copy_of(1, CLASS_HAM, 100, alice);

	(void)state;
	conf->reports.quorum = 2;
	decides(&a, &ham, true, DECIDE_SETTLE, OUTCOME_UNDECIDED);
	knows(CLASS_SPAM, 50, alice, OUTCOME_NONE);
	decides(&a, &ham, true, DECIDE_HOLD, OUTCOME_NONE);
	decides(&a, &ham, false, DECIDE_HOLD, OUTCOME_NONE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_reporter), TEST(test_content),
	    TEST(test_proof),	 TEST(test_one_verdict),
	    TEST(test_not_sent), TEST(test_quorum),
	    TEST(test_held),	 TEST(test_ledger_fails),
	    TEST(test_recalled), TEST(test_recalled_by_quorum),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
