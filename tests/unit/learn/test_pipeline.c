/*
 * pipeline.c: the way of messages through source, ledger and rspamd, all of them fakes that
 * fail at every place; what is recorded, sent, marked and printed, and in which order.
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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct world w;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	return 0;
}

/* Once more from the start. */
static void anew(void)
{
	world_free(&w);
	world_init(&w);
}

static int teardown(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

static struct fake_source *src = &w.source;

static void deliver(int n)
{
	for (int i = 0; i < n; i++)
		fake_deliver(src, NULL, WORLD_NOW - 1000 + (int)src->n);
}

static int learn(int64_t max)
{
	return world_learn_in(&w, src, max, false);
}

static void learn_ok(int64_t max)
{
	if (learn(max) == -1)
		fail_msg("%s", w.e.text);
}

static void all_are(uint32_t first, uint32_t last, int state, enum outcome outcome)
{
	for (uint32_t id = first; id <= last; id++)
		world_is(&w, id, state, outcome);
}

/* What the last mailbox_end said: decided messages of this outcome, and what is left. */
static void said(enum outcome outcome, uint64_t n, uint64_t left, bool more)
{
	if (w.output.last.outcome[outcome] != n || w.output.last.left != left ||
	    w.output.last.left_or_more != more)
		fail_msg("%llu %s, left %llu%s; in: %s",
			 (unsigned long long)w.output.last.outcome[outcome],
			 outcome_name(outcome), (unsigned long long)w.output.last.left,
			 w.output.last.left_or_more ? "+" : "", w.events.text);
}

/* ---- the whole way ---- */

static void test_the_way(void **state)
{
	(void)state;
	deliver(2);
	world_run(&w);
	fake_events_are(&w.events, "open a rw; commit; 2 new; want 1:2; "
				   "commit; submit spam Subject: a INBOX 1; 1 learned; "
				   "commit; submit spam Subject: a INBOX 2; 2 learned; "
				   "commit; mark spam 1:2; commit; marked 2 spam; commit; "
				   "end a INBOX left 0; close a; ");
	all_are(1, 2, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_LEARNED, 2, 0, false);
	assert_string_equal(w.output.why, "-");
	assert_int_equal(w.output.output.total.learned[CLASS_SPAM], 2);
	/* Nothing new: nothing is sent, marked, or written. */
	fake_events_clear(&w.events);
	world_run(&w);
	fake_events_lack(&w.events, "submit");
	fake_events_lack(&w.events, "mark ");
	said(OUTCOME_LEARNED, 0, 0, false);
	fake_events_clear(&w.events);
	world_run(&w);
	fake_events_lack(&w.events, "commit");
}

/* However source and rspamd take their time, and in whatever order they give. */
static void test_any_pace(void **state)
{
	static const int connections[] = {1, 2, 4, 8, 16};

	(void)state;
	for (unsigned i = 0; i < COUNT(connections) * 48; i++) {
		unsigned how = i / COUNT(connections);

		anew();
		w.rspamd.rspamd.connections = connections[i % COUNT(connections)];
		w.rspamd.delay = (int)(how % 4) * 2;
		src->waits = (int)(how / 4 % 3);
		src->backwards = how / 12 & 1;
		src->no_sizes = w.rspamd.backwards = how / 24 & 1;
		deliver(20);
		world_run(&w);
		all_are(1, 20, STATE_MARKED, OUTCOME_LEARNED);
		assert_int_equal(w.rspamd.submits, 20);
		said(OUTCOME_LEARNED, 20, 0, false);
	}
}

/* Every kind of message that a source can give, each to where it belongs. */
static void test_every_kind(void **state)
{
	(void)state;
	src->source.seen_only = true;
	src->source.hold = 100;
	w.conf->max_size = 200;
	deliver(7);
	for (size_t i = 0; i < src->n; i++)
		src->message[i].seen = i != 1;
	src->message[2].date = WORLD_NOW + 3600 - 50; /* as of world_run */
	memset(src->message[3].body, 'x', 300);
	src->message[4].how = FAKE_REFUSE;
	src->message[5].how = FAKE_NOTHING;
	src->message[6].marks = FAKE_MARK_SPAM;
	world_run(&w);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 2, STATE_PENDING, OUTCOME_UNREAD);
	world_is(&w, 3, STATE_PENDING, OUTCOME_HELD);
	world_is(&w, 4, STATE_MARKED, OUTCOME_LARGE);
	world_is(&w, 5, STATE_PENDING, OUTCOME_UNREADABLE);
	assert_string_equal(world_message(&w, src, 5).words, "cannot be opened");
	world_is(&w, 6, STATE_PENDING, OUTCOME_NONE);
	world_is(&w, 7, STATE_MARKED, OUTCOME_KNOWN);
	assert_int_equal(w.rspamd.submits, 1);
	said(OUTCOME_UNREADABLE, 1, 1, false);
	said(OUTCOME_UNREAD, 1, 1, false);
	said(OUTCOME_HELD, 1, 1, false);
	assert_string_equal(w.output.why, "the mail server listed what it does not have");
	assert_int_equal(src->message[3].marks, FAKE_MARK_SKIPPED);
}

