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

#include "fake/store.h"
#include "ledger/ledger.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOBODY = 65534 };

static struct ledger *ledger;
static struct err e;
static const struct record_mailbox box = {.number = 3, .identity = 77};

static void ok(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	(void)state;
	err_clear(&e);
	ledger = ledger_over(store_mem_open(&e), LEDGER_WRITE, &e);
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
	enum outcome want;
} decisions[] = {
    /* The same verdict again. */
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_SPAM, 1, OUTCOME_KNOWN},
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_SPAM, -1, OUTCOME_KNOWN},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_HAM, -1, OUTCOME_KNOWN},
    {OUTCOME_KNOWN, CLASS_SPAM, CLASS_SPAM, 0, OUTCOME_KNOWN},
    {OUTCOME_SURE, CLASS_HAM, CLASS_HAM, 1, OUTCOME_SURE},
    {OUTCOME_UNLEARNABLE, CLASS_SPAM, CLASS_SPAM, 1, OUTCOME_UNLEARNABLE},
    {OUTCOME_ENCRYPTED, CLASS_SPAM, CLASS_SPAM, 1, OUTCOME_NONE},
    /* The other verdict: it wins if it is not the older one, whatever run sees it. */
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_HAM, 1, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_HAM, 0, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_SPAM, CLASS_HAM, -1, OUTCOME_OVERRULED},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, 1, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, 0, OUTCOME_NONE},
    {OUTCOME_LEARNED, CLASS_HAM, CLASS_SPAM, -1, OUTCOME_OVERRULED},
    {OUTCOME_KNOWN, CLASS_SPAM, CLASS_HAM, -1, OUTCOME_OVERRULED},
    {OUTCOME_SURE, CLASS_SPAM, CLASS_HAM, -1, OUTCOME_OVERRULED},
    {OUTCOME_SURE, CLASS_SPAM, CLASS_HAM, 1, OUTCOME_NONE},
    /* What cannot be learned cannot be learned as the other class either. */
    {OUTCOME_UNLEARNABLE, CLASS_SPAM, CLASS_HAM, 1, OUTCOME_UNLEARNABLE},
    {OUTCOME_ENCRYPTED, CLASS_SPAM, CLASS_HAM, 1, OUTCOME_NONE},
    /* Seen, and nothing decided. */
    {OUTCOME_NONE, CLASS_NONE, CLASS_SPAM, 0, OUTCOME_NONE},
    {OUTCOME_NONE, CLASS_HAM, CLASS_SPAM, -1, OUTCOME_NONE},
};

