/*
 * source_stalwart.c over a Stalwart in memory: the contract of every source; bodies that cannot
 * be had and what is concluded from it; what is removed.
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
#include "fake/clock.h"
#include "fake/source.h"
#include "fake/stalwart.h"
#include "fake/store.h"
#include "source/contract.h"
#include "source/source_stalwart_priv.h"

enum { NOW = 1700000005 };

static struct fake_events events;
static struct fake_store store;
static struct fake_stalwart server;
static struct account_stalwart account;
static struct conf_stalwart conf = {.name = "mail", .accounts_only = true, .destroy = true};
static struct conf_reports reports;
static struct ledger *ledger;
static struct err e;

static void ok(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

/* Like a new run. */
static void reconnect(void)
{
	if (ledger) {
		ok(ledger_commit(ledger, &e));
		ledger_close(ledger);
	}
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	assert_non_null(ledger);
	account = (struct account_stalwart){.account = {.name = "mail", .ledger = ledger},
					    .conf = &conf,
					    .reports = &reports,
					    .server = &server.stalwart};
}

static int setup(void **state)
{
	(void)state;
	err_clear(&e);
	events = (struct fake_events){0};
	fake_clock_set(NOW);
	fake_store_init(&store, &events);
	fake_stalwart_init(&server);
	reports = (struct conf_reports){0};
	ledger = NULL;
	reconnect();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	ledger = NULL;
	fake_store_free(&store);
	fake_stalwart_free(&server);
	clock_use(NULL);
	return 0;
}

static struct source *open_source(void)
{
	struct source *s = source_stalwart(&account);

	assert_non_null(s);
	ok(source_open(s, false, &e));
	return s;
}

/* ---- the contract ---- */

static unsigned delivered;

static void deliver(void *ctx, const struct contract_message *m)
{
	char blob[16];
	struct fake_sample *x;

	(void)ctx;
	snprintf(blob, sizeof blob, "b%u", ++delivered);
	x = fake_decide(&server, "alice", blob, CLASS_SPAM);
	x->body = strdup(m->body);
	x->is.date = m->date + 100; /* of expiry */
	account.looked = false;
}

static struct source *make(void *ctx, const struct contract_message *m, size_t n)
{
	struct source *s;

	setup(NULL);
	server.waits = 1;
	for (size_t i = 0; i < n; i++)
		deliver(ctx, &m[i]);
	s = open_source();
	account.looked = false;
	return s;
}

static void name_of(uint32_t id, char *name, size_t size)
{
	struct sample s;

	name[0] = '\0';
	if (samples_get(&account.known, id, &s, &e) == 1)
		snprintf(name, size, "%s", s.name);
}

static void expunge(void *ctx, uint32_t id)
{
	char name[SAMPLE_WORD_MAX + 1];

	(void)ctx;
	name_of(id, name, sizeof name);
	fake_vanish(&server, name);
	account.looked = false;
}

/* In the contract they are called as they are numbered. */
static bool has(void *ctx, uint32_t id)
{
	char name[16];

	(void)ctx;
	snprintf(name, sizeof name, "s-%u", id);
	return fake_sample_of(&server, name) != NULL;
}

static void wait_for(void *ctx, const struct wait *w)
{
	(void)ctx;
	assert_true(w->ms >= 0);
}

static void drop(void *ctx, struct source *s)
{
	(void)ctx;
	source_close(s);
	assert_int_equal(teardown(NULL), 0);
}

static void test_contract(void **state)
{
	const struct contract c = {.make = make,
				   .expunge = expunge,
				   .deliver = deliver,
				   .has = has,
				   .wait = wait_for,
				   .drop = drop,
				   .can_remove = true,
				   .one_class = true,
				   .no_marks = true,
				   .ascending = true};

	(void)state;
	contract_check(&c);
}

/* ---- what comes ---- */

static const struct source_filter all = {.max_size = 1000, .newest = INT64_MAX};

