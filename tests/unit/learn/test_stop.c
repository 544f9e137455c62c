/*
 * A signal in the middle of a run: what rspamd has is waited for, but not for ever; the rest is
 * as if it had never been taken. (A program of its own: a signal cannot be taken back.)
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "fake/world.h"
#include "learn/expire.h"
#include "mail/mime.h"

enum { MESSAGES = 8 };

static struct world w;
static int waits;

/* The first two are answered soon, the third never; the signal comes while they are out. */
static void on_wait(void *ctx)
{
	(void)ctx;
	if (++waits == 2)
		raise(SIGTERM);
}

static void deliver_all(void)
{
	for (int i = 0; i < MESSAGES; i++)
		fake_deliver(&w.source, NULL, WORLD_NOW - 100);
	w.source.waits = 1;
}

static size_t count(int state, enum outcome outcome)
{
	size_t n = 0;

	for (uint32_t id = 1; id <= MESSAGES; id++) {
		struct record_message r = world_message(&w, &w.source, id);

		n += (int)r.state == state && (state == -1 || r.outcome == outcome);
	}
	return n;
}

static void test_signal(void **state)
{
	size_t learned, submitted;

	(void)state;
	world_init(&w);
	deliver_all();
	w.rspamd.delay = 4;
	w.rspamd.waited = on_wait;
	assert_int_equal(world_learn_in(&w, &w.source, -1, false), -1);
	assert_int_equal(w.e.scope, ERR_FATAL);
	assert_int_equal(w.e.kind, ERR_CANCELLED);
	learned = count(STATE_MARKED, OUTCOME_LEARNED);
	submitted = count(STATE_SUBMITTED, OUTCOME_NONE);
	assert_int_equal(learned, w.rspamd.submits); /* all that was out came back in time */
	assert_int_equal(submitted, 0);
	assert_in_range(learned, 1, MESSAGES - 1);
	assert_int_equal(w.output.last.left, MESSAGES - learned);
	assert_string_equal(w.output.why, "stopped by a signal");
	assert_int_equal(count(STATE_PENDING, OUTCOME_NONE) + count(-1, OUTCOME_NONE),
			 MESSAGES - learned);
	assert_false(w.store.dirty);
	fake_events_have(&w.events, "marked ");
}

/* Once it was asked to stop nothing is begun: neither here nor in another mailbox. */
static void test_nothing_begins(void **state)
{
	static struct fake_source other;
	unsigned submits = w.rspamd.submits;

	(void)state;
	assert_true(stop_requested());
	fake_source_init(&other, "b", "INBOX", CLASS_SPAM, &w.events);
	fake_deliver(&other, NULL, WORLD_NOW);
	fake_events_clear(&w.events);
	assert_int_equal(world_learn_in(&w, &other, -1, false), -1);
	assert_int_equal(w.e.kind, ERR_CANCELLED);
	assert_int_equal(w.rspamd.submits, submits);
	assert_int_equal(w.output.last.left, 1);
	world_close(&w, &other);
	fake_source_free(&other);
}

/* Nor is anything removed. */
static void test_nothing_goes(void **state)
{
	struct conf_retention all = {.max_per_run = 100};
	struct expire x = {.policy = &all,
			   .ledger = w.ledger,
			   .output = &w.output.output,
			   .now = clock_now(),
			   .left = 100};

	(void)state;
	fake_events_clear(&w.events);
	assert_int_equal(expire_source(&x, &w.source.source, &w.e), -1);
	assert_int_equal(w.e.kind, ERR_CANCELLED);
	fake_events_lack(&w.events, "remove");
	assert_int_equal(w.source.n, MESSAGES);
}

static int begin(void **state)
{
	(void)state;
	mime_init();
	stop_install();
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_close(&w, &w.source);
	world_free(&w);
	mime_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signal),
	    cmocka_unit_test(test_nothing_begins),
	    cmocka_unit_test(test_nothing_goes),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