static void test_decide(void **state)
{
	(void)state;
	assert_int_equal(ledger_decide(NULL, CLASS_SPAM, 0), OUTCOME_NONE);
	for (size_t i = 0; i < COUNT(decisions); i++) {
		struct record_digest known = {.class = decisions[i].was,
					      .outcome = decisions[i].known,
					      .verdict_at = 1700000000};
		int64_t at = known.verdict_at + 86400 * decisions[i].days_later;

		if (ledger_decide(&known, decisions[i].is, at) != decisions[i].want)
			fail_msg("decision %zu", i);
	}
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
	assert_int_equal(a.identity, 0);
	a.identity = 5;
	a.next = 6;
	a.version = 7;
	ok(ledger_mailbox_put(ledger, "spam@x", "INBOX", &a, &e));
	b = mailbox("ham@x", "INBOX", false);
	assert_int_equal(b.number, 1);
	ok(ledger_mailbox_put(ledger, "ham@x", "INBOX", &b, &e));
	ok(ledger_mailbox_put(ledger, "ham@x", "INBOX", &b, &e)); /* again: no number more */
	c = mailbox("spam@x", "INBOX", true);
	assert_int_equal(c.number, 0);
	assert_int_equal(c.identity, 5);
	assert_int_equal(c.next, 6);
	assert_true(c.version == 7);
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

static struct record_message message(uint32_t uid)
{
	struct record_message r;
	int rc = ledger_message(ledger, &box, uid, &r, &e);

	ok(rc);
	assert_int_equal(rc, 1);
	return r;
}

static void check_message(uint32_t uid, enum record_state state, enum outcome outcome)
{
	struct record_message r = message(uid);

	if (r.state != state || r.outcome != outcome)
		fail_msg("uid %u: state %d, outcome %d", uid, (int)r.state, (int)r.outcome);
}

static void test_seek(void **state)
{
	const struct record_mailbox other = {.number = 3, .identity = 78},
				    next = {.number = 4, .identity = 1};
	static const uint32_t uids[] = {1, 2, 1000, UINT32_MAX};
	struct record_message r = {.state = STATE_SETTLED};
	uint32_t uid;

	(void)state;
	uid = 0;
	assert_int_equal(ledger_message_next(ledger, &box, &uid, &r, &e), 0);
	for (size_t i = 0; i < COUNT(uids); i++)
		ok(ledger_message_put(ledger, &box, uids[i], &r, &e));
	ok(ledger_message_put(ledger, &other, 5, &r, &e));
	ok(ledger_message_put(ledger, &next, 6, &r, &e));
	uid = 0;
	for (size_t i = 0; i < COUNT(uids); i++) {
		assert_int_equal(ledger_message_next(ledger, &box, &uid, &r, &e), 1);
		assert_int_equal(uid, uids[i]);
	}
	assert_int_equal(ledger_message_next(ledger, &box, &uid, &r, &e), 0);
	ok(ledger_message_del(ledger, &box, UINT32_MAX, &e));
	ok(ledger_message_del(ledger, &box, UINT32_MAX, &e));
	uid = 1000;
	assert_int_equal(ledger_message_next(ledger, &box, &uid, &r, &e),
			 0); /* not the others' */
	assert_int_equal(ledger_message(ledger, &box, 5, &r, &e), 0);
}

static void test_forget_mailbox(void **state)
{
	static const uint32_t validities[] = {0, 1, 76, 77, 78, UINT32_MAX};
	struct record_message r = {.state = STATE_SETTLED};
	struct record_mailbox old = box;

	(void)state;
	for (uint32_t number = 2; number <= 4; number++)
		for (size_t i = 0; i < COUNT(validities); i++) {
			old = (struct record_mailbox){.number = number,
						      .identity = validities[i]};
			for (uint32_t uid = 1; uid <= 3; uid++)
				ok(ledger_message_put(ledger, &old, uid, &r, &e));
		}
	ok(ledger_forget_messages(ledger, &box, &e)); /* whatever the identity */
	for (uint32_t number = 2; number <= 4; number++)
		for (size_t i = 0; i < COUNT(validities); i++) {
			old = (struct record_mailbox){.number = number,
						      .identity = validities[i]};
			for (uint32_t id = 1; id <= 3; id++)
				assert_int_equal(ledger_message(ledger, &old, id, &r, &e),
						 number != 3);
		}
}

static struct ledger_copy copy_of(uint32_t id, enum mail_class class, int64_t at,
				  const struct digest *d)
{
	return (struct ledger_copy){
	    .box = &box, .id = id, .class = class, .verdict_at = at, .digest = d};
}

/* One message on its way, to the end. */
static void test_states(void **state)
{
	struct digest d = digest_of(1);
	struct ledger_copy c = copy_of(9, CLASS_HAM, 50, &d);
	struct record_message r;
	bool flipped;

	(void)state;
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 100, &e));
	check_message(9, STATE_PENDING, OUTCOME_NONE);
	ok(ledger_submit(ledger, &c, 101, &e));
	check_message(9, STATE_SUBMITTED, OUTCOME_NONE);
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 102, &e));
	check_message(9, STATE_PENDING, OUTCOME_NONE); /* put back: it did not fail */
	assert_int_equal(message(9).tries, 0);
	assert_int_equal(ledger_digest(ledger, &d, &(struct record_digest){0}, &e), 0);
	ok(ledger_submit(ledger, &c, 103, &e));
	ok(ledger_settle(ledger, &c, OUTCOME_LEARNED, NULL, 104, &flipped, &e));
	check_message(9, STATE_SETTLED, OUTCOME_LEARNED);
	r = message(9);
	assert_int_equal(r.class, CLASS_HAM);
	assert_true(r.changed_at == 104 && r.verdict_at == 50);
	assert_true(digest_equal(&r.digest, &d));
	ok(ledger_advance(ledger, &box, 9, STATE_MARKED, true, &e));
	check_message(9, STATE_MARKED, OUTCOME_LEARNED);
	assert_true(message(9).bare);
	ok(ledger_advance(ledger, &box, 9, STATE_PURGING, false, &e));
	check_message(9, STATE_PURGING, OUTCOME_LEARNED);
	assert_true(message(9).bare); /* still so: it never bore a mark */
	ok(ledger_advance(ledger, &box, 9, STATE_MARKED, false, &e)); /* never back */
	check_message(9, STATE_PURGING, OUTCOME_LEARNED);
	assert_true(message(9).changed_at == 104);
}

/* ---- the state table: every state with every outcome, and every call ---- */

enum { OLD = 50, NOW = 100, NOTHING = -1 };

static const struct record_stamp old_stamp = {7, 8}, new_stamp = {9, 10};

/* What a message was, in full; state NOTHING: no record. */
static struct record_message was(int state, int outcome)
{
	return (struct record_message){
	    .state = (enum record_state)state,
	    .outcome = (enum outcome)outcome,
	    .class = CLASS_SPAM,
	    .tries = 3,
	    .bare = state == STATE_MARKED,
	    .changed_at = OLD,
	    .verdict_at = OLD - 1,
	    .stamp = old_stamp,
	    .digest = digest_of(1),
	    .words = "old",
	};
}

static void put_was(int state, int outcome)
{
	struct record_message r = was(state, outcome);

	if (state == NOTHING)
		ok(ledger_message_del(ledger, &box, 9, &e));
	else
		ok(ledger_message_put(ledger, &box, 9, &r, &e));
}

static bool failed(int outcome)
{
	return outcome == OUTCOME_FAILED || outcome == OUTCOME_UNANSWERED ||
	       outcome == OUTCOME_UNREADABLE;
}

static struct digest new_content_digest;

/* A copy that knows everything of itself (full), or only that it is there. */
static struct ledger_copy copy_now(bool full)
{
	struct ledger_copy c = copy_of(9, CLASS_HAM, OLD + 1, NULL);

	new_content_digest = digest_of(2);
	if (!full)
		return c;
	c.digest = &new_content_digest;
	c.stamp = new_stamp;
	return c;
}

/* What the copy brings along replaces what was known, and only that. */
static void check_copied(const struct record_message *r, bool existed, bool full)
{
	struct digest d = full ? digest_of(2) : existed ? digest_of(1) : digest_of(0);
	struct record_stamp stamp = full      ? new_stamp
				    : existed ? old_stamp
					      : (struct record_stamp){0, 0};

	assert_int_equal(r->class, CLASS_HAM);
	assert_true(r->verdict_at == OLD + 1);
	assert_int_equal(r->stamp.size, stamp.size);
	assert_true(r->stamp.date == stamp.date);
	assert_true(digest_equal(&r->digest, &d));
}

typedef void each_fn(int state, int outcome, bool full);

