/*
 * A whole run, in which one thing fails: each call of the ledger's store, each commit, each
 * step of a source, each request. The failure is told, nothing is taken for an answer, and when
 * it is over the next run comes to the same end as one in which nothing ever failed.
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
#include "learn/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BOXES = 4, DAY = 86400, LARGE = 480 };

static struct world w;
static struct fake_source box[BOXES];
static struct account account;
static struct account *list[] = {&account};
static struct err e;

/* ---- an account of four mailboxes ---- */

static int connect_it(struct account *a, struct err *err)
{
	(void)err;
	a->connected = true;
	return 0;
}

static struct source *source_of(struct account *a, size_t i)
{
	(void)a;
	return &box[i].source;
}

static void nothing(struct account *a)
{
	(void)a;
}

static const struct account_ops account_ops = {
    .connect = connect_it, .source = source_of, .disconnect = nothing, .free = nothing};

static struct fake_message *deliver(int i, const char *who, const char *content)
{
	char text[LARGE];

	snprintf(text, sizeof text, "Return-Path: <%s@x>\r\nSubject: %s\r\n\r\n%s\r\n", who,
		 content, content);
	return fake_deliver(&box[i], text, clock_now() - 100);
}

/* A forward with so many messages in it. */
static void forward(const char *who, const char *content, int n)
{
	char text[LARGE];
	int len = snprintf(text, sizeof text,
			   "Return-Path: <%s@x>\r\nContent-Type: multipart/mixed; "
			   "boundary=b\r\n\r\n--b\r\n\r\nsee\r\n",
			   who);

	for (int i = 0; i < n; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
				"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: %s%d\r\n"
				"\r\n%d\r\n",
				content, i, i);
	snprintf(text + len, sizeof text - (size_t)len, "--b--\r\n");
	fake_deliver(&box[3], text, clock_now() - 100);
}

static void setup_boxes(void)
{
	static const char *const names[BOXES] = {"m0", "m1", "m2", "m3"};
	static const enum mail_class classes[BOXES] = {CLASS_SPAM, CLASS_HAM, CLASS_SPAM,
						       CLASS_SPAM};

	account = (struct account){.ops = &account_ops, .name = "a", .n = BOXES};
	for (int i = 0; i < BOXES; i++) {
		fake_source_init(&box[i], "a", names[i], classes[i], &w.events);
		box[i].dirty = &w.store.dirty;
	}
	box[2].source.seen_only = box[2].source.may_unwrap = true;
	box[2].source.hold = 3600;
	box[3].source.unwrap = true;
}

static void setup(unsigned quorum, bool moves)
{
	struct conf_retention *r;

	world_init(&w);
	setup_boxes();
	r = &w.conf->retention;
	r->learned = r->known = r->skipped = r->untrusted = r->failed = 7 * DAY;
	r->forget = 40 * DAY;
	if (moves) {
		r->action = CONF_MOVE;
		r->move_to = strdup("Archive");
		for (int i = 0; i < BOXES; i++)
			box[i].target = 5;
	}
	/* With more connections messages wait for company before they are sent. */
	w.rspamd.rspamd.connections = quorum > 1 ? 12 : 4;
	w.rspamd.delay = quorum > 1 ? 2 : 0;
	w.conf->max_size = LARGE;
	w.conf->reports.quorum = (int)quorum;
	w.conf->reports.quorum_within = 10 * DAY;
	fake_answers(&w.rspamd, "fails", OUTCOME_FAILED, ANSWER_FAILED, "no");
	fake_answers(&w.rspamd, "sure", OUTCOME_SURE, ANSWER_DOUBT, "sure");
	fake_answers(&w.rspamd, "short", OUTCOME_UNLEARNABLE, ANSWER_SETTLED, "short");
}

static void teardown(void)
{
	for (int i = 0; i < BOXES; i++)
		fake_source_free(&box[i]);
	world_free(&w);
}

