/*
 * expire.c: what is removed, and above all what is not: only what this ledger settled, in the
 * mailbox that it knows, looking as it did then, marked, and wanted by nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake/fixture.h"
#include "fake/world.h"
#include "learn/expire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DAY = 86400 };

static struct world w;
static struct fake_source *const src = &w.source;
static struct expire x;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	w.conf->retention.learned = w.conf->retention.known = w.conf->retention.skipped =
	    w.conf->retention.untrusted = w.conf->retention.failed = 7 * DAY;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

static void anew(void)
{
	teardown(NULL);
	setup(NULL);
}

static void deliver(int n)
{
	for (int i = 0; i < n; i++)
		fake_deliver(src, NULL, WORLD_NOW - 1000);
}

static void days_later(int days)
{
	fake_clock_advance(INT64_C(1000) * DAY * days);
}

/* An expire of its own, over what is durable. */
static int expire(void)
{
	int rc;

	world_restart(&w);
	x = (struct expire){
	    .policy = &w.conf->retention,
	    .ledger = w.ledger,
	    .output = &w.output.output,
	    .dry_run = w.output.output.dry_run,
	    .now = clock_now(),
	    .left = w.conf->retention.max_per_run,
	};
	err_clear(&w.e);
	fake_events_clear(&w.events);
	rc = expire_source(&x, &src->source, &w.e);
	if (rc == 0)
		rc = ledger_commit(w.ledger, &w.e);
	world_close(&w, src);
	return rc;
}

static void expire_ok(void)
{
	if (expire() == -1)
		fail_msg("%s", w.e.text);
}

static void there_is(const char *want)
{
	if (strcmp(fake_there(src), want) != 0)
		fail_msg("%s, not %s; in: %s", fake_there(src), want, w.events.text);
}

/* Nothing was removed, and the source was not even asked to. */
static void nothing_went(const char *there)
{
	there_is(there);
	fake_events_lack(&w.events, "remove ");
	fake_events_lack(&w.events, "move ");
	assert_int_equal(tally_expired(&w.output.last), 0);
}

/* ---- the whole way ---- */

static void test_the_way(void **state)
{
	(void)state;
	deliver(3);
	world_run(&w);
	days_later(6);
	expire_ok();
	nothing_went("1:3");
	fake_events_are(&w.events, "expire end 0 kept 0; close a; "); /* not even opened */
	days_later(1);
	expire_ok();
	fake_events_are(&w.events, "open a rw; can remove; look 1:3; commit; remove 1:3; "
				   "look 1:3; expired 1 learned 604800; "
				   "expired 2 learned 604800; expired 3 learned 604800; "
				   "commit; expire end 3 kept 0; close a; ");
	there_is("-");
	for (uint32_t id = 1; id <= 3; id++)
		world_is(&w, id, -1, OUTCOME_NONE);
	assert_int_equal(w.output.last.expired[GROUP_LEARNED], 3);
	expire_ok();
	fake_events_are(&w.events, "expire end 0 kept 0; close a; ");
}

static void test_move(void **state)
{
	(void)state;
	w.conf->retention.action = CONF_MOVE;
	w.conf->retention.move_to = strdup("Archive");
	deliver(2);
	world_run(&w);
	days_later(7);
	expire_ok();
	fake_events_have(&w.events, "can remove to Archive");
	fake_events_have(&w.events, "; move 1:2");
	there_is("-");
}

static void test_unknown_mailbox(void **state)
{
	(void)state;
	deliver(2);
	days_later(100);
	expire_ok();
	fake_events_lack(&w.events, "open");
	nothing_went("1:2");
}

static void test_limit(void **state)
{
	(void)state;
	deliver(5);
	world_run(&w);
	days_later(7);
	w.conf->retention.max_per_run = 2;
	expire_ok();
	there_is("3:5");
	assert_int_equal(w.output.last.due, 3); /* what could go, too */
	expire_ok();
	there_is("5");
	assert_int_equal(w.output.last.due, 1);
	w.conf->retention.max_per_run = 0;
	expire_ok();
	there_is("5");
	assert_int_equal(w.output.last.due, 1);
	w.conf->retention.max_per_run = 1;
	deliver(1);
	world_run(&w); /* too new to go */
	expire_ok();
	there_is("6");
	assert_int_equal(w.output.last.due, 0);
}

