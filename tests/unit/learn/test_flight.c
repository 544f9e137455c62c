/*
 * flight.c: what is staged and what is sent, in bounded memory, over an rspamd that answers
 * late and in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/rspamd.h"
#include "learn/flight.h"

enum { SLOTS = 4, BYTES = 100 };

static struct fake_events events;
static struct fake_rspamd rspamd;
static struct flight *flight;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_events_clear(&events);
	fake_rspamd_init(&rspamd, SLOTS, &events);
	flight = flight_new(&rspamd.rspamd, BYTES);
	return flight ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	flight_free(flight);
	return 0;
}

/* A message of size bytes, its number in its content and in its digest. */
static struct flight_item item(uint32_t id, size_t size)
{
	struct flight_item i = {.id = id, .class = CLASS_HAM, .verdict_at = id * 10};
	char head[16];

	memset(i.info.digest.bytes, (int)id, DIGEST_SIZE);
	snprintf(head, sizeof head, "m%u", id);
	buf_init(&i.body, 1000);
	assert_int_equal(buf_adds(&i.body, head), 0);
	while (i.body.len < size)
		assert_int_equal(buf_adds(&i.body, "x"), 0);
	return i;
}

static void stage(uint32_t id, size_t size)
{
	struct flight_item i = item(id, size);

	assert_true(flight_has_room(flight, size));
	flight_stage(flight, &i);
	assert_null(i.body.data); /* it is the flight's now */
}

static void counts(size_t staged, size_t sent)
{
	assert_int_equal(flight_staged(flight), staged);
	assert_int_equal(flight_sent(flight), sent);
}

static bool has(uint32_t id)
{
	struct digest d;

	memset(d.bytes, (int)id, DIGEST_SIZE);
	return flight_has(flight, &d);
}

/* The next answer's message; 0: none. */
static uint32_t answered(void)
{
	struct flight_item i;
	struct answer a;

	if (!flight_answer(flight, &i, &a))
		return 0;
	assert_null(i.body.data);
	assert_int_equal(a.outcome, OUTCOME_LEARNED);
	assert_int_equal(i.class, CLASS_HAM);
	assert_true(i.verdict_at == i.id * 10);
	return i.id;
}

static void test_the_way(void **state)
{
	(void)state;
	counts(0, 0);
	assert_int_equal(flight_send(flight, &e), 0); /* nothing: fine */
	stage(1, 10);
	stage(2, 10);
	counts(2, 0);
	fake_events_are(&events, "");
	assert_int_equal(answered(), 0);
	assert_true(has(1) && has(2) && !has(3));
	assert_int_equal(flight_send(flight, &e), 0);
	counts(0, 2);
	fake_events_are(&events, "submit ham m1xxxxxxxx; submit ham m2xxxxxxxx; ");
	assert_true(has(1) && has(2));
	assert_int_equal(flight_send(flight, &e), 0); /* not twice */
	assert_int_equal(rspamd.submits, 2);
	assert_int_equal(answered(), 1);
	counts(0, 1);
	assert_true(!has(1) && has(2));
	assert_int_equal(answered(), 2);
	assert_int_equal(answered(), 0);
	counts(0, 0);
}

/* As many as connections, as many bytes; but one is always allowed. */
static void test_room(void **state)
{
	(void)state;
	assert_true(flight_has_room(flight, 1000 * BYTES));
	stage(1, 60);
	assert_true(flight_has_room(flight, BYTES - 60));
	assert_false(flight_has_room(flight, BYTES - 60 + 1));
	stage(2, BYTES - 60);
	assert_true(flight_has_room(flight, 0));
	assert_false(flight_has_room(flight, 1));
	assert_int_equal(flight_send(flight, &e), 0);
	assert_false(flight_has_room(flight, 1)); /* what is sent still takes its room */
	assert_int_equal(answered(), 1);
	assert_true(flight_has_room(flight, 60));
	assert_false(flight_has_room(flight, 61));
	assert_int_equal(answered(), 2);
	for (uint32_t id = 1; id <= SLOTS; id++)
		stage(id, 2);
	assert_false(flight_has_room(flight, 0));
}

static void test_large_alone(void **state)
{
	(void)state;
	stage(1, 500);
	assert_false(flight_has_room(flight, 0));
	assert_int_equal(flight_send(flight, &e), 0);
	assert_int_equal(answered(), 1);
	assert_true(flight_has_room(flight, 500));
}

