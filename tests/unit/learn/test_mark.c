/*
 * mark.c: each settled message gets the mark of its class and outcome, and is recorded as
 * marked, or as one that could bear none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "fake/output.h"
#include "fake/source.h"
#include "fake/store.h"
#include "learn/mark.h"

static struct fake_events events;
static struct fake_store store;
static struct fake_source src;
static struct fake_output output;
static struct ledger *ledger;
static const struct record_mailbox box = {.number = 4, .identity = 9};
static struct err e;

static int setup(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	fake_store_init(&store, &events);
	fake_source_init(&src, "a", "m", CLASS_SPAM, &events);
	fake_output_init(&output, &events);
	src.dirty = &store.dirty;
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fake_source_free(&src);
	ledger_close(ledger);
	fake_store_free(&store);
	return 0;
}

static void put(uint32_t id, enum record_state state, enum outcome outcome,
		enum mail_class class)
{
	struct record_message r = {.state = state, .outcome = outcome, .class = class};

	assert_int_equal(ledger_message_put(ledger, &box, id, &r, &e), 0);
}

static struct record_message get(uint32_t id)
{
	struct record_message r;

	assert_int_equal(ledger_message(ledger, &box, id, &r, &e), 1);
	return r;
}

static int mark(void)
{
	assert_int_equal(ledger_commit(ledger, &e), 0);
	assert_int_equal(source_open(&src.source, false, &e), 0);
	fake_events_clear(&events);
	return mark_settled(ledger, &src.source, &box, &output.output, &e);
}

/*
 * One message of each class and outcome; what is learned or known bears its class, and what no
 * person decided about (17 and 34) bears nothing.
 */
static void test_kinds(void **state)
{
	uint32_t id = 0;

	(void)state;
	for (int class = CLASS_SPAM; class <= CLASS_HAM; class ++)
		for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
			put(++id, STATE_SETTLED, (enum outcome)o, (enum mail_class) class);
	for (uint32_t i = 0; i < id; i++)
		fake_deliver(&src, NULL, 1);
	assert_int_equal(mark(), 0);
	fake_events_are(&events,
			"mark spam 1:2; commit; marked 2 spam; "
			"mark ham 18:19; commit; marked 2 ham; "
			"mark skipped 3:16,20:33; commit; marked 28 skipped; commit; ");
	for (uint32_t i = 1; i <= id; i++) {
		assert_int_equal(get(i).state, STATE_MARKED);
		assert_int_equal(get(i).bare, i == 17 || i == 34);
	}
	assert_int_equal(mark(), 0);
	fake_events_are(&events, "");
}

/* Only what is settled. */
static void test_states(void **state)
{
	(void)state;
	for (int s = 0; s < STATES; s++) {
		put((uint32_t)s + 1, (enum record_state)s, OUTCOME_LEARNED, CLASS_SPAM);
		fake_deliver(&src, NULL, 1);
	}
	assert_int_equal(mark(), 0);
	fake_events_are(&events, "mark spam 3; commit; marked 1 spam; ");
	for (int s = 0; s < STATES; s++)
		assert_int_equal(get((uint32_t)s + 1).state,
				 s == STATE_SETTLED ? STATE_MARKED : s);
}

/* A thousand at a time, each recorded before the next. */
static void test_chunks(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 2500; id++)
		put(id, STATE_SETTLED, OUTCOME_LEARNED, CLASS_SPAM);
	put(UINT32_MAX, STATE_SETTLED, OUTCOME_LEARNED, CLASS_SPAM);
	assert_int_equal(mark(), 0);
	fake_events_are(&events, "mark spam 1:1000; commit; mark spam 1001:2000; commit; "
				 "mark spam 2001:2500,4294967295; commit; marked 2501 spam; ");
}

static void test_bare(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		put(1, STATE_SETTLED, OUTCOME_LEARNED, CLASS_SPAM);
		src.can_mark = how != 0;
		src.holds_none = how == 1;
		src.server_read_only = how == 2;
		assert_int_equal(mark(), 0);
		assert_int_equal(fake_events_count(&events, "mark spam"), how == 1);
		assert_int_equal(get(1).state, STATE_MARKED);
		assert_true(get(1).bare);
	}
}

/* It fails at the second chunk: the first is recorded, the rest is the next run's. */
static void test_fails(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 1500; id++)
		put(id, STATE_SETTLED, OUTCOME_LEARNED, CLASS_HAM);
	fake_fail(&src, FAIL_MARK, ERR_SERVER, ERR_UNREACHABLE);
	src.fail_after = 1;
	assert_int_equal(mark(), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	fake_events_lack(&events, "marked");
	assert_false(store.dirty);
	assert_int_equal(get(1000).state, STATE_MARKED);
	assert_int_equal(get(1001).state, STATE_SETTLED);
	assert_int_equal(mark(), 0);
	fake_events_are(&events, "mark ham 1001:1500; commit; marked 500 ham; ");
}

static void test_ledger_fails(void **state)
{
	(void)state;
	put(1, STATE_SETTLED, OUTCOME_LEARNED, CLASS_SPAM);
	put(2, STATE_SETTLED, OUTCOME_LEARNED, CLASS_HAM);
	store.fail_commit = store.commits + 2; /* the one behind the first mark */
	assert_int_equal(mark(), -1);
	assert_string_equal(e.text, "the disk is full");
	fake_events_are(&events, "mark spam 1; commit failed; ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_kinds), TEST(test_states), TEST(test_chunks),
	    TEST(test_bare),  TEST(test_fails),	 TEST(test_ledger_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