/* (That nothing changes in the ledger is LEDGER_DRY's: test_ledger.c.) */
static void test_dry_run(void **state)
{
	(void)state;
	deliver(2);
	world_run(&w);
	days_later(7);
	w.output.output.dry_run = true;
	expire_ok();
	fake_events_have(&w.events, "open a ro; can remove; look 1:2; "
				    "expired 1 learned 604800; expired 2 learned 604800; ");
	fake_events_have(&w.events, "expire end 2 kept 0");
	fake_events_lack(&w.events, "; remove");
	there_is("1:2");
}

/* ---- what may go ---- */

/* How each message ended; only these outcomes are ever an end. */
static const struct {
	const char *what;
	enum outcome outcome;
	enum answer_next next;
	bool goes;
} ends[] = {
    {"learned", OUTCOME_LEARNED, ANSWER_SETTLED, true},
    {"known", OUTCOME_KNOWN, ANSWER_SETTLED, true},
    {"unlearnable", OUTCOME_UNLEARNABLE, ANSWER_SETTLED, true},
    {"sure", OUTCOME_SURE, ANSWER_DOUBT, true},
    {"refused by rspamd itself", OUTCOME_FAILED, ANSWER_FAILED, true},
    {"no proper answer", OUTCOME_UNANSWERED, ANSWER_FAILED, false},
    {"no answer after all tries", OUTCOME_UNANSWERED, ANSWER_RETRY, false},
};

static void test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		anew();
		fake_answers(&w.rspamd, NULL, ends[i].outcome, ends[i].next, "words");
		deliver(1);
		world_run(&w);
		days_later(6);
		expire_ok();
		nothing_went("1");
		days_later(1);
		expire_ok();
		if ((src->n == 0) != ends[i].goes)
			fail_msg("%s: %s", ends[i].what, w.events.text);
	}
}

/* rspamd lost in the middle of a run, and everything is to go at once: nothing does. */
static void test_put_back_stays(void **state)
{
	struct conf_retention *p = &w.conf->retention;

	(void)state;
	p->learned = p->known = p->skipped = p->untrusted = p->failed = 0;
	deliver(4);
	fake_answers(&w.rspamd, NULL, OUTCOME_SURE, ANSWER_DOUBT, "denied");
	w.rspamd.stat.bayes = false;
	assert_int_equal(world_learn_in(&w, src, -1, false), -1);
	world_close(&w, src);
	days_later(1000);
	expire_ok();
	nothing_went("1:4");
}

/* The connection broke at it, the server did not give it, it is unread, it is held. */
static void test_open_stays(void **state)
{
	struct conf_retention *p = &w.conf->retention;

	(void)state;
	p->learned = p->known = p->skipped = p->untrusted = p->failed = 0;
	src->source.seen_only = true;
	src->source.hold = 5 * DAY;
	deliver(5);
	for (size_t i = 0; i < 5; i++) {
		src->message[i].seen = i != 2;
		src->message[i].date = WORLD_NOW - 10 * DAY;
	}
	src->message[0].how = FAKE_BREAK;
	src->message[0].breaks = 100;
	src->message[1].how = FAKE_REFUSE;
	src->message[3].date = WORLD_NOW;
	src->message[4].how = FAKE_NOTHING;
	for (int i = 0; i < 5; i++) {
		world_learn_in(&w, src, -1, false);
		world_close(&w, src);
	}
	world_is(&w, 1, STATE_PENDING, OUTCOME_UNREADABLE);
	world_is(&w, 2, STATE_PENDING, OUTCOME_UNREADABLE);
	world_is(&w, 3, STATE_PENDING, OUTCOME_UNREAD);
	world_is(&w, 4, STATE_PENDING, OUTCOME_HELD);
	days_later(1000);
	expire_ok();
	nothing_went("1:5");
}

/* Settled and never marked: the mark comes first. */
static void test_unmarked_stays(void **state)
{
	(void)state;
	deliver(2);
	fake_fail(src, FAIL_MARK, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(world_learn_in(&w, src, -1, false), -1);
	world_close(&w, src);
	world_is(&w, 1, STATE_SETTLED, OUTCOME_LEARNED);
	days_later(100);
	expire_ok();
	nothing_went("1:2");
}

/* ---- is it the message that was settled? ---- */

static void test_not_the_mailbox(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		anew();
		deliver(3);
		world_run(&w);
		days_later(100);
		if (how == 0)
			src->identity++;
		else if (how == 1)
			src->next--;
		else
			src->version = 1;
		assert_int_equal(expire(), 0); /* the next learn knows what they are */
		nothing_went("1:3");
		world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	}
}

