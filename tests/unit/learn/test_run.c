/*
 * run.c: through accounts and sources, with errors, connections that break, a shared limit, and
 * what is said at the end. The run is put together by hand: run_open is for the system tests.
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

enum { ACCOUNTS = 3, BOXES = 2, DAY = 86400 };

/* An account of up to two mailboxes in memory. */
struct fake_account {
	struct account account;
	struct fake_source box[BOXES];
	int refusals; /* so many connects fail, -1: all ... */
	enum err_kind refusal;
};

static struct world w;
static struct fake_account accounts[ACCOUNTS];
static struct account *list[ACCOUNTS];
static struct run run;
static struct err e;

static int connect_it(struct account *account, struct err *err)
{
	struct fake_account *a = (struct fake_account *)account;

	fake_event(&w.events, "connect %s", account->name);
	assert_non_null(account->waiter);
	if (a->refusals == 0)
		return 0;
	if (a->refusals > 0)
		a->refusals--;
	return err_set(err, ERR_SERVER, a->refusal, "account %s: no connection", account->name);
}

static struct source *source_of(struct account *account, size_t i)
{
	return &((struct fake_account *)account)->box[i].source;
}

static void disconnect_it(struct account *account)
{
	fake_event(&w.events, "disconnect %s", account->name);
}

static void free_it(struct account *account)
{
	(void)account;
}

static const struct account_ops fake_account_ops = {
    .connect = connect_it,
    .source = source_of,
    .disconnect = disconnect_it,
    .free = free_it,
};

/* Three accounts a, b and c, each with one mailbox, m0; a second one, m1, where it is said. */
static int setup(void **state)
{
	static const char *const names[ACCOUNTS] = {"a", "b", "c"};
	static const char *const boxes[BOXES] = {"m0", "m1"};

	(void)state;
	world_init(&w);
	for (int i = 0; i < ACCOUNTS; i++) {
		struct fake_account *a = &accounts[i];

		memset(a, 0, sizeof *a);
		a->account =
		    (struct account){.ops = &fake_account_ops, .name = names[i], .n = 1};
		for (int j = 0; j < BOXES; j++) {
			fake_source_init(&a->box[j], names[i], boxes[j], CLASS_SPAM, &w.events);
			a->box[j].dirty = &w.store.dirty;
		}
		list[i] = &a->account;
	}
	memset(&run, 0, sizeof run);
	run.options.max = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < ACCOUNTS; i++)
		for (int j = 0; j < BOXES; j++)
			fake_source_free(&accounts[i].box[j]);
	world_free(&w);
	return 0;
}

static void deliver(int account, int box, int n)
{
	for (int i = 0; i < n; i++)
		fake_deliver(&accounts[account].box[box], NULL, WORLD_NOW - 100);
}

/* A run with what is in the world; it ends as run_close would. */
static int go(void)
{
	const struct pipeline_parts parts = {
	    .conf = w.conf,
	    .ledger = w.ledger,
	    .rspamd = &w.rspamd.rspamd,
	    .backend = &w.backend,
	    .output = &w.output.output,
	    .trust = w.trust,
	    .reporter_key = &w.key,
	    .before = &w.before,
	};
	int rc;

	run.conf = w.conf;
	run.output = &w.output.output;
	run.ledger = w.ledger;
	run.accounts = (struct accounts){.account = list, .n = ACCOUNTS};
	run.rspamd = &w.rspamd.rspamd;
	run.pipeline = w.output.output.learns ? pipeline_new(&parts, false) : NULL;
	run.expire = (struct expire){.policy = &w.conf->retention,
				     .ledger = w.ledger,
				     .output = run.output,
				     .now = clock_now(),
				     .left = 100};
	err_clear(&e);
	rc = run_all(&run, &e);
	pipeline_free(run.pipeline);
	for (int i = 0; i < ACCOUNTS; i++)
		account_disconnect(list[i]);
	return rc;
}

/* The same as a run of its own. */
static int again(void)
{
	world_restart(&w);
	fake_events_clear(&w.events);
	w.output.output.status = 0;
	for (int i = 0; i < ACCOUNTS; i++)
		list[i]->refused = false;
	return go();
}