/* One of each kind. */
static void deliver_all(void)
{
	static char large[LARGE + 20];

	deliver(0, "alice", "one");
	deliver(0, "bob", "one");
	deliver(0, "alice", "two");
	deliver(0, "alice", "fails");
	deliver(0, "bob", "sure");
	deliver(0, "bob", "short");
	deliver(0, "bob", "gone")->how = FAKE_NOTHING;
	deliver(0, "bob", "shut")->how = FAKE_REFUSE;
	deliver(0, "bob", "marked")->marks = FAKE_MARK_SPAM;
	deliver(0, "bob", "flagged")->flagged = true;
	deliver(1, "carol", "two")->date += 50; /* a later verdict than the other one */
	deliver(1, "carol", "three");
	deliver(1, "dave", "three");
	memset(large, 'x', LARGE + 10);
	fake_deliver(&box[1], large, WORLD_NOW - 200);
	deliver(2, "alice", "unread");
	deliver(2, "alice", "read")->seen = true;
	deliver(2, "bob", "read")->date = WORLD_NOW - DAY;
	forward("alice", "f", 1);
	forward("bob", "f", 2);
	forward("carol", "g", 0);
	forward("dave", "f", 2);
}

/* A week later: removal is due, some have changed, and some are new. */
static void change_all(void)
{
	fake_clock_advance(INT64_C(8) * DAY * 1000);
	deliver(0, "erin", "four");
	deliver(0, "bob", "four");
	fake_expunge(&box[0], 3);
	fake_find(&box[1], 2)->date += 5; /* another message by now */
	fake_find(&box[0], 2)->marks = 0; /* no mark of ours any more */
	fake_find(&box[2], 1)->seen = true;
	deliver(1, "erin", "three");
	forward("erin", "h", 2);
}

static int go(void)
{
	struct run run = {.options.max = -1,
			  .conf = w.conf,
			  .output = &w.output.output,
			  .ledger = w.ledger,
			  .accounts = {.account = list, .n = COUNT(list)},
			  .rspamd = &w.rspamd.rspamd,
			  .reporter_key = w.key};
	int rc;

	err_clear(&e);
	rc = run_begin(&run, &e);
	if (rc == 0)
		rc = run_all(&run, &e);
	for (int i = 0; i < BOXES; i++)
		source_close(&box[i].source);
	pipeline_free(run.pipeline);
	trust_close(run.trust);
	return rc;
}

static int run_again(void)
{
	world_restart(&w);
	fake_events_clear(&w.events);
	w.output.output.status = 0;
	account.connected = account.refused = false;
	return go();
}

/* Of equal messages it is the first one to come aboard that is learned, or overruled later. */
static const char *kind_of(enum outcome o)
{
	return outcome_name(o == OUTCOME_KNOWN || o == OUTCOME_OVERRULED ? OUTCOME_LEARNED : o);
}

/* What a run came to, as text: each record, and what is left in each mailbox. */
static const char *outcome_of_all(void)
{
	static struct fake_events text;

	fake_events_clear(&text);
	for (int i = 0; i < BOXES; i++) {
		struct record_mailbox b = world_box(&w, &box[i]);
		struct record_message r;
		uint32_t id = 0;

		fake_event(&text, "%s: %s", box[i].source.mailbox, fake_there(&box[i]));
		while (ledger_message_next(w.ledger, &b, &id, &r, &e) == 1)
			fake_event(&text, "%u %s %s", id, record_state_name(r.state),
				   kind_of(r.outcome));
	}
	return text.text;
}

static char want[FAKE_EVENTS_MAX];

/* The world before the run in which something fails. late: with a run and a week behind it. */
static void prepare(unsigned quorum, bool moves, bool late)
{
	setup(quorum, moves);
	deliver_all();
	if (!late) {
		world_restart(&w);
		return;
	}
	assert_int_equal(run_again(), 0);
	change_all();
	if (moves) { /* and a run that was cut short while it moved */
		fake_fail(&box[0], FAIL_REMOVE, ERR_FATAL, ERR_UNREACHABLE);
		assert_int_equal(run_again(), -1);
		fake_find(&box[0], 1)->copied = true;
	}
	world_restart(&w);
	fake_events_clear(&w.events);
	w.output.output.status = 0;
}