enum change { SAME, OTHER_SIZE, OTHER_DATE, MARK_OFF, OTHER_MARK, FLAGGED, DELETED, CHANGES };

static const struct {
	bool goes, again, kept; /* with a mark, where none could be held, and after a refusal */
} changes[CHANGES] = {
    [SAME] = {true, false, false},	 [OTHER_SIZE] = {false, true, false},
    [OTHER_DATE] = {false, true, false}, [MARK_OFF] = {false, true, false},
    [OTHER_MARK] = {true, false, false}, [FLAGGED] = {false, false, true},
    [DELETED] = {false, false, true},
};

static void change(struct fake_message *m, enum change how)
{
	switch (how) {
	case OTHER_SIZE:
		strcat(m->body, "x");
		break;
	case OTHER_DATE:
		m->date++;
		break;
	case MARK_OFF:
		m->marks = 0;
		break;
	case OTHER_MARK:
		m->marks = FAKE_MARK_SKIPPED;
		break;
	case FLAGGED:
		m->flagged = true;
		break;
	case DELETED:
		m->deleted = true;
		break;
	default:
		break;
	}
}

/* bare: such never bore a mark, so that a missing one says nothing. */
static void check_change(enum change how, bool bare)
{
	bool unmarked_is_fine = bare && how == MARK_OFF;
	bool goes = changes[how].goes || unmarked_is_fine;

	change(&src->message[1], how);
	days_later(7);
	expire_ok();
	there_is(goes ? "-" : "2");
	assert_int_equal(w.output.last.kept, changes[how].kept);
	if (goes)
		return;
	if (changes[how].again)
		world_is(&w, 2, STATE_PENDING, OUTCOME_NONE);
	else
		assert_int_not_equal(world_message(&w, src, 2).outcome, OUTCOME_NONE);
}

static void test_changes(void **state)
{
	(void)state;
	for (int how = 0; how < CHANGES; how++)
		for (int kind = 0; kind < 4; kind++) {
			anew();
			src->can_mark = kind != 1;
			src->holds_none = kind == 2;
			if (kind == 3)
				fake_answers(&w.rspamd, NULL, OUTCOME_FAILED, ANSWER_FAILED,
					     "no");
			deliver(3);
			world_run(&w);
			check_change((enum change)how, kind != 0);
		}
}

/* What was not as it was is looked at again, learned if it is new, and expires in its turn. */
static void test_stranger_is_learned(void **state)
{
	(void)state;
	deliver(2);
	world_run(&w);
	days_later(7);
	strcat(src->message[0].body, "something else");
	expire_ok();
	there_is("1");
	world_run(&w);
	assert_int_equal(fake_learned(&w.rspamd, src->message[0].body), CLASS_SPAM);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	days_later(6);
	expire_ok();
	there_is("1");
	days_later(1);
	expire_ok();
	there_is("-");
}

/* A user took it out: it is forgotten, and nobody is told that it expired. */
static void test_gone(void **state)
{
	(void)state;
	deliver(3);
	world_run(&w);
	fake_expunge(src, 2);
	days_later(7);
	expire_ok();
	fake_events_have(&w.events, "remove 1,3");
	fake_events_lack(&w.events, "expired 2");
	assert_int_equal(tally_expired(&w.output.last), 2);
	world_is(&w, 2, -1, OUTCOME_NONE);
}

/* A record of format 1 knows neither size nor date: then the mark has to be there. */
static void test_old_record(void **state)
{
	struct record_mailbox box;

	(void)state;
	deliver(2);
	world_run(&w);
	box = world_box(&w, src);
	for (uint32_t id = 1; id <= 2; id++) {
		struct record_message r = world_message(&w, src, id);

		r.stamp = (struct record_stamp){0, 0};
		assert_int_equal(ledger_message_put(w.ledger, &box, id, &r, &w.e), 0);
	}
	assert_int_equal(ledger_commit(w.ledger, &w.e), 0);
	src->message[1].marks = 0;
	days_later(7);
	expire_ok();
	there_is("2");
	world_is(&w, 2, STATE_PENDING, OUTCOME_NONE);
}

