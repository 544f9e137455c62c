/*
 * box.c: is the source still what it was, how far was it ever seen, and is a message the one
 * that the record is about?
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
#include "fake/store.h"
#include "learn/box.h"
#include "learn/compare.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct fake_events events;
static struct fake_store store;
static struct ledger *ledger;
static struct source src;
static struct record_mailbox box;
static struct err e;

static int setup(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	fake_store_init(&store, &events);
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	assert_int_equal(ledger_commit(ledger, &e), 0);
	fake_events_clear(&events);
	src = (struct source){.account = "a",
			      .mailbox = "m",
			      .identity = 9,
			      .next = 100,
			      .version = 50,
			      .is_open = true};
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	fake_store_free(&store);
	return 0;
}

static enum box_state load(void)
{
	enum box_state s;

	assert_int_equal(box_load(ledger, &src, &box, &s, &e), 0);
	return s;
}

static void put(const struct record_mailbox *r)
{
	assert_int_equal(ledger_mailbox_put(ledger, "a", "m", r, &e), 0);
	assert_int_equal(ledger_commit(ledger, &e), 0);
	fake_events_clear(&events);
}

static const struct record_mailbox seen = {.number = 4,
					   .identity = 9,
					   .next = 90,
					   .high_next = 100,
					   .version = 40,
					   .high_version = 50,
					   .left = 7,
					   .whole = true,
					   .passed = true};

static void test_state(void **state)
{
	static const struct {
		uint32_t identity, next;
		uint64_t version;
		enum box_state state;
	} now[] =
	    {
		{9, 100, 50, BOX_SAME},	    {9, 101, 51, BOX_SAME},
		{9, 99, 50, BOX_RESTORED},  {9, 100, 49, BOX_RESTORED},
		{9, 95, 60, BOX_RESTORED}, /* above the last whole run, below what was seen */
		{9, 101, 45, BOX_RESTORED}, {9, 0, 50, BOX_SAME},
		{9, 100, 0, BOX_SAME},	    {9, 0, 0, BOX_SAME}, /* it does not say */
		{8, 100, 50, BOX_REPLACED}, {10, 200, 90, BOX_REPLACED},
		{10, 1, 1, BOX_REPLACED},
	    };

	(void)state;
	assert_int_equal(load(), BOX_NEW);
	put(&seen);
	for (size_t i = 0; i < COUNT(now); i++) {
		src.identity = now[i].identity;
		src.next = now[i].next;
		src.version = now[i].version;
		if (load() != now[i].state)
			fail_msg("%zu", i);
		assert_int_equal(box.left, 7);
	}
	fake_events_are(&events, ""); /* a look changes nothing */
}

/* From the beginning: what was known of its messages is gone, and that is durable. */
static void test_begin(void **state)
{
	struct record_message r = {.state = STATE_MARKED};
	struct record_mailbox old = seen;

	(void)state;
	put(&seen);
	for (uint32_t identity = 8; identity < 11; identity++) {
		old.identity = identity;
		assert_int_equal(ledger_message_put(ledger, &old, 5, &r, &e), 0);
	}
	src.identity = 10;
	src.next = 30;
	src.version = 20;
	assert_int_equal(load(), BOX_REPLACED);
	assert_int_equal(box_begin(ledger, &src, &box, &e), 0);
	assert_false(store.dirty);
	assert_int_equal(load(), BOX_SAME);
	assert_int_equal(box.number, 4);
	assert_int_equal(box.identity, 10);
	assert_int_equal(box.next, 1);
	assert_int_equal(box.high_next, 30);
	assert_true(box.high_version == 20 && box.version == 0);
	assert_int_equal(box.left, 0);
	assert_true(box.whole);	  /* this ledger knew it: marks say nothing new */
	assert_false(box.passed); /* but not these messages */
	for (uint32_t identity = 8; identity < 11; identity++) {
		old.identity = identity;
		assert_int_equal(ledger_message(ledger, &old, 5, &r, &e), 0);
	}
}