/* The failure is over: two runs without one, since the first may find something owed. */
static void recover(unsigned n)
{
	w.store.fail_call = w.store.fail_commit = 0;
	w.rspamd.submit_fails = w.rspamd.stat_fails = (struct err){.scope = ERR_NONE};
	for (int i = 0; i < BOXES; i++)
		box[i].fail = FAIL_NONE;
	for (int i = 0; i < 2; i++)
		if (run_again() == -1)
			fail_msg("after failure %u: %s", n, e.text);
	if (strcmp(outcome_of_all(), want) != 0)
		fail_msg("after failure %u:\n%s\nnot\n%s", n, outcome_of_all(), want);
}

static void no_failure(unsigned quorum, bool moves, bool late)
{
	prepare(quorum, moves, late);
	assert_int_equal(go(), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(run_again(), 0);
	snprintf(want, sizeof want, "%s", outcome_of_all());
	teardown();
}

/* Calls fn for each kind of world. */
static void in_each_world(void (*fn)(unsigned quorum, bool moves, bool late))
{
	static const struct {
		unsigned quorum;
		bool moves, late;
	} worlds[] = {{1, false, false}, {2, false, false}, {1, true, true}, {2, false, true}};

	for (size_t i = 0; i < COUNT(worlds); i++) {
		no_failure(worlds[i].quorum, worlds[i].moves, worlds[i].late);
		fn(worlds[i].quorum, worlds[i].moves, worlds[i].late);
	}
}

/* ---- the ledger ---- */

static void broken_call(unsigned quorum, bool moves, bool late)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		prepare(quorum, moves, late);
		w.store.fail_call = n;
		failed = go() == -1;
		if (failed != (w.store.fail_call == 0))
			fail_msg("call %u: %s", n, failed ? e.text : "nothing was told");
		if (failed) {
			assert_string_equal(e.text, "the disk is broken");
			assert_int_equal(e.scope, ERR_FATAL);
		}
		recover(n);
		teardown();
	}
}

static void full_disk(unsigned quorum, bool moves, bool late)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		const char *dead;

		prepare(quorum, moves, late);
		w.store.fail_commit = w.store.commits + n;
		failed = go() == -1;
		dead = strstr(w.events.text, "commit failed");
		assert_int_equal(failed, dead != NULL);
		if (failed) {
			assert_string_equal(e.text, "the disk is full");
			assert_null(strstr(dead, "mark "));
			assert_null(strstr(dead, "submit "));
			assert_null(strstr(dead, "commit;"));
		}
		recover(n);
		teardown();
	}
}

static void test_broken_ledger(void **state)
{
	(void)state;
	in_each_world(broken_call);
}

static void test_full_disk(void **state)
{
	(void)state;
	in_each_world(full_disk);
}

/* ---- the sources ---- */

/* A failure that the run outlives is told once, and in the status. */
static void one_step(int place, enum err_scope scope, unsigned quorum, bool moves, bool late)
{
	bool failed = true;

	for (unsigned n = 0; failed; n++) {
		prepare(quorum, moves, late);
		fake_fail(&box[n % BOXES], place, scope, ERR_PROTOCOL);
		box[n % BOXES].fail_after = (int)(n / BOXES);
		if (go() == -1)
			assert_int_equal(scope, ERR_FATAL);
		failed = box[n % BOXES].fail == FAIL_NONE;
		if (scope == ERR_FATAL && failed)
			assert_string_equal(e.text, "account a: broken on purpose");
		recover(n);
		teardown();
	}
}

static void broken_source(unsigned quorum, bool moves, bool late)
{
	for (int place = FAIL_OPEN; place <= FAIL_COPIED; place++)
		for (enum err_scope scope = ERR_MAILBOX; scope <= ERR_FATAL; scope++)
			one_step(place, scope, quorum, moves, late);
}

static void test_broken_source(void **state)
{
	(void)state;
	in_each_world(broken_source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_broken_ledger),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_broken_source),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
