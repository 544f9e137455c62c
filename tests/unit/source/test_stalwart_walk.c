/*
 * stalwart_walk.c: every sample of a server gets a number, in the order of the decisions,
 * however many are new, wherever they appear and whatever vanishes meanwhile; and nothing new
 * costs one request.
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
#include "base/stop.h"
#include "fake/clock.h"
#include "fake/memory.h"
#include "fake/stalwart.h"
#include "fake/store.h"
#include "source/stalwart_walk.h"

enum { NOW = 1700000000, DAY = 86400 };

static struct fake_events events;
static struct fake_store store;
static struct fake_stalwart server;
static char *except[] = {"spam@example.org", "HAM@example.org"};
static struct conf_stalwart conf;
static struct ledger *ledger;
static struct samples known;
static struct err e;

static void ok(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

/* Like a new run: what was not committed is lost. */
static void restart(void)
{
	ledger_close(ledger);
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	ok(samples_load(&known, ledger, "mail", &e));
	memset(server.calls, 0, sizeof server.calls);
}

static int setup(void **state)
{
	(void)state;
	err_clear(&e);
	events = (struct fake_events){0};
	fake_clock_set(NOW);
	fake_store_init(&store, &events);
	fake_stalwart_init(&server);
	conf = (struct conf_stalwart){.name = "mail", .accounts_only = true};
	ledger = NULL;
	restart();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_request(0);
	ledger_close(ledger);
	ledger = NULL;
	fake_store_free(&store);
	fake_stalwart_free(&server);
	clock_use(NULL);
	return 0;
}

static int walk(void)
{
	return stalwart_walk(&server.stalwart, &conf, &known, &e);
}

/* n users decide, each on a message of his own. */
static void decide_at(size_t place, int n)
{
	static unsigned contents;

	for (int i = 0; i < n; i++) {
		char blob[16];

		snprintf(blob, sizeof blob, "b%u", ++contents);
		fake_decide_at(&server, place + (size_t)i, "alice", blob,
			       i % 2 ? CLASS_HAM : CLASS_SPAM);
	}
}

static void decide(int n)
{
	decide_at(server.n, n);
}

static struct sample sample(const char *name)
{
	uint32_t number;
	struct sample s;

	if (samples_find(&known, name, &number, &e) != 1)
		fail_msg("%s has no number", name);
	assert_int_equal(samples_get(&known, number, &s, &e), 1);
	return s;
}

static uint32_t number(const char *name)
{
	uint32_t n = 0;

	ok(samples_find(&known, name, &n, &e));
	return n;
}

static void is_class(const char *name, enum mail_class class)
{
	if (sample(name).class != class)
		fail_msg("%s is %s", name, class_name(sample(name).class));
}

/* Exactly what the server has is known, as the next run finds it. */
static void is_same(void)
{
	struct sample s;
	uint32_t n = 0;

	restart();
	assert_int_equal(samples_total(&known), server.n);
	for (size_t i = 0; i < server.n; i++)
		assert_int_not_equal(number(server.sample[i].is.name), 0);
	for (size_t i = 0; i < server.n; i++)
		assert_int_equal(samples_next(&known, &n, &s, &e), 1);
	assert_int_equal(samples_next(&known, &n, &s, &e), 0);
}

/* A walk, and the next one has nothing to do. */
static void walks(void)
{
	ok(walk());
	is_same();
	ok(walk());
	assert_int_equal(server.calls[FAKE_LIST], 1);
	assert_int_equal(server.calls[FAKE_GET], 0);
	is_same();
}

/* In the order of the list the numbers ascend, and so do the dates, up to now. */
static void ascends(void)
{
	int64_t date = 0;

	for (size_t i = 0; i < server.n; i++) {
		const char *name = server.sample[i].is.name;

		assert_int_equal(number(name), i + 1);
		assert_true(sample(name).date > date);
		date = sample(name).date;
	}
	assert_true(date <= clock_now());
}

