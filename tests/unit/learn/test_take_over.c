/*
 * take_over.c: what another program trained is known, and nothing else is touched.
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
#include "fake/source.h"
#include "fake/store.h"
#include "learn/take_over.h"

static struct fake_events events;
static struct fake_store store;
static struct fake_source src;
static struct ledger *ledger;
static struct ranges ids;
static uint64_t settled, gone;
static struct err e;

static int setup(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	fake_store_init(&store, &events);
	fake_source_init(&src, "a", "m", CLASS_HAM, &events);
	src.dirty = &store.dirty;
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	for (int64_t i = 1; i <= 6; i++)
		fake_deliver(&src, NULL, i * 10);
	fake_expunge(&src, 3);
	assert_int_equal(ranges_add(&ids, 2, 4, &e), 0);
	assert_int_equal(ranges_add(&ids, 900, 900, &e), 0);
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ranges_free(&ids);
	fake_source_free(&src);
	ledger_close(ledger);
	fake_store_free(&store);
	return 0;
}

static struct record_mailbox box(void)
{
	struct record_mailbox b;
	bool known;

	assert_int_equal(ledger_mailbox(ledger, "a", "m", &b, &known, &e), 0);
	return b;
}

static int look(uint32_t id, struct record_message *r)
{
	struct record_mailbox b = box();

	return ledger_message(ledger, &b, id, r, &e);
}

static int take(void)
{
	int rc;

	src.source.is_open = false;
	rc = take_over(ledger, &src.source, &ids, &settled, &gone, &e);
	return rc;
}

/* Those that are there are settled, with what tells them apart from others; no more. */
static void test_known(void **state)
{
	struct record_message r;

	(void)state;
	assert_int_equal(take(), 0);
	assert_int_equal(settled, 2);
	assert_int_equal(gone, 2);
	for (uint32_t id = 2; id <= 4; id += 2) {
		assert_int_equal(look(id, &r), 1);
		assert_int_equal(r.state, STATE_SETTLED);
		assert_int_equal(r.outcome, OUTCOME_KNOWN);
		assert_int_equal(r.class, CLASS_HAM);
		assert_int_equal(r.verdict_at, id * 10);
		assert_int_equal(r.stamp.date, id * 10);
		assert_true(r.stamp.size > 0);
		assert_false(record_has_digest(&r));
	}
	assert_int_equal(look(1, &r), 0);
	assert_int_equal(look(3, &r), 0);
	assert_int_equal(box().identity, src.identity);
	assert_int_equal(box().next, 1);
	assert_false(box().whole);
}

/* Again: nothing; and what a run has recorded stays as it is. */
static void test_again(void **state)
{
	struct record_message r = {
	    .state = STATE_PENDING, .outcome = OUTCOME_FAILED, .class = CLASS_HAM};
	struct record_mailbox b;

	(void)state;
	assert_int_equal(take(), 0);
	b = box();
	assert_int_equal(ledger_message_put(ledger, &b, 4, &r, &e), 0);
	assert_int_equal(take(), 0);
	assert_int_equal(settled, 0);
	assert_int_equal(look(4, &r), 1);
	assert_int_equal(r.outcome, OUTCOME_FAILED);
	assert_int_equal(look(2, &r), 1);
}

/* An error of the source is the caller's. */
static void test_fails(void **state)
{
	static const int calls[] = {FAIL_OPEN, FAIL_LIST, FAIL_LOOK};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fake_fail(&src, calls[i], ERR_SERVER, ERR_TEMPORARY);
		assert_int_equal(take(), -1);
		assert_int_equal(e.kind, ERR_TEMPORARY);
	}
	assert_int_equal(take(), 0);
	assert_int_equal(settled, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_known, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