/* What was not read is read now; what was too new is old enough; what was gone is forgotten. */
static void test_every_kind_later(void **state)
{
	test_every_kind(state);
	src->message[1].seen = true;
	src->message[4].how = FAKE_GIVE;
	src->version++;
	world_run(&w);
	world_is(&w, 2, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 3, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 5, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 6, STATE_PENDING, OUTCOME_UNREADABLE); /* still listed, and not given */
	said(OUTCOME_LEARNED, 3, 0, false);
}

/* What waits is counted in each run, and fetched in none before it is due. */
static void test_waiting(void **state)
{
	(void)state;
	src->source.seen_only = true;
	deliver(3);
	world_run(&w);
	said(OUTCOME_UNREAD, 3, 0, false);
	fake_events_clear(&w.events);
	world_run(&w);
	said(OUTCOME_UNREAD, 3, 0, false);
	fake_events_lack(&w.events, "want");
	src->source.version = src->version = 0; /* no sign of a change: asked each time */
	world_run(&w);
	fake_events_have(&w.events, "want 1:3");
	said(OUTCOME_UNREAD, 3, 0, false);
}

static void test_dry_run(void **state)
{
	(void)state;
	deliver(3);
	src->message[1].how = FAKE_REFUSE;
	w.output.output.dry_run = true;
	world_run(&w);
	fake_events_have(&w.events, "open a ro");
	fake_events_lack(&w.events, "submit");
	fake_events_lack(&w.events, "mark ");
	fake_events_have(&w.events, "marked 2 spam"); /* would be */
	said(OUTCOME_LEARNED, 2, 0, false);
}

/* A source that takes no marks, or that may only be read: the ledger alone remembers. */
static void test_no_marks(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		anew();
		src->can_mark = how != 0;
		src->holds_none = how == 1;
		src->server_read_only = how == 2;
		deliver(2);
		world_run(&w);
		all_are(1, 2, STATE_MARKED, OUTCOME_LEARNED);
		assert_true(world_message(&w, src, 1).bare);
		assert_int_equal(src->message[0].marks, 0);
		world_run(&w);
		assert_int_equal(w.rspamd.submits, 2);
	}
}

/* ---- answers ---- */

static const struct {
	enum outcome outcome;
	enum answer_next next;
	int state;
} answers[] = {
    {OUTCOME_LEARNED, ANSWER_SETTLED, STATE_MARKED},
    {OUTCOME_KNOWN, ANSWER_SETTLED, STATE_MARKED},
    {OUTCOME_UNLEARNABLE, ANSWER_SETTLED, STATE_MARKED},
    {OUTCOME_SURE, ANSWER_DOUBT, STATE_MARKED},
    {OUTCOME_FAILED, ANSWER_FAILED, STATE_PENDING},
    {OUTCOME_UNANSWERED, ANSWER_FAILED, STATE_PENDING},
    {OUTCOME_UNANSWERED, ANSWER_RETRY, STATE_PENDING}, /* its tries have run out */
};

static void test_answers(void **state)
{
	(void)state;
	deliver(COUNT(answers));
	for (size_t i = 0; i < COUNT(answers); i++)
		fake_answers(&w.rspamd, src->message[i].body, answers[i].outcome,
			     answers[i].next, "its words");
	world_run(&w);
	for (uint32_t i = 0; i < COUNT(answers); i++) {
		bool open = answers[i].state == STATE_PENDING;

		world_is(&w, i + 1, answers[i].state, answers[i].outcome);
		assert_string_equal(world_message(&w, src, i + 1).words,
				    open ? "its words" : "");
	}
	fake_events_have(&w.events, "5 failed: its words");
	fake_events_have(&w.events, "6 unanswered: its words");
	said(OUTCOME_UNANSWERED, 2, 0, false);
	fake_events_lack(&w.events, "mark spam 1:7");
	/* What failed is tried again, and learned where rspamd changed its mind. */
	w.rspamd.rules = 0;
	world_run(&w);
	all_are(5, 7, STATE_MARKED, OUTCOME_LEARNED);
	assert_string_equal(world_message(&w, src, 5).words, "");
	assert_int_equal(w.rspamd.submits, 10);
}

/* ---- put back is not failed ---- */

/* rspamd can learn nothing any more: what it has not answered is as if it were never taken. */
static void check_put_back(int connections, int delay)
{
	for (uint32_t id = 1; id <= 6; id++) {
		struct record_message r = world_message(&w, src, id);

		if ((int)r.state == -1)
			continue; /* never reached */
		if (r.state != STATE_PENDING || r.outcome != OUTCOME_NONE || r.tries != 0 ||
		    r.words[0] != '\0')
			fail_msg("%d connections, delay %d, message %u: state %d, %s",
				 connections, delay, id, (int)r.state, outcome_name(r.outcome));
	}
	fake_events_lack(&w.events, " failed");
	fake_events_lack(&w.events, " unanswered");
	fake_events_lack(&w.events, "mark ");
}

