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
	fake_vanish(&server, "s-1");
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
	assert_int_equal(server.calls[FAKE_GET], 1 + 12);
	assert_int_equal(server.calls[FAKE_MEET], 12);
	restart();
	decide(3);
	ok(walk());
	assert_int_equal(server.calls[FAKE_LIST], 1);
	assert_int_equal(server.calls[FAKE_GET], 2);
	assert_int_equal(server.calls[FAKE_MEET], 1);
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
	assert_true(sample("s-1").date == NOW - 10 * DAY);
	assert_true(sample("s-2").date == NOW - 3 * DAY);
	assert_true(sample("s-3").date == NOW - 1);
	assert_true(sample("s-4").date == NOW);
	/* Two seconds later there are three more: they may be as old as that. */
	fake_clock_advance(2000);
	decide(3);
	for (int i = 4; i < 7; i++)
		server.sample[i].is.date = NOW + 180 * DAY;
	walks();
	assert_true(sample("s-5").date == NOW + 1);
	assert_true(sample("s-6").date == NOW + 2);
	assert_true(sample("s-7").date == NOW + 2); /* nothing is of the future */
	/* What expires earlier than what came before it was not decided before. */
	fake_clock_advance(10 * DAY * (int64_t)1000);
	decide(2);
	server.sample[7].is.date = NOW + 100 * DAY;
	server.sample[8].is.date = NOW + 190 * DAY;
	walks();
	assert_true(sample("s-8").date == NOW + 3);
	assert_true(sample("s-9").date == NOW + 2 + 10 * DAY);
}

/* ---- when it was, by the names ---- */

enum { TOLD = 1795865758, TOLD_DAY = TOLD - TOLD % DAY, EPOCH = 1632280000 };

static struct fake_sample *decide_named(size_t place, const char *name, int64_t expires)
{
	struct fake_sample *x;

	decide_at(place, 1);
	x = &server.sample[place];
	assert_true(strlen(name) <= SAMPLE_WORD_MAX);
	memcpy(x->is.name, name, strlen(name) + 1);
	x->is.date = expires;
	return x;
}

/* One of this second, as Stalwart names it; valid until the next call. */
static const char *named(int64_t time)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz792013";
	static char text[14];
	static unsigned counter;
	uint64_t n = (uint64_t)(time - EPOCH) * 1000 << 21 | (counter++ % 4096) << 9;
	char *p = text + sizeof text - 1;

	for (; n > 0; n >>= 5)
		*--p = digits[n % 32];
	return p;
}

/* A name that a real one gave, of a known second. */
static void test_told(void **state)
{
	(void)state;
	fake_clock_set(TOLD + 40);
	decide_named(0, "jqwpckzyazqa", TOLD_DAY + 180 * (int64_t)DAY);
	walks();
	assert_true(sample("jqwpckzyazqa").date == TOLD);
}

/* Each has its own date, whatever is between them, and one that comes late too. */
static void test_told_of_many(void **state)
{
	static const int64_t ago[] = {170 * DAY, 30 * DAY, 30 * DAY - 1, DAY, 0};
	char name[5][14], late[14];

	(void)state;
	fake_clock_set(TOLD);
	for (size_t i = 0; i < 5; i++) {
		int64_t day = TOLD - ago[i] - (TOLD - ago[i]) % DAY;

		snprintf(name[i], sizeof name[i], "%s", named(TOLD - ago[i]));
		decide_named(i, name[i], day + 180 * (int64_t)DAY);
	}
	walks();
	for (size_t i = 0; i < 5; i++)
		assert_true(sample(name[i]).date == TOLD - ago[i]);
	snprintf(late, sizeof late, "%s", named(TOLD - 2 * DAY));
	decide_named(3, late, TOLD_DAY + 178 * (int64_t)DAY);
	walks();
	assert_true(sample(late).date == TOLD - 2 * DAY);
}