static void total(enum outcome o, uint64_t n)
{
	if (w.output.output.total.outcome[o] != n)
		fail_msg("%llu %s; in: %s",
			 (unsigned long long)w.output.output.total.outcome[o], outcome_name(o),
			 w.events.text);
}

static void left(uint64_t n, bool or_more)
{
	const struct tally *t = &w.output.output.total;

	if (t->left != n || t->left_or_more != or_more)
		fail_msg("left %llu%s; in: %s", (unsigned long long)t->left,
			 t->left_or_more ? "+" : "", w.events.text);
}

/* ---- the whole way ---- */

static void test_all(void **state)
{
	(void)state;
	accounts[1].account.n = 2;
	deliver(0, 0, 2);
	deliver(1, 1, 1);
	deliver(2, 0, 3);
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 6);
	left(0, false);
	assert_int_equal(w.output.output.status, 0);
	assert_false(w.store.dirty);
	fake_events_in_order(&w.events, "connect a", "end a m0");
	fake_events_in_order(&w.events, "close a; disconnect a; connect b", "end b m0");
	fake_events_in_order(&w.events, "end b m0", "end b m1");
	assert_int_equal(fake_events_count(&w.events, "connect b"), 2); /* and dis- */
}

static void test_wanted(void **state)
{
	static const char *const only[] = {"c", "a"};

	(void)state;
	for (int i = 0; i < ACCOUNTS; i++)
		deliver(i, 0, 1);
	run.options.account = only;
	run.options.n_accounts = 2;
	assert_true(run_wants(&run.options, "a") && run_wants(&run.options, "c"));
	assert_false(run_wants(&run.options, "b") || run_wants(&run.options, ""));
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 2);
	fake_events_lack(&w.events, "connect b");
	run.options.n_accounts = 0;
	assert_true(run_wants(&run.options, "b"));
}

static void test_learn_and_expire(void **state)
{
	(void)state;
	w.conf->retention.learned = 0;
	deliver(0, 0, 2);
	accounts[1].box[0].source.expires = false;
	deliver(1, 0, 2);
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 4);
	assert_int_equal(tally_expired(&w.output.output.total), 2);
	assert_int_equal(accounts[0].box[0].n, 0);
	assert_int_equal(accounts[1].box[0].n, 2);
	/* One connection and one opening for both jobs. */
	assert_int_equal(fake_events_count(&w.events, "open a"), 1);
	fake_events_in_order(&w.events, "mark spam 1:2", "remove 1:2");
}

static void test_learn_only(void **state)
{
	(void)state;
	w.conf->retention.learned = 0;
	w.output.output.expires = false;
	deliver(0, 0, 2);
	assert_int_equal(go(), 0);
	assert_int_equal(accounts[0].box[0].n, 2);
}

/* ---- the limit is shared ---- */

static void takes(int64_t max, int a0, int a1, int b0, int c0)
{
	const int want[] = {a0, a1, b0, c0};

	run.options.max = max;
	assert_int_equal(again(), 0);
	total(OUTCOME_LEARNED, (uint64_t)(a0 + a1 + b0 + c0));
	for (int i = 0; i < 4; i++) {
		struct fake_source *s = i < 2 ? &accounts[0].box[i] : &accounts[i - 1].box[0];
		int marked = 0;

		for (size_t j = 0; j < s->n; j++)
			marked += s->message[j].marks != 0;
		assert_int_equal(marked, want[i]);
		s->n = 0; /* the next case begins anew */
	}
}

static void test_shares(void **state)
{
	(void)state;
	accounts[0].account.n = 2;
	for (int i = 0; i < 6; i++) {
		deliver(0, 0, 10);
		deliver(0, 1, i == 2 ? 0 : 10);
		deliver(1, 0, 10);
		deliver(2, 0, 10);
		if (i == 0)
			takes(8, 2, 2, 2, 2);
		else if (i == 1)
			takes(9, 3, 2, 2, 2); /* what does not divide goes to the first */
		else if (i == 2)
			takes(8, 2, 0, 3, 3); /* what one does not use is the others' */
		else if (i == 3)
			takes(1, 1, 0, 0, 0);
		else if (i == 4)
			takes(0, 0, 0, 0, 0);
		else
			takes(-1, 10, 10, 10, 10);
	}
}