static void want_filtered(struct source *s, uint32_t first, uint32_t last,
			  const struct source_filter *f, bool alone)
{
	struct ranges todo = {0};

	ok(ranges_add(&todo, first, last, &e));
	ok(source_want(s, &todo, f, alone, &e));
}

static void want(struct source *s, uint32_t first, uint32_t last)
{
	want_filtered(s, first, last, &all, false);
}

static enum source_next next(struct source *s, struct source_message *m)
{
	enum source_next rc;
	struct wait wait;

	*m = (struct source_message){0};
	while ((rc = source_next(s, m, &wait, &e)) == SOURCE_WAIT)
		;
	return rc;
}

static void next_is(struct source *s, uint32_t id, enum message_kind kind)
{
	struct source_message m;

	if (next(s, &m) == SOURCE_ERROR)
		fail_msg("%s", e.text);
	assert_int_equal(m.id, id);
	assert_int_equal(m.kind, kind);
	source_message_free(&m);
}

static void ends(struct source *s)
{
	struct source_message m;

	assert_int_equal(next(s, &m), SOURCE_END);
}

static void fails(struct source *s, enum err_kind kind, const char *text)
{
	struct source_message m;

	err_clear(&e);
	assert_int_equal(next(s, &m), SOURCE_ERROR);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, kind);
	assert_non_null(strstr(e.text, text));
}

/* Neither learned nor left out: the next run asks for it again. */
static void is_open_still(uint32_t id, enum mail_class class)
{
	struct sample s;

	assert_int_equal(samples_get(&account.known, id, &s, &e), 1);
	assert_int_equal(s.class, class);
}

static void decide(int n)
{
	for (int i = 0; i < n; i++) {
		char blob[16];

		snprintf(blob, sizeof blob, "b%d", i);
		fake_decide(&server, "alice", blob, CLASS_SPAM);
	}
}

/* One source of both classes: each message bears its own, and they come as they were decided.
 */
static void test_classes(void **state)
{
	static const enum mail_class classes[] = {CLASS_SPAM, CLASS_HAM,  CLASS_NONE,
						  CLASS_HAM,  CLASS_SPAM, CLASS_SPAM};
	struct ranges found = {0};
	struct source_message m;
	struct source *s;

	(void)state;
	reports.hold = 77;
	server.waits = 1;
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "bob", "x", CLASS_HAM);
	fake_decide(&server, "", "y", CLASS_HAM); /* the server's own: left out */
	fake_decide(&server, "bob", "z", CLASS_HAM);
	fake_decide(&server, "bob", "y", CLASS_SPAM);
	fake_decide(&server, "alice", "z", CLASS_SPAM);
	s = open_source();
	assert_string_equal(s->account, "mail");
	assert_string_equal(s->mailbox, "samples");
	assert_int_equal(s->class, CLASS_NONE);
	assert_int_equal(s->identity, account.known.identity);
	assert_int_equal(s->next, 7);
	assert_int_equal(s->count, 5);
	assert_true(s->dated && s->expires && s->hold == 77);
	assert_false(s->can_mark);
	ok(source_list(s, 1, UINT32_MAX, &found, &e));
	assert_string_equal(fake_ranges(&found), "1:2,4:6");
	ranges_free(&found);
	want(s, 1, 6);
	next_is(s, 3, MESSAGE_GONE); /* of it nothing has to come */
	for (uint32_t id = 1; id <= 6; id++) {
		if (classes[id - 1] == CLASS_NONE)
			continue;
		assert_int_equal(next(s, &m), SOURCE_MESSAGE);
		assert_int_equal(m.id, id);
		assert_int_equal(m.kind, MESSAGE_BODY);
		assert_int_equal(m.class, classes[id - 1]);
		source_message_free(&m);
	}
	ends(s);
	source_close(s);
}

/* Looked at once a connection. */
static void test_looked_at_once(void **state)
{
	struct source *s;

	(void)state;
	decide(2);
	for (int i = 0; i < 2; i++) {
		s = open_source();
		source_close(s);
		assert_int_equal(server.calls[FAKE_LIST], 1);
	}
	account.looked = false;
	s = open_source();
	source_close(s);
	assert_int_equal(server.calls[FAKE_LIST], 2);
}

