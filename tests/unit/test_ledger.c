/*
 * ledger.c: what is decided, what a message becomes step by step, and that records which are
 * damaged or from the future are an error. Over the store in memory; the lock and the modes of
 * opening over files.
 */
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

#include "ledger.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOBODY = 65534 };

static struct ledger *ledger;
static struct err e;
static const struct record_mailbox box = {.number = 3, .uidvalidity = 77};

static void ok(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	(void)state;
	err_clear(&e);
	ledger = ledger_over(store_mem_open(&e), &e);
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	ledger = NULL;
	return 0;
}

static struct digest digest_of(unsigned char fill)
{
	struct digest d;

	memset(d.bytes, fill, sizeof d.bytes);
	return d;
}

/* ---- what is decided ---- */

static const struct {
	enum outcome known;
	enum mail_class was, is;
	int days_later; /* than the verdict that is known */
	bool same_run;
	enum outcome want;
} decisions[] = {
    /* The same verdict again. */
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_SPAM, 1, false, OUTCOME_KNOWN},
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_SPAM, -1, false, OUTCOME_KNOWN},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_HAM, -1, true, OUTCOME_KNOWN},
    {OUTCOME_KNOWN, CLASS_SPAM, CLASS_SPAM, 0, true, OUTCOME_KNOWN},
    {OUTCOME_SURE, CLASS_HAM, CLASS_HAM, 1, false, OUTCOME_SURE},
    {OUTCOME_UNLEARNABLE, CLASS_SPAM, CLASS_SPAM, 1, false, OUTCOME_UNLEARNABLE},
    {OUTCOME_ENCRYPTED, CLASS_SPAM, CLASS_SPAM, 1, false, OUTCOME_NONE},
    /* The other verdict: of a later run it wins, in one run if it is the newer one. */
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_HAM, 1, false, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_HAM, -1, false, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, 1, true, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, 0, true, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, -1, true, OUTCOME_OVERRULED},
    {OUTCOME_KNOWN, CLASS_SPAM, CLASS_HAM, -1, true, OUTCOME_OVERRULED},
    {OUTCOME_SURE, CLASS_SPAM, CLASS_HAM, -1, true, OUTCOME_OVERRULED},
    {OUTCOME_SURE, CLASS_SPAM, CLASS_HAM, 1, true, OUTCOME_NONE},
    /* What cannot be learned cannot be learned as the other class either. */
    {OUTCOME_UNLEARNABLE, CLASS_SPAM, CLASS_HAM, 1, false, OUTCOME_UNLEARNABLE},
    {OUTCOME_ENCRYPTED, CLASS_SPAM, CLASS_HAM, 1, true, OUTCOME_NONE},
    /* Seen, and nothing decided. */
    {OUTCOME_NONE, CLASS_NONE, CLASS_SPAM, 0, true, OUTCOME_NONE},
};

static void test_decide(void **state)
{
	(void)state;
	assert_int_equal(ledger_decide(NULL, CLASS_SPAM, 0, 1), OUTCOME_NONE);
	for (size_t i = 0; i < COUNT(decisions); i++) {
		struct record_digest known = {.class = decisions[i].was,
					      .outcome = decisions[i].known,
					      .epoch = 7,
					      .verdict_at = 1700000000};
		int64_t date = known.verdict_at + 86400 * decisions[i].days_later;
		uint32_t epoch = decisions[i].same_run ? 7 : 8;

		if (ledger_decide(&known, decisions[i].is, date, epoch) != decisions[i].want)
			fail_msg("decision %zu", i);
	}
}

/* ---- runs ---- */

static uint32_t begin_run(void)
{
	ok(ledger_run_begin(ledger, &e));
	return ledger_epoch(ledger);
}

static void test_epochs(void **state)
{
	(void)state;
	assert_int_equal(begin_run(), 1);
	assert_int_equal(begin_run(), 1); /* cut short: it goes on */
	ok(ledger_run_end(ledger, &e));
	assert_int_equal(begin_run(), 2);
	ok(ledger_run_end(ledger, &e));
	ok(ledger_commit(ledger, &e));
	assert_int_equal(begin_run(), 3);
	ok(ledger_commit(ledger, &e));
	assert_int_equal(begin_run(), 3);
}

/* ---- mailboxes ---- */

static struct record_mailbox mailbox(const char *account, const char *name, bool want_known)
{
	struct record_mailbox r;
	bool known = !want_known;

	ok(ledger_mailbox(ledger, account, name, &r, &known, &e));
	assert_int_equal(known, want_known);
	return r;
}