/* ---- how many there are ---- */

static void test_none(void **state)
{
	(void)state;
	walks();
	decide(1);
	walks();
	fake_vanish(&server, "s1");
	walks();
}

static void test_sizes(void **state)
{
	static const int sizes[] = {1, 2, 499, 500, 501, 1000, 1999, 2000, 2001, 2600};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (int small = 0; small < 2; small++) {
			setup(state);
			server.page_max = small ? 70 : 0;
			decide(sizes[i]);
			ok(walk());
			is_same();
			ascends();
			walks();
			decide(sizes[i]); /* and as many again */
			walks();
			teardown(state);
		}
}

/* Of many that are new only the first pages are asked for twice. */
static void test_cost(void **state)
{
	(void)state;
	decide(6000);
	ok(walk());
	assert_int_equal(server.calls[FAKE_LIST], 4 + 2);
	assert_int_equal(server.calls[FAKE_GET], 1 + 12 - 0);
	restart();
	decide(3);
	ok(walk());
	assert_int_equal(server.calls[FAKE_LIST], 1);
	assert_int_equal(server.calls[FAKE_GET], 2);
	assert_int_equal(server.calls[FAKE_ADDRESS], 0);
}

/* ---- when it was ---- */

static void test_dates(void **state)
{
	(void)state;
	decide(4);
	server.sample[0].is.date = NOW + 170 * DAY; /* of expiry: ten days before the last */
	server.sample[1].is.date = NOW + 177 * DAY;
	server.sample[2].is.date = NOW + 180 * DAY;
	server.sample[3].is.date = NOW + 180 * DAY;
	walks();
	ascends();
	assert_true(sample("s1").date == NOW - 10 * DAY);
	assert_true(sample("s2").date == NOW - 3 * DAY);
	assert_true(sample("s3").date == NOW - 1);
	assert_true(sample("s4").date == NOW);
	/* Two seconds later there are three more: they may be as old as that. */
	fake_clock_advance(2000);
	decide(3);
	for (int i = 4; i < 7; i++)
		server.sample[i].is.date = NOW + 180 * DAY;
	walks();
	assert_true(sample("s5").date == NOW + 1);
	assert_true(sample("s6").date == NOW + 2);
	assert_true(sample("s7").date == NOW + 2); /* nothing is of the future */
	/* What expires earlier than what came before it was not decided before. */
	fake_clock_advance(10 * DAY * (int64_t)1000);
	decide(2);
	server.sample[7].is.date = NOW + 100 * DAY;
	server.sample[8].is.date = NOW + 190 * DAY;
	walks();
	assert_true(sample("s8").date == NOW + 3);
	assert_true(sample("s9").date == NOW + 2 + 10 * DAY);
}

/* The clock was set back: what users decide counts, and is of now. */
static void test_clock_set_back(void **state)
{
	(void)state;
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	walks();
	fake_clock_set(NOW - DAY);
	fake_decide(&server, "alice", "x", CLASS_HAM);
	walks();
	is_class("s1", CLASS_NONE);
	is_class("s2", CLASS_HAM);
	assert_true(sample("s2").date == NOW - DAY);
}

/* ---- who decided ---- */

static void test_change_of_mind(void **state)
{
	(void)state;
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "bob", "x", CLASS_SPAM);
	fake_decide(&server, "alice", "x", CLASS_HAM);
	walks();
	is_class("s1", CLASS_NONE);
	is_class("s2", CLASS_SPAM);
	is_class("s3", CLASS_HAM);
	fake_decide(&server, "bob", "x", CLASS_HAM);
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	walks();
	is_class("s2", CLASS_NONE);
	is_class("s3", CLASS_NONE);
	is_class("s4", CLASS_HAM);
	is_class("s5", CLASS_SPAM);
	fake_train(&server);
	assert_int_equal(server.n, 2);
	walks();
	is_class("s4", CLASS_HAM);
	is_class("s5", CLASS_SPAM);
}