static void for_each_state(each_fn *fn)
{
	for (int s = NOTHING; s < STATES; s++)
		for (int o = 0; o < (s == NOTHING ? 1 : OUTCOMES); o++)
			for (int full = 0; full < 2; full++) {
				put_was(s, o);
				fn(s, o, full);
			}
}

static void check_failure_kept(const struct record_message *r, bool kept, int outcome)
{
	assert_int_equal(r->outcome, kept ? outcome : OUTCOME_NONE);
	assert_true(r->changed_at == (kept ? OLD : NOW));
	assert_int_equal(r->tries, kept ? 3 : 0);
	assert_string_equal(r->words, kept ? "old" : "");
}

/* Put back, or sent: why it failed before, and since when, stays until it is settled. */
static void put_back_and_submit(int s, int o, bool full)
{
	struct ledger_copy c = copy_now(full);
	bool kept = s != NOTHING && failed(o);
	struct record_message r;

	ok(ledger_wait(ledger, &c, OUTCOME_NONE, NOW, &e));
	r = message(9);
	assert_int_equal(r.state, STATE_PENDING);
	check_failure_kept(&r, kept, o);
	check_copied(&r, s != NOTHING, full);
	put_was(s, o);
	ok(ledger_submit(ledger, &c, NOW, &e));
	r = message(9);
	assert_int_equal(r.state, STATE_SUBMITTED);
	check_failure_kept(&r, kept, o);
	check_copied(&r, s != NOTHING, full);
}

static void test_put_back_and_submit(void **state)
{
	(void)state;
	for_each_state(put_back_and_submit);
}

/* What waits counts its time from when it began to wait for that. */
static void wait_for(int s, int o, bool full)
{
	static const enum outcome whys[] = {OUTCOME_HELD, OUTCOME_UNREAD};
	struct ledger_copy c = copy_now(full);

	for (size_t i = 0; i < COUNT(whys); i++) {
		struct record_message r;

		put_was(s, o);
		ok(ledger_wait(ledger, &c, whys[i], NOW, &e));
		r = message(9);
		assert_int_equal(r.state, STATE_PENDING);
		assert_int_equal(r.outcome, whys[i]);
		assert_true(r.changed_at == (s != NOTHING && o == (int)whys[i] ? OLD : NOW));
		assert_int_equal(r.tries, 0);
		assert_string_equal(r.words, "");
		check_copied(&r, s != NOTHING, full);
	}
}

static void test_wait(void **state)
{
	(void)state;
	for_each_state(wait_for);
}

static void adopt_and_replace(int s, int o, bool full)
{
	static const enum outcome marks[] = {OUTCOME_KNOWN, OUTCOME_SKIPPED};
	struct ledger_copy c = copy_now(full);
	static const struct digest none;
	struct record_message r;

	for (size_t i = 0; i < COUNT(marks); i++) {
		ok(ledger_adopt(ledger, &c, marks[i], NOW, &e));
		r = message(9);
		assert_int_equal(r.state, STATE_MARKED);
		assert_int_equal(r.outcome, marks[i]);
		check_copied(&r, s != NOTHING, full);
	}
	put_was(s, o);
	ok(ledger_replace(ledger, &box, 9, NOW, &e));
	r = message(9);
	assert_int_equal(r.state, STATE_PENDING);
	assert_int_equal(r.outcome, OUTCOME_NONE);
	assert_int_equal(r.class, CLASS_NONE);
	assert_true(r.changed_at == NOW && r.verdict_at == 0 && r.tries == 0 && !r.bare);
	assert_true(r.stamp.size == 0 && r.stamp.date == 0);
	assert_true(digest_equal(&r.digest, &none));
	assert_string_equal(r.words, "");
}

/* Of another message under this number nothing is known. */
static void test_adopt_and_replace(void **state)
{
	(void)state;
	for_each_state(adopt_and_replace);
}

static void check_failed(const struct record_message *r, bool again)
{
	assert_int_equal(r->state, STATE_PENDING);
	assert_int_equal(r->tries, again ? 4 : 1);
	assert_true(r->changed_at == (again ? OLD : NOW));
	assert_string_equal(r->words, "new words");
}

static void settle_each(int s, int o, bool full)
{
	struct ledger_copy c = copy_now(full);
	bool flipped;

	for (int to = OUTCOME_LEARNED; to < OUTCOMES; to++) {
		struct record_message r;

		if (to == OUTCOME_HELD || to == OUTCOME_UNREAD)
			continue; /* not settled: ledger_wait's */
		put_was(s, o);
		ok(ledger_settle(ledger, &c, (enum outcome)to, "new words", NOW, &flipped, &e));
		r = message(9);
		assert_int_equal(r.outcome, to);
		check_copied(&r, s != NOTHING, full);
		if (failed(to)) {
			check_failed(&r, s != NOTHING && o == to);
			continue;
		}
		assert_int_equal(r.state, STATE_SETTLED);
		assert_true(r.changed_at == NOW);
		assert_string_equal(r.words, "");
	}
}

static void test_settle(void **state)
{
	(void)state;
	for_each_state(settle_each);
}

/* What may follow what; nothing else moves, and nothing is made. */
static bool advances(int from, int outcome, int to)
{
	if (from >= STATE_SETTLED)
		return to > from;
	return from == STATE_PENDING && outcome == OUTCOME_FAILED && to == STATE_PURGING;
}