static void test_reporter(void **state)
{
	struct source_message m;
	struct source *s;

	(void)state;
	conf.accounts_only = false;
	fake_decide(&server, "alice", "x", CLASS_SPAM);
	fake_decide(&server, "", "y", CLASS_SPAM);
	s = open_source();
	conf.accounts_only = true;
	want(s, 1, 2);
	assert_int_equal(next(s, &m), SOURCE_MESSAGE);
	assert_string_equal(m.reporter, "alice@example.org");
	source_message_free(&m);
	assert_int_equal(next(s, &m), SOURCE_MESSAGE);
	assert_string_equal(m.reporter, ""); /* nobody */
	source_message_free(&m);
	server.not_name = true; /* then the id of the account has to do */
	want(s, 1, 1);
	assert_int_equal(next(s, &m), SOURCE_MESSAGE);
	assert_string_equal(m.reporter, "alice");
	source_message_free(&m);
	fake_stalwart_fails(&server, FAKE_ADDRESS, 0, ERR_SERVER, ERR_TEMPORARY);
	want(s, 1, 1);
	fails(s, ERR_TEMPORARY, "as the test wants it");
	source_close(s);
}

/* Not more downloads at a time than is allowed; alone: one. */
static void test_side_by_side(void **state)
{
	struct source_message m;
	struct wait wait;
	struct source *s;

	(void)state;
	decide(20);
	s = open_source();
	server.waits = 2;
	for (int alone = 0; alone < 2; alone++) {
		want_filtered(s, 1, 20, &all, alone);
		m = (struct source_message){0};
		assert_int_equal(source_next(s, &m, &wait, &e), SOURCE_WAIT);
		assert_int_equal(wait.ms, 10);
		assert_int_equal(server.running, alone ? 1 : JMAP_DOWNLOADS);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(next(s, &m), SOURCE_MESSAGE);
			assert_int_equal(m.kind, MESSAGE_BODY);
			assert_int_equal(m.id, i + 1);
			source_message_free(&m);
		}
		ends(s);
	}
	want(s, 1, 20);
	assert_int_equal(source_next(s, &m, &wait, &e), SOURCE_WAIT);
	want(s, 3, 3); /* what was under way is given up */
	next_is(s, 3, MESSAGE_BODY);
	ends(s);
	source_close(s);
	assert_int_equal(server.running, 0);
}

/* What is too new is not even downloaded; nor what was superseded meanwhile. */
static void test_not_fetched(void **state)
{
	struct source_filter f = all;
	struct source *s;

	(void)state;
	decide(3);
	s = open_source();
	f.newest = NOW - 1;
	f.max_size = 5;
	want_filtered(s, 1, 4, &f, false);
	next_is(s, 3, MESSAGE_HELD);
	next_is(s, 4, MESSAGE_GONE);
	next_is(s, 1, MESSAGE_LARGE);
	next_is(s, 2, MESSAGE_LARGE);
	ends(s);
	ok(samples_ignore(&account.known, 1, &e));
	want(s, 1, 1);
	next_is(s, 1, MESSAGE_GONE);
	ends(s);
	source_close(s);
}

/* ---- what cannot be had ---- */

/* The sample went too: so its user never decided, or decided again. */
static void test_sample_vanished(void **state)
{
	struct sample sample;
	struct source *s;

	(void)state;
	decide(2);
	s = open_source();
	fake_vanish(&server, "s-1");
	want(s, 1, 2);
	next_is(s, 1, MESSAGE_GONE);
	next_is(s, 2, MESSAGE_BODY);
	ends(s);
	assert_int_equal(samples_get(&account.known, 1, &sample, &e), 0);
	source_close(s);
}