static void lose_rspamd(int how, int connections, int delay)
{
	w.rspamd.rspamd.connections = connections;
	w.rspamd.delay = delay;
	if (how == 0)
		fake_answers(&w.rspamd, NULL, OUTCOME_UNANSWERED, ANSWER_STOP, "no password");
	else
		fake_answers(&w.rspamd, NULL, OUTCOME_SURE, ANSWER_DOUBT, "denied");
	if (how == 1)
		w.rspamd.stat.bayes = false;
	if (how == 2)
		err_set(&w.rspamd.stat_fails, ERR_FATAL, ERR_UNREACHABLE, "rspamd is gone");
	if (how == 3)
		err_set(&w.rspamd.submit_fails, ERR_FATAL, ERR_LOCAL, "cannot be sent");
}

static void test_put_back(void **state)
{
	static const enum err_kind kinds[] = {ERR_AUTH, ERR_UNREACHABLE, ERR_UNREACHABLE,
					      ERR_LOCAL};

	(void)state;
	for (int i = 0; i < 4 * 16; i++) {
		int how = i % 4, connections = 1 << i / 4 % 4, delay = i / 16 * 2;

		anew();
		lose_rspamd(how, connections, delay);
		deliver(6);
		assert_int_equal(learn(-1), -1);
		assert_int_equal(w.e.scope, ERR_FATAL);
		assert_int_equal(w.e.kind, kinds[how]);
		check_put_back(connections, delay);
		said(OUTCOME_LEARNED, 0, 6, false);
		assert_string_equal(w.output.why, "see the error");
		/* Durable; and the next run finds all six. */
		w.rspamd.rules = 0;
		w.rspamd.stat.bayes = true;
		w.rspamd.stat_fails = w.rspamd.submit_fails = (struct err){0};
		world_run(&w);
		all_are(1, 6, STATE_MARKED, OUTCOME_LEARNED);
	}
}

/* One answer ends the run; the others that are in flight still count, and the first is told. */
static void check_wind_up(bool backwards)
{
	const uint32_t first = backwards ? 3 : 2, other = backwards ? 2 : 3;

	w.rspamd.delay = 3;
	w.rspamd.backwards = backwards;
	w.rspamd.rspamd.connections = 16; /* all four go at once */
	deliver(4);
	fake_answers(&w.rspamd, src->message[first - 1].body, OUTCOME_UNANSWERED, ANSWER_STOP,
		     "the first");
	fake_answers(&w.rspamd, src->message[other - 1].body, OUTCOME_UNANSWERED, ANSWER_STOP,
		     "the other");
	assert_int_equal(learn(-1), -1);
	assert_int_equal(w.e.kind, ERR_AUTH);
	assert_string_equal(w.e.text, "rspamd http://fake: the first");
	all_are(2, 3, STATE_PENDING, OUTCOME_NONE);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 4, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_LEARNED, 2, 2, false);
}

static void test_wind_up_goes_on(void **state)
{
	(void)state;
	check_wind_up(false);
	anew();
	check_wind_up(true);
}

/* ---- duplicates ---- */

/* A copy of what is being learned waits for the answer: the content is sent once. */
static void test_duplicates(void **state)
{
	(void)state;
	for (int delay = 0; delay < 5; delay++) {
		anew();
		w.rspamd.delay = delay;
		for (int i = 0; i < 5; i++)
			fake_deliver(src,
				     i == 2 ? "Subject: other\r\n\r\nother\r\n"
					    : "Subject: one\r\n\r\none\r\n",
				     WORLD_NOW - 10 + i);
		world_run(&w);
		assert_int_equal(w.rspamd.submits, 2);
		world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
		world_is(&w, 2, STATE_MARKED, OUTCOME_KNOWN);
		world_is(&w, 3, STATE_MARKED, OUTCOME_LEARNED);
		all_are(4, 5, STATE_MARKED, OUTCOME_KNOWN);
	}
}

/* Where the first copy failed, the second one is a try of its own. */
static void test_duplicate_of_failure(void **state)
{
	(void)state;
	w.rspamd.delay = 2;
	fake_answers(&w.rspamd, NULL, OUTCOME_FAILED, ANSWER_FAILED, "no");
	w.rspamd.rule[0].times = 1;
	fake_deliver(src, "Subject: one\r\n\r\none\r\n", WORLD_NOW - 10);
	fake_deliver(src, "Subject: one\r\n\r\none\r\n", WORLD_NOW - 9);
	world_run(&w);
	world_is(&w, 1, STATE_PENDING, OUTCOME_FAILED);
	world_is(&w, 2, STATE_MARKED, OUTCOME_LEARNED);
}

/* ---- the newest verdict ---- */

enum { VERDICTS = 3 };