/* Seen is seen, whether or not the run comes to its end. */
static void test_note_high(void **state)
{
	(void)state;
	put(&seen);
	assert_int_equal(load(), BOX_SAME);
	assert_int_equal(box_note_high(ledger, &src, &box, &e), 0);
	fake_events_are(&events, ""); /* nothing new: nothing is written */
	src.next = 120;
	src.version = 0;
	assert_int_equal(box_note_high(ledger, &src, &box, &e), 0);
	fake_events_are(&events, "commit; ");
	assert_int_equal(load(), BOX_SAME);
	assert_int_equal(box.high_next, 120);
	assert_true(box.high_version == 50);
	assert_int_equal(box.next, 90); /* not further than it came */
	src.next = 0;
	src.version = 70;
	assert_int_equal(box_note_high(ledger, &src, &box, &e), 0);
	assert_int_equal(load(), BOX_SAME);
	assert_int_equal(box.high_next, 120);
	assert_true(box.high_version == 70 && box.version == 40);
	src.version = 69;
	assert_int_equal(load(), BOX_RESTORED);
}

static void end(bool complete, uint64_t left, const char *want)
{
	fake_events_clear(&events);
	assert_int_equal(box_end(ledger, &src, &box, complete, left, &e), 0);
	fake_events_are(&events, want);
	assert_false(store.dirty);
}

static void test_end(void **state)
{
	struct record_mailbox fresh = {.identity = 9, .next = 1};

	(void)state;
	put(&fresh);
	(void)load();
	end(false, 3, "commit; ");
	assert_true(!box.whole && !box.passed && box.next == 1 && box.left == 3);
	end(false, 3, "");
	end(true, 0, "commit; ");
	assert_true(box.whole && box.passed && box.next == 100 && box.left == 0);
	assert_true(box.version == 50);
	end(true, 0, "");
	src.version = 51;
	end(true, 0, "commit; ");
	src.next = 101;
	end(true, 0, "commit; ");
	src.next = 0; /* it does not say: where it was */
	end(true, 0, "");
	assert_int_equal(box.next, 101);
	src.version = 90; /* changed, and not gone through */
	end(false, 1, "commit; ");
	assert_true(box.version == 51 && box.passed && box.left == 1);
	end(false, UINT64_C(1) << 32, "commit; ");
	assert_int_equal(box.left, UINT32_MAX);
	(void)load();
	assert_int_equal(box.left, UINT32_MAX);
}

static void test_is_same(void **state)
{
	static const struct {
		struct record_stamp was, is;
		bool marked, same;
	} sights[] = {
	    {{10, 20}, {10, 20}, false, true},
	    {{10, 20}, {11, 20}, true, false},
	    {{10, 20}, {10, 21}, true, false},
	    {{10, 20}, {0, 20}, false, true},
	    {{10, 20}, {0, 21}, true, false},
	    {{10, 0}, {10, 20}, false, true},
	    {{10, 20}, {10, 0}, false, true},
	    {{10, 20}, {11, 0}, true, false},
	    {{10, 0}, {11, 20}, true, false},
	    {{0, 20}, {10, 20}, false, true},
	    {{0, 20}, {10, 21}, true, false},
	    {{0, 20}, {0, 20}, false, true},
	    {{0, 20}, {0, 21}, true, false},
	    {{10, -1}, {10, -2}, true, false},
	    /* Nothing to compare: then the mark has to be there. */
	    {{0, 0}, {10, 20}, true, true},
	    {{0, 0}, {10, 20}, false, false},
	    {{10, 20}, {0, 0}, true, true},
	    {{10, 20}, {0, 0}, false, false},
	    {{10, 0}, {0, 20}, true, true},
	    {{10, 0}, {0, 20}, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sights); i++) {
		const struct record_message r = {.stamp = sights[i].was};
		const struct source_sight s = {.stamp = sights[i].is,
					       .marks = sights[i].marked};

		if (compare_is_same(&r, &s) != sights[i].same)
			fail_msg("%zu", i);
	}
}

static void test_ledger_fails(void **state)
{
	enum box_state s;

	(void)state;
	put(&seen);
	store.fail_call = 1;
	assert_int_equal(box_load(ledger, &src, &box, &s, &e), -1);
	assert_string_equal(e.text, "the disk is broken");
	(void)load();
	src.next = 200;
	store.fail_commit = store.commits + 1;
	assert_int_equal(box_note_high(ledger, &src, &box, &e), -1);
	assert_string_equal(e.text, "the disk is full");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_state), TEST(test_begin),	  TEST(test_note_high),
	    TEST(test_end),   TEST(test_is_same), TEST(test_ledger_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