/* Where name and expiry do not agree the name is not believed. */
static void test_told_falsely(void **state)
{
	char name[3][14];

	(void)state;
	fake_clock_set(TOLD);
	for (int i = 0; i < 3; i++)
		snprintf(name[i], sizeof name[i], "%s",
			 named(i == 1 ? TOLD + 60 : TOLD - 10 * DAY));
	/* It is kept longer than the newest one is; it is of the future; */
	decide_named(0, name[0], TOLD_DAY + 175 * (int64_t)DAY);
	decide_named(1, name[1], TOLD_DAY + 180 * (int64_t)DAY);
	/* it is no number: too long, or other digits. */
	decide_named(2, "aaaajqwpckzyazqajqwpckzyazqa", TOLD_DAY + 180 * (int64_t)DAY);
	decide_named(3, "jqwpckzy8zqa", TOLD_DAY + 180 * (int64_t)DAY);
	decide_named(4, "jqwpckzyazqa", TOLD_DAY + 180 * (int64_t)DAY);
	walks();
	assert_true(sample(name[0]).date == TOLD - 5 * DAY); /* by the expiry */
	assert_true(sample(name[1]).date == TOLD - 3);
	assert_true(sample("aaaajqwpckzyazqajqwpckzyazqa").date == TOLD - 2);
	assert_true(sample("jqwpckzy8zqa").date == TOLD - 1);
	assert_true(sample("jqwpckzyazqa").date == TOLD);
	/* What has expired and is there all the same: its expiry is none. */
	decide_named(0, name[2], TOLD_DAY - DAY);
	walks();
	assert_true(sample(name[2]).date == TOLD - 5 * DAY - 1);
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
	is_class("s-1", CLASS_NONE);
	is_class("s-2", CLASS_HAM);
	assert_true(sample("s-2").date == NOW - DAY);
}

/* ---- who decided ---- */

static void test_change_of_mind(void **state)
{
	(void)state;
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "bob", "x", CLASS_SPAM);
	fake_decide(&server, "alice", "x", CLASS_HAM);
	walks();
	is_class("s-1", CLASS_NONE);
	is_class("s-2", CLASS_SPAM);
	is_class("s-3", CLASS_HAM);
	fake_decide(&server, "bob", "x", CLASS_HAM);
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	walks();
	is_class("s-2", CLASS_NONE);
	is_class("s-3", CLASS_NONE);
	is_class("s-4", CLASS_HAM);
	is_class("s-5", CLASS_SPAM);
	fake_train(&server);
	assert_int_equal(server.n, 2);
	walks();
	is_class("s-4", CLASS_HAM);
	is_class("s-5", CLASS_SPAM);
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
	is_class("s-1", CLASS_NONE);
	is_class("s-2", CLASS_NONE);
	is_class("s-3", CLASS_HAM);
	is_class("s-4", CLASS_NONE);
	conf.accounts_only = false;
	fake_decide(&server, "", "x", CLASS_SPAM);
	walks();
	is_class("s-4", CLASS_NONE);
	is_class("s-5", CLASS_SPAM);
	/* Without names nobody can be left out: that is no reason to learn them. */
	server.not_name = true;
	fake_decide(&server, "spam", "y", CLASS_HAM);
	assert_int_equal(walk(), -1);
	assert_int_equal(e.kind, ERR_AUTH);
	restart();
	assert_int_equal(number("s-6"), 0);
	server.not_name = false;
	walks();
	is_class("s-6", CLASS_NONE);
}

/* ---- what comes late, and what goes ---- */

static void test_late(void **state)
{
	int64_t one, two;

	(void)state;
	decide(3);
	walks();
	one = sample("s-1").date;
	two = sample("s-2").date;
	fake_clock_advance(60 * 1000);
	decide_at(1, 1); /* s-4, between s-1 and s-2 */
	walks();
	assert_int_equal(number("s-4"), 4);
	assert_true(sample("s-4").date >= one && sample("s-4").date < two);
	decide_at(0, 1);
	decide(1);
	walks();
	assert_true(sample("s-5").date < one);
	assert_true(sample("s-6").date == NOW + 60);
}