/* The same content three times, reported in turn as one class and the other. */
static void check_order(const int *order, bool spam_last, int runs)
{
	static struct fake_source ham;
	const char *text = "Subject: one\r\n\r\none\r\n";

	anew();
	fake_source_init(&ham, "h", "INBOX", CLASS_HAM, &w.events);
	ham.dirty = &w.store.dirty;
	for (int i = 0; i < VERDICTS; i++) {
		int nth = order[i];
		bool is_spam = (nth % 2 == 0) == spam_last; /* nth 2 is the newest */
		struct fake_source *s = is_spam ? src : &ham;

		fake_deliver(s, text, WORLD_NOW - 1000 + nth * 100);
		if (i % runs != 0)
			continue;
		world_restart(&w);
		assert_int_equal(world_learn_in(&w, src, -1, false), 0);
		assert_int_equal(world_learn_in(&w, &ham, -1, false), 0);
		world_close(&w, src);
		world_close(&w, &ham);
	}
	world_restart(&w);
	assert_int_equal(world_learn_in(&w, src, -1, false), 0);
	assert_int_equal(world_learn_in(&w, &ham, -1, false), 0);
	assert_int_equal(fake_learned(&w.rspamd, text), spam_last ? CLASS_SPAM : CLASS_HAM);
	world_close(&w, src);
	world_close(&w, &ham);
	fake_source_free(&ham);
}