/* The sample is there and its message is not; the log-in may read others'. */
static void test_blob_gone(void **state)
{
	struct ranges found = {0};
	struct source *s;

	(void)state;
	decide(3);
	server.sample[2].no_blob = true;
	s = open_source();
	want(s, 1, 3);
	next_is(s, 1, MESSAGE_BODY);
	next_is(s, 2, MESSAGE_BODY);
	next_is(s, 3, MESSAGE_GONE);
	ends(s);
	is_open_still(3, CLASS_NONE); /* it is known, and never asked for again */
	ok(source_list(s, 1, 9, &found, &e));
	assert_string_equal(fake_ranges(&found), "1:2");
	ranges_free(&found);
	source_close(s);
}

static void test_no_permission(void **state)
{
	struct source *s;

	(void)state;
	decide(2);
	s = open_source();
	server.not_read = true;
	want(s, 1, 2);
	fails(s, ERR_AUTH, STALWART_MAY_READ);
	is_open_still(1, CLASS_SPAM);
	server.not_read = false;
	server.not_see = true; /* the server shows none: they are not gone */
	server.sample[0].no_blob = true;
	want(s, 1, 2);
	fails(s, ERR_AUTH, STALWART_MAY_SEE);
	is_open_still(1, CLASS_SPAM);
	is_open_still(2, CLASS_SPAM);
	source_close(s);
}

/* The server does not say what may be done: what was downloaded before is tried again. */
static void test_silent(void **state)
{
	struct source *s;

	(void)state;
	server.silent = true;
	decide(4);
	server.sample[1].no_blob = server.sample[3].no_blob = true;
	s = open_source();
	want(s, 1, 4);
	next_is(s, 1, MESSAGE_BODY);
	next_is(s, 3, MESSAGE_BODY);
	next_is(s, 2, MESSAGE_GONE);
	next_is(s, 4, MESSAGE_GONE);
	ends(s);
	assert_int_equal(server.calls[FAKE_BEGIN], 5); /* one more than there are */
	is_open_still(2, CLASS_NONE);
	is_open_still(4, CLASS_NONE);
	source_close(s);
}

static struct source *s_lost; /* whose key loses its permission */

static void lose_permission(struct fake_stalwart *s, enum fake_call what)
{
	if (what == FAKE_TAKE && s->calls[FAKE_TAKE] == 1)
		s->not_read = true;
}

/* The permission goes after the first download: that one proves nothing of the second. */
static void test_silent_in_the_middle(void **state)
{
	(void)state;
	server.silent = true;
	decide(2);
	s_lost = open_source();
	server.before = lose_permission;
	want(s_lost, 1, 2);
	next_is(s_lost, 1, MESSAGE_BODY);
	fails(s_lost, ERR_AUTH, STALWART_MAY_READ);
	is_open_still(2, CLASS_SPAM);
	source_close(s_lost);
}

/* Nothing can be downloaded, or only what anybody may read: his own. */
static void test_silent_without_proof(void **state)
{
	struct source *s;

	(void)state;
	server.silent = true;
	fake_decide(&server, "self", "mine", CLASS_SPAM);
	fake_decide(&server, "alice", "x", CLASS_SPAM)->no_blob = true;
	s = open_source();
	want(s, 1, 2);
	next_is(s, 1, MESSAGE_BODY);
	fails(s, ERR_AUTH, STALWART_MAY_READ);
	is_open_still(2, CLASS_SPAM);
	source_close(s);
	/* Now there is one, of the other class; two that are gone come before it. */
	fake_decide(&server, "alice", "y", CLASS_HAM)->no_blob = true;
	fake_decide(&server, "bob", "z", CLASS_HAM);
	reconnect();
	s = open_source();
	fake_sample_of(&server, "s-4")->breaks = 1; /* at the very proof */
	want(s, 2, 2);
	fails(s, ERR_UNREACHABLE, "connection broke");
	assert_int_equal(source_owed(s), 0);
	is_open_still(2, CLASS_SPAM);
	want(s, 2, 2);
	next_is(s, 2, MESSAGE_GONE);
	ends(s);
	is_open_still(2, CLASS_NONE);
	is_open_still(3, CLASS_HAM);
	source_close(s);
}

