/*
 * pipeline.c where several reporters have to agree: a run notes first who says what, and
 * decides then; what too few say waits, ends for that copy alone, and never for the content.
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
#include "fake/world.h"

static struct world w;
static struct fake_source ham;
static struct fake_source *const spam = &w.source;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	w.conf->reports.quorum = 2;
	w.conf->reports.quorum_within = 10 * 86400;
	fake_source_init(&ham, "h", "INBOX", CLASS_HAM, &w.events);
	ham.dirty = &w.store.dirty;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_source_free(&ham);
	world_free(&w);
	return 0;
}

/* Somebody reports the content; at: seconds after the start. */
static void report(struct fake_source *s, const char *who, const char *content, int at)
{
	char text[400];

	snprintf(text, sizeof text, "Return-Path: <%s@x>\r\nSubject: %s\r\n\r\n%s\r\n", who,
		 content, content);
	fake_deliver(s, text, WORLD_NOW + at);
}

static void pass(bool only_note)
{
	struct fake_source *const both[] = {spam, &ham};

	for (int i = 0; i < 2; i++)
		if (world_learn_in(&w, both[i], -1, only_note) == -1)
			fail_msg("%s", w.e.text);
}

/* A run as run.c makes one. */
static void run(void)
{
	world_restart(&w);
	pass(true);
	pass(false);
	world_close(&w, spam);
	world_close(&w, &ham);
}

static uint64_t total(enum outcome o)
{
	return w.output.output.total.outcome[o];
}

static void is(struct fake_source *s, uint32_t id, int state, enum outcome outcome)
{
	struct record_message r = world_message(&w, s, id);

	if ((int)r.state != state || r.outcome != outcome)
		fail_msg("%s %u: state %d, %s; in: %s", s->source.account, id, (int)r.state,
			 outcome_name(r.outcome), w.events.text);
}

static void test_agreed(void **state)
{
	(void)state;
	report(spam, "alice", "one", 1);
	report(spam, "bob", "one", 2);
	run();
	assert_int_equal(w.rspamd.submits, 1);
	is(spam, 1, STATE_MARKED, OUTCOME_LEARNED);
	is(spam, 2, STATE_MARKED, OUTCOME_KNOWN);
	assert_int_equal(total(OUTCOME_HELD), 0);
	/* A third one finds it known. */
	report(spam, "carol", "one", 3);
	run();
	is(spam, 3, STATE_MARKED, OUTCOME_KNOWN);
	assert_int_equal(w.rspamd.submits, 1);
}

static void test_only_noted(void **state)
{
	struct record_message r;
	struct record_digest d;

	(void)state;
	report(spam, "alice", "one", 1);
	report(spam, "bob", "one", 2);
	world_restart(&w);
	pass(true);
	assert_int_equal(w.rspamd.submits, 0);
	is(spam, 1, STATE_PENDING, OUTCOME_HELD);
	is(spam, 2, STATE_PENDING, OUTCOME_HELD);
	fake_events_lack(&w.events, "held");
	fake_events_lack(&w.events, "mark ");
	assert_int_equal(w.output.ends, 0); /* nothing is decided: nothing to say */
	r = world_message(&w, spam, 1);
	assert_int_equal(ledger_digest(w.ledger, &r.digest, &d, &w.e), 1);
	assert_int_equal(d.n_reporters, 2);
	world_close(&w, spam);
	world_close(&w, &ham);
}

/* One person with many names, and one that says it twice, is one reporter. */
static void test_one_person(void **state)
{
	(void)state;
	report(spam, "alice", "one", 1);
	report(spam, "Alice", "one", 2);
	report(spam, "alice+spam", "one", 3);
	run();
	assert_int_equal(w.rspamd.submits, 0);
	for (uint32_t id = 1; id <= 3; id++)
		is(spam, id, STATE_PENDING, OUTCOME_HELD);
	assert_int_equal(total(OUTCOME_HELD), 3);
	report(spam, "bob", "one", 4);
	run();
	assert_int_equal(w.rspamd.submits, 1);
	assert_int_equal(total(OUTCOME_HELD), 0);
	for (uint32_t id = 1; id <= 4; id++)
		assert_int_equal(world_message(&w, spam, id).state, STATE_MARKED);
}

/* The majority decides; what says the other class is overruled, whoever came first. */
static void test_majority(void **state)
{
	(void)state;
	report(&ham, "alice", "one", 1);
	report(&ham, "bob", "one", 2);
	run();
	is(&ham, 1, STATE_MARKED, OUTCOME_LEARNED);
	report(spam, "carol", "one", 3);
	report(spam, "dave", "one", 4);
	report(spam, "erin", "one", 5);
	run();
	assert_int_equal(w.rspamd.submits, 2);
	assert_int_equal(w.rspamd.lesson[1].class, CLASS_SPAM);
	is(spam, 1, STATE_MARKED, OUTCOME_LEARNED);
	is(spam, 3, STATE_MARKED, OUTCOME_KNOWN);
	assert_int_equal(w.output.output.total.taken_back[CLASS_HAM], 1);
	report(spam, "gina", "one", 6);
	report(&ham, "frank", "one", 7);
	run();
	is(&ham, 3, STATE_MARKED, OUTCOME_OVERRULED);
	assert_int_equal(w.rspamd.submits, 2);
	/* On a tie the newest word decides. */
	report(&ham, "henry", "one", 8);
	run();
	is(&ham, 4, STATE_MARKED, OUTCOME_LEARNED);
	assert_int_equal(w.rspamd.lesson[2].class, CLASS_HAM);
}