static void test_newest_verdict(void **state)
{
	static const int orders[6][VERDICTS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (int i = 0; i < 36; i++) {
		check_order(orders[i % 6], i / 6 % 2, 1 + i / 12);
	}
}

/* In a mailbox of one's own a mail's date is not the verdict's: our first sight of it is. */
static void test_own_mailbox_dates(void **state)
{
	(void)state;
	src->source.dated = false;
	deliver(1); /* in the first pass there is nothing else than the date */
	world_run(&w);
	assert_true(world_message(&w, src, 1).verdict_at == src->message[0].date);
	deliver(1);
	world_run(&w);
	assert_true(world_message(&w, src, 2).verdict_at == WORLD_NOW + 2 * 3600);
	/* And no date in the future is believed. */
	src->source.dated = true;
	fake_deliver(src, NULL, WORLD_NOW + 365 * 86400);
	world_run(&w);
	assert_true(world_message(&w, src, 3).verdict_at == WORLD_NOW + 3 * 3600);
}

/* What was seen first keeps its time, however often it is tried. */
static void test_verdict_time_kept(void **state)
{
	int64_t first;

	(void)state;
	src->source.dated = false;
	world_run(&w); /* the first pass, over nothing */
	deliver(1);
	fake_answers(&w.rspamd, NULL, OUTCOME_FAILED, ANSWER_FAILED, "no");
	world_run(&w);
	first = world_message(&w, src, 1).verdict_at;
	assert_true(first == WORLD_NOW + 2 * 3600);
	w.rspamd.rules = 0;
	world_run(&w);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	assert_true(world_message(&w, src, 1).verdict_at == first);
}

/* ---- marks of an earlier ledger ---- */

static void test_marks_believed(void **state)
{
	(void)state;
	for (int how = 0; how < 8; how++) {
		bool believed = how == 0;

		anew();
		w.conf->rspamd.deliver_to_reporter = how & 1;
		if (how & 2)
			assert_int_equal(ledger_distrust_marks(w.ledger, &w.e), 0);
		assert_int_equal(ledger_commit(w.ledger, &w.e), 0);
		if (how & 4) /* this ledger went through it before */
			world_run(&w);
		deliver(4);
		src->message[0].marks = FAKE_MARK_SPAM;
		src->message[1].marks = FAKE_MARK_SKIPPED;
		src->message[2].marks = FAKE_MARK_HAM; /* another class's is no news here */
		world_run(&w);
		assert_int_equal(w.rspamd.submits, believed ? 2 : 4);
		world_is(&w, 1, STATE_MARKED, believed ? OUTCOME_KNOWN : OUTCOME_LEARNED);
		world_is(&w, 2, STATE_MARKED, believed ? OUTCOME_SKIPPED : OUTCOME_LEARNED);
		all_are(3, 4, STATE_MARKED, OUTCOME_LEARNED);
	}
}

/* ---- limits, and what is left ---- */

static void test_max(void **state)
{
	(void)state;
	deliver(10);
	world_restart(&w);
	learn_ok(4);
	assert_int_equal(w.taken, 4);
	said(OUTCOME_LEARNED, 4, 6, false);
	assert_string_equal(w.output.why, "the limit of --max");
	assert_int_equal(world_box(&w, src).left, 6);
	assert_false(world_box(&w, src).whole);
	world_close(&w, src);
	world_restart(&w);
	learn_ok(6);
	assert_int_equal(w.taken, 6);
	said(OUTCOME_LEARNED, 6, 0, false);
	assert_string_equal(w.output.why, "-"); /* nothing is left: no reason either */
	assert_int_equal(world_box(&w, src).left, 0);
	assert_true(world_box(&w, src).whole);
}

/* A limit of nothing still counts what there is. */
static void test_max_nothing(void **state)
{
	(void)state;
	deliver(10);
	world_restart(&w);
	learn_ok(0);
	assert_int_equal(w.taken, 0);
	said(OUTCOME_LEARNED, 0, 10, false);
	fake_events_lack(&w.events, "want");
}

/* What only waits does not use the limit up. */
static void test_max_not_by_waiting(void **state)
{
	(void)state;
	src->source.seen_only = true;
	deliver(10);
	for (size_t i = 5; i < 10; i++)
		src->message[i].seen = true;
	world_restart(&w);
	learn_ok(3);
	assert_int_equal(w.taken, 3);
	said(OUTCOME_LEARNED, 3, 2, false);
	said(OUTCOME_UNREAD, 5, 2, false);
}

/* What earlier runs left counts too, and comes last. */
static void test_max_with_backlog(void **state)
{
	(void)state;
	deliver(4);
	fake_answers(&w.rspamd, NULL, OUTCOME_FAILED, ANSWER_FAILED, "no");
	world_run(&w);
	w.rspamd.rules = 0;
	deliver(3);
	world_restart(&w);
	learn_ok(5);
	all_are(5, 7, STATE_MARKED, OUTCOME_LEARNED);
	all_are(1, 2, STATE_MARKED, OUTCOME_LEARNED);
	all_are(3, 4, STATE_PENDING, OUTCOME_FAILED);
	said(OUTCOME_LEARNED, 5, 2, false);
	fake_events_in_order(&w.events, "mark spam 5:7", "want 1:2");
}

/* ---- broken connections ---- */

static bool breaks_at(enum err_scope scope)
{
	if (learn(-1) == 0)
		return false;
	assert_int_equal(w.e.scope, scope);
	world_close(&w, src);
	return true;
}

/* The first break may be the network's: the next connection brings it all. */
static void test_break_once(void **state)
{
	(void)state;
	src->waits = 1;
	deliver(5);
	src->message[2].how = FAKE_BREAK;
	world_restart(&w);
	assert_true(breaks_at(ERR_SERVER));
	world_is(&w, 3, STATE_PENDING, OUTCOME_UNREADABLE);
	assert_non_null(strstr(world_message(&w, src, 3).words, "the connection broke"));
	assert_int_equal(w.output.ends, 0); /* it goes on */
	assert_false(breaks_at(ERR_NONE));
	all_are(1, 5, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_LEARNED, 5, 0, false);
	assert_int_equal(w.output.ends, 1);
	assert_int_equal(w.rspamd.submits, 5);
	fake_events_have(&w.events, "want 3 alone");
}

/* A message that always breaks it is left aside, and no other one waits for it. */
static void test_break_always(void **state)
{
	int breaks = 0;

	(void)state;
	deliver(5);
	src->message[0].how = FAKE_BREAK;
	src->message[0].breaks = 1000;
	world_restart(&w);
	while (breaks_at(ERR_SERVER))
		breaks++;
	assert_int_equal(breaks, 2);
	all_are(2, 5, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 1, STATE_PENDING, OUTCOME_UNREADABLE);
	said(OUTCOME_UNREADABLE, 1, 0, false);
	said(OUTCOME_LEARNED, 4, 0, false);
	fake_events_have(&w.events, "1 unreadable");
	/* The next run asks for it last, alone, and learns what is new before. */
	deliver(1);
	fake_events_clear(&w.events);
	world_restart(&w);
	for (breaks = 0; breaks_at(ERR_SERVER);)
		breaks++;
	assert_int_equal(breaks, 2);
	fake_events_in_order(&w.events, "mark spam 6", "want 1 alone");
	world_is(&w, 6, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_UNREADABLE, 1, 0, false);
	/* And once it can be given it is learned. */
	src->message[0].how = FAKE_GIVE;
	world_run(&w);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
}

/* Several of them cost a bounded number of connections, and each is told once. */
static void test_break_many(void **state)
{
	int breaks = 0;

	(void)state;
	src->source.seen_only = true;
	deliver(12);
	for (size_t i = 0; i < 12; i++) {
		src->message[i].seen = i < 10;
		src->message[i].how = i < 6 ? FAKE_BREAK : FAKE_GIVE;
		src->message[i].breaks = 1000;
	}
	world_restart(&w);
	while (breaks_at(ERR_SERVER))
		breaks++;
	assert_int_equal(breaks, 6); /* one each, to find out */
	all_are(7, 10, STATE_MARKED, OUTCOME_LEARNED);
	for (uint32_t id = 1; id <= 6; id++) {
		char line[32];

		world_is(&w, id, STATE_PENDING, OUTCOME_UNREADABLE);
		snprintf(line, sizeof line, "; %u unreadable", id);
		assert_int_equal(fake_events_count(&w.events, line), 1);
	}
	said(OUTCOME_UNREADABLE, 6, 0, false);
	said(OUTCOME_LEARNED, 4, 0, false);
	said(OUTCOME_UNREAD, 2, 0, false); /* not once for each connection */
	world_restart(&w);
	for (breaks = 0; breaks_at(ERR_SERVER);)
		breaks++;
	assert_int_equal(breaks, 3); /* known to break it: so many, and no more */
	said(OUTCOME_UNREADABLE, 6, 0, false);
}

/* What was known of one mailbox when the line broke is not said of the next one. */
static void test_break_and_another(void **state)
{
	static struct fake_source other;

	(void)state;
	fake_source_init(&other, "b", "INBOX", CLASS_SPAM, &w.events);
	other.dirty = &w.store.dirty;
	deliver(5);
	src->message[2].how = FAKE_BREAK;
	world_restart(&w);
	assert_true(breaks_at(ERR_SERVER));
	fake_deliver(&other, NULL, WORLD_NOW);
	assert_int_equal(world_learn_in(&w, &other, -1, false), 0);
	fake_events_have(&w.events, "end a INBOX left 3");
	fake_events_have(&w.events, "end b INBOX left 0");
	assert_int_equal(w.output.output.total.outcome[OUTCOME_LEARNED], 3);
	assert_int_equal(w.output.output.total.left, 3);
	world_close(&w, &other);
	fake_source_free(&other);
}

/* Nobody tries again: what is left of it is said then. */
static void test_abandon(void **state)
{
	(void)state;
	deliver(5);
	src->message[2].how = FAKE_BREAK;
	world_restart(&w);
	assert_true(breaks_at(ERR_SERVER));
	pipeline_abandon(w.pipeline);
	said(OUTCOME_LEARNED, 2, 3, false);
	assert_string_equal(w.output.why, "see the error");
	pipeline_abandon(w.pipeline); /* once */
	assert_int_equal(w.output.ends, 1);
}

/* Where it fails before everything was listed nobody knows how much is left. */
static void test_fails_early(void **state)
{
	static const int places[] = {FAIL_LIST, FAIL_LOOK};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		enum err_scope scope = i & 1 ? ERR_MAILBOX : ERR_SERVER;

		anew();
		deliver(2);
		world_run(&w);
		deliver(3); /* grown: the newest are compared, so that there is a look */
		fake_fail(src, places[i / 2], scope, ERR_TEMPORARY);
		world_restart(&w);
		assert_int_equal(learn(-1), -1);
		assert_int_equal(w.e.scope, scope);
		pipeline_abandon(w.pipeline);
		said(OUTCOME_LEARNED, 0, 0, true);
		assert_string_equal(w.output.why, "see the error");
		world_close(&w, src);
		world_run(&w);
		all_are(1, 5, STATE_MARKED, OUTCOME_LEARNED);
	}
}