static void test_mailboxes(void **state)
{
	struct record_mailbox a, b, c;

	(void)state;
	a = mailbox("spam@x", "INBOX", false);
	assert_int_equal(a.number, 0);
	assert_int_equal(a.uidvalidity, 0);
	a.uidvalidity = 5;
	a.uidnext = 6;
	a.modseq = 7;
	ok(ledger_mailbox_put(ledger, "spam@x", "INBOX", &a, &e));
	b = mailbox("ham@x", "INBOX", false);
	assert_int_equal(b.number, 1);
	ok(ledger_mailbox_put(ledger, "ham@x", "INBOX", &b, &e));
	ok(ledger_mailbox_put(ledger, "ham@x", "INBOX", &b, &e)); /* again: no number more */
	c = mailbox("spam@x", "INBOX", true);
	assert_int_equal(c.number, 0);
	assert_int_equal(c.uidvalidity, 5);
	assert_int_equal(c.uidnext, 6);
	assert_true(c.modseq == 7);
	mailbox("spam@", "xINBOX", false); /* account and mailbox do not run together */
	assert_int_equal(mailbox("spam@x", "Junk", false).number, 2);
}

/* A mailbox that is forgotten does not leave its number to another one. */
static void test_numbers_once(void **state)
{
	struct store *store = ledger_store(ledger);
	struct record_mailbox a = mailbox("a", "b", false);

	(void)state;
	ok(ledger_mailbox_put(ledger, "a", "b", &a, &e));
	ok(store->ops->del(store, STORE_MAILBOX, (struct store_value){"a\0b", 3}, &e));
	assert_int_equal(mailbox("a", "b", false).number, a.number + 1);
}