static void test_except(void **state)
{
	(void)state;
	conf.except = except;
	conf.n_except = 2;
	fake_decide(&server, "spam", "x", CLASS_HAM);
	fake_decide(&server, "ham", "x", CLASS_HAM);
	fake_decide(&server, "spammer", "x", CLASS_HAM);
	fake_decide(&server, "", "x", CLASS_HAM);
	walks();
	is_class("s1", CLASS_NONE);
	is_class("s2", CLASS_NONE);
	is_class("s3", CLASS_HAM);
	is_class("s4", CLASS_NONE);
	conf.accounts_only = false;
	fake_decide(&server, "", "x", CLASS_SPAM);
	walks();
	is_class("s4", CLASS_NONE);
	is_class("s5", CLASS_SPAM);
	/* Without names nobody can be left out: that is no reason to learn them. */
	server.not_name = true;
	fake_decide(&server, "spam", "y", CLASS_HAM);
	assert_int_equal(walk(), -1);
	assert_int_equal(e.kind, ERR_AUTH);
	restart();
	assert_int_equal(number("s6"), 0);
	server.not_name = false;
	walks();
	is_class("s6", CLASS_NONE);
}

/* ---- what comes late, and what goes ---- */

static void test_late(void **state)
{
	int64_t one, two;

	(void)state;
	decide(3);
	walks();
	one = sample("s1").date;
	two = sample("s2").date;
	fake_clock_advance(60 * 1000);
	decide_at(1, 1); /* s4, between s1 and s2 */
	walks();
	assert_int_equal(number("s4"), 4);
	assert_true(sample("s4").date >= one && sample("s4").date < two);
	decide_at(0, 1);
	decide(1);
	walks();
	assert_true(sample("s5").date < one);
	assert_true(sample("s6").date == NOW + 60);
}

/* What the server lists last of a user and a content counts, whenever it was met. */
static void test_late_decisions(void **state)
{
	(void)state;
	fake_decide(&server, "bob", "x", CLASS_HAM);
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "carol", "z", CLASS_SPAM);
	walks();
	fake_decide_at(&server, 1, "alice", "x", CLASS_HAM); /* s4: before s2 */
	walks();
	is_class("s2", CLASS_SPAM);
	is_class("s4", CLASS_NONE);
	fake_decide_at(&server, 3, "alice", "x", CLASS_HAM); /* s5: behind it */
	walks();
	is_class("s2", CLASS_NONE);
	is_class("s4", CLASS_NONE);
	is_class("s5", CLASS_HAM);
	fake_train(&server);
	assert_null(fake_sample_of(&server, "s2"));
	walks();
	is_class("s5", CLASS_HAM);
}

/* The same over pages, in a walk over all: also where the one behind it is in a later page, and
 * where it is gone. */
static void test_late_decisions_in_pages(void **state)
{
	(void)state;
	server.page_max = 4;
	decide(6);
	fake_decide(&server, "alice", "x", CLASS_SPAM); /* s7 */
	fake_decide(&server, "bob", "x", CLASS_SPAM);	/* s8 */
	decide(20);
	ok(walk());
	is_same();
	fake_decide_at(&server, 1, "alice", "x", CLASS_HAM); /* s29: before s7 */
	fake_decide_at(&server, 2, "bob", "x", CLASS_HAM);   /* s30: before s8 */
	fake_decide_at(&server, 11, "bob", "x", CLASS_HAM);  /* s31: behind it */
	fake_vanish(&server, "s7");
	walks();
	is_class("s29", CLASS_HAM);
	is_class("s30", CLASS_NONE);
	is_class("s31", CLASS_HAM);
	is_class("s8", CLASS_NONE);
}