static void advance_each(int s, int o, bool bare)
{
	struct record_message r, before = was(s, o);

	for (int to = STATE_MARKED; to < STATES; to++) {
		bool goes = advances(s, o, to);

		put_was(s, o);
		ok(ledger_advance(ledger, &box, 9, (enum record_state)to, bare, &e));
		if (s == NOTHING) {
			assert_int_equal(ledger_message(ledger, &box, 9, &r, &e), 0);
			continue;
		}
		r = message(9);
		assert_int_equal(r.state, goes ? to : s);
		assert_int_equal(r.bare, goes && to == STATE_MARKED ? bare : before.bare);
		assert_int_equal(r.outcome, o);
		assert_int_equal(r.class, CLASS_SPAM);
		assert_true(r.changed_at == OLD && r.verdict_at == OLD - 1 && r.tries == 3);
		assert_int_equal(r.stamp.size, old_stamp.size);
		assert_string_equal(r.words, "old");
	}
}

static void test_advance(void **state)
{
	(void)state;
	for_each_state(advance_each);
}

/* What was being removed goes on, or back to where it came from; nothing else moves. */
static void resume_each(int s, int o, bool copied)
{
	int back = o == OUTCOME_FAILED ? STATE_PENDING : STATE_MARKED;
	int wanted = s != STATE_PURGING ? s : copied ? STATE_COPIED : back;
	struct record_message r;

	ok(ledger_resume(ledger, &box, 9, copied, &e));
	if (s == NOTHING) {
		assert_int_equal(ledger_message(ledger, &box, 9, &r, &e), 0);
		return;
	}
	r = message(9);
	assert_int_equal(r.state, wanted);
	assert_int_equal(r.outcome, o);
	assert_true(r.changed_at == OLD && r.verdict_at == OLD - 1 && r.tries == 3);
	assert_int_equal(r.bare, was(s, o).bare);
}

static void test_resume(void **state)
{
	(void)state;
	for_each_state(resume_each);
}

/* A source that knows only the size, or only the date, says what it knows. */
static void test_half_a_stamp(void **state)
{
	static const struct record_stamp halves[] = {{9, 0}, {0, 10}};

	(void)state;
	for (size_t i = 0; i < COUNT(halves); i++) {
		struct ledger_copy c = copy_now(true);

		put_was(STATE_PENDING, OUTCOME_NONE);
		c.stamp = halves[i];
		ok(ledger_submit(ledger, &c, NOW, &e));
		assert_int_equal(message(9).stamp.size, halves[i].size);
		assert_true(message(9).stamp.date == halves[i].date);
	}
}

/* A failed message stays, its tries are counted, and its age is that of the first failure. */
static void test_failures(void **state)
{
	struct digest d = digest_of(1);
	struct ledger_copy c = copy_of(9, CLASS_SPAM, 50, &d);
	struct record_digest known;
	bool flipped;

	(void)state;
	for (unsigned i = 1; i <= 300; i++) {
		ok(ledger_submit(ledger, &c, 100 * i, &e));
		ok(ledger_settle(ledger, &c, OUTCOME_FAILED, "why", 100 * i + 1, &flipped, &e));
		check_message(9, STATE_PENDING, OUTCOME_FAILED);
		assert_string_equal(message(9).words, "why");
		assert_int_equal(message(9).tries, i < 255 ? i : 255);
		assert_true(message(9).changed_at == 101);
		assert_int_equal(ledger_digest(ledger, &d, &known, &e), 0);
	}
	ok(ledger_settle(ledger, &c, OUTCOME_LEARNED, NULL, 99999, &flipped, &e));
	assert_true(message(9).changed_at == 99999);
	assert_string_equal(message(9).words, "");
}

/* Another kind of failure is another age: nobody refused it yet. */
static void test_other_failures(void **state)
{
	struct ledger_copy c = copy_of(9, CLASS_SPAM, 50, NULL);
	bool flipped;

	(void)state;
	ok(ledger_settle(ledger, &c, OUTCOME_UNREADABLE, "cut", 10, &flipped, &e));
	ok(ledger_settle(ledger, &c, OUTCOME_UNREADABLE, NULL, 20, &flipped, &e));
	assert_true(message(9).changed_at == 10 && message(9).tries == 2);
	assert_string_equal(message(9).words, "");
	ok(ledger_settle(ledger, &c, OUTCOME_FAILED, "refused", 30, &flipped, &e));
	assert_true(message(9).changed_at == 30 && message(9).tries == 1);
	ok(ledger_settle(ledger, &c, OUTCOME_UNANSWERED, "502", 40, &flipped, &e));
	check_message(9, STATE_PENDING, OUTCOME_UNANSWERED);
	assert_true(message(9).changed_at == 40 && message(9).tries == 1);
}

/* ---- contents ---- */

static struct digest content;
static uint32_t next_id;

/* A copy comes, the ledger decides, and where it says so rspamd answers. */
static enum outcome take_copy(enum mail_class class, int64_t date, enum outcome rspamd,
			      const char *answer, bool *flipped)
{
	struct ledger_copy c = copy_of(next_id++, class, date, &content);
	struct record_digest known;
	int rc = ledger_digest(ledger, &content, &known, &e);
	enum outcome o = ledger_decide(rc == 1 ? &known : NULL, class, date);

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
	next_id = 1;
}