/* A verdict that is taken back in the same run was heard before anything is learned. */
static void test_taken_back(void **state)
{
	(void)state;
	report(spam, "alice", "one", 1);
	report(spam, "bob", "one", 2);
	report(&ham, "bob", "one", 3);
	run();
	assert_int_equal(w.rspamd.submits, 0);
	is(spam, 1, STATE_PENDING, OUTCOME_HELD);
	is(&ham, 1, STATE_PENDING, OUTCOME_HELD);
	assert_int_equal(total(OUTCOME_HELD), 3);
}

/* Time ends one copy's wait; the content stays open for those who come later. */
static void test_unconfirmed(void **state)
{
	(void)state;
	report(spam, "alice", "one", 1);
	run();
	is(spam, 1, STATE_PENDING, OUTCOME_HELD);
	fake_clock_advance(INT64_C(10) * 86400 * 1000 - 2 * 3600 * 1000);
	run();
	is(spam, 1, STATE_PENDING, OUTCOME_HELD); /* an hour too early */
	run();
	is(spam, 1, STATE_MARKED, OUTCOME_UNCONFIRMED);
	assert_int_equal(spam->message[0].marks, FAKE_MARK_SKIPPED);
	report(spam, "bob", "one", 20 * 86400);
	run();
	assert_int_equal(w.rspamd.submits, 1);
	is(spam, 2, STATE_MARKED, OUTCOME_LEARNED);
	is(spam, 1, STATE_MARKED, OUTCOME_UNCONFIRMED);
}

static void test_never_unconfirmed(void **state)
{
	(void)state;
	w.conf->reports.quorum_within = CONF_NEVER;
	report(spam, "alice", "one", 1);
	run();
	fake_clock_advance(INT64_C(4000) * 86400 * 1000);
	run();
	is(spam, 1, STATE_PENDING, OUTCOME_HELD);
}

/* What has no reporter is nobody's vote. */
static void test_nobody(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		fake_deliver(spam, "Subject: one\r\n\r\none\r\n", WORLD_NOW + i);
	run();
	assert_int_equal(w.rspamd.submits, 0);
	is(spam, 3, STATE_PENDING, OUTCOME_HELD);
	/* Nobody asks for a quorum any more: what was held is learned. */
	w.conf->reports.quorum = 1;
	world_restart(&w);
	pass(false);
	assert_int_equal(w.rspamd.submits, 1);
	is(spam, 1, STATE_MARKED, OUTCOME_LEARNED);
	world_close(&w, spam);
	world_close(&w, &ham);
}

/* Each message that waits is counted once in a run of two passes, whatever it waits for. */
static void test_counted_once(void **state)
{
	(void)state;
	spam->source.seen_only = true;
	spam->source.hold = 7200;
	report(spam, "alice", "one", 1);
	report(spam, "alice", "two", 2);
	report(spam, "alice", "three", 3500);
	spam->message[1].seen = spam->message[2].seen = true;
	spam->message[1].date = WORLD_NOW - 7200;
	for (int i = 0; i < 2; i++) {
		run();
		assert_int_equal(total(OUTCOME_UNREAD), 1);
		assert_int_equal(total(OUTCOME_HELD), 2);
		fake_clock_advance(-3600 * 1000);
	}
	assert_int_equal(w.output.output.total.left, 0);
}

/* A stranger in the place of a message that is held is no report of that content. */
static void test_stranger_for_held(void **state)
{
	struct record_message r;

	(void)state;
	report(spam, "alice", "one", 1);
	run();
	snprintf(spam->message[0].body, sizeof spam->message[0].body,
		 "Return-Path: <bob@x>\r\nSubject: something else\r\n\r\nof another size\r\n");
	report(spam, "carol", "one", 3);
	run();
	/* Alice's word still counts with Carol's; the stranger is held for itself. */
	is(spam, 2, STATE_MARKED, OUTCOME_LEARNED);
	is(spam, 1, STATE_PENDING, OUTCOME_HELD);
	r = world_message(&w, spam, 1);
	assert_int_equal(r.stamp.size, strlen(spam->message[0].body));
	assert_int_equal(w.rspamd.submits, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_agreed),
	    TEST(test_only_noted),
	    TEST(test_one_person),
	    TEST(test_majority),
	    TEST(test_taken_back),
	    TEST(test_unconfirmed),
	    TEST(test_never_unconfirmed),
	    TEST(test_nobody),
	    TEST(test_counted_once),
	    TEST(test_stranger_for_held),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