static void test_left(void **state)
{
	(void)state;
	deliver(0, 0, 10);
	deliver(1, 0, 1);
	deliver(2, 0, 10);
	run.options.max = 5;
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 5);
	left(16, false);
	fake_events_have(&w.events, "end a m0 left 8");
	fake_events_have(&w.events, "end b m0 left 0");
	fake_events_have(&w.events, "end c m0 left 8");
}

/* ---- what goes wrong ---- */

/* An account that cannot be reached is told once, and the others are not its hostages. */
static void test_unreachable(void **state)
{
	(void)state;
	for (int i = 0; i < ACCOUNTS; i++)
		deliver(i, 0, 1);
	accounts[1].refusals = -1;
	accounts[1].refusal = ERR_UNREACHABLE;
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 2);
	left(0, true); /* nobody knows how much is left there */
	assert_int_equal(fake_events_count(&w.events, "error"), 1);
	fake_events_have(&w.events, "error b 69: account b: no connection");
	assert_int_equal(w.output.output.status, 69);
	assert_int_equal(fake_events_count(&w.events, "connect b"), 1); /* never worked: once */
}

/* A password that was refused is not tried again, in either pass. */
static void test_refused(void **state)
{
	(void)state;
	for (int quorum = 1; quorum <= 2; quorum++) {
		w.conf->reports.quorum = quorum;
		accounts[1].refusals = -1;
		accounts[1].refusal = ERR_AUTH;
		assert_int_equal(again(), 0);
		assert_int_equal(fake_events_count(&w.events, "connect b"), 1);
		assert_int_equal(fake_events_count(&w.events, "error"), 1);
		assert_int_equal(w.output.output.status, 77);
		left(0, true);
	}
}

/* A mailbox that cannot be opened is an error of that mailbox. */
static void test_mailbox_fails(void **state)
{
	(void)state;
	accounts[0].account.n = 2;
	deliver(0, 1, 1);
	deliver(1, 0, 1);
	fake_fail(&accounts[0].box[0], FAIL_OPEN, ERR_MAILBOX, ERR_CONFIG);
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 2);
	fake_events_have(&w.events, "error a 78");
	assert_int_equal(w.output.output.status, 78);
	assert_int_equal(fake_events_count(&w.events, "connect a"), 2); /* and dis- */
}

/* The first error is the run's status, whatever comes behind it. */
static void test_first_status(void **state)
{
	(void)state;
	accounts[0].refusals = accounts[2].refusals = -1;
	accounts[0].refusal = ERR_CONFIG;
	accounts[2].refusal = ERR_UNREACHABLE;
	assert_int_equal(go(), 0);
	assert_int_equal(w.output.output.status, 78);
	assert_int_equal(fake_events_count(&w.events, "error"), 2);
}

/* A connection that breaks is made again, and the mailbox goes on where it was. */
static void test_breaks(void **state)
{
	(void)state;
	deliver(0, 0, 5);
	deliver(1, 0, 1);
	accounts[0].box[0].message[2].how = FAKE_BREAK;
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 6);
	left(0, false);
	fake_events_lack(&w.events, "error");
	assert_int_equal(w.output.output.status, 0);
	fake_events_in_order(&w.events, "close a; disconnect a; connect a", "end a m0");
	assert_int_equal(fake_events_count(&w.events, "end a m0"), 1);
}

/* A message that always breaks it costs some connections, and the next mailbox is learned. */
static void test_breaks_always(void **state)
{
	struct fake_source *s = &accounts[0].box[0];

	(void)state;
	accounts[0].account.n = 2;
	deliver(0, 0, 5);
	deliver(0, 1, 5);
	deliver(1, 0, 1);
	s->message[2].how = FAKE_BREAK;
	s->message[2].breaks = 1000;
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 10);
	total(OUTCOME_UNREADABLE, 1);
	left(0, false);
	fake_events_lack(&w.events, "error");
	assert_int_equal(fake_events_count(&w.events, "; connect a"), 2); /* and the first */
}