static void test_copies(void **state)
{
	struct record_digest d;
	bool flipped;

	(void)state;
	new_content();
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

static void test_newest_wins(void **state)
{
	bool flipped;

	(void)state;
	new_content();
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

/* Whatever the order in which copies come, in however many runs, the newest has the last word.
 */
static void test_any_order(void **state)
{
	static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const enum mail_class classes[2][3] = {{CLASS_SPAM, CLASS_HAM, CLASS_SPAM},
						      {CLASS_HAM, CLASS_SPAM, CLASS_HAM}};
	bool flipped;

	(void)state;
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

/* The time of the verdict is that of the newest, and every change of mind is counted. */
static void test_flips(void **state)
{
	bool flipped;

	(void)state;
	new_content();
	take_copy(CLASS_SPAM, 100, OUTCOME_LEARNED, NULL, &flipped);
	assert_int_equal(take_copy(CLASS_HAM, 100, OUTCOME_LEARNED, NULL, &flipped),
			 OUTCOME_LEARNED); /* not the older one: it was heard later */
	assert_true(flipped);
	assert_int_equal(take_copy(CLASS_SPAM, 99, 0, NULL, &flipped), OUTCOME_OVERRULED);
	assert_false(flipped);
	assert_true(known_content().verdict_at == 100);
	take_copy(CLASS_HAM, 120, 0, NULL, &flipped); /* said again, later */
	assert_int_equal(take_copy(CLASS_SPAM, 110, 0, NULL, &flipped), OUTCOME_OVERRULED);
	assert_true(known_content().verdict_at == 120);
	take_copy(CLASS_SPAM, 130, OUTCOME_LEARNED, NULL, &flipped);
	assert_true(flipped);
	assert_int_equal(known_content().flips, 2);
}

/* Too few reporters in time: that copy is settled, and others may still decide. */
static void test_unconfirmed(void **state)
{
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 10, &content);
	struct record_digest known;
	bool flipped;

	(void)state;
	new_content();
	ok(ledger_report(ledger, &c, 5, &known, &e));
	ok(ledger_settle(ledger, &c, OUTCOME_UNCONFIRMED, NULL, 20, &flipped, &e));
	check_message(1, STATE_SETTLED, OUTCOME_UNCONFIRMED);
	assert_int_equal(known_content().outcome, OUTCOME_NONE);
	assert_int_equal(take_copy(CLASS_SPAM, 9, OUTCOME_LEARNED, NULL, &flipped),
			 OUTCOME_LEARNED);
	/* Nor does it take away what was decided before. */
	c.id = 7;
	ok(ledger_settle(ledger, &c, OUTCOME_UNCONFIRMED, NULL, 30, &flipped, &e));
	assert_int_equal(known_content().outcome, OUTCOME_LEARNED);
}

/* Who reported a content is noted before anything is decided about it. */
static void test_report(void **state)
{
	static const unsigned char alice[RECORD_REPORTER_SIZE] = "alice", bob[] = "bobbobb";
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 10, &content);
	struct record_digest known;

	(void)state;
	new_content();
	ok(ledger_report(ledger, &c, 5, &known, &e));
	assert_int_equal(known.n_reporters, 0); /* nobody in particular */
	assert_int_equal(ledger_digest(ledger, &content, &known, &e), 0);
	c.reporter = alice;
	ok(ledger_report(ledger, &c, 5, &known, &e));
	c.reporter = bob;
	c.class = CLASS_HAM;
	ok(ledger_report(ledger, &c, 6, &known, &e));
	assert_int_equal(known.n_reporters, 2);
	known = known_content();
	assert_int_equal(known.n_reporters, 2);
	assert_int_equal(known.reporter[0].class, CLASS_SPAM);
	assert_int_equal(known.reporter[1].class, CLASS_HAM);
	assert_int_equal(known.outcome, OUTCOME_NONE);
	assert_int_equal(known.copies, 0);
	assert_true(known.last_seen == 6);
}

/*
 * rspamd is asked to learn the other class, and its answer is never recorded: whichever class
 * it has now, the next copy of either is sent.
 */
static void test_doubt(void **state)
{
	struct ledger_copy ham = copy_of(50, CLASS_HAM, 20, &content);
	struct ledger_copy same = copy_of(51, CLASS_SPAM, 20, &content);
	struct record_digest known;
	bool flipped;

	(void)state;
	new_content();
	take_copy(CLASS_SPAM, 10, OUTCOME_LEARNED, NULL, &flipped);
	ok(ledger_submit(ledger, &same, 30, &e));
	assert_false(known_content().in_doubt);
	ok(ledger_submit(ledger, &ham, 30, &e));
	known = known_content();
	assert_true(known.in_doubt);
	assert_int_equal(known.class, CLASS_SPAM);
	assert_int_equal(ledger_decide(&known, CLASS_SPAM, 30), OUTCOME_NONE);
	assert_int_equal(ledger_decide(&known, CLASS_HAM, 20), OUTCOME_NONE);
	assert_int_equal(ledger_decide(&known, CLASS_HAM, 5), OUTCOME_OVERRULED);
	ok(ledger_settle(ledger, &ham, OUTCOME_UNANSWERED, "no", 31, &flipped, &e));
	assert_true(known_content().in_doubt);
	take_copy(CLASS_SPAM, 30, OUTCOME_LEARNED, NULL, &flipped);
	assert_false(known_content().in_doubt);
	assert_int_equal(take_copy(CLASS_HAM, 20, 0, NULL, &flipped), OUTCOME_OVERRULED);
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
	ok(ledger_settle(ledger, &unread, OUTCOME_LARGE, NULL, 5, &flipped, &e));
	check_message(1, STATE_SETTLED, OUTCOME_LARGE);
	ok(ledger_settle(ledger, &untrusted, OUTCOME_UNTRUSTED, NULL, 5, &flipped, &e));
	check_message(2, STATE_SETTLED, OUTCOME_UNTRUSTED);
	assert_int_equal(ledger_digest(ledger, &d, &known, &e), 0);
}

/* ---- forgetting ---- */

static void test_forget_a_part(void **state)
{
	uint64_t forgotten = 0, before = 0;
	bool flipped;

	(void)state;
	for (int i = 0; i < 10; i++) {
		new_content();
		take_copy(CLASS_SPAM, i, OUTCOME_LEARNED, NULL,
			  &flipped); /* seen at 1000 + i */
	}
	/* Three records a call; after the last it begins anew. */
	for (int call = 0; call < 4; call++) {
		ok(ledger_forget_contents(ledger, 1005, 3, &forgotten, &e));
		assert_true(forgotten - before <= 3);
		before = forgotten;
	}
	assert_int_equal(forgotten, 5);
	for (int call = 0; call < 3; call++)
		ok(ledger_forget_contents(ledger, 1007, 3, &forgotten, &e));
	assert_int_equal(forgotten, 7);
}

static void test_forget_contents(void **state)
{
	uint64_t forgotten = 0;
	bool flipped;

	(void)state;
	for (int i = 0; i < 20; i++) {
		new_content();
		take_copy(CLASS_SPAM, i, OUTCOME_LEARNED, NULL,
			  &flipped); /* seen at 1000 + i */
	}
	ok(ledger_forget_contents(ledger, 1000, 1000, &forgotten, &e));
	assert_int_equal(forgotten, 0);
	ok(ledger_forget_contents(ledger, 1010, 1000, &forgotten, &e));
	assert_int_equal(forgotten, 10);
	ok(ledger_forget_contents(ledger, 1010, 1000, &forgotten, &e));
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
	unsigned char key[RECORD_MESSAGE_KEY + 1] = {0};
	struct record_mailbox m;
	struct record_digest known;
	struct record_message r;
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
	put_raw(STORE_META, (struct store_value){"distrust-marks", 14}, junk, 3);
	check_damaged(ledger_believes_marks(ledger, &e));
	put_raw(STORE_META, (struct store_value){"next-mailbox", 12}, junk, 5);
	check_damaged(ledger_mailbox(ledger, "a", "c", &m, &flag, &e));
	check_damaged(ledger_mailbox_put(ledger, "a", "c", &box, &e));

	record_message_key(box.number, box.identity, 5, key);
	put_raw(STORE_UID, (struct store_value){key, RECORD_MESSAGE_KEY}, junk, 45);
	check_damaged(ledger_message(ledger, &box, 5, &r, &e));
	check_damaged(ledger_message_next(ledger, &box, &uid, &r, &e));
	check_damaged(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e));
	check_damaged(ledger_submit(ledger, &c, 1, &e));
	check_damaged(ledger_adopt(ledger, &c, OUTCOME_KNOWN, 1, &e));
	check_damaged(ledger_advance(ledger, &box, 5, STATE_MARKED, false, &e));
	check_damaged(ledger_settle(ledger, &c, OUTCOME_LARGE, NULL, 1, &flag, &e));
	check_damaged(ledger_forget_messages(ledger, &box, &e));
	ok(ledger_message_del(ledger, &box, 5, &e)); /* that it can be got rid of */
	put_raw(STORE_UID, (struct store_value){key, sizeof key}, junk, 45);
	check_damaged(ledger_message_next(ledger, &box, &uid, &r, &e));
}