/* What the server lists last of a user and a content counts, whenever it was met. */
static void test_late_decisions(void **state)
{
	(void)state;
	fake_decide(&server, "bob", "x", CLASS_HAM);
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "carol", "z", CLASS_SPAM);
	walks();
	fake_decide_at(&server, 1, "alice", "x", CLASS_HAM); /* s-4: before s-2 */
	walks();
	is_class("s-2", CLASS_SPAM);
	is_class("s-4", CLASS_NONE);
	fake_decide_at(&server, 3, "alice", "x", CLASS_HAM); /* s-5: behind it */
	walks();
	is_class("s-2", CLASS_NONE);
	is_class("s-4", CLASS_NONE);
	is_class("s-5", CLASS_HAM);
	fake_train(&server);
	assert_null(fake_sample_of(&server, "s-2"));
	walks();
	is_class("s-5", CLASS_HAM);
}

/* The same over pages, in a walk over all: also where the one behind it is in a later page, and
 * where it is gone. */
static void test_late_decisions_in_pages(void **state)
{
	(void)state;
	server.page_max = 4;
	decide(6);
	fake_decide(&server, "alice", "x", CLASS_SPAM); /* s-7 */
	fake_decide(&server, "bob", "x", CLASS_SPAM);	/* s-8 */
	decide(20);
	ok(walk());
	is_same();
	fake_decide_at(&server, 1, "alice", "x", CLASS_HAM); /* s-29: before s-7 */
	fake_decide_at(&server, 2, "bob", "x", CLASS_HAM);   /* s-30: before s-8 */
	fake_decide_at(&server, 11, "bob", "x", CLASS_HAM);  /* s-31: behind it */
	fake_vanish(&server, "s-7");
	walks();
	is_class("s-29", CLASS_HAM);
	is_class("s-30", CLASS_NONE);
	is_class("s-31", CLASS_HAM);
	is_class("s-8", CLASS_NONE);
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
	fake_decide_at(&server, 4, "alice", "x", CLASS_HAM); /* s-6 */
	walks();
	is_class("s-2", CLASS_NONE);
	is_class("s-6", CLASS_HAM);
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
	assert_true(sample("s-1501").date < sample("s-4").date);
	assert_true(sample("s-1502").date > sample("s-1500").date);
}

static void test_vanished(void **state)
{
	uint32_t next;

	(void)state;
	decide(1200);
	walks();
	for (int i = 1; i <= 1200; i += 3) {
		char name[16];

		snprintf(name, sizeof name, "s-%d", i);
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
	assert_int_equal(number("s-1201"), next); /* no number is given again */
}

/* As many come as go. */
static void test_exchanged(void **state)
{
	(void)state;
	decide(700);
	walks();
	fake_vanish(&server, "s-5");
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
	fake_vanish(&server, "s-5");
	decide_at(3, 1);
	ok(walk());
	assert_int_equal(number("s-701"), 0); /* nothing tells of it */
	fake_clock_advance((DAY - 3600) * (int64_t)1000);
	walks();
	assert_int_equal(number("s-5"), 0);
	fake_clock_set(NOW - 7 * DAY); /* the clock was set back: a day does not last a week */
	fake_vanish(&server, "s-7");
	decide_at(3, 1);
	walks();
	assert_int_equal(number("s-7"), 0);
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
	assert_int_equal(number("s-2"), 0);
	server.sample[1].hidden = server.sample[4].hidden = false;
	restart();
	walks();
	assert_true(sample("s-2").date < sample("s-3").date);
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
			fake_vanish(&server, "s-3");
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
		fake_vanish(&server, "s-9");
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
	    cmocka_unit_test_setup_teardown(test_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_told_of_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_told_falsely, setup, teardown),
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