/* One that always breaks is no reason not to try another one. */
static void test_silent_and_broken(void **state)
{
	struct source *s;

	(void)state;
	server.silent = true;
	decide(3);
	server.sample[0].breaks = 100;
	server.sample[1].no_blob = true;
	s = open_source();
	want(s, 2, 2);
	next_is(s, 2, MESSAGE_GONE);
	ends(s);
	source_close(s);
}

/* That is not tried without end. */
static void test_silent_and_all_gone(void **state)
{
	struct source *s;

	(void)state;
	server.silent = true;
	decide(40);
	server.not_read = true;
	s = open_source();
	want(s, 7, 7);
	fails(s, ERR_AUTH, STALWART_MAY_READ);
	assert_int_equal(server.calls[FAKE_BEGIN], 1 + 16);
	is_open_still(7, CLASS_SPAM);
	source_close(s);
}

/* A download that breaks is that message's; the next round asks for it again. */
static void test_broken(void **state)
{
	struct source_message m;
	struct source *s;

	(void)state;
	decide(3);
	server.sample[1].breaks = 1;
	server.sample[1].is.class = CLASS_HAM;
	s = open_source();
	want(s, 1, 3);
	next_is(s, 1, MESSAGE_BODY);
	assert_int_equal(next(s, &m), SOURCE_MESSAGE);
	assert_int_equal(m.id, 2);
	assert_int_equal(m.kind, MESSAGE_UNREADABLE);
	assert_int_equal(m.class, CLASS_HAM);
	assert_string_equal(m.words, "the connection broke");
	source_message_free(&m);
	assert_int_equal(source_owed(s), 0);
	next_is(s, 3, MESSAGE_BODY);
	ends(s);
	is_open_still(2, CLASS_HAM);
	want(s, 2, 2);
	next_is(s, 2, MESSAGE_BODY);
	ends(s);
	source_close(s);
}

/* The third in a row is no longer the message's: the server's turn is over. */
static void test_broken_in_a_row(void **state)
{
	static const char breaks[] = "0110110"; /* never three */
	struct source *s;

	(void)state;
	decide(7);
	for (int i = 0; i < 7; i++)
		server.sample[i].breaks = breaks[i] == '1';
	s = open_source();
	want(s, 1, 7);
	for (uint32_t id = 1; id <= 7; id++)
		next_is(s, id, breaks[id - 1] == '1' ? MESSAGE_UNREADABLE : MESSAGE_BODY);
	ends(s);
	for (int i = 2; i < 5; i++)
		server.sample[i].breaks = 1;
	want(s, 1, 7);
	next_is(s, 1, MESSAGE_BODY);
	next_is(s, 2, MESSAGE_BODY);
	next_is(s, 3, MESSAGE_UNREADABLE);
	next_is(s, 4, MESSAGE_UNREADABLE);
	fails(s, ERR_UNREACHABLE,
	      "stalwart mail: messages cannot be downloaded: the connection broke");
	assert_int_equal(source_owed(s), 0);
	for (uint32_t id = 3; id <= 7; id++)
		is_open_still(id, CLASS_SPAM);
	source_close(s);
	reconnect(); /* and begins anew */
	server.sample[3].breaks = 2;
	s = open_source();
	for (int i = 0; i < 2; i++) {
		want(s, 4, 4);
		next_is(s, 4, MESSAGE_UNREADABLE);
		ends(s);
	}
	want(s, 4, 4);
	next_is(s, 4, MESSAGE_BODY);
	ends(s);
	source_close(s);
}

/* Alone they are known to break: they stop nobody, and the fourth is not even tried. */
static void test_broken_in_rounds(void **state)
{
	struct source *s;

	(void)state;
	decide(4);
	for (int i = 0; i < 4; i++)
		server.sample[i].breaks = 1;
	s = open_source();
	for (uint32_t id = 1; id <= 4; id++) {
		want_filtered(s, id, id, &all, true);
		next_is(s, id, MESSAGE_UNREADABLE);
		ends(s);
	}
	assert_int_equal(server.sample[3].breaks, 1);
	source_close(s);
}