/* A key as long as a key can be, where the last pruning stopped. */
static void test_damaged_hand(void **state)
{
	static char key[STORE_KEY_MAX + 100];
	uint64_t forgotten = 0;

	(void)state;
	memset(key, 'k', sizeof key);
	put_raw(STORE_META, (struct store_value){"forget-digest", 13}, key, sizeof key);
	ok(ledger_forget_contents(ledger, 1, 10, &forgotten, &e));
	put_raw(STORE_META, (struct store_value){"forget-digest", 13}, key, STORE_KEY_MAX);
	ok(ledger_forget_contents(ledger, 1, 10, &forgotten, &e));
	put_raw(STORE_DIGEST, (struct store_value){key, STORE_KEY_MAX}, "x", 1);
	ok(ledger_forget_contents(ledger, 1, 10, &forgotten, &e));
	ok(ledger_forget_contents(ledger, 1, 10, &forgotten, &e));
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
	struct store_value v;

	(void)state;
	assert_int_equal(ledger_store(ledger)->ops->get(ledger_store(ledger), STORE_META,
							(struct store_value){"format", 6}, &v,
							&e),
			 1);
	assert_int_equal(v.len, 4);
	assert_memory_equal(v.data, "\0\0\0\2", 4);

	assert_null(ledger_over(store_with_format("\0\0\0\3", 4), LEDGER_WRITE, &e));
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(
	    strstr(e.text, "written by a newer learnspool (format 3, this one knows 2)"));
	assert_null(ledger_over(store_with_format("\xFF\xFF\xFF\xFF", 4), LEDGER_WRITE, &e));
	assert_non_null(strstr(e.text, "format 4294967295"));
	assert_null(ledger_over(store_with_format("1", 1), LEDGER_WRITE, &e));
	check_damaged(-1);
}