/* A source that cannot even be opened has nothing to say. */
static void test_cannot_open(void **state)
{
	(void)state;
	deliver(2);
	fake_fail(src, FAIL_OPEN, ERR_MAILBOX, ERR_CONFIG);
	assert_int_equal(learn(-1), -1);
	assert_int_equal(w.e.scope, ERR_MAILBOX);
	assert_int_equal(w.output.ends, 0);
	fake_events_are(&w.events, "open a rw; ");
}

/* The mark is lost with the connection; the next one puts it, and nothing is sent again. */
static void test_mark_fails(void **state)
{
	(void)state;
	deliver(3);
	fake_fail(src, FAIL_MARK, ERR_SERVER, ERR_UNREACHABLE);
	world_restart(&w);
	assert_true(breaks_at(ERR_SERVER));
	all_are(1, 3, STATE_SETTLED, OUTCOME_LEARNED);
	assert_false(breaks_at(ERR_NONE));
	all_are(1, 3, STATE_MARKED, OUTCOME_LEARNED);
	assert_int_equal(w.rspamd.submits, 3);
	said(OUTCOME_LEARNED, 3, 0, false);
}

/* ---- a ledger that is dead ---- */

/* However early the disk is full: what is not durable is neither marked nor forgotten. */
static void test_dead_ledger(void **state)
{
	unsigned n = 1;
	bool failed = true;

	(void)state;
	for (; failed; n++) {
		const char *dead;

		anew();
		w.rspamd.delay = (int)(n % 3);
		deliver(6);
		world_restart(&w);
		w.store.fail_commit = w.store.commits + n;
		failed = learn(-1) == -1;
		dead = strstr(w.events.text, "commit failed");
		assert_int_equal(failed, dead != NULL);
		if (failed) {
			assert_int_equal(w.e.kind, ERR_TEMPORARY);
			assert_string_equal(w.e.text, "the disk is full");
			assert_null(strstr(dead, "mark "));
			assert_null(strstr(dead, "submit "));
			assert_null(strstr(dead, "commit;")); /* it can only be closed */
		}
		world_close(&w, src);
		w.store.fail_commit = 0;
		world_run(&w);
		for (uint32_t id = 1; id <= 6; id++)
			assert_int_equal(world_message(&w, src, id).state, STATE_MARKED);
	}
	assert_true(n > 8);
}

/* A disk that cannot be read: the first error is told, and nothing is taken for an answer. */
static void test_broken_ledger(void **state)
{
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		anew();
		deliver(3);
		world_restart(&w);
		w.store.fail_call = n;
		failed = learn(-1) == -1;
		if (failed) {
			assert_string_equal(w.e.text, "the disk is broken");
			assert_int_equal(w.e.scope, ERR_FATAL);
		}
		world_close(&w, src);
		w.store.fail_call = 0;
		world_run(&w);
		for (uint32_t id = 1; id <= 3; id++)
			assert_int_equal(world_message(&w, src, id).state, STATE_MARKED);
	}
}