static void test_long_names(void **state)
{
	char name[600];
	struct record_mailbox r;
	bool known;

	(void)state;
	memset(name, 'n', sizeof name);
	name[RECORD_MAILBOX_KEY_MAX - 2] = '\0';
	assert_int_equal(ledger_mailbox(ledger, "a", name, &r, &known, &e), 0);
	assert_int_equal(ledger_mailbox(ledger, "ab", name, &r, &known, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(ledger_mailbox_put(ledger, "ab", name, &r, &e), -1);
}

/* ---- messages ---- */

static struct record_uid message(uint32_t uid)
{
	struct record_uid r;
	int rc = ledger_message(ledger, &box, uid, &r, &e);

	ok(rc);
	assert_int_equal(rc, 1);
	return r;
}

static void check_message(uint32_t uid, enum record_state state, enum outcome outcome)
{
	struct record_uid r = message(uid);

	if (r.state != state || r.outcome != outcome)
		fail_msg("uid %u: state %d, outcome %d", uid, (int)r.state, (int)r.outcome);
}

static void test_seek(void **state)
{
	const struct record_mailbox other = {.number = 3, .uidvalidity = 78},
				    next = {.number = 4, .uidvalidity = 1};
	static const uint32_t uids[] = {1, 2, 1000, UINT32_MAX};
	struct record_uid r = {.state = STATE_SETTLED};
	uint32_t uid;

	(void)state;
	uid = 1;
	assert_int_equal(ledger_message_seek(ledger, &box, &uid, &r, &e), 0);
	for (size_t i = 0; i < COUNT(uids); i++)
		ok(ledger_message_put(ledger, &box, uids[i], &r, &e));
	ok(ledger_message_put(ledger, &other, 5, &r, &e));
	ok(ledger_message_put(ledger, &next, 6, &r, &e));
	uid = 0;
	for (size_t i = 0; i < COUNT(uids); i++, uid++) {
		assert_int_equal(ledger_message_seek(ledger, &box, &uid, &r, &e), 1);
		assert_int_equal(uid, uids[i]);
	}
	ok(ledger_message_del(ledger, &box, UINT32_MAX, &e));
	ok(ledger_message_del(ledger, &box, UINT32_MAX, &e));
	uid = 1001;
	assert_int_equal(ledger_message_seek(ledger, &box, &uid, &r, &e),
			 0); /* not the others' */
	assert_int_equal(ledger_message(ledger, &box, 5, &r, &e), 0);
}

static void test_forget_stale(void **state)
{
	static const uint32_t validities[] = {0, 1, 76, 77, 78, UINT32_MAX};
	struct record_uid r = {.state = STATE_SETTLED};
	struct record_mailbox old = box;

	(void)state;
	for (uint32_t number = 2; number <= 4; number++)
		for (size_t i = 0; i < COUNT(validities); i++) {
			old = (struct record_mailbox){.number = number,
						      .uidvalidity = validities[i]};
			for (uint32_t uid = 1; uid <= 3; uid++)
				ok(ledger_message_put(ledger, &old, uid, &r, &e));
		}
	ok(ledger_forget_stale(ledger, &box, &e));
	for (uint32_t number = 2; number <= 4; number++)
		for (size_t i = 0; i < COUNT(validities); i++) {
			old = (struct record_mailbox){.number = number,
						      .uidvalidity = validities[i]};
			for (uint32_t uid = 1; uid <= 3; uid++)
				assert_int_equal(ledger_message(ledger, &old, uid, &r, &e),
						 number != 3 || validities[i] == 77);
		}
	old = (struct record_mailbox){.number = 3, .uidvalidity = UINT32_MAX};
	ok(ledger_forget_stale(ledger, &old, &e));
	assert_int_equal(ledger_message(ledger, &box, 1, &r, &e), 0);
}

static struct ledger_copy copy_of(uint32_t uid, enum mail_class class, int64_t date,
				  const struct digest *d)
{
	return (struct ledger_copy){
	    .box = &box, .uid = uid, .class = class, .date = date, .digest = d};
}

/* One message on its way, to the end. */
static void test_states(void **state)
{
	struct digest d = digest_of(1);
	struct ledger_copy c = copy_of(9, CLASS_HAM, 50, &d);
	struct record_uid r;
	bool flipped;

	(void)state;
	begin_run();
	ok(ledger_see(ledger, &c, 100, &e));
	check_message(9, STATE_SEEN, OUTCOME_NONE);
	ok(ledger_submit(ledger, &c, 101, &e));
	check_message(9, STATE_SUBMITTED, OUTCOME_NONE);
	ok(ledger_put_back(ledger, &c, 102, &e));
	check_message(9, STATE_SEEN, OUTCOME_FAILED);
	assert_int_equal(message(9).tries, 0); /* as if it had never been sent */
	assert_int_equal(ledger_digest(ledger, &d, &(struct record_digest){0}, &e), 0);
	ok(ledger_submit(ledger, &c, 103, &e));
	ok(ledger_settle(ledger, &c, OUTCOME_LEARNED, NULL, 104, &flipped, &e));
	check_message(9, STATE_SETTLED, OUTCOME_LEARNED);
	r = message(9);
	assert_int_equal(r.class, CLASS_HAM);
	assert_true(r.settled_at == 104);
	assert_true(digest_equal(&r.digest, &d));
	ok(ledger_advance(ledger, &box, 9, STATE_MARKED, &e));
	check_message(9, STATE_MARKED, OUTCOME_LEARNED);
	ok(ledger_advance(ledger, &box, 9, STATE_PURGING, &e));
	check_message(9, STATE_PURGING, OUTCOME_LEARNED);
	ok(ledger_advance(ledger, &box, 9, STATE_MARKED, &e)); /* never back */
	check_message(9, STATE_PURGING, OUTCOME_LEARNED);
	assert_true(message(9).settled_at == 104);
}

/* Only what is settled goes on to be marked or purged; what failed can be purged alone. */
static void test_advance_unsettled(void **state)
{
	struct ledger_copy c = copy_of(9, CLASS_HAM, 50, NULL);
	struct record_uid r;
	bool flipped;

	(void)state;
	for (int i = STATE_MARKED; i <= STATE_PURGING; i++) {
		enum record_state to = (enum record_state)i;

		ok(ledger_advance(ledger, &box, 8, to, &e));
		assert_int_equal(ledger_message(ledger, &box, 8, &r, &e), 0);
		ok(ledger_see(ledger, &c, 1, &e));
		ok(ledger_advance(ledger, &box, 9, to, &e));
		check_message(9, STATE_SEEN, OUTCOME_NONE);
		ok(ledger_submit(ledger, &c, 1, &e));
		ok(ledger_advance(ledger, &box, 9, to, &e));
		check_message(9, STATE_SUBMITTED, OUTCOME_NONE);
		ok(ledger_hold(ledger, &c, 1, &e));
		ok(ledger_advance(ledger, &box, 9, to, &e));
		check_message(9, STATE_SEEN, OUTCOME_HELD);
	}
	ok(ledger_settle(ledger, &c, OUTCOME_FAILED, "x", 1, &flipped, &e));
	ok(ledger_advance(ledger, &box, 9, STATE_MARKED, &e));
	check_message(9, STATE_SEEN, OUTCOME_FAILED);
	ok(ledger_advance(ledger, &box, 9, STATE_PURGING, &e));
	check_message(9, STATE_PURGING, OUTCOME_FAILED);
}

/* A failed message stays, its tries are counted, and its age is that of the first failure. */
static void test_failures(void **state)
{
	struct digest d = digest_of(1);
	struct ledger_copy c = copy_of(9, CLASS_SPAM, 50, &d);
	struct record_digest known;
	bool flipped;

	(void)state;
	begin_run();
	for (unsigned i = 1; i <= 300; i++) {
		ok(ledger_submit(ledger, &c, 100 * i, &e));
		ok(ledger_settle(ledger, &c, OUTCOME_FAILED, "why", 100 * i + 1, &flipped, &e));
		check_message(9, STATE_SEEN, OUTCOME_FAILED);
		assert_int_equal(message(9).tries, i < 255 ? i : 255);
		assert_true(message(9).settled_at == 101);
		assert_int_equal(ledger_digest(ledger, &d, &known, &e), 0);
	}
	ok(ledger_settle(ledger, &c, OUTCOME_LEARNED, NULL, 99999, &flipped, &e));
	assert_true(message(9).settled_at == 99999);
}

static void test_adopt(void **state)
{
	struct ledger_copy c = copy_of(4, CLASS_HAM, 50, NULL);
	struct record_uid r;

	(void)state;
	ok(ledger_adopt(ledger, &c, OUTCOME_KNOWN, 123, &e));
	check_message(4, STATE_MARKED, OUTCOME_KNOWN);
	r = message(4);
	assert_int_equal(r.class, CLASS_HAM);
	assert_true(r.settled_at == 123);
	for (int i = 0; i < DIGEST_SIZE; i++)
		assert_int_equal(r.digest.bytes[i], 0);
}

/* ---- contents ---- */

static struct digest content;
static uint32_t next_uid;

/* A copy comes, the ledger decides, and where it says so rspamd answers. */
static enum outcome take_copy(enum mail_class class, int64_t date, enum outcome rspamd,
			      const char *answer, bool *flipped)
{
	struct ledger_copy c = copy_of(next_uid++, class, date, &content);
	struct record_digest known;
	int rc = ledger_digest(ledger, &content, &known, &e);
	enum outcome o =
	    ledger_decide(rc == 1 ? &known : NULL, class, date, ledger_epoch(ledger));

	ok(rc);
	if (o == OUTCOME_NONE) {
		ok(ledger_submit(ledger, &c, 1000, &e));
		ok(ledger_settle(ledger, &c, rspamd, answer, 1000 + date, flipped, &e));
		return rspamd;
	}
	ok(ledger_settle(ledger, &c, o, NULL, 1000 + date, flipped, &e));
	return o;
}

static struct record_digest known_content(void)
{
	struct record_digest d;

	assert_int_equal(ledger_digest(ledger, &content, &d, &e), 1);
	return d;
}

static void new_content(void)
{
	static unsigned char fill;

	content = digest_of(++fill);
	next_uid = 1;
}

static void test_copies(void **state)
{
	struct record_digest d;
	bool flipped;

	(void)state;
	new_content();
	begin_run();
	assert_int_equal(take_copy(CLASS_SPAM, 10, OUTCOME_LEARNED, NULL, &flipped),
			 OUTCOME_LEARNED);
	assert_int_equal(take_copy(CLASS_SPAM, 30, 0, NULL, &flipped), OUTCOME_KNOWN);
	assert_int_equal(take_copy(CLASS_SPAM, 20, 0, NULL, &flipped), OUTCOME_KNOWN);
	assert_false(flipped);
	d = known_content();
	assert_int_equal(d.copies, 3);
	assert_int_equal(d.outcome, OUTCOME_LEARNED); /* it still is what rspamd learned */
	assert_int_equal(d.flips, 0);
	assert_true(d.verdict_at == 30); /* the newest of the verdicts */
	assert_true(d.first_seen == 1010);
	assert_true(d.last_seen == 1020);
	assert_string_equal(d.answer, "");
}

static void test_flip_in_one_run(void **state)
{
	bool flipped;

	(void)state;
	new_content();
	begin_run();
	take_copy(CLASS_SPAM, 10, OUTCOME_LEARNED, NULL, &flipped);
	assert_false(flipped);
	assert_int_equal(take_copy(CLASS_HAM, 5, 0, NULL, &flipped), OUTCOME_OVERRULED);
	assert_int_equal(known_content().class, CLASS_SPAM);
	assert_int_equal(known_content().copies, 2);
	assert_int_equal(take_copy(CLASS_HAM, 20, OUTCOME_LEARNED, NULL, &flipped),
			 OUTCOME_LEARNED);
	assert_true(flipped);
	assert_int_equal(known_content().class, CLASS_HAM);
	assert_int_equal(known_content().flips, 1);
	assert_true(known_content().verdict_at == 20);
	/* The one that it overruled comes again, from another mailbox. */
	assert_int_equal(take_copy(CLASS_SPAM, 10, 0, NULL, &flipped), OUTCOME_OVERRULED);
	assert_false(flipped);
	check_message(4, STATE_SETTLED, OUTCOME_OVERRULED);
}

/* Whatever the order in which copies come, the newest one of a run has the last word. */
static void test_any_order(void **state)
{
	static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const enum mail_class classes[2][3] = {{CLASS_SPAM, CLASS_HAM, CLASS_SPAM},
						      {CLASS_HAM, CLASS_SPAM, CLASS_HAM}};
	bool flipped;

	(void)state;
	begin_run();
	for (size_t i = 0; i < 12; i++) {
		new_content();
		for (int j = 0; j < 3; j++) {
			int at = orders[i / 2][j];

			take_copy(classes[i % 2][at], 100 + at, OUTCOME_LEARNED, NULL,
				  &flipped);
		}
		assert_int_equal(known_content().class, classes[i % 2][2]);
		assert_int_equal(known_content().outcome, OUTCOME_LEARNED);
		assert_true(known_content().verdict_at == 102);
		assert_int_equal(known_content().copies, 3);
	}
}

static void test_flip_across_runs(void **state)
{
	bool flipped;

	(void)state;
	new_content();
	begin_run();
	take_copy(CLASS_SPAM, 100, OUTCOME_LEARNED, NULL, &flipped);
	ok(ledger_run_end(ledger, &e));
	begin_run();
	/* Reported later, though the message is older: the later run's verdict is the newer. */
	assert_int_equal(take_copy(CLASS_HAM, 50, OUTCOME_LEARNED, NULL, &flipped),
			 OUTCOME_LEARNED);
	assert_true(flipped);
	assert_true(known_content().verdict_at == 50);
	assert_int_equal(known_content().epoch, 2);
	/* Now it is this run's, and what is older than it does not win again. */
	assert_int_equal(take_copy(CLASS_SPAM, 40, 0, NULL, &flipped), OUTCOME_OVERRULED);
	ok(ledger_run_end(ledger, &e));
	begin_run();
	take_copy(CLASS_SPAM, 60, OUTCOME_LEARNED, NULL, &flipped);
	assert_true(flipped);
	assert_int_equal(known_content().flips, 2);
}

/* A flip is counted where rspamd was taught both, and said that it learned the second. */
static void test_flip_counted(void **state)
{
	static const struct {
		enum outcome first, second;
		bool flip;
	} cases[] = {
	    {OUTCOME_LEARNED, OUTCOME_LEARNED, true}, {OUTCOME_KNOWN, OUTCOME_LEARNED, true},
	    {OUTCOME_SURE, OUTCOME_LEARNED, false},   {OUTCOME_LEARNED, OUTCOME_KNOWN, false},
	    {OUTCOME_LEARNED, OUTCOME_SURE, false},
	};
	bool flipped;

	(void)state;
	begin_run();
	for (size_t i = 0; i < COUNT(cases); i++) {
		new_content();
		take_copy(CLASS_SPAM, 1, cases[i].first, NULL, &flipped);
		assert_false(flipped);
		take_copy(CLASS_HAM, 2, cases[i].second, "words", &flipped);
		assert_int_equal(flipped, cases[i].flip);
		assert_int_equal(known_content().flips, cases[i].flip);
		assert_int_equal(known_content().class, CLASS_HAM);
		assert_int_equal(known_content().outcome, cases[i].second);
		assert_string_equal(known_content().answer, "words");
	}
}

static void test_answers_kept(void **state)
{
	char words[400];
	bool flipped;

	(void)state;
	new_content();
	begin_run();
	memset(words, 'w', sizeof words);
	words[sizeof words - 1] = '\0';
	take_copy(CLASS_SPAM, 1, OUTCOME_UNLEARNABLE, words, &flipped);
	assert_int_equal(strlen(known_content().answer), RECORD_ANSWER_MAX);
	/* A copy that the ledger settles by itself leaves rspamd's words. */
	assert_int_equal(take_copy(CLASS_HAM, 2, 0, NULL, &flipped), OUTCOME_UNLEARNABLE);
	assert_int_equal(known_content().outcome, OUTCOME_UNLEARNABLE);
}

/* A content that was never read, or is not believed, leaves no trace among the contents. */
static void test_no_content(void **state)
{
	struct digest d = digest_of(200);
	struct ledger_copy unread = copy_of(1, CLASS_SPAM, 1, NULL),
			   untrusted = copy_of(2, CLASS_SPAM, 1, &d);
	struct record_digest known;
	bool flipped;

	(void)state;
	begin_run();
	ok(ledger_settle(ledger, &unread, OUTCOME_LARGE, NULL, 5, &flipped, &e));
	check_message(1, STATE_SETTLED, OUTCOME_LARGE);
	ok(ledger_settle(ledger, &untrusted, OUTCOME_UNTRUSTED, NULL, 5, &flipped, &e));
	check_message(2, STATE_SETTLED, OUTCOME_UNTRUSTED);
	assert_int_equal(ledger_digest(ledger, &d, &known, &e), 0);
}

/* ---- forgetting ---- */

static void test_forget_messages(void **state)
{
	uint64_t forgotten = 0;
	struct record_uid r = {.outcome = OUTCOME_LEARNED};

	(void)state;
	for (uint32_t uid = 1; uid <= 10; uid++) {
		r.state = uid % 2 ? STATE_MARKED : STATE_SEEN;
		r.settled_at = uid * 100;
		ok(ledger_message_put(ledger, &box, uid, &r, &e));
	}
	/* Three records a call; after the last it begins anew. */
	for (int call = 0; call < 4; call++)
		ok(ledger_forget(ledger, STORE_UID, 600, 3, &forgotten, &e));
	assert_int_equal(forgotten, 3);
	for (uint32_t uid = 1; uid <= 10; uid++)
		assert_int_equal(ledger_message(ledger, &box, uid, &r, &e),
				 uid % 2 == 0 || uid > 5); /* what is not settled stays */
	for (int call = 0; call < 8; call++)
		ok(ledger_forget(ledger, STORE_UID, 800, 3, &forgotten, &e));
	assert_int_equal(forgotten, 4);
	assert_int_equal(ledger_message(ledger, &box, 7, &r, &e), 0);
	assert_int_equal(ledger_message(ledger, &box, 9, &r, &e), 1);
}

static void test_forget_contents(void **state)
{
	uint64_t forgotten = 0;
	bool flipped;

	(void)state;
	begin_run();
	for (int i = 0; i < 20; i++) {
		new_content();
		take_copy(CLASS_SPAM, i, OUTCOME_LEARNED, NULL,
			  &flipped); /* seen at 1000 + i */
	}
	ok(ledger_forget(ledger, STORE_DIGEST, 1000, 1000, &forgotten, &e));
	assert_int_equal(forgotten, 0);
	ok(ledger_forget(ledger, STORE_DIGEST, 1010, 1000, &forgotten, &e));
	assert_int_equal(forgotten, 10);
	ok(ledger_forget(ledger, STORE_DIGEST, 1010, 1000, &forgotten, &e));
	assert_int_equal(forgotten, 10);
	assert_int_equal(known_content().copies, 1);
}

/* ---- what is damaged, or from the future ---- */

static void put_raw(enum store_map map, struct store_value key, const void *data, size_t len)
{
	struct store *s = ledger_store(ledger);

	ok(s->ops->put(s, map, key, (struct store_value){data, len}, &e));
}

static void check_damaged(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(strstr(e.text, "learnspool ledger verify"));
	err_clear(&e);
}

static void test_damaged(void **state)
{
	static const unsigned char junk[RECORD_VALUE_MAX] = {1, 99};
	struct digest d = digest_of(66);
	struct ledger_copy c = copy_of(5, CLASS_SPAM, 1, &d);
	unsigned char key[RECORD_UID_KEY + 1] = {0};
	struct record_mailbox m;
	struct record_digest known;
	struct record_uid r;
	uint32_t uid = 1;
	bool flag;

	(void)state;
	for (size_t len = 0; len <= sizeof junk; len += len < 64 ? 1 : 100) {
		put_raw(STORE_DIGEST, (struct store_value){d.bytes, DIGEST_SIZE}, junk, len);
		check_damaged(ledger_digest(ledger, &d, &known, &e));
		check_damaged(ledger_settle(ledger, &c, OUTCOME_LEARNED, NULL, 1, &flag, &e));
		assert_int_equal(ledger_message(ledger, &box, 5, &r, &e),
				 0); /* nor half of it */
	}
	put_raw(STORE_MAILBOX, (struct store_value){"a\0b", 3}, junk, 7);
	check_damaged(ledger_mailbox(ledger, "a", "b", &m, &flag, &e));
	put_raw(STORE_META, (struct store_value){"run", 3}, junk, 9);
	check_damaged(ledger_run_begin(ledger, &e));
	put_raw(STORE_META, (struct store_value){"next-mailbox", 12}, junk, 5);
	check_damaged(ledger_mailbox(ledger, "a", "c", &m, &flag, &e));
	check_damaged(ledger_mailbox_put(ledger, "a", "c", &box, &e));

	record_uid_key(box.number, box.uidvalidity, 5, key);
	put_raw(STORE_UID, (struct store_value){key, RECORD_UID_KEY}, junk, 45);
	check_damaged(ledger_message(ledger, &box, 5, &r, &e));
	check_damaged(ledger_message_seek(ledger, &box, &uid, &r, &e));
	check_damaged(ledger_see(ledger, &c, 1, &e));
	check_damaged(ledger_submit(ledger, &c, 1, &e));
	check_damaged(ledger_put_back(ledger, &c, 1, &e));
	check_damaged(ledger_adopt(ledger, &c, OUTCOME_KNOWN, 1, &e));
	check_damaged(ledger_advance(ledger, &box, 5, STATE_MARKED, &e));
	check_damaged(ledger_settle(ledger, &c, OUTCOME_LARGE, NULL, 1, &flag, &e));
	check_damaged(ledger_forget_stale(ledger, &box, &e));
	ok(ledger_message_del(ledger, &box, 5, &e)); /* that it can be got rid of */
	put_raw(STORE_UID, (struct store_value){key, sizeof key}, junk, 45);
	check_damaged(ledger_message_seek(ledger, &box, &uid, &r, &e));
}

/* A key as long as a key can be, where the last pruning stopped. */
static void test_damaged_hand(void **state)
{
	static char key[STORE_KEY_MAX + 100];
	uint64_t forgotten = 0;

	(void)state;
	memset(key, 'k', sizeof key);
	put_raw(STORE_META, (struct store_value){"forget-uid", 10}, key, sizeof key);
	ok(ledger_forget(ledger, STORE_UID, 1, 10, &forgotten, &e));
	put_raw(STORE_META, (struct store_value){"forget-uid", 10}, key, STORE_KEY_MAX);
	ok(ledger_forget(ledger, STORE_UID, 1, 10, &forgotten, &e));
	put_raw(STORE_UID, (struct store_value){key, STORE_KEY_MAX}, "x", 1);
	ok(ledger_forget(ledger, STORE_UID, 1, 10, &forgotten, &e));
	ok(ledger_forget(ledger, STORE_UID, 1, 10, &forgotten, &e));
	assert_int_equal(forgotten, 0);
}

static struct store *store_with_format(const void *value, size_t len)
{
	struct store *s = store_mem_open(&e);

	assert_non_null(s);
	ok(s->ops->begin(s, true, &e));
	ok(s->ops->put(s, STORE_META, (struct store_value){"format", 6},
		       (struct store_value){value, len}, &e));
	ok(s->ops->commit(s, &e));
	return s;
}

static void test_format(void **state)
{
	struct store *s;
	struct store_value v;

	(void)state;
	assert_int_equal(ledger_store(ledger)->ops->get(ledger_store(ledger), STORE_META,
							(struct store_value){"format", 6}, &v,
							&e),
			 1);
	assert_int_equal(v.len, 4);
	assert_memory_equal(v.data, "\0\0\0\1", 4);

	assert_null(ledger_over(store_with_format("\0\0\0\2", 4), &e));
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(
	    strstr(e.text, "written by a newer learnspool (format 2, this one knows 1)"));
	assert_null(ledger_over(store_with_format("\xFF\xFF\xFF\xFF", 4), &e));
	assert_non_null(strstr(e.text, "format 4294967295"));
	assert_null(ledger_over(store_with_format("1", 1), &e));
	check_damaged(-1);
	s = store_with_format("\0\0\0\1", 4);
	ledger_close(ledger);
	ledger = ledger_over(s, &e);
	assert_non_null(ledger);
}

/* ---- files: modes and the lock ---- */

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	err_clear(&e);
	snprintf(dir, sizeof dir, "/tmp/test_ledger.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *file_in(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int remove_dir(void **state)
{
	teardown(state);
	unlink(file_in("data.mdb"));
	unlink(file_in("lock.mdb"));
	unlink(file_in("run.lock"));
	return rmdir(dir);
}

static void reopen(enum ledger_mode mode)
{
	ledger_close(ledger);
	ledger = ledger_open(dir, mode, "test", &e);
	if (ledger == NULL)
		fail_msg("%s", e.text);
}

static void test_commit(void **state)
{
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 1, NULL);
	struct record_uid r;

	(void)state;
	reopen(LEDGER_WRITE);
	ok(ledger_see(ledger, &c, 1, &e));
	ok(ledger_commit(ledger, &e));
	c.uid = 2;
	ok(ledger_see(ledger, &c, 1, &e)); /* and dies before the commit */
	reopen(LEDGER_WRITE);
	check_message(1, STATE_SEEN, OUTCOME_NONE);
	assert_int_equal(ledger_message(ledger, &box, 2, &r, &e), 0);
}

/* A run that was killed keeps its number; one that came to its end does not. */
static void test_epochs_kept(void **state)
{
	(void)state;
	reopen(LEDGER_WRITE);
	assert_int_equal(begin_run(), 1);
	ok(ledger_commit(ledger, &e));
	reopen(LEDGER_WRITE);
	assert_int_equal(begin_run(), 1);
	ok(ledger_run_end(ledger, &e));
	ok(ledger_commit(ledger, &e));
	reopen(LEDGER_WRITE);
	assert_int_equal(begin_run(), 2);
}

/* In a dry run everything can be done, and nothing comes of it. */
static void test_dry(void **state)
{
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 1, NULL);
	struct stat before, after;
	struct record_uid r;

	(void)state;
	reopen(LEDGER_DRY); /* there is none: one in memory */
	ok(ledger_see(ledger, &c, 1, &e));
	ok(ledger_commit(ledger, &e));
	check_message(1, STATE_SEEN, OUTCOME_NONE);
	assert_int_equal(access(file_in("data.mdb"), F_OK), -1);
	assert_int_equal(access(file_in("run.lock"), F_OK), -1);

	reopen(LEDGER_WRITE);
	begin_run();
	ok(ledger_commit(ledger, &e));
	ledger_close(ledger);
	ledger = NULL;
	assert_int_equal(stat(file_in("data.mdb"), &before), 0);
	reopen(LEDGER_DRY);
	begin_run();
	ok(ledger_see(ledger, &c, 1, &e));
	ok(ledger_commit(ledger, &e));
	check_message(1, STATE_SEEN, OUTCOME_NONE);
	reopen(LEDGER_READ);
	assert_int_equal(ledger_message(ledger, &box, 1, &r, &e), 0);
	assert_int_equal(stat(file_in("data.mdb"), &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* A child that holds the ledger until it is killed. */
static pid_t hold_ledger(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		ledger = ledger_open(dir, LEDGER_WRITE, "expire", &e);
		if (ledger && ledger_commit(ledger, &e) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void test_lock(void **state)
{
	char who[64];
	int status;
	pid_t pid = hold_ledger();

	(void)state;
	snprintf(who, sizeof who, "in use by process %ld (learnspool expire) since 20",
		 (long)pid);
	for (int mode = LEDGER_WRITE; mode <= LEDGER_DRY; mode++) {
		assert_null(ledger_open(dir, (enum ledger_mode)mode, "learn", &e));
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_TEMPORARY);
		if (strstr(e.text, who) == NULL || strchr(e.text, '\\') != NULL)
			fail_msg("%s", e.text);
	}
	reopen(LEDGER_READ); /* beside it */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	reopen(LEDGER_WRITE); /* the kernel gave it back */
	reopen(LEDGER_WRITE); /* and so did we */
}

static void test_foreign_directory(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("SKIPPED: only root can make a directory of somebody else's\n");
		skip();
	}
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	assert_null(ledger_open(dir, LEDGER_WRITE, "learn", &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "belongs to user id 65534"));
	/* No lock of root's is left behind that its owner could not open. */
	assert_int_equal(access(file_in("run.lock"), F_OK), -1);
}

static void test_missing(void **state)
{
	char parent[sizeof dir];

	(void)state;
	memcpy(parent, dir, sizeof dir);
	snprintf(dir, sizeof dir, "%.40s/a/b", parent);
	assert_null(ledger_open(dir, LEDGER_WRITE, "learn", &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "cannot make the directory"));
	snprintf(dir, sizeof dir, "%.40s/a", parent);
	reopen(LEDGER_READ); /* nothing there: an empty one, and none is made */
	assert_int_equal(access(dir, F_OK), -1);
	reopen(LEDGER_WRITE);
	assert_int_equal(remove_dir(state), 0);
	memcpy(dir, parent, sizeof dir);
}

#define MEM(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decide),
	    MEM(test_epochs),
	    MEM(test_mailboxes),
	    MEM(test_numbers_once),
	    MEM(test_long_names),
	    MEM(test_seek),
	    MEM(test_forget_stale),
	    MEM(test_states),
	    MEM(test_advance_unsettled),
	    MEM(test_failures),
	    MEM(test_adopt),
	    MEM(test_copies),
	    MEM(test_flip_in_one_run),
	    MEM(test_any_order),
	    MEM(test_flip_across_runs),
	    MEM(test_flip_counted),
	    MEM(test_answers_kept),
	    MEM(test_no_content),
	    MEM(test_forget_messages),
	    MEM(test_forget_contents),
	    MEM(test_damaged),
	    MEM(test_damaged_hand),
	    MEM(test_format),
	    DIR(test_commit),
	    DIR(test_epochs_kept),
	    DIR(test_dry),
	    DIR(test_lock),
	    DIR(test_foreign_directory),
	    DIR(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