/* Answers come in any order, each to its message. */
static void test_any_order(void **state)
{
	static const uint32_t want[2][SLOTS] = {{1, 2, 3, 4}, {4, 3, 2, 1}};

	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		rspamd.backwards = backwards;
		rspamd.delay = 2;
		for (uint32_t id = 1; id <= SLOTS; id++)
			stage(id, 5);
		assert_int_equal(flight_send(flight, &e), 0);
		assert_int_equal(answered(), 0);
		flight_wait(flight, NULL, 5);
		flight_wait(flight, NULL, 5);
		for (int i = 0; i < SLOTS; i++)
			assert_int_equal(answered(), want[backwards][i]);
		counts(0, 0);
	}
}

/* rspamd's copy begins where the collection's own fields end; and whom it is for. */
static void test_original(void **state)
{
	struct flight_item i = item(7, 20);

	(void)state;
	i.original = 15;
	snprintf(i.deliver_to, sizeof i.deliver_to, "alice@x");
	flight_stage(flight, &i);
	assert_int_equal(flight_send(flight, &e), 0);
	fake_events_are(&events, "submit ham xxxxx; ");
	assert_string_equal(rspamd.deliver_to, "alice@x");
	assert_int_equal(answered(), 7);
	stage(8, 5);
	assert_int_equal(flight_send(flight, &e), 0);
	assert_string_equal(rspamd.deliver_to, "-"); /* nobody in particular */
}

/* What was not sent can be given up; what was sent cannot. */
static void test_unstage(void **state)
{
	struct flight_item i;
	struct answer a;

	(void)state;
	assert_false(flight_unstage(flight, &i));
	rspamd.delay = -1;
	stage(1, 5);
	assert_int_equal(flight_send(flight, &e), 0);
	stage(2, 5);
	stage(3, 5);
	assert_true(flight_unstage(flight, &i));
	assert_int_equal(i.id, 2);
	assert_null(i.body.data);
	assert_true(flight_unstage(flight, &i));
	assert_int_equal(i.id, 3);
	assert_false(flight_unstage(flight, &i));
	counts(0, 1);
	assert_false(flight_answer(flight, &i, &a));
}

/* A part was sent when it fails: the others are still staged. */
static void test_send_fails(void **state)
{
	struct flight_item i;

	(void)state;
	stage(1, 5);
	stage(2, 5);
	err_set(&rspamd.submit_fails, ERR_FATAL, ERR_LOCAL, "no");
	assert_int_equal(flight_send(flight, &e), -1);
	assert_string_equal(e.text, "no");
	counts(2, 0);
	assert_true(flight_unstage(flight, &i));
	rspamd.submit_fails.scope = ERR_NONE;
	assert_int_equal(flight_send(flight, &e), 0);
	counts(0, 1);
	assert_int_equal(answered(), 2);
}

/* A wait names what it waits for besides rspamd, and never lasts longer than either says. */
static int waits, last_ms;

static void note_wait(struct rspamd *r, int fd, short what, int ms)
{
	(void)r;
	waits = waits * 1000 + fd * 100 + what;
	last_ms = ms;
}

static void test_wait(void **state)
{
	const struct wait two = {2, 3, 50};
	struct rspamd_ops ops = *rspamd.rspamd.ops;

	(void)state;
	ops.wait = note_wait;
	rspamd.rspamd.ops = &ops;
	waits = 0;
	flight_wait(flight, &two, 1000);
	assert_int_equal(waits, 203);
	assert_int_equal(last_ms, 50);
	flight_wait(flight, &two, 20);
	assert_int_equal(last_ms, 20);
	waits = 0;
	flight_wait(flight, NULL, 1000);
	assert_int_equal(waits, -100);
	assert_int_equal(last_ms, 1000);
}

/* Dropped in the middle: nothing leaks (the sanitizer looks). */
static void test_dropped(void **state)
{
	(void)state;
	rspamd.delay = -1;
	stage(1, 50);
	assert_int_equal(flight_send(flight, &e), 0);
	stage(2, 50);
	flight_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_the_way),	   TEST(test_room),	TEST(test_large_alone),
	    TEST(test_any_order),  TEST(test_original), TEST(test_unstage),
	    TEST(test_send_fails), TEST(test_wait),	TEST(test_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