/* An error of any call, while a body is missing and is not: nothing is concluded. */
static void test_errors(void **state)
{
	static const enum fake_call calls[] = {FAKE_GET, FAKE_ADDRESS, FAKE_BEGIN, FAKE_TAKE,
					       FAKE_MAY};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct source_message m;
		enum source_next rc;
		struct source *s;

		setup(state);
		decide(2);
		server.sample[0].no_blob = true;
		s = open_source();
		fake_stalwart_fails(&server, calls[i], 0, ERR_SERVER, ERR_TEMPORARY);
		want(s, 1, 2);
		while ((rc = next(s, &m)) == SOURCE_MESSAGE)
			source_message_free(&m);
		assert_int_equal(rc, SOURCE_ERROR);
		assert_string_equal(e.text, "as the test wants it");
		if (calls[i] != FAKE_ADDRESS)
			is_open_still(1, CLASS_SPAM);
		is_open_still(2, CLASS_SPAM);
		source_close(s);
		teardown(state);
	}
}

/* ---- removal ---- */

static void remove_one(struct source *s, uint32_t first, uint32_t last, int want_rc)
{
	const struct source_removal how = {.move_to = NULL};
	struct ranges ids = {0};

	ok(source_can_remove(s, &how, &e));
	ok(ranges_add(&ids, first, last, &e));
	assert_int_equal(source_remove(s, &ids, &how, &e), want_rc);
	ranges_free(&ids);
}

/* With the last decision go the older ones of the same user on the same content, before it. */
static void test_remove_older(void **state)
{
	struct sample sample;
	struct source *s;

	(void)state;
	fake_decide(&server, "alice", "x", CLASS_HAM);	/* s-1: superseded */
	fake_decide(&server, "bob", "x", CLASS_HAM);	/* s-2 */
	fake_decide(&server, "alice", "y", CLASS_HAM);	/* s-3 */
	fake_decide(&server, "", "x", CLASS_SPAM);	/* s-4: the server's own */
	fake_decide(&server, "alice", "x", CLASS_SPAM); /* s-5 */
	s = open_source();
	remove_one(s, 5, 5, 0);
	assert_null(fake_sample_of(&server, "s-1"));
	assert_null(fake_sample_of(&server, "s-5"));
	assert_int_equal(server.n, 3);
	assert_int_equal(samples_get(&account.known, 1, &sample, &e), 0);
	assert_int_equal(samples_total(&account.known), 3);
	assert_int_equal(server.calls[FAKE_DESTROY], 1);
	source_close(s);
}

/* The whole chain goes, also where a part of it was met late. */
static void test_remove_chain(void **state)
{
	struct source *s;

	(void)state;
	fake_decide(&server, "alice", "x", CLASS_HAM);	/* s-1 */
	fake_decide(&server, "alice", "x", CLASS_SPAM); /* s-2 */
	fake_decide(&server, "bob", "x", CLASS_SPAM);	/* s-3 */
	s = open_source();
	source_close(s);
	fake_decide_at(&server, 0, "alice", "x", CLASS_SPAM); /* s-4, overruled */
	fake_decide_at(&server, 2, "alice", "x", CLASS_HAM);  /* s-5, too */
	fake_decide(&server, "alice", "x", CLASS_HAM);	      /* s-6 */
	account.looked = false;
	s = open_source();
	assert_int_equal(s->count, 2);
	is_open_still(5, CLASS_NONE);
	remove_one(s, 6, 6, 0);
	assert_int_equal(server.n, 1);
	assert_non_null(fake_sample_of(&server, "s-3"));
	assert_int_equal(samples_total(&account.known), 1);
	assert_int_equal(server.calls[FAKE_DESTROY], 1);
	source_close(s);
}