/* It broke and does not come back: an error of today, and what is left is said. */
static void test_breaks_for_good(void **state)
{
	(void)state;
	accounts[0].account.n = 2;
	deliver(0, 0, 5);
	deliver(1, 0, 1);
	fake_fail(&accounts[0].box[0], FAIL_LIST, ERR_SERVER, ERR_UNREACHABLE);
	list[0]->connected = true; /* once; then no more */
	accounts[0].refusal = ERR_UNREACHABLE;
	accounts[0].refusals = -1;
	assert_int_equal(go(), 0);
	/* Half a second before the first new connection, then twice as long; half of it by
	 * chance. */
	assert_in_range(clock_ms() - INT64_C(1000) * WORLD_NOW, 250 + 500 + 1000,
			500 + 1000 + 2000);
	fake_events_have(&w.events, "error a 75: account a: no connection");
	assert_int_equal(fake_events_count(&w.events, "; connect a"), RUN_RECONNECTS);
	fake_events_have(&w.events, "end a m0 left 0+");
	left(0, true);
	total(OUTCOME_LEARNED, 1);
	assert_int_equal(w.output.output.status, 75);
}

/* rspamd is lost: the run ends, nothing expires, and what was not looked at is said. */
static void test_fatal(void **state)
{
	(void)state;
	w.conf->retention.learned = 0;
	deliver(0, 0, 2);
	deliver(1, 0, 2);
	deliver(2, 0, 2);
	assert_int_equal(go(), 0);
	world_restart(&w);
	deliver(1, 0, 2);
	fake_answers(&w.rspamd, accounts[1].box[0].message[0].body, OUTCOME_UNANSWERED,
		     ANSWER_STOP, "no");
	fake_events_clear(&w.events);
	assert_int_equal(go(), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	fake_events_lack(&w.events, "connect c");
	fake_events_lack(&w.events, "remove");
	fake_events_have(&w.events, "end b m0 left 2");
	left(2, true);
}

/* ---- a quorum: two passes ---- */

static void test_quorum(void **state)
{
	(void)state;
	w.conf->reports.quorum = 2;
	w.conf->retention.learned = 0;
	fake_deliver(&accounts[0].box[0], "Return-Path: <x@x>\r\nSubject: s\r\n\r\ns\r\n",
		     WORLD_NOW);
	fake_deliver(&accounts[1].box[0], "Return-Path: <y@x>\r\nSubject: s\r\n\r\ns\r\n",
		     WORLD_NOW);
	assert_int_equal(go(), 0);
	total(OUTCOME_LEARNED, 1);
	total(OUTCOME_KNOWN, 1);
	assert_int_equal(w.rspamd.submits, 1);
	/* Over the same connections; nothing goes before everybody was heard. */
	assert_int_equal(fake_events_count(&w.events, "; connect a"), 0);
	assert_int_equal(fake_events_count(&w.events, "disconnect a"), 1);
	fake_events_in_order(&w.events, "connect c", "submit");
	fake_events_in_order(&w.events, "submit", "remove");
}

/* ---- reports that prove nothing ---- */

static void deliver_reports(int untrusted, int fine)
{
	struct fake_source *s = &accounts[0].box[0];
	char text[200];

	for (int i = 0; i < untrusted + fine; i++) {
		snprintf(text, sizeof text,
			 "Return-Path: <bob@%s>\r\nSubject: %d of %u\r\n\r\ntext\r\n",
			 i < untrusted ? "elsewhere" : "example.org", i, s->next);
		fake_deliver(s, text, WORLD_NOW);
	}
}

static void alarm_is(int untrusted, int fine, bool alarmed)
{
	deliver_reports(untrusted, fine);
	assert_int_equal(again(), 0);
	total(OUTCOME_UNTRUSTED, (uint64_t)untrusted);
	total(OUTCOME_LEARNED, (uint64_t)fine);
	if ((fake_events_count(&w.events, "error - 1: ") == 1) != alarmed)
		fail_msg("%d of %d", untrusted, untrusted + fine);
	assert_int_equal(w.output.output.status, alarmed ? 1 : 0);
}

static void test_untrusted(void **state)
{
	(void)state;
	trust_close(w.trust);
	w.conf->reports.senders = strdup("@example.org");
	w.trust = trust_open(&w.conf->reports, &e);
	assert_non_null(w.trust);
	accounts[0].box[0].source.proof = true;
	alarm_is(RUN_UNTRUSTED_MIN, 0, true);
	alarm_is(RUN_UNTRUSTED_MIN - 1, 0, false);
	alarm_is(4, 3, true);
	alarm_is(4, 4, false); /* not the most */
	alarm_is(0, 5, false);
	alarm_is(10, 1, true);
	fake_events_have(&w.events, "10 of 11 reports");
}

/* ---- the end ---- */

static void test_dead_ledger(void **state)
{
	(void)state;
	deliver(0, 0, 1);
	deliver(1, 0, 1);
	w.store.fail_commit = w.store.commits + 2;
	assert_int_equal(go(), -1);
	assert_string_equal(e.text, "the disk is full");
	fake_events_lack(&w.events, "mark ");
	fake_events_lack(&w.events, "connect b");
	left(1, true);
}

/* ---- before it begins ---- */

/* What may go at most: by the policy, and by --max where that is less. */
static void begins_with(int64_t max, int per_run, int64_t left)
{
	run = (struct run){.options.max = max,
			   .conf = w.conf,
			   .output = &w.output.output,
			   .ledger = w.ledger,
			   .rspamd = &w.rspamd.rspamd};
	w.conf->retention.max_per_run = per_run;
	assert_int_equal(run_begin(&run, &e), 0);
	assert_int_equal(run.expire.left, left);
	assert_true(run.expire.policy == &w.conf->retention && !run.expire.dry_run);
	assert_int_equal(run.pipeline != NULL, w.output.output.learns);
	pipeline_free(run.pipeline);
	trust_close(run.trust);
}

static void test_begin(void **state)
{
	(void)state;
	begins_with(-1, 100, 100);
	begins_with(0, 100, 0);
	begins_with(99, 100, 99);
	begins_with(100, 100, 100);
	begins_with(101, 100, 100);
	w.output.output.learns = false;
	begins_with(-1, 7, 7);
	assert_int_equal(w.rspamd.stats, 5); /* who does not learn does not ask */
}

static void test_begin_fails(void **state)
{
	(void)state;
	run = (struct run){.conf = w.conf,
			   .output = &w.output.output,
			   .ledger = w.ledger,
			   .rspamd = &w.rspamd.rspamd};
	err_set(&w.rspamd.stat_fails, ERR_FATAL, ERR_AUTH, "wrong password");
	assert_int_equal(run_begin(&run, &e), -1);
	assert_string_equal(e.text, "wrong password");
	assert_null(run.pipeline);
	w.rspamd.stat_fails.scope = ERR_NONE;
	w.store.fail_call = 1;
	assert_int_equal(run_begin(&run, &e), -1);
	assert_string_equal(e.text, "the disk is broken");
	w.store.fail_call = 0;
}

/* Marks are believed only where the ledger says so: of earlier runs that it knows nothing of.
 */
static void test_begin_marks(void **state)
{
	(void)state;
	fake_deliver(&accounts[0].box[0], NULL, WORLD_NOW - 100)->marks = FAKE_MARK_SPAM;
	run = (struct run){.options.max = -1,
			   .conf = w.conf,
			   .output = &w.output.output,
			   .ledger = w.ledger,
			   .accounts = {.account = list, .n = ACCOUNTS},
			   .rspamd = &w.rspamd.rspamd};
	assert_int_equal(run_begin(&run, &e), 0);
	assert_int_equal(run_all(&run, &e), 0);
	pipeline_free(run.pipeline);
	trust_close(run.trust);
	total(OUTCOME_KNOWN, 1);
	assert_int_equal(w.rspamd.submits, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_all),
	    TEST(test_wanted),
	    TEST(test_learn_and_expire),
	    TEST(test_learn_only),
	    TEST(test_shares),
	    TEST(test_left),
	    TEST(test_unreachable),
	    TEST(test_refused),
	    TEST(test_mailbox_fails),
	    TEST(test_first_status),
	    TEST(test_breaks),
	    TEST(test_breaks_always),
	    TEST(test_breaks_for_good),
	    TEST(test_fatal),
	    TEST(test_quorum),
	    TEST(test_untrusted),
	    TEST(test_dead_ledger),
	    TEST(test_begin),
	    TEST(test_begin_fails),
	    TEST(test_begin_marks),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