/* ---- is it the mailbox that we know? ---- */

static void test_other_identity(void **state)
{
	(void)state;
	deliver(3);
	world_run(&w);
	src->identity++;
	src->next = 11;
	for (uint32_t i = 0; i < 3; i++)
		src->message[i].id = 8 + i;
	world_run(&w);
	world_is(&w, 1, -1, OUTCOME_NONE);
	all_are(8, 10, STATE_MARKED, OUTCOME_KNOWN); /* by their content */
	assert_int_equal(w.rspamd.submits, 3);
}

/* The mail store went back: whatever number it gives again, no message is taken for another. */
static void test_restored(void **state)
{
	(void)state;
	deliver(4);
	world_run(&w);
	fake_expunge(src, 3);
	fake_expunge(src, 4);
	src->next = 3;
	src->version = 1;
	deliver(1); /* number 3 again */
	snprintf(src->message[2].body, 100, "Subject: stranger\r\n\r\nx\r\n");
	world_run(&w);
	assert_int_equal(fake_learned(&w.rspamd, "Subject: stranger\r\n\r\nx\r\n"), CLASS_SPAM);
	all_are(1, 2, STATE_MARKED, OUTCOME_KNOWN);
	world_is(&w, 3, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 4, -1, OUTCOME_NONE);
}

/* It went back and has grown beyond what was seen: the newest that we know give it away. */
static void test_restored_unseen(void **state)
{
	(void)state;
	src->version = 0; /* no HIGHESTMODSEQ that would say so */
	deliver(4);
	world_run(&w);
	for (uint32_t id = 2; id <= 4; id++)
		fake_expunge(src, id);
	src->next = 2;
	for (int i = 0; i < 6; i++)
		fake_deliver(src, "Subject: stranger\r\n\r\nstranger\r\n", WORLD_NOW - i);
	world_run(&w);
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	assert_int_equal(fake_learned(&w.rspamd, "Subject: stranger\r\n\r\nstranger\r\n"),
			 CLASS_SPAM);
	for (uint32_t id = 2; id <= 7; id++)
		assert_int_equal(world_message(&w, src, id).state, STATE_MARKED);
	for (size_t i = 0; i < src->n; i++)
		assert_int_equal(src->message[i].marks, FAKE_MARK_SPAM);
}