static void test_remove_refused(void **state)
{
	const struct source_removal how = {.move_to = NULL};
	struct source *s;

	(void)state;
	decide(3);
	s = open_source();
	server.not_destroy = true;
	assert_int_equal(source_can_remove(s, &how, &e), -1);
	assert_int_equal(e.kind, ERR_AUTH);
	assert_non_null(strstr(e.text, STALWART_MAY_DESTROY));
	server.silent = true; /* it says so when it is asked to */
	remove_one(s, 1, 2, -1);
	assert_int_equal(samples_total(&account.known), 3);
	assert_int_equal(server.n, 3);
	server.not_destroy = false;
	fake_stalwart_fails(&server, FAKE_MAY, 0, ERR_SERVER, ERR_TEMPORARY);
	assert_int_equal(source_can_remove(s, &how, &e), -1);
	assert_int_equal(e.kind, ERR_TEMPORARY);
	fake_vanish(&server, "s-1"); /* gone already: no error */
	remove_one(s, 1, 2, 0);
	assert_int_equal(server.n, 1);
	assert_int_equal(samples_total(&account.known), 1);
	source_close(s);
}

/* Who may not see is told that they are gone: nothing is concluded from that. */
static void test_remove_unseen(void **state)
{
	struct source *s;

	(void)state;
	decide(2);
	s = open_source();
	server.not_see = true;
	remove_one(s, 1, 2, -1);
	assert_int_equal(e.kind, ERR_AUTH);
	assert_non_null(strstr(e.text, STALWART_MAY_SEE));
	assert_int_equal(samples_total(&account.known), 2);
	source_close(s);
}

static void test_remove_many(void **state)
{
	struct source *s;

	(void)state;
	decide(2 * STALWART_GET_MAX + 1);
	s = open_source();
	fake_stalwart_fails(&server, FAKE_DESTROY, 1, ERR_SERVER, ERR_UNREACHABLE);
	remove_one(s, 1, 2 * STALWART_GET_MAX + 1, -1);
	assert_int_equal(server.n, STALWART_GET_MAX + 1);
	assert_int_equal(samples_total(&account.known), STALWART_GET_MAX + 1);
	remove_one(s, 1, 2 * STALWART_GET_MAX + 1, 0);
	assert_int_equal(server.n, 0);
	assert_int_equal(samples_total(&account.known), 0);
	source_close(s);
}

/* ---- errors of the ledger ---- */

static void test_ledger_breaks(void **state)
{
	struct ranges found = {0};
	bool whole = false;

	for (unsigned n = 1; !whole; n++) {
		struct source_message m;
		struct source *s;
		enum source_next rc = SOURCE_ERROR;

		setup(state);
		decide(3);
		server.sample[1].no_blob = true;
		fake_vanish(&server, "s-3");
		s = open_source();
		store.fail_call = n;
		account.looked = false;
		if (source_open(s, false, &e) == 0 && source_list(s, 1, 9, &found, &e) == 0) {
			want(s, 1, 2);
			while ((rc = next(s, &m)) == SOURCE_MESSAGE)
				source_message_free(&m);
		}
		whole = rc == SOURCE_END;
		if (!whole)
			assert_string_equal(e.text, "the disk is broken");
		store.fail_call = 0;
		source_close(s);
		teardown(state);
		assert_true(n < 200);
	}
	ranges_free(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contract),
	    cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_looked_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reporter, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_side_by_side, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_not_fetched, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sample_vanished, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_blob_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_permission, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent_in_the_middle, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent_without_proof, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent_and_broken, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent_and_all_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken_in_a_row, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken_in_rounds, setup, teardown),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test_setup_teardown(test_remove_older, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_remove_chain, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_remove_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_remove_unseen, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_remove_many, setup, teardown),
	    cmocka_unit_test(test_ledger_breaks),
	};

	return cmocka_run_group_tests_name("source_stalwart", tests, NULL, NULL);
}