/* ---- what goes wrong ---- */

static void test_server_keeps(void **state)
{
	(void)state;
	src->keeps = true;
	deliver(2);
	world_run(&w);
	days_later(7);
	assert_int_equal(expire(), -1);
	assert_int_equal(w.e.scope, ERR_MAILBOX);
	assert_int_equal(w.e.kind, ERR_CONFIG);
	assert_non_null(strstr(w.e.text, "kept 2 messages"));
	assert_int_equal(tally_expired(&w.output.last), 0);
	fake_events_lack(&w.events, "expired 1");
	/* It is taken up again, as what may be half done. */
	src->keeps = false;
	world_is(&w, 1, STATE_PURGING, OUTCOME_LEARNED);
	expire_ok();
	fake_events_have(&w.events, "remove 1:2");
	there_is("-");
}

static void test_cannot(void **state)
{
	(void)state;
	src->cannot = true;
	deliver(2);
	world_run(&w);
	days_later(7);
	assert_int_equal(expire(), -1);
	assert_int_equal(w.e.scope, ERR_MAILBOX);
	nothing_went("1:2");
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
}

/* Only to be read: nothing is asked of it, and it is an error with its reason. */
static void test_read_only(void **state)
{
	(void)state;
	deliver(2);
	world_run(&w);
	src->server_read_only = true;
	days_later(7);
	assert_int_equal(expire(), -1);
	assert_int_equal(w.e.scope, ERR_MAILBOX);
	assert_int_equal(w.e.kind, ERR_CONFIG);
	nothing_went("1:2");
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
}

/* Cut short while it removed: the next run takes it up, and what somebody flags stays. */
static void test_cut_short(void **state)
{
	(void)state;
	deliver(4);
	world_run(&w);
	days_later(7);
	fake_fail(src, FAIL_REMOVE, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(expire(), -1);
	assert_int_equal(w.e.scope, ERR_SERVER);
	for (uint32_t id = 1; id <= 4; id++)
		world_is(&w, id, STATE_PURGING, OUTCOME_LEARNED);
	fake_expunge(src, 1);		/* done before the connection broke */
	src->message[0].deleted = true; /* ours, half done */
	src->message[1].flagged = true; /* somebody wants it now */
	strcat(src->message[2].body, "restored, and given again");
	expire_ok();
	fake_events_have(&w.events, "remove 2;");
	there_is("3:4");
	assert_int_equal(w.output.last.kept, 1);
	world_is(&w, 4, STATE_PENDING, OUTCOME_NONE);
	world_is(&w, 1, -1, OUTCOME_NONE);
}

static void move_by_copying(void)
{
	w.conf->retention.action = CONF_MOVE;
	w.conf->retention.move_to = strdup("Archive");
	src->target = 42;
}

/* What an earlier run left in both places is only removed; the rest moves as ever. */
static void test_cut_short_copying(void **state)
{
	(void)state;
	move_by_copying();
	deliver(5);
	world_run(&w);
	days_later(7);
	fake_fail(src, FAIL_REMOVE, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(expire(), -1);
	fake_events_in_order(&w.events, "target; commit", "move 1:5");
	fake_find(src, 2)->copied = fake_find(src, 3)->copied = true;
	fake_find(src, 3)->flagged = true; /* somebody wants it now */
	fake_find(src, 5)->deleted = true; /* by somebody: it was not copied */

	/* Which ones are copied is durable before anything goes, and is asked once. */
	fake_fail(src, FAIL_REMOVE, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(expire(), -1);
	fake_events_in_order(&w.events, "copied 1:5 behind 42; commit", "remove 2");
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 2, STATE_COPIED, OUTCOME_LEARNED);
	world_is(&w, 3, STATE_COPIED, OUTCOME_LEARNED);
	expire_ok();
	fake_events_in_order(&w.events, "remove 2", "move 1,4");
	fake_events_lack(&w.events, "copied ");
	there_is("3,5");
	assert_int_equal(w.output.last.kept, 2);

	/* Nobody wants it any more: there is nothing to copy. */
	fake_find(src, 3)->flagged = fake_find(src, 5)->deleted = false;
	expire_ok();
	fake_events_in_order(&w.events, "remove 3", "move 5");
	there_is("-");
}

/* Asking where things are may fail too: then nothing is moved. */
static void test_copying_fails(void **state)
{
	static const int places[] = {FAIL_TARGET, FAIL_COPIED};

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		anew();
		move_by_copying();
		deliver(2);
		world_run(&w);
		days_later(7);
		if (places[i] == FAIL_COPIED) {
			fake_fail(src, FAIL_REMOVE, ERR_SERVER, ERR_UNREACHABLE);
			assert_int_equal(expire(), -1);
		}
		fake_fail(src, places[i], ERR_SERVER, ERR_UNREACHABLE);
		assert_int_equal(expire(), -1);
		fake_events_lack(&w.events, "move 1");
		there_is("1:2");
		expire_ok();
		there_is("-");
	}
}

/* Each place where it can fail: nothing goes that was not durable as "being removed". */
static void test_dead_ledger(void **state)
{
	unsigned n = 1;
	bool failed = true;

	(void)state;
	for (; failed; n++) {
		const char *dead;

		anew();
		deliver(3);
		world_run(&w);
		days_later(7);
		w.store.fail_commit = w.store.commits + n;
		failed = expire() == -1;
		dead = strstr(w.events.text, "commit failed");
		assert_int_equal(failed, dead != NULL);
		if (failed) {
			assert_string_equal(w.e.text, "the disk is full");
			assert_null(strstr(dead, "remove "));
		}
		w.store.fail_commit = 0;
		expire_ok();
		there_is("-");
		for (uint32_t id = 1; id <= 3; id++)
			world_is(&w, id, -1, OUTCOME_NONE);
	}
	assert_int_equal(n, 4); /* two commits, and a run without a failure */
}

static void test_source_fails(void **state)
{
	static const int places[] = {FAIL_OPEN, FAIL_LOOK, FAIL_REMOVE};

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++)
		for (int after = 0; after < 2; after++) {
			anew();
			deliver(3);
			world_run(&w);
			days_later(7);
			fake_fail(src, places[i], ERR_SERVER, ERR_UNREACHABLE);
			src->fail_after = after;
			if (expire() == -1)
				assert_string_equal(w.e.text, "account a: broken on purpose");
			src->fail = FAIL_NONE;
			expire_ok();
			there_is("-");
		}
}