/* Settled, killed before the mark, and restored: a stranger is not marked unlearned. */
static void test_stranger_before_mark(void **state)
{
	const char *stranger = "Subject: stranger\r\n\r\nof another size\r\n";

	(void)state;
	src->version = 0;
	deliver(2);
	fake_fail(src, FAIL_MARK, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(learn(-1), -1);
	world_close(&w, src);
	all_are(1, 2, STATE_SETTLED, OUTCOME_LEARNED);
	snprintf(src->message[1].body, sizeof src->message[1].body, "%s", stranger);
	fake_events_clear(&w.events);
	world_run(&w);
	fake_events_in_order(&w.events, "look 1:2", "submit spam Subject: stranger");
	assert_int_equal(fake_learned(&w.rspamd, stranger), CLASS_SPAM);
	all_are(1, 2, STATE_MARKED, OUTCOME_LEARNED);
}

/* Numbers below the first new one that nobody recorded are found by the count. */
static void test_unrecorded(void **state)
{
	struct fake_message *m;

	(void)state;
	src->version = 0;
	deliver(4);
	fake_expunge(src, 2);
	world_run(&w);
	m = &src->message[src->n++];
	*m = (struct fake_message){.id = 2, .date = WORLD_NOW, .body = "Subject: x\r\n\r\nx"};
	world_run(&w);
	world_is(&w, 2, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_LEARNED, 1, 0, false);
}

/* When they came nobody knows: their own date has to do, where else the first sight counts. */
static void test_unrecorded_time(void **state)
{
	struct fake_message *m;

	(void)state;
	src->version = 0;
	src->source.dated = false;
	deliver(4);
	fake_expunge(src, 2);
	world_run(&w);
	m = &src->message[src->n++];
	*m = (struct fake_message){
	    .id = 2, .date = WORLD_NOW - 50, .body = "Subject: x\r\n\r\nx"};
	fake_deliver(src, NULL, WORLD_NOW - 50);
	world_run(&w);
	assert_int_equal(world_message(&w, src, 2).verdict_at, WORLD_NOW - 50);
	assert_true(world_message(&w, src, 5).verdict_at > WORLD_NOW);
	/* And what comes after that is as before. */
	fake_deliver(src, NULL, WORLD_NOW - 50);
	world_run(&w);
	assert_true(world_message(&w, src, 6).verdict_at > WORLD_NOW);
}

/* A source that lists what it does not have is asked twice, and then believed. */
static void test_listed_and_gone(void **state)
{
	(void)state;
	deliver(2);
	src->message[0].how = FAKE_NOTHING;
	world_run(&w);
	world_is(&w, 1, STATE_PENDING, OUTCOME_NONE);
	said(OUTCOME_LEARNED, 1, 1, false);
	world_run(&w);
	world_is(&w, 1, STATE_PENDING, OUTCOME_UNREADABLE); /* still listed, and not given */
	said(OUTCOME_UNREADABLE, 1, 0, false);
}

/* A source that gives no next number, and no version. */
static void test_plain_source(void **state)
{
	(void)state;
	src->version = 0;
	deliver(3);
	for (int run = 0; run < 3; run++) {
		uint32_t next = src->next;

		src->next = 0;
		world_run(&w);
		src->next = next;
		deliver(1);
	}
	assert_int_equal(w.rspamd.submits, 5);
	all_are(1, 5, STATE_MARKED, OUTCOME_LEARNED);
}

/* ---- a very large mailbox ---- */

/* It is listed in windows, with longer strides where there is nothing. */
static void test_windows(void **state)
{
	(void)state;
	src->count = 50000;
	fake_deliver(src, NULL, WORLD_NOW - 1);
	src->next = 70000;
	fake_deliver(src, NULL, WORLD_NOW - 1);
	src->next = 3000000;
	fake_deliver(src, NULL, WORLD_NOW - 1);
	world_run(&w);
	fake_events_have(&w.events, "list 1:65536; ");
	fake_events_have(&w.events, "list 65537:131072; ");
	fake_events_have(&w.events, "list 131073:196608; "); /* behind one that had some */
	fake_events_have(&w.events, "list 196609:327680; ");
	fake_events_have(&w.events, "list 327681:589824; ");
	fake_events_have(&w.events, "list 589825:1114112; ");
	fake_events_have(&w.events, "list 1114113:2162688; "); /* the widest */
	fake_events_have(&w.events, "list 2162689:3000000; ");
	world_is(&w, 1, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 70000, STATE_MARKED, OUTCOME_LEARNED);
	world_is(&w, 3000000, STATE_MARKED, OUTCOME_LEARNED);
	said(OUTCOME_LEARNED, 3, 0, false);
}

/* It ends before the last window was listed: there may be more than it knows of. */
static void test_windows_cut(void **state)
{
	(void)state;
	src->count = 50000;
	deliver(3);
	src->next = 65537 + 65536; /* two windows exactly */
	src->message[1].how = FAKE_BREAK;
	world_restart(&w);
	assert_int_equal(learn(-1), -1);
	pipeline_abandon(w.pipeline);
	said(OUTCOME_LEARNED, 1, 2, true);
	world_close(&w, src);
	/* In the last one, everything is known. */
	anew();
	src->count = 50000;
	src->next = 65537;
	deliver(3);
	src->message[1].how = FAKE_BREAK;
	world_restart(&w);
	assert_int_equal(learn(-1), -1);
	pipeline_abandon(w.pipeline);
	said(OUTCOME_LEARNED, 1, 2, false);
	world_close(&w, src);
}

/* A reporter with a classifier of their own: rspamd is told whose. */
static void test_deliver_to(void **state)
{
	(void)state;
	w.conf->rspamd.deliver_to_reporter = true;
	fake_deliver(src, "Return-Path: <Bob+x@X>\r\nSubject: s\r\n\r\ns\r\n", WORLD_NOW - 2);
	world_run(&w);
	assert_string_equal(w.rspamd.deliver_to, "bob@x");
	fake_deliver(src, "Return-Path: <carol@X>\r\nSubject: s\r\n\r\ns\r\n", WORLD_NOW - 1);
	world_run(&w); /* another one's content, though the same */
	assert_string_equal(w.rspamd.deliver_to, "carol@x");
	assert_int_equal(w.rspamd.submits, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_the_way),
	    TEST(test_any_pace),
	    TEST(test_every_kind),
	    TEST(test_every_kind_later),
	    TEST(test_waiting),
	    TEST(test_dry_run),
	    TEST(test_no_marks),
	    TEST(test_answers),
	    TEST(test_put_back),
	    TEST(test_wind_up_goes_on),
	    TEST(test_duplicates),
	    TEST(test_duplicate_of_failure),
	    TEST(test_newest_verdict),
	    TEST(test_own_mailbox_dates),
	    TEST(test_verdict_time_kept),
	    TEST(test_marks_believed),
	    TEST(test_max),
	    TEST(test_max_nothing),
	    TEST(test_max_not_by_waiting),
	    TEST(test_max_with_backlog),
	    TEST(test_break_once),
	    TEST(test_break_always),
	    TEST(test_break_many),
	    TEST(test_break_and_another),
	    TEST(test_abandon),
	    TEST(test_fails_early),
	    TEST(test_cannot_open),
	    TEST(test_mark_fails),
	    TEST(test_dead_ledger),
	    TEST(test_broken_ledger),
	    TEST(test_other_identity),
	    TEST(test_restored),
	    TEST(test_restored_unseen),
	    TEST(test_stranger_before_mark),
	    TEST(test_unrecorded),
	    TEST(test_unrecorded_time),
	    TEST(test_listed_and_gone),
	    TEST(test_plain_source),
	    TEST(test_windows),
	    TEST(test_windows_cut),
	    TEST(test_deliver_to),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