/* A ledger of format 1 goes on as one of format 2: an older program refuses it from then on. */
static void test_old_format(void **state)
{
	static const unsigned char old[45] = {1, STATE_PENDING, OUTCOME_FAILED, CLASS_SPAM, 7};
	struct ledger_copy c = copy_of(5, CLASS_SPAM, 1, NULL);
	struct store *s = store_with_format("\0\0\0\1", 4);
	unsigned char key[RECORD_MESSAGE_KEY];
	struct store_value v;

	(void)state;
	ledger_close(ledger);
	ledger = ledger_over(s, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	assert_int_equal(s->ops->get(s, STORE_META, (struct store_value){"format", 6}, &v, &e),
			 1);
	assert_memory_equal(v.data, "\0\0\0\2", 4);
	record_message_key(box.number, box.identity, 5, key);
	put_raw(STORE_UID, (struct store_value){key, sizeof key}, old, sizeof old);
	check_message(5, STATE_PENDING, OUTCOME_NONE); /* nobody knows who failed it */
	ok(ledger_advance(ledger, &box, 5, STATE_PURGING, false, &e));
	check_message(5, STATE_PENDING, OUTCOME_NONE);
	ok(ledger_submit(ledger, &c, 1, &e));
	assert_int_equal(
	    s->ops->get(s, STORE_UID, (struct store_value){key, sizeof key}, &v, &e), 1);
	assert_int_equal(((const unsigned char *)v.data)[0], 2);
}

static void test_distrust_marks(void **state)
{
	struct record_mailbox r = {.number = 1, .identity = 1};

	(void)state;
	assert_int_equal(ledger_believes_marks(ledger, &e), 1);
	/* A mailbox that was not gone through to the end is no reason not to. */
	ok(ledger_mailbox_put(ledger, "a", "first", &r, &e));
	assert_int_equal(ledger_believes_marks(ledger, &e), 1);
	r.number = 2;
	r.whole = true;
	ok(ledger_mailbox_put(ledger, "b", "second", &r, &e));
	assert_int_equal(ledger_believes_marks(ledger, &e), 0);
	r.whole = false;
	ok(ledger_mailbox_put(ledger, "b", "second", &r, &e));
	assert_int_equal(ledger_believes_marks(ledger, &e), 1);
	ok(ledger_distrust_marks(ledger, &e));
	assert_int_equal(ledger_believes_marks(ledger, &e), 0);
	ok(ledger_distrust_marks(ledger, &e));
	assert_int_equal(ledger_believes_marks(ledger, &e), 0);
}

/* A commit that failed has changed nothing, and none behind it succeeds or says that it did. */
static void test_dead(void **state)
{
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 1, NULL);
	struct fake_store s;
	struct record_message r;

	(void)state;
	ledger_close(ledger);
	fake_store_init(&s, NULL);
	ledger = ledger_over(&s.store, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	ok(ledger_commit(ledger, &e));
	ok(ledger_commit(ledger, &e)); /* nothing to do */
	assert_int_equal(s.commits, 1);
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e));
	s.fail_commit = 2;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ledger_commit(ledger, &e), -1);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, i == 0 ? ERR_TEMPORARY : ERR_LOCAL);
	}
	assert_int_equal(s.commits, 2);
	ledger_close(ledger);
	ledger = ledger_over(&s.store, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	assert_int_equal(ledger_message(ledger, &box, 1, &r, &e), 0);
	ledger_close(ledger);
	ledger = NULL;
	fake_store_free(&s);
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
	struct record_message r;

	(void)state;
	reopen(LEDGER_WRITE);
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e));
	ok(ledger_commit(ledger, &e));
	c.id = 2;
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e)); /* and dies before the commit */
	reopen(LEDGER_WRITE);
	check_message(1, STATE_PENDING, OUTCOME_NONE);
	assert_int_equal(ledger_message(ledger, &box, 2, &r, &e), 0);
}

/* In a dry run everything can be done, and nothing comes of it. */
static void test_dry(void **state)
{
	struct ledger_copy c = copy_of(1, CLASS_SPAM, 1, NULL);
	struct stat before, after;
	struct record_message r;

	(void)state;
	reopen(LEDGER_DRY); /* there is none: one in memory */
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e));
	ok(ledger_commit(ledger, &e));
	check_message(1, STATE_PENDING, OUTCOME_NONE);
	assert_int_equal(access(file_in("data.mdb"), F_OK), -1);
	assert_int_equal(access(file_in("run.lock"), F_OK), -1);

	reopen(LEDGER_WRITE);
	ok(ledger_commit(ledger, &e));
	ledger_close(ledger);
	ledger = NULL;
	assert_int_equal(stat(file_in("data.mdb"), &before), 0);
	reopen(LEDGER_DRY);
	ok(ledger_wait(ledger, &c, OUTCOME_NONE, 1, &e));
	ok(ledger_commit(ledger, &e));
	check_message(1, STATE_PENDING, OUTCOME_NONE);
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
	assert_non_null(strstr(e.text, "cannot create the directory"));
	snprintf(dir, sizeof dir, "%.40s/a", parent);
	reopen(LEDGER_READ); /* nothing there: an empty one, and none is made */
	assert_int_equal(access(dir, F_OK), -1);
	reopen(LEDGER_WRITE);
	assert_int_equal(remove_dir(state), 0);
	memcpy(dir, parent, sizeof dir);
}

/* ---- a store that fails: its error is never taken for an answer ---- */

struct failing {
	struct store store;
	struct store *real; /* owned */
	int left;	    /* calls until one fails; -1: none will */
};

static bool fails(struct store *s, struct err *err)
{
	struct failing *f = (struct failing *)s;

	if (f->left == 0)
		err_set(err, ERR_FATAL, ERR_LOCAL, "the store failed");
	return f->left >= 0 && f->left-- == 0;
}

static struct store *real(struct store *s)
{
	return ((struct failing *)s)->real;
}

static int f_begin(struct store *s, bool write, struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->begin(real(s), write, err);
}

static int f_commit(struct store *s, struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->commit(real(s), err);
}

static int f_get(struct store *s, enum store_map m, struct store_value k, struct store_value *v,
		 struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->get(real(s), m, k, v, err);
}

static int f_put(struct store *s, enum store_map m, struct store_value k, struct store_value v,
		 struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->put(real(s), m, k, v, err);
}

static int f_del(struct store *s, enum store_map m, struct store_value k, struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->del(real(s), m, k, err);
}

static int f_seek(struct store *s, enum store_map m, struct store_value *k,
		  struct store_value *v, struct err *err)
{
	return fails(s, err) ? -1 : real(s)->ops->seek(real(s), m, k, v, err);
}

static void f_close(struct store *s)
{
	store_close(real(s));
	free(s);
}

