/*
 * backlog.c: of every record that a mailbox can have, in which set it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "fake/source.h"
#include "fake/store.h"
#include "learn/backlog.h"

enum { NOW = 100000 };

static struct fake_store store;
static struct ledger *ledger;
static struct source src;
static struct record_mailbox box = {
    .number = 4, .identity = 9, .next = 100, .high_next = 100, .version = 50};
static struct backlog b;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_store_init(&store, NULL);
	ledger = ledger_over(&store.store, LEDGER_WRITE, &e);
	src = (struct source){.identity = 9, .next = 100, .version = 50, .hold = 1000};
	b = (struct backlog){.todo = {0}};
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	backlog_free(&b);
	ledger_close(ledger);
	fake_store_free(&store);
	return 0;
}

static void put(uint32_t id, enum record_state state, enum outcome outcome, bool has_content,
		int64_t verdict_at)
{
	struct record_message r = {
	    .state = state, .outcome = outcome, .class = CLASS_HAM, .verdict_at = verdict_at};

	if (has_content)
		memset(r.digest.bytes, 7, DIGEST_SIZE);
	assert_int_equal(ledger_message_put(ledger, &box, id, &r, &e), 0);
}

static void read_it(void)
{
	backlog_free(&b);
	b = (struct backlog){.todo = {0}};
	assert_int_equal(backlog_read(ledger, &box, &src, NOW, &b, &e), 0);
}

static void sets(const char *todo, const char *held, const char *aside, const char *doubtful)
{
	assert_string_equal(fake_ranges(&b.todo), todo);
	assert_string_equal(fake_ranges(&b.held), held);
	assert_string_equal(fake_ranges(&b.aside), aside);
	assert_string_equal(fake_ranges(&b.doubtful), doubtful);
}

/* Where each state with each outcome ends; '.' is nowhere. */
static char place_of(enum record_state s, enum outcome o, bool has_content, bool due,
		     bool changed)
{
	if (s == STATE_SUBMITTED)
		return 't';
	if (s != STATE_PENDING)
		return '.';
	switch (o) {
	case OUTCOME_HELD:
		return has_content ? 'h' : due ? 't' : '.';
	case OUTCOME_UNREAD:
		return changed ? 't' : '.';
	case OUTCOME_UNREADABLE:
		return 'a';
	default:
		return 't';
	}
}

static void check_one(int s, int o, int how)
{
	bool has_content = how & 1, due = how & 2, changed = how & 4;
	char want = place_of((enum record_state)s, (enum outcome)o, has_content, due, changed);
	bool waits = s == STATE_PENDING && (want == '.' || want == 'h' || want == 'a');

	put(5, (enum record_state)s, (enum outcome)o, has_content,
	    due ? NOW - 1000 : NOW - 999);
	src.version = changed ? 51 : 50;
	read_it();
	sets(want == 't' ? "5" : "-", want == 'h' ? "5" : "-", want == 'a' ? "5" : "-",
	     s == STATE_SETTLED || want == 'h' || (changed && s > STATE_SETTLED) ? "5" : "-");
	assert_string_equal(fake_ranges(&b.known), "5");
	/* Only what nobody will look at in this run is counted as waiting. */
	assert_int_equal(b.waiting.outcome[o], waits && want == '.');
}

static void test_every_record(void **state)
{
	(void)state;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++)
			for (int how = 0; how < 8; how++)
				check_one(s, o, how);
}

/* A source that keeps no version may always have changed; hold that is never over. */
static void test_no_version_no_end(void **state)
{
	(void)state;
	put(5, STATE_PENDING, OUTCOME_UNREAD, false, 1);
	put(6, STATE_PENDING, OUTCOME_HELD, false, 1);
	src.version = 0;
	read_it();
	sets("5:6", "-", "-", "-");
	box.version = 0; /* nor did it before */
	read_it();
	sets("5:6", "-", "-", "-");
	box.version = src.version = 1;
	read_it();
	sets("6", "-", "-", "-");
	src.version = 0;
	src.hold = CONF_NEVER;
	read_it();
	sets("5", "-", "-", "-");
	assert_int_equal(b.waiting.outcome[OUTCOME_HELD], 1);
	box.version = 50;
}

/* Where messages have come, the newest of the known are compared: not more than so many. */
static void test_newest(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 40; id++)
		put(id, id % 2 ? STATE_MARKED : STATE_PENDING, OUTCOME_NONE, false, 1);
	read_it();
	assert_string_equal(fake_ranges(&b.doubtful), "-");
	src.next = 101;
	read_it();
	assert_int_equal(ranges_count(&b.doubtful), BACKLOG_NEWEST);
	for (uint32_t id = 1; id <= 40; id++)
		assert_int_equal(ranges_has(&b.doubtful, id), id % 2 && id >= 9);
	assert_int_equal(ranges_count(&b.known), 40);
	src.next = 0; /* it does not say */
	read_it();
	assert_int_equal(ranges_count(&b.doubtful), BACKLOG_NEWEST);
}