/* Many within a second: it is still the order of the list that counts. */
static void test_late_decisions_at_once(void **state)
{
	(void)state;
	decide(1);
	walks();
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	decide(3);
	walks();
	fake_decide_at(&server, 4, "alice", "x", CLASS_HAM); /* s6 */
	walks();
	is_class("s2", CLASS_NONE);
	is_class("s6", CLASS_HAM);
}

/* Far behind the newest ones, which are known: that there is one more tells of it. */
static void test_late_and_deep(void **state)
{
	(void)state;
	decide(1500);
	walks();
	fake_clock_advance(60 * 1000);
	decide_at(3, 1);
	decide(1);
	walks();
	assert_true(sample("s1501").date < sample("s4").date);
	assert_true(sample("s1502").date > sample("s1500").date);
}

static void test_vanished(void **state)
{
	uint32_t next;

	(void)state;
	decide(1200);
	walks();
	for (int i = 1; i <= 1200; i += 3) {
		char name[16];

		snprintf(name, sizeof name, "s%d", i);
		fake_vanish(&server, name);
	}
	walks();
	next = known.next;
	while (server.n > 0)
		fake_vanish(&server, server.sample[0].is.name);
	walks();
	assert_int_equal(known.next, next);
	decide(1);
	walks();
	assert_int_equal(number("s1201"), next); /* no number is given again */
}

/* As many come as go. */
static void test_exchanged(void **state)
{
	(void)state;
	decide(700);
	walks();
	fake_vanish(&server, "s5");
	decide(1);
	walks();
}

/* As many go as come late, far behind the newest ones: once a day all are compared. */
static void test_exchanged_and_deep(void **state)
{
	(void)state;
	decide(700);
	walks();
	fake_clock_advance(3600 * 1000);
	fake_vanish(&server, "s5");
	decide_at(3, 1);
	ok(walk());
	assert_int_equal(number("s701"), 0); /* nothing tells of it */
	fake_clock_advance((DAY - 3600) * (int64_t)1000);
	walks();
	assert_int_equal(number("s5"), 0);
	fake_clock_set(NOW - 7 * DAY); /* the clock was set back: a day does not last a week */
	fake_vanish(&server, "s7");
	decide_at(3, 1);
	walks();
	assert_int_equal(number("s7"), 0);
}

/* ---- what happens in between ---- */

static enum fake_call when;
static unsigned nth;
static void (*what)(struct fake_stalwart *s);

static void meanwhile(struct fake_stalwart *s, enum fake_call call)
{
	if (call == when && s->calls[call] + 1 == nth)
		what(s);
}

static void vanish_some(struct fake_stalwart *s)
{
	for (size_t i = s->n; i > 0; i--)
		if (i % 3 == 0)
			fake_vanish(s, s->sample[i - 1].is.name);
}

static void vanish_all(struct fake_stalwart *s)
{
	while (s->n > 0)
		fake_vanish(s, s->sample[0].is.name);
}

static void come(struct fake_stalwart *s)
{
	(void)s;
	decide_at(server.n / 2, 2);
	decide(5);
}

static void forbid(struct fake_stalwart *s)
{
	s->not_see = true;
}

/* Whatever changes at whichever call: a few runs later all of it is known. */
static void test_changes(void **state)
{
	static void (*const all[])(struct fake_stalwart *) = {vanish_some, vanish_all, come,
							      forbid};

	for (size_t i = 0; i < 4; i++)
		for (int call = FAKE_LIST; call <= FAKE_GET; call++)
			for (nth = 1; nth <= 7; nth++) {
				setup(state);
				server.page_max = 90;
				decide(300);
				when = (enum fake_call)call;
				what = all[i];
				ok(walk());
				decide(nth % 2 ? 2100 : 260);
				server.before = meanwhile;
				restart();
				/* Forbidden is an error, or nothing is concluded. */
				if (walk() == -1)
					assert_int_equal(e.kind, ERR_AUTH);
				server.before = NULL;
				server.not_see = false;
				restart();
				ok(walk());
				walks();
				teardown(state);
			}
}