static const struct store_ops failing_ops = {.begin = f_begin,
					     .commit = f_commit,
					     .get = f_get,
					     .put = f_put,
					     .del = f_del,
					     .seek = f_seek,
					     .close = f_close};

static const unsigned char someone[RECORD_REPORTER_SIZE] = "someone";
static const struct digest some_content = {{1, 2, 3}};
static const struct ledger_copy copy_7 = {
    .box = &box, .id = 7, .class = CLASS_SPAM, .digest = &some_content, .reporter = someone};

/* One call each, and what it needs before. */
static int step_mailbox(void)
{
	struct record_mailbox r;
	bool known;

	return ledger_mailbox(ledger, "account", "new", &r, &known, &e);
}

static int step_mailbox_put(void)
{
	return ledger_mailbox_put(ledger, "account", "new", &box, &e);
}

static int step_message(void)
{
	struct record_message r;

	return ledger_message(ledger, &box, 7, &r, &e);
}

static int step_seek(void)
{
	struct record_message r;
	uint32_t uid = 0;

	return ledger_message_next(ledger, &box, &uid, &r, &e);
}

static int step_forget_messages(void)
{
	return ledger_forget_messages(ledger, &box, &e);
}

static int step_replace(void)
{
	return ledger_replace(ledger, &box, 7, 1000, &e);
}

static int step_wait(void)
{
	return ledger_wait(ledger, &copy_7, OUTCOME_HELD, 1000, &e);
}

static int step_digest(void)
{
	struct record_digest d;

	return ledger_digest(ledger, &some_content, &d, &e);
}

static int step_report(void)
{
	struct record_digest d;

	return ledger_report(ledger, &copy_7, 1000, &d, &e);
}

static int step_submit(void)
{
	return ledger_submit(ledger, &copy_7, 1000, &e);
}

static int step_settle(void)
{
	bool flipped;

	return ledger_settle(ledger, &copy_7, OUTCOME_LEARNED, NULL, 1000, &flipped, &e);
}

static int step_fail(void)
{
	bool flipped;

	return ledger_settle(ledger, &copy_7, OUTCOME_FAILED, NULL, 1000, &flipped, &e);
}

static int step_advance(void)
{
	return ledger_advance(ledger, &box, 7, STATE_MARKED, false, &e);
}

static int step_forget_contents(void)
{
	uint64_t n = 0;

	return ledger_forget_contents(ledger, 2000, 10, &n, &e);
}

static int step_commit(void)
{
	return ledger_commit(ledger, &e);
}

/* A settled message in a ledger over a store that will fail after so many calls. */
static struct failing *open_failing(int left)
{
	struct failing *f = calloc(1, sizeof *f);

	assert_non_null(f);
	*f = (struct failing){{&failing_ops}, store_mem_open(&e), -1};
	ledger_close(ledger);
	ledger = ledger_over(&f->store, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	assert_int_equal(step_settle(), 0);
	f->left = left;
	return f;
}

static void test_store_fails(void **state)
{
	static int (*const steps[])(void) = {
	    step_replace, step_wait,   step_mailbox,	     step_mailbox_put,
	    step_message, step_seek,   step_digest,	     step_forget_messages,
	    step_report,  step_submit, step_settle,	     step_fail,
	    step_advance, step_commit, step_forget_contents,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (int calls = 0;; calls++) {
			struct failing *f = open_failing(calls);
			int rc;

			err_clear(&e);
			rc = steps[i]();
			if (f->left >= 0) { /* it needs no more calls than that */
				assert_int_not_equal(rc, -1);
				assert_true(calls > 0);
				break;
			}
			if (rc != -1 || strcmp(e.text, "the store failed") != 0)
				fail_msg("step %zu, call %d: %d \"%s\"", i, calls, rc, e.text);
		}
}

/* The same for opening: no ledger, and the store is closed. */
static void test_store_fails_at_once(void **state)
{
	(void)state;
	for (int left = 0; left < 3; left++) {
		struct failing *f = calloc(1, sizeof *f);

		assert_non_null(f);
		*f = (struct failing){{&failing_ops}, store_mem_open(&e), left};
		err_clear(&e);
		assert_null(ledger_over(&f->store, LEDGER_WRITE, &e));
		assert_string_equal(e.text, "the store failed");
	}
}

#define MEM(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decide),
	    MEM(test_mailboxes),
	    MEM(test_numbers_once),
	    MEM(test_long_names),
	    MEM(test_seek),
	    MEM(test_forget_mailbox),
	    MEM(test_states),
	    MEM(test_put_back_and_submit),
	    MEM(test_wait),
	    MEM(test_adopt_and_replace),
	    MEM(test_settle),
	    MEM(test_advance),
	    MEM(test_resume),
	    MEM(test_half_a_stamp),
	    MEM(test_failures),
	    MEM(test_other_failures),
	    MEM(test_copies),
	    MEM(test_newest_wins),
	    MEM(test_any_order),
	    MEM(test_flips),
	    MEM(test_unconfirmed),
	    MEM(test_report),
	    MEM(test_doubt),
	    MEM(test_flip_counted),
	    MEM(test_answers_kept),
	    MEM(test_no_content),
	    MEM(test_forget_a_part),
	    MEM(test_forget_contents),
	    MEM(test_damaged),
	    MEM(test_damaged_hand),
	    MEM(test_format),
	    MEM(test_old_format),
	    MEM(test_dead),
	    MEM(test_distrust_marks),
	    MEM(test_store_fails),
	    MEM(test_store_fails_at_once),
	    DIR(test_commit),
	    DIR(test_dry),
	    DIR(test_lock),
	    DIR(test_foreign_directory),
	    DIR(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