/* ---- the ledger forgets ---- */

static bool content_is_known(void)
{
	struct record_message r = world_message(&w, src, 1);
	struct record_digest ignored;

	return ledger_digest(w.ledger, &r.digest, &ignored, &w.e) == 1;
}

/* Contents; what is known of a message stays as long as the message. */
static void test_forget(void **state)
{
	(void)state;
	w.conf->retention.forget = 30 * DAY;
	deliver(2);
	world_run(&w);
	world_restart(&w);
	days_later(29);
	for (int i = 0; i < 3; i++) {
		bool forgotten = i == 2;

		x = (struct expire){.policy = &w.conf->retention,
				    .ledger = w.ledger,
				    .output = &w.output.output,
				    .dry_run = i == 1,
				    .now = clock_now()};
		assert_int_equal(expire_ledger(&x, &w.e), 0);
		assert_int_equal(content_is_known(), !forgotten);
		assert_int_equal((int)world_message(&w, src, 1).state, STATE_MARKED);
		days_later(1);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_the_way),
	    TEST(test_move),
	    TEST(test_unknown_mailbox),
	    TEST(test_limit),
	    TEST(test_dry_run),
	    TEST(test_ends),
	    TEST(test_put_back_stays),
	    TEST(test_open_stays),
	    TEST(test_unmarked_stays),
	    TEST(test_not_the_mailbox),
	    TEST(test_changes),
	    TEST(test_stranger_is_learned),
	    TEST(test_gone),
	    TEST(test_old_record),
	    TEST(test_server_keeps),
	    TEST(test_cannot),
	    TEST(test_read_only),
	    TEST(test_cut_short),
	    TEST(test_cut_short_copying),
	    TEST(test_copying_fails),
	    TEST(test_dead_ledger),
	    TEST(test_source_fails),
	    TEST(test_forget),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