/* The anchor of each page vanishes: after some times the next run goes on. */
static void lose_anchor(struct fake_stalwart *s, enum fake_call call)
{
	if (call == FAKE_LIST && s->calls[FAKE_LIST] > 0 && s->n > 60)
		for (int i = 0; i < 30; i++)
			fake_vanish(s, s->sample[i].is.name);
}

static void test_lost_anchors(void **state)
{
	(void)state;
	server.page_max = 10;
	decide(3000);
	server.before = lose_anchor;
	ok(walk());
	server.before = NULL;
	walks();
}

static void test_duplicates(void **state)
{
	(void)state;
	server.twice = true;
	server.page_max = 7;
	decide(40);
	walks();
	decide(3);
	walks();
}

/* Listed, and not to be had: the others are. */
static void test_hidden(void **state)
{
	(void)state;
	decide(5);
	server.sample[1].hidden = server.sample[4].hidden = true;
	ok(walk());
	assert_int_equal(samples_total(&known), 3);
	assert_int_equal(number("s2"), 0);
	server.sample[1].hidden = server.sample[4].hidden = false;
	restart();
	walks();
	assert_true(sample("s2").date < sample("s3").date);
}

static void test_endless(void **state)
{
	(void)state;
	decide(3000);
	server.endless = true;
	assert_int_equal(walk(), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_non_null(strstr(e.text, "stalwart mail: its list of samples has no end"));
	assert_int_equal(samples_total(&known), 3000); /* none is taken for gone */
	server.endless = false;
	restart();
	walks();
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	for (int call = FAKE_LIST; call <= FAKE_ADDRESS; call++) {
		int rc = -1;

		for (int after = 0; rc == -1; after++) {
			setup(state);
			conf.except = except;
			conf.n_except = 2;
			server.page_max = 100;
			decide(600);
			ok(walk());
			decide(2300);
			fake_vanish(&server, "s3");
			restart();
			fake_stalwart_fails(&server, (enum fake_call)call,
					    call == FAKE_ADDRESS ? 100 * after : after,
					    ERR_SERVER, ERR_UNREACHABLE);
			rc = walk();
			if (rc == -1)
				assert_string_equal(e.text, "as the test wants it");
			server.fail_after = -1;
			restart();
			walks();
			ok(rc == -1 || after > 2 ? 0 : -1);
			teardown(state);
		}
	}
}

/* Stopped, or killed at any commit: the next run goes on. */
static void test_stopped(void **state)
{
	(void)state;
	decide(3000);
	stop_request(15);
	assert_int_equal(walk(), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	stop_request(0);
	restart();
	walks();
	ascends();
}

static void test_killed(void **state)
{
	for (unsigned n = 1; n < 8; n++) {
		setup(state);
		decide(2600);
		store.fail_commit = store.commits + n;
		if (walk() == -1)
			assert_string_equal(e.text, "the disk is full");
		store.fail_commit = 0;
		restart();
		ok(walk());
		ascends();
		walks();
		teardown(state);
	}
}

static void test_no_memory(void **state)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		int rc;

		setup(state);
		conf.except = except;
		conf.n_except = 2;
		server.page_max = 10;
		decide(30);
		ok(walk());
		fake_vanish(&server, "s9");
		decide(12);
		restart();
		fake_memory_fails(n);
		rc = walk();
		failed = fake_memory_failed();
		fake_memory_fails(0);
		assert_int_equal(rc, failed ? -1 : 0);
		restart();
		walks();
		teardown(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test_setup_teardown(test_cost, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_dates, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clock_set_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_change_of_mind, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_except, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late_decisions, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late_decisions_in_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late_decisions_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late_and_deep, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_exchanged, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_exchanged_and_deep, setup, teardown),
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test_setup_teardown(test_lost_anchors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hidden, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_endless, setup, teardown),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("stalwart_walk", tests, NULL, NULL);
}