static void test_few_newest(void **state)
{
	(void)state;
	put(3, STATE_MARKED, OUTCOME_LEARNED, true, 1);
	put(UINT32_MAX, STATE_PURGING, OUTCOME_LEARNED, true, 1);
	src.next = 101;
	read_it();
	sets("-", "-", "-", "3,4294967295");
}

/* ---- what is new ---- */

static void is_new(uint32_t first, uint32_t last, const char *want)
{
	struct ranges found = {0}, todo = {0};

	assert_int_equal(ranges_add(&found, first, last, &e), 0);
	assert_int_equal(ranges_add(&found, 500, 501, &e), 0);
	assert_int_equal(backlog_new(ledger, &box, &found, &todo, &e), 0);
	assert_string_equal(fake_ranges(&todo), want);
	ranges_free(&found);
	ranges_free(&todo);
}

static void test_new(void **state)
{
	struct ranges none = {0}, todo = {0};

	(void)state;
	assert_int_equal(backlog_new(ledger, &box, &none, &todo, &e), 0);
	assert_string_equal(fake_ranges(&todo), "-");
	is_new(1, 10, "1:10,500:501");
	put(3, STATE_MARKED, OUTCOME_LEARNED, true, 1);
	put(5, STATE_PENDING, OUTCOME_NONE, true, 1);
	put(6, STATE_PENDING, OUTCOME_NONE, true, 1);
	put(10, STATE_PENDING, OUTCOME_NONE, true, 1);
	is_new(1, 10, "1:2,4,7:9,500:501");
	is_new(3, 3, "500:501");
	is_new(5, 6, "500:501");
	is_new(4, 7, "4,7,500:501");
	put(UINT32_MAX, STATE_MARKED, OUTCOME_NONE, true, 1);
	is_new(UINT32_MAX - 1, UINT32_MAX, "500:501,4294967294");
}

static void test_ledger_fails(void **state)
{
	struct ranges found = {0}, todo = {0};

	(void)state;
	put(3, STATE_MARKED, OUTCOME_LEARNED, true, 1);
	for (unsigned n = 1; n <= 2; n++) {
		store.fail_call = n;
		backlog_free(&b);
		b = (struct backlog){.todo = {0}};
		assert_int_equal(backlog_read(ledger, &box, &src, NOW, &b, &e), -1);
		assert_string_equal(e.text, "the disk is broken");
	}
	store.fail_call = 1;
	assert_int_equal(ranges_add(&found, 1, 9, &e), 0);
	assert_int_equal(backlog_new(ledger, &box, &found, &todo, &e), -1);
	ranges_free(&found);
	ranges_free(&todo);
}

static unsigned asked;

static int say_decided(struct source *s, struct ranges *found, struct err *err)
{
	(void)s;
	asked++;
	return ranges_add(found, 3, 6, err);
}

/* What nobody had decided about, and somebody has now, is looked at again; nothing else is, and
 * nobody is asked where nothing has changed. */
static void test_decided(void **state)
{
	static const struct source_ops ops = {.decided = say_decided};
	struct record_message r;

	(void)state;
	src.ops = &ops;
	src.decided = true;
	for (uint32_t id = 1; id <= 4; id++)
		put(id, STATE_MARKED, OUTCOME_UNDECIDED, false, 5);
	put(5, STATE_MARKED, OUTCOME_LEARNED, true, 5);
	put(6, STATE_PENDING, OUTCOME_HELD, true, 5);
	asked = 0;
	assert_int_equal(backlog_decided(ledger, &box, &src, NOW, &e), 0);
	assert_int_equal(asked, 0);
	src.version = 51;
	assert_int_equal(backlog_decided(ledger, &box, &src, NOW, &e), 0);
	assert_int_equal(asked, 1);
	read_it();
	assert_string_equal(fake_ranges(&b.todo), "3:4");
	for (uint32_t id = 1; id <= 6; id++) {
		assert_int_equal(ledger_message(ledger, &box, id, &r, &e), 1);
		assert_int_equal(r.state == STATE_PENDING, id == 3 || id == 4 || id == 6);
	}
	src.decided = false;
	assert_int_equal(backlog_decided(ledger, &box, &src, NOW, &e), 0);
	assert_int_equal(asked, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_every_record), TEST(test_no_version_no_end),
	    TEST(test_newest),	     TEST(test_few_newest),
	    TEST(test_new),	     TEST(test_ledger_fails),
	    TEST(test_decided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
